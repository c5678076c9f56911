//! The boxes of a sealed file: where the parts of its text lie.
//!
//! Invariant: a text of one length makes a file of one length, and a text of another length another.

use std::ops::Range;

use super::{Class, HEADER};

/// What sealing adds to a box.
pub(super) const TAG: u64 = 16;

/// How a text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Boxes {
    /// How much of the text is in every box but the last.
    pub(super) size: u64,
    /// The length of the whole text.
    pub(in crate::store) len: u64,
}

impl Boxes {
    /// The boxes for a text of this length.
    pub(in crate::store) fn of_text(class: Class, len: u64) -> Self {
        let size = class.box_size();
        Self { size, len }
    }

    /// The boxes of a file of this length; none if no file is that long.
    pub(in crate::store) fn of_file(class: Class, file_len: u64) -> Option<Self> {
        let sealed = file_len.checked_sub(HEADER as u64)?;
        let count = sealed.div_ceil(class.box_size() + TAG);
        let boxes = Self::of_text(class, sealed.checked_sub(count * TAG)?);
        (boxes.file_len() == file_len).then_some(boxes)
    }

    /// How long the file is.
    pub(in crate::store) fn file_len(&self) -> u64 {
        HEADER as u64 + self.len + (self.last() + 1) * TAG
    }

    /// The number of the last box. Only an empty text has an empty box.
    pub(super) fn last(&self) -> u64 {
        self.len.saturating_sub(1) / self.size
    }

    /// The number of the first box that has some of this part of the text, and where in the file lie all that have.
    pub(in crate::store) fn covering(&self, part: Range<u64>) -> (u64, Range<u64>) {
        let place = |number: u64| HEADER as u64 + number * (self.size + TAG);
        let first = part.start / self.size;
        let end = place(part.end.div_ceil(self.size)).min(self.file_len());
        (first, place(first)..end)
    }

    /// Where in the text a box begins.
    pub(in crate::store) fn start_of(&self, number: u64) -> u64 {
        number * self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: u64 = 4096;

    #[test]
    fn lengths_lead_there_and_back_and_others_are_refused() {
        for len in [0, 1, 4095, 4096, 4097, 8192, 8193, 1 << 40] {
            for class in [Class::Head, Class::Pack] {
                let boxes = Boxes::of_text(class, len);
                assert_eq!(Boxes::of_file(class, boxes.file_len()), Some(boxes));
            }
        }
        let none: Vec<u64> = (0..9000)
            .filter(|&len| Boxes::of_file(Class::Head, len).is_none())
            .collect();
        // Nothing is shorter than an empty file, and no box after the first one is empty.
        let mut expected: Vec<u64> = (0..48).collect();
        for count in [1, 2] {
            let full = 32 + count * (BOX + 16);
            expected.extend(full + 1..=full + 16);
        }
        assert_eq!(none, expected);
    }

    #[test]
    fn a_part_of_the_text_lies_in_the_boxes_that_cover_it() {
        let boxes = Boxes::of_text(Class::Segment, 10_000);
        assert_eq!(boxes.file_len(), 32 + 10_000 + 3 * 16);
        assert_eq!(boxes.covering(0..1), (0, 32..32 + 4112));
        assert_eq!(boxes.covering(4095..4097), (0, 32..32 + 2 * 4112));
        assert_eq!(boxes.covering(4096..8192), (1, 32 + 4112..32 + 2 * 4112));
        assert_eq!(
            boxes.covering(9999..10_000),
            (2, 32 + 2 * 4112..boxes.file_len())
        );
    }
}
