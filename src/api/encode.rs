//! How names become parts of a path.
//!
//! Invariant: whatever a name holds (`/`, `%`, `?`, `#`, a space, another script), it comes out as one segment.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the characters that never need encoding.
const RESERVED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// One path segment: `a/b c` becomes `a%2Fb%20c`.
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, &RESERVED).to_string()
}

/// A whole path, as the Files API wants it: every segment encoded, the slashes kept.
pub fn path(path: &str) -> String {
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_single_segments() {
        assert_eq!(segment("a/b c%?#\\é"), "a%2Fb%20c%25%3F%23%5C%C3%A9");
        assert_eq!(segment("main.sales-eu_1~"), "main.sales-eu_1~");
    }

    #[test]
    fn paths_keep_their_slashes() {
        assert_eq!(path("/Volumes/a b/c+d"), "/Volumes/a%20b/c%2Bd");
    }
}
