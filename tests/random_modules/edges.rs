//! Addresses around every edge that an engine knows: the end of the memory, of its reservation, of the guard, of 32 bits. Whether an
//! access is in bounds is computed here by the definition alone: address plus offset plus size is at most the length.

use crate::ours::{Mode, modes};
use ampoule::{Instance, Store, TrapCode, Val};

/// Operators with the bytes that they reach.
const OPERATORS: [(&str, u128); 10] = [
    ("i32.load8_u", 1),
    ("i64.load16_s", 2),
    ("i32.load", 4),
    ("f64.load", 8),
    ("v128.load", 16),
    ("v128.load64_splat", 8),
    ("i32.store8", 1),
    ("i64.store32", 4),
    ("i64.store", 8),
    ("v128.store", 16),
];

/// A memory's declaration, the type of its addresses, and its length.
const MEMORIES: [(&str, &str, u64); 6] = [
    ("(memory 0)", "i32", 0),
    ("(memory 1)", "i32", 1 << 16),
    ("(memory 3 3)", "i32", 3 << 16),
    ("(memory 5 (pagesize 1))", "i32", 5),
    ("(memory i64 2)", "i64", 2 << 16),
    ("(memory i64 70000 (pagesize 1))", "i64", 70_000),
];

/// Numbers near which something changes.
const EDGES: [u64; 10] = [
    0,
    64 << 10,
    1 << 20,
    32 << 20,
    (1 << 31) - 8,
    1 << 31,
    (1 << 32) - (64 << 10),
    u32::MAX as u64 - 16,
    u32::MAX as u64 - 3,
    u32::MAX as u64,
];

fn offsets(is_64: bool) -> Vec<u64> {
    let mut offsets = EDGES.to_vec();
    offsets.extend([1, 7, (64 << 10) - 1, (32 << 20) - 15]);
    if is_64 {
        offsets.extend([1 << 32, (1 << 63) - 1, u64::MAX - 7, u64::MAX]);
    }
    offsets
}

fn indices(is_64: bool, len: u64, offset: u64, size: u128) -> Vec<u64> {
    let end = (u128::from(len)).saturating_sub(u128::from(offset)).saturating_sub(size) as u64;
    let mut indices = EDGES.to_vec();
    indices.extend([end.wrapping_sub(1), end, end + 1, len.wrapping_sub(1), len, len + 1]);
    // Those that wrap around with the offset.
    indices.extend([0u64.wrapping_sub(offset), 0u64.wrapping_sub(offset).wrapping_add(1), u64::MAX, 1 << 32, 1 << 63]);
    if !is_64 {
        indices.iter_mut().for_each(|index| *index &= u64::from(u32::MAX));
    }
    indices
}

fn text(memory: &str, address: &str, offsets: &[u64]) -> String {
    let mut text = format!("(module {memory}");
    for (operator, _) in OPERATORS {
        let (kind, access) = operator.split_once('.').expect("a type and a name");
        for offset in offsets {
            text += &format!("(func (export \"{operator} {offset}\") (param {address})");
            text += &match access.starts_with("load") {
                true => format!("(drop ({operator} offset={offset} (local.get 0))))"),
                false if kind == "v128" => {
                    format!("({operator} offset={offset} (local.get 0) (v128.const i64x2 1 2)))")
                }
                false => format!("({operator} offset={offset} (local.get 0) ({kind}.const 1)))"),
            };
        }
    }
    text + ")"
}

#[test]
fn an_access_is_in_bounds_by_the_definition() {
    let (mut inside, mut outside) = (0, 0);
    // Modes whose accesses are those of others.
    const ALIKE: [&str; 11] = [
        "eager",
        "small",
        "least_effort_fuel",
        "fuel",
        "epoch",
        "cancellation",
        "copied_images",
        "gc_stress",
        "baseline_fuel",
        "baseline_epoch",
        "baseline_gc_stress",
    ];
    let is_alike = |mode: &Mode| ALIKE.contains(&mode.name) || mode.name.starts_with("tier_up");
    for mode in modes().into_iter().filter(|mode| !is_alike(mode)) {
        for (memory, address, len) in MEMORIES {
            let is_64 = address == "i64";
            let offsets = offsets(is_64);
            let binary = ampoule::Module::binary_of_text(&text(memory, address, &offsets)).expect("the text is right");
            let module = mode.module(&binary).expect("the module is valid");
            let mut store = Store::new(mode.engine());
            let _ = store.set_fuel(1 << 40);
            store.set_epoch_deadline(1 << 40);
            let instance = Instance::new(&mut store, &module, &[]).expect("the memory is small");
            for (operator, size) in OPERATORS {
                for &offset in &offsets {
                    let func = instance.get_func(&store, &format!("{operator} {offset}")).expect("just made");
                    for index in indices(is_64, len, offset, size) {
                        let arg = if is_64 { Val::I64(index as i64) } else { Val::I32(index as i32) };
                        let fits = u128::from(index) + u128::from(offset) + size <= u128::from(len);
                        let found = match func.call(&mut store, &[arg], &mut []) {
                            Ok(()) => None,
                            Err(error) => Some(error.trap_code()),
                        };
                        let expected = (!fits).then_some(Some(TrapCode::MemoryOutOfBounds));
                        assert_eq!(found, expected, "{}: {operator} offset={offset} at {index} in {memory}", mode.name);
                        *if fits { &mut inside } else { &mut outside } += 1;
                    }
                }
            }
        }
    }
    println!("{inside} accesses inside, {outside} outside");
    assert!(inside > 0 && outside > 0, "there are both");
}
