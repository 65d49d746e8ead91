//! Artifacts: written, loaded, refused.

use crate::guest::World;
use crate::lazy::three;
use crate::memory;
use ampoule::module::artifact::{Expected, Loaded, is_artifact, load_bytes, load_file, serialize};
use ampoule::module::code_table::{ModuleCode, compile_all};
use ampoule_core::artifact::FunctionInfo;
use ampoule_core::features::Features;
use ampoule_core::index::{DefinedFuncIndex, FuncIndex, FuncRefIndex, TypeIndex};
use ampoule_core::module::{DataSegment, ModuleDescription};
use ampoule_core::tunables::{OptLevel, Tunables};
use ampoule_core::types::FuncType;
use ampoule_machine::code::CodeError;
use ampoule_machine::code::link::Text;
use ampoule_machine::os::mmap::{memory_file, write_at};
use std::fs::File;
use std::sync::Arc;

const TARGET: &str = "x86_64 of this test";

fn module() -> ModuleDescription {
    ModuleDescription {
        name: Some("three".to_string()),
        types: vec![FuncType::new([], []).into()],
        functions: [TypeIndex(0); 3].into_iter().collect(),
        func_ref_positions: [None, Some(FuncRefIndex(0)), None].into_iter().collect(),
        func_refs: vec![FuncIndex(1)].into(),
        bodies: vec![0..1, 1..2, 2..3].into(),
        datas: vec![DataSegment { active: None, bytes: 10..20 }, DataSegment { active: None, bytes: 25..30 }].into(),
        name_section: Some(40..44),
        byte_len: 100,
        ..Default::default()
    }
}

fn artifact() -> Vec<u8> {
    let mut functions = compile_all(3, false, &three).unwrap();
    for (number, function) in functions.iter_mut().enumerate() {
        function.info.positions = vec![(0, 100 + number as u32)];
    }
    let bytes: Vec<u8> = (0..100).collect();
    let text = Text::link(functions, 0).unwrap();
    let made_for = Expected { target: TARGET, features: &Features::default(), tunables: &Tunables::default() };
    serialize(made_for, &module(), |range| &bytes[range.start as usize..range.end as usize], &text, b"thunks").unwrap()
}

fn load(bytes: &[u8]) -> Result<Loaded, CodeError> {
    load_bytes(
        &memory(),
        bytes,
        Expected { target: TARGET, features: &Features::default(), tunables: &Tunables::default() },
    )
}

fn info(code: &ModuleCode, func: u32) -> Option<Arc<FunctionInfo>> {
    code.find(code.entry(DefinedFuncIndex(func)).addr()).unwrap().info
}

fn check(loaded: &Loaded) {
    let mut world = World::new();
    world.log().grow = |_, memory, delta| u64::from(memory) * delta;
    assert_eq!(world.call(loaded.code.entry(DefinedFuncIndex(2)), 10), Some(32));
    assert_eq!(info(&loaded.code, 1).unwrap().positions_at(3).next(), Some(101));
    assert_eq!(loaded.module.name.as_deref(), Some("three"));
    assert!(loaded.module.functions.iter().eq([TypeIndex(0); 3]));
    assert_eq!(
        (loaded.module.func_ref(FuncIndex(1)), loaded.module.func_ref(FuncIndex(2))),
        (Some(FuncRefIndex(0)), None)
    );
    assert_eq!(*loaded.module.func_refs, [FuncIndex(1)]);
    assert_eq!(loaded.thunks.as_ref(), b"thunks");
    assert_eq!(loaded.bytes.range(&(12..15)), [12, 13, 14]);
    assert_eq!(loaded.bytes.range(&(25..30)), [25, 26, 27, 28, 29]);
    assert_eq!(loaded.bytes.range(&(40..44)), [40, 41, 42, 43]);
    assert!(loaded.bytes.range(&(19..26)).is_empty() && loaded.bytes.range(&(0..5)).is_empty());
    assert_eq!(loaded.code.text(false).unwrap().infos.len(), 3);
}

#[test]
fn an_artifact_runs_as_what_it_was_made_from() {
    let bytes = artifact();
    assert!(is_artifact(&bytes) && !is_artifact(b"\0asm\x01\0\0\0"));
    check(&load(&bytes).unwrap());
    let file = File::from(memory_file("artifact", bytes.len()).unwrap());
    write_at(&file, &bytes, 0).unwrap();
    let expected = Expected { target: TARGET, features: &Features::default(), tunables: &Tunables::default() };
    for _ in 0..3 {
        check(&load_file(&memory(), &file, expected).unwrap());
    }
    // A loaded module is written as it was.
    let again = load(&bytes).unwrap();
    let text = again.code.text(false).unwrap();
    let written =
        serialize(expected, &again.module, |range| again.bytes.range(range), &text, again.thunks.as_ref()).unwrap();
    check(&load(&written).unwrap());
}

