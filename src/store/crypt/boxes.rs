//! The boxes of a sealed file: where the parts of its text lie.
//!
//! Invariant: a text of one length makes a file of one length, and no other text does.

use std::ops::Range;

use super::HEADER;

/// What sealing adds to a box.
pub(super) const TAG: usize = 16;
/// How much of a file's text is in one box: little, as reading one entry of an index segment means opening a box.
pub(super) const BOX: usize = 4096;
/// The length of every box but the last.
pub(super) const SEALED_BOX: usize = BOX + TAG;

/// How long a file is whose text has `len` bytes.
pub(in crate::store) const fn sealed_len(len: u64) -> u64 {
    HEADER as u64 + len + (last_box(len) + 1) * TAG as u64
}

/// How long the text of a sealed file is; nothing if no file is that long.
pub(in crate::store) fn text_len(sealed: u64) -> Option<u64> {
    let boxes = sealed.checked_sub(HEADER as u64)?;
    let count = boxes.div_ceil(SEALED_BOX as u64);
    let len = boxes.checked_sub(count * TAG as u64)?;
    // The only box that may be empty is the only one of an empty file.
    (sealed_len(len) == sealed).then_some(len)
}

/// Where in a sealed file the boxes lie that have these bytes of the text, and the number of the first of them.
pub(in crate::store) fn boxes_of(text: Range<u64>, len: u64) -> (u64, Range<u64>) {
    let (first, end) = (
        text.start / BOX as u64,
        text.end.min(len).div_ceil(BOX as u64),
    );
    let start = HEADER as u64 + first * SEALED_BOX as u64;
    let end = (HEADER as u64 + end * SEALED_BOX as u64).min(sealed_len(len));
    (first, start..end)
}

/// The number of the last box.
pub(super) const fn last_box(len: u64) -> u64 {
    len.saturating_sub(1) / BOX as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_lead_there_and_back_and_others_are_refused() {
        let lengths = [0, 1, 4095, 4096, 4097, 8192, 8193, 1 << 40];
        for len in lengths {
            assert_eq!(text_len(sealed_len(len)), Some(len), "{len}");
        }
        let short: Vec<u64> = (0..9000).filter(|&len| text_len(len).is_none()).collect();
        // Nothing is shorter than an empty file, and no box after the first one is empty.
        let mut expected: Vec<u64> = (0..48).collect();
        for boxes in [1, 2] {
            let full = (HEADER + boxes * SEALED_BOX) as u64;
            expected.extend(full + 1..=full + TAG as u64);
        }
        assert_eq!(short, expected);
    }

    #[test]
    fn a_part_of_the_text_lies_in_the_boxes_that_cover_it() {
        let len = 10_000;
        assert_eq!(boxes_of(0..1, len), (0, 32..32 + 4112));
        assert_eq!(boxes_of(4095..4097, len), (0, 32..32 + 2 * 4112));
        assert_eq!(boxes_of(4096..8192, len), (1, 32 + 4112..32 + 2 * 4112));
        assert_eq!(
            boxes_of(9999..10_000, len),
            (2, 32 + 2 * 4112..sealed_len(len))
        );
    }
}
