//! The name section, read when a name is asked for.

use std::ops::Range;
use wasmparser::{BinaryReader, Name, NameSectionReader};

/// Where the functions' names are in a name section's content.
#[derive(Clone, Debug, Default)]
pub struct FunctionNames {
    /// Ascending by function; one each.
    names: Box<[(u32, Range<u32>)]>,
}

impl FunctionNames {
    /// Reads a name section's content, of a module with `functions` functions. What is malformed or names no function is left out:
    /// names are a courtesy.
    pub fn read(section: &[u8], functions: usize) -> Self {
        let mut names = Vec::new();
        for subsection in NameSectionReader::new(BinaryReader::new(section, 0)) {
            let Ok(Name::Function(list)) = subsection else { continue };
            for naming in list {
                let Ok(naming) = naming else { break };
                let start = naming.name.as_ptr().addr() - section.as_ptr().addr();
                if (naming.index as usize) < functions {
                    names.push((naming.index, start as u32..(start + naming.name.len()) as u32));
                }
            }
        }
        // Where a function is named twice, the last name counts.
        names.reverse();
        names.sort_by_key(|&(func, _)| func);
        names.dedup_by_key(|&mut (func, _)| func);
        Self { names: names.into() }
    }

    /// The name of a function; `section` is what was read.
    pub fn get<'a>(&self, section: &'a [u8], func: u32) -> Option<&'a str> {
        let position = self.names.binary_search_by_key(&func, |&(func, _)| func).ok()?;
        let (start, end) = (self.names[position].1.start as usize, self.names[position].1.end as usize);
        str::from_utf8(section.get(start..end)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_function() {
        let section = b"\x01\x0c\x04\x00\x01a\x01\x00\x02\x01c\x09\x01z";
        let names = FunctionNames::read(section, 3);
        let found: Vec<_> = (0..4).map(|func| names.get(section, func)).collect();
        assert_eq!(found, [Some("a"), Some(""), Some("c"), None]);
        assert_eq!(names.names.len(), 3, "what isn't there has no name");
    }
}
