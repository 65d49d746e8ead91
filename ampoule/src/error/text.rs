//! Text that a guest chose, such as the names in a module, where it is part of a message: shown up to a length that nobody misses
//! the rest of.

use std::borrow::Cow;
use std::fmt;

/// The longest such text that is shown in full, in bytes.
pub(crate) const MAX_TEXT: usize = 16 << 10;

/// Shows at most [`MAX_TEXT`] bytes, and `…` for the rest.
pub(crate) struct Shortened<'a>(pub(crate) &'a str);

impl<'a> Shortened<'a> {
    pub(crate) fn text(self) -> Cow<'a, str> {
        match self.split() {
            (start, true) => Cow::Owned(format!("{start}…")),
            (all, false) => Cow::Borrowed(all),
        }
    }

    /// What is shown, and whether more would follow.
    fn split(&self) -> (&'a str, bool) {
        let end = self.0.floor_char_boundary(MAX_TEXT);
        (&self.0[..end], end < self.0.len())
    }
}

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, more_follows) = self.split();
        f.write_str(start)?;
        if more_follows { f.write_str("…") } else { Ok(()) }
    }
}

/// A string that text is written to until `max` bytes are reached; then writing fails. Pieces count as well, so that endless empty
/// ones end, too.
pub(crate) struct BoundedString {
    pub(crate) text: String,
    pieces: usize,
    max: usize,
}

impl BoundedString {
    pub(crate) fn new(max: usize) -> Self {
        BoundedString { text: String::new(), pieces: 0, max }
    }
}

impl fmt::Write for BoundedString {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.pieces += 1;
        if self.pieces > self.max || self.text.len() + piece.len() > self.max {
            return Err(fmt::Error);
        }
        self.text.push_str(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn long_text_is_cut_between_characters() {
        let long = "é".repeat(MAX_TEXT);
        let shown = Shortened(&long).to_string();
        assert!(shown.len() <= MAX_TEXT + '…'.len_utf8() && shown.ends_with("é…"), "{}", shown.len());
        assert_eq!(Shortened(&long).text(), shown);
        assert_eq!(Shortened("short").to_string(), "short");
        assert!(matches!(Shortened("short").text(), Cow::Borrowed("short")));
    }

    #[test]
    fn a_bounded_string_takes_no_more_than_it_should() {
        let mut text = BoundedString::new(5);
        assert!(text.write_str("abc").is_ok() && text.write_str("def").is_err() && text.write_str("de").is_ok());
        assert_eq!(text.text, "abcde");
        let mut empty = BoundedString::new(5);
        assert_eq!((0..10).filter(|_| empty.write_str("").is_ok()).count(), 5);
    }
}
