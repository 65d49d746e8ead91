//! The name section, read when a name is asked for.

use std::collections::HashMap;
use wasmparser::{BinaryReader, Name, NameSectionReader};

/// Reads the function names of a name section's content. What is malformed is left out: names are a courtesy.
pub fn function_names(section: &[u8]) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for subsection in NameSectionReader::new(BinaryReader::new(section, 0)) {
        let Ok(Name::Function(functions)) = subsection else { continue };
        for naming in functions {
            let Ok(naming) = naming else { break };
            names.insert(naming.index, naming.name.to_string());
        }
    }
    names
}
