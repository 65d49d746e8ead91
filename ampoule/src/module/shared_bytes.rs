//! Bytes of modules, which have them in common with what they are part of.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A part of bytes that several own: a module of a component is kept once. Cheap to clone.
#[derive(Clone)]
pub struct SharedBytes {
    whole: Arc<[u8]>,
    part: Range<usize>,
}

impl SharedBytes {
    /// A part of these; `None` where there is no such part.
    pub fn part(&self, part: Range<usize>) -> Option<Self> {
        let len = self.get(part.clone())?.len();
        let start = self.part.start + part.start;
        Some(Self { whole: self.whole.clone(), part: start..start + len })
    }

    /// Whether somebody else has them, or others that they are a part of.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.whole) > 1
    }
}

/// A copy of them.
impl From<&[u8]> for SharedBytes {
    fn from(bytes: &[u8]) -> Self {
        Self { whole: bytes.into(), part: 0..bytes.len() }
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.whole[self.part.clone()]
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_part_is_within_it() {
        let whole = SharedBytes::from(&b"abcdef"[..]);
        let part = whole.part(1..5).expect("within");
        assert_eq!(&*part, b"bcde");
        assert_eq!(&*part.part(1..3).expect("within"), b"cd");
        assert!(part.part(1..5).is_none());
        assert!(whole.part(Range { start: 4, end: 3 }).is_none());
    }
}
