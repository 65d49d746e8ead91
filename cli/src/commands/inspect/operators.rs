//! The operators of functions as text, by their places in the module's bytes.

use anyhow::Result;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use wasmprinter::{Config, Print};

/// The lines of the text format that functions are written as, by the offsets that they come from: the head where the body starts, locals,
/// operators.
pub struct Operators(BTreeMap<u64, String>);

impl Operators {
    /// Those of the functions with these bodies, which are in order.
    ///
    /// # Errors
    /// Where the module can't be written as text.
    pub fn read(binary: &[u8], bodies: Vec<Range<u64>>) -> Result<Self> {
        let mut lines = Lines { bodies, passed: 0, current: None, lines: BTreeMap::new() };
        match Config::new().print(binary, &mut lines) {
            Err(error) if lines.passed < lines.bodies.len() => Err(error),
            _ => Ok(Self(lines.lines)),
        }
    }

    /// The one at an offset.
    pub fn at(&self, offset: u64) -> Option<&str> {
        self.0.get(&offset).map(String::as_str)
    }

    /// Those from an offset up to another.
    pub fn between(&self, offsets: Range<u64>) -> impl Iterator<Item = (u64, &str)> {
        self.0.range(offsets).map(|(&offset, text)| (offset, text.as_str()))
    }
}

/// Keeps those lines of a whole module's text that come from some functions, and says that the rest can't be written.
struct Lines {
    bodies: Vec<Range<u64>>,
    /// How many of the bodies are over.
    passed: usize,
    /// The offset of the line that is being written, where it is one to keep.
    current: Option<u64>,
    lines: BTreeMap<u64, String>,
}

impl Print for Lines {
    fn start_line(&mut self, offset: Option<u64>) {
        self.current = None;
        let Some(offset) = offset else { return };
        while self.bodies.get(self.passed).is_some_and(|body| body.end <= offset) {
            self.passed += 1;
        }
        if self.bodies.get(self.passed).is_some_and(|body| body.contains(&offset)) {
            self.current = Some(offset);
        }
    }

    fn write_str(&mut self, text: &str) -> io::Result<()> {
        if self.passed == self.bodies.len() {
            return Err(io::Error::other("all is written that is wanted"));
        }
        if let Some(offset) = self.current {
            self.lines.entry(offset).or_default().push_str(text);
        }
        Ok(())
    }

    fn newline(&mut self) -> io::Result<()> {
        self.current = None;
        Ok(())
    }
}