#[test]
fn what_was_made_for_another_engine_is_refused_by_name() {
    let bytes = artifact();
    let refusal = |target: &str, features: &Features, tunables: &Tunables| {
        let refused = load_bytes(&memory(), &bytes, Expected { target, features, tunables });
        refused.err().expect("it doesn't fit").to_string()
    };
    let (features, tunables) = (Features::default(), Tunables::default());
    assert!(refusal("other", &features, &tunables).contains("module was compiled for x86_64 of this test"));
    let fuel = refusal(TARGET, &features, &Tunables { consume_fuel: true, ..tunables });
    assert_eq!(fuel, "module was compiled with setting `consume_fuel` false, but this engine has true");
    assert!(refusal(TARGET, &Features { simd: false, ..features }, &tunables).contains("setting `simd` true"));
    let more = Expected { target: TARGET, features: &Features { gc: true, ..features }, tunables: &tunables };
    assert!(load_bytes(&memory(), &bytes, more).is_ok(), "more proposals do no harm");
    let slower = Tunables { opt_level: OptLevel::None, ..tunables };
    assert!(load_bytes(&memory(), &bytes, Expected { target: TARGET, features: &features, tunables: &slower }).is_ok());
}

#[test]
fn every_truncated_artifact_is_refused() {
    let bytes = artifact();
    for len in (0..bytes.len()).step_by(7) {
        assert!(matches!(load(&bytes[..len]), Err(CodeError::Artifact(_))), "{len} bytes of {}", bytes.len());
    }
    let mut longer = bytes.clone();
    longer.resize(bytes.len() + 4096, 0);
    assert!(load(&longer).is_err());
}

#[test]
fn every_damaged_artifact_is_refused() {
    let mut bytes = artifact();
    for at in 0..bytes.len() {
        let bit = 1 << (at % 8);
        bytes[at] ^= bit;
        assert!(matches!(load(&bytes), Err(CodeError::Artifact(_))), "byte {at}");
        bytes[at] ^= bit;
    }
    assert!(load(&bytes).is_ok());
}

/// A file is not read beyond its checked part when it is loaded. What is found to be damaged later is an absence, and no panic.
#[test]
fn damage_that_is_found_late_is_told() {
    let bytes = artifact();
    let word = |number: usize| u64::from_le_bytes(bytes[number * 8..][..8].try_into().unwrap());
    // Where each part ends is in the header.
    let [checked, elems, datas, bodies, thunks, places, infos, kept] = std::array::from_fn(|part| word(4 + part));
    assert!(thunks < places && places < infos && infos < kept);
    for at in checked..kept {
        let file = File::from(memory_file("artifact", bytes.len()).unwrap());
        write_at(&file, &bytes, 0).unwrap();
        write_at(&file, &[bytes[at as usize] ^ 0x80], at).unwrap();
        let expected = Expected { target: TARGET, features: &Features::default(), tunables: &Tunables::default() };
        let loaded = load_file(&memory(), &file, expected).unwrap();
        let told = (0..loaded.code.len() as u32).map(|func| info(&loaded.code, func).is_some());
        let untold = told.filter(|told| !told).count();
        let module = &loaded.module;
        let whole = [module.elems.is_whole(), module.datas.is_whole(), module.bodies.is_whole()];
        let expected = [!(checked..elems).contains(&at), !(elems..datas).contains(&at), !(datas..bodies).contains(&at)];
        assert_eq!(whole, expected, "byte {at}");
        match at {
            _ if at < thunks => assert_eq!(untold, 0, "byte {at} is of a list or a thunk"),
            _ if at < places => assert!(untold > 0, "byte {at} is where one or two functions are described"),
            _ if at < infos => assert_eq!(untold, 1, "byte {at} is one function's"),
            _ => assert_eq!(untold, 0, "byte {at} is of the module's own"),
        }
        assert_eq!(matches!(loaded.code.text(false), Err(CodeError::Artifact(_))), untold > 0);
    }
}

/// Header fields that contradict each other, under a checksum that is right: what only a forger makes must not be followed
/// out of bounds either.
#[test]
fn parts_out_of_order_are_refused() {
    let bytes = artifact();
    for field in 3..12 {
        for value in [0, 1, 79, 81, bytes.len() as u64 + 1, u64::MAX / 2, u64::MAX - 4095, u64::MAX] {
            let mut forged = bytes.clone();
            forged[field * 8..][..8].copy_from_slice(&value.to_le_bytes());
            assert!(matches!(load(&forged), Err(CodeError::Artifact(_))), "field {field} as {value}");
        }
    }
}
