//! A component's bytes without what nobody needs who has its modules compiled. Of a module in it that is only what its imports and exports are:
//! bodies, segments and custom sections are most of a component, and are gone.

use wasmparser::BinaryReader;

/// Sections of components.
const MODULE: u8 = 1;
const COMPONENT: u8 = 4;

/// Sections of modules: custom ones, elements, code, data, and how many segments of data there are.
const CUSTOM: u8 = 0;
const ELEMENTS: u8 = 9;
const CODE: u8 = 10;
const DATA: u8 = 11;
const DATA_COUNT: u8 = 12;

/// The preamble of components and modules.
const PREAMBLE: usize = 8;

/// A body of any type: `unreachable`, with its size, without locals.
const BODY: [u8; 4] = [3, 0, 0x00, 0x0b];

/// Components that are deeper in each other stay as they are.
const MAX_DEPTH: usize = 32;

/// The skeleton of a component. Bytes that are no component stay as they are.
pub(crate) fn skeleton(component: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_component(component, 0, &mut out).map_or_else(|| component.to_vec(), |()| out)
}

fn write_component(bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Option<()> {
    each_section(bytes, out, |id, content, out| {
        let mut inner = Vec::new();
        match id {
            MODULE => write_module(content, &mut inner)?,
            COMPONENT if depth < MAX_DEPTH => write_component(content, depth + 1, &mut inner)?,
            _ => inner.extend(content),
        }
        write_section(id, &inner, out);
        Some(())
    })
}

fn write_module(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    each_section(bytes, out, |id, content, out| {
        match id {
            CUSTOM | ELEMENTS | DATA | DATA_COUNT => {}
            CODE => {
                let bodies = BinaryReader::new(content, 0).read_var_u32().ok()?;
                // Each has a byte at least.
                let count = usize::try_from(bodies).ok().filter(|&count| count < content.len())?;
                let mut code = Vec::new();
                write_u32(bodies, &mut code);
                code.extend(BODY.repeat(count));
                write_section(id, &code, out);
            }
            _ => write_section(id, content, out),
        }
        Some(())
    })
}

/// Writes the preamble, and tells of the sections.
fn each_section(
    bytes: &[u8],
    out: &mut Vec<u8>,
    mut tell: impl FnMut(u8, &[u8], &mut Vec<u8>) -> Option<()>,
) -> Option<()> {
    let mut reader = BinaryReader::new(bytes, 0);
    out.extend(reader.read_bytes(PREAMBLE).ok()?);
    while !reader.eof() {
        let id = reader.read_u8().ok()?;
        let len = reader.read_var_u32().ok()? as usize;
        tell(id, reader.read_bytes(len).ok()?, out)?;
    }
    Some(())
}

fn write_section(id: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(id);
    write_u32(content.len() as u32, out);
    out.extend(content);
}

/// In LEB128.
fn write_u32(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENT: &str = r#"(component
        (core module $a
            (import "m" "f" (func (param i32)))
            (memory (export "memory") 2)
            (global (export "global") (mut i32) (i32.const 7))
            (table (export "table") 3 funcref)
            (func $start) (start $start)
            (func $wide (export "wide") (param i64) (result f64 i32) (local f32) unreachable)
            (elem (i32.const 0) func $wide $start)
            (data "passive") (data (i32.const 0) "active")
            (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0))))
        (component
            (core module (func (export "inner") (result i32) (i32.const 5))))
        (core module $b (func (export "last"))))"#;

    fn binary(text: &str) -> Vec<u8> {
        ampoule::Module::binary_of_text(text).unwrap()
    }

    fn modules(component: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for payload in wasmparser::Parser::new(0).parse_all(component) {
            if let wasmparser::Payload::ModuleSection { unchecked_range, .. } = payload.unwrap() {
                found.push(component[unchecked_range.start as usize..unchecked_range.end as usize].to_vec());
            }
        }
        found
    }

    fn validate(component: &[u8]) {
        wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(component).unwrap();
    }

    #[test]
    fn modules_keep_what_they_import_and_export() {
        let whole = binary(COMPONENT);
        let stripped = skeleton(&whole);
        validate(&stripped);
        assert!(stripped.len() < whole.len());
        let (before, after) = (modules(&whole), modules(&stripped));
        assert_eq!((before.len(), after.len()), (3, 3));
        let engine = ampoule::Engine::default();
        for (before, after) in before.iter().zip(&after) {
            let told = |bytes: &[u8]| {
                let module = ampoule::Module::new(&engine, bytes).unwrap();
                let imports: Vec<_> = module.imports().map(|(import, ty)| (import.name.clone(), ty)).collect();
                let exports: Vec<_> = module.exports().map(|(export, ty)| (export.name.clone(), ty)).collect();
                format!("{imports:?} {exports:?}")
            };
            assert_eq!(told(before), told(after));
        }
        assert_eq!(skeleton(&stripped), stripped, "there is no more to take");
    }

    #[test]
    fn what_is_no_component_stays_as_it_is() {
        let whole = binary(COMPONENT);
        for len in 0..whole.len() {
            skeleton(&whole[..len]);
        }
        assert_eq!(skeleton(&[1, 2, 3]), [1, 2, 3]);
        // As deep as bytes allow, on whatever stack.
        let mut deep = binary("(component)");
        let preamble = deep.clone();
        for _ in 0..2000 {
            let mut outer = preamble.clone();
            write_section(super::COMPONENT, &deep, &mut outer);
            deep = outer;
        }
        assert_eq!(skeleton(&deep), deep);
    }
}
