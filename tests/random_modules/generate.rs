//! Random modules and arguments, each from a number alone.

use ampoule::{HeapType, I31, Val, ValType};
use arbitrary::Unstructured;
use wasm_smith::{Config, Module};

/// Loops and calls that a generated function may do before it runs into `unreachable`.
const STEPS: u32 = 1000;

/// Random numbers (xorshift64*).
pub struct Random(u64);

impl Random {
    /// The same numbers for the same seed; neighbouring seeds have nothing in common.
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A valid module that ends whatever is called, and whose results depend on nothing but its arguments. `None` where the random
/// bytes were too few for one.
pub fn module(seed: u64) -> Option<Vec<u8>> {
    made(seed, true)
}

/// The same, but with what an engine may choose: bits of NaNs, and results of relaxed SIMD.
pub fn module_with_choices(seed: u64) -> Option<Vec<u8>> {
    made(seed, false)
}

fn made(seed: u64, is_determined: bool) -> Option<Vec<u8>> {
    let mut random = Random::new(seed);
    let len = 1 << (11 + random.below(5));
    let bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
    let config = Config {
        canonicalize_nans: is_determined,
        export_everything: true,
        max_memories: 1 + random.below(3),
        min_memories: u32::from(!random.once_in(4)),
        max_memory32_bytes: 4 << 16,
        max_memory64_bytes: 4 << 16,
        max_tables: 1 + random.below(3),
        max_table_elements: 100,
        max_funcs: 8,
        min_funcs: 4,
        allow_start_export: random.once_in(8),
        disallow_traps: random.once_in(3),
        max_imports: random.below(6),
        max_globals: 10,
        max_instructions: 50 << random.below(5),
        max_data_segments: 5,
        max_element_segments: 5,
        min_exports: 1,
        wide_arithmetic_enabled: random.once_in(4),
        custom_page_sizes_enabled: random.once_in(4),
        memory64_enabled: random.once_in(3),
        simd_enabled: !random.once_in(3),
        threads_enabled: random.once_in(4),
        exceptions_enabled: random.once_in(2),
        relaxed_simd_enabled: !is_determined,
        gc_enabled: random.once_in(2),
        // Else most of them fill the heap before anything runs.
        limit_arrays_in_const_exprs: true,
        compact_imports_enabled: false,
        ..Config::default()
    };
    let mut module = Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    module.ensure_termination(STEPS).ok()?;
    Some(module.to_bytes())
}

/// An argument: often one of those at which operations change their mind.
pub fn argument(random: &mut Random, ty: ValType) -> Val {
    const CORNERS: [u64; 16] = [
        0,
        1,
        u64::MAX,
        1 << 31,
        0x7fff_ffff,
        1 << 32,
        1 << 63,
        i64::MAX as u64,
        0xffff,
        0x1_0000,
        0x3_fffc,
        0x7fc0_0000,
        0x8000_0000_0000_0001,
        0x3ff0_0000_0000_0000,
        0x4f00_0000_cf00_0000,
        0x43e0_0000_0000_0000,
    ];
    let mut word = || match random.below(3) {
        0 => random.next(),
        1 => random.next() % 64,
        _ => CORNERS[random.below(CORNERS.len())],
    };
    let (low, high) = (word(), word());
    match ty {
        ValType::I32 => Val::I32(low as i32),
        ValType::I64 => Val::I64(low as i64),
        ValType::F32 => Val::F32(if f32::from_bits(low as u32).is_nan() { 0x7fc0_0000 } else { low as u32 }),
        ValType::F64 => Val::F64(if f64::from_bits(low).is_nan() { 0x7ff8_0000_0000_0000 } else { low }),
        ValType::V128 => Val::V128(u128::from(high) << 64 | u128::from(low)),
        ValType::Ref(ty) if matches!(ty.heap, HeapType::Any | HeapType::Eq | HeapType::I31) => match low % 4 {
            0 if ty.nullable => Val::AnyRef(None),
            _ => Val::AnyRef(Some(I31::wrapping(low as u32).into())),
        },
        // Null is refused where it doesn't fit: no host function makes anything else.
        reference => Val::default_for(reference),
    }
}

/// A damaged copy: a few bytes changed, taken out, or put in.
pub fn damaged(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(damaged.len().max(1));
        match random.below(6) {
            _ if damaged.is_empty() => damaged.push(random.next() as u8),
            0 => damaged[at] ^= 1 << random.below(8),
            1 => damaged[at] = random.next() as u8,
            2 => damaged[at] = [0, 0x7f, 0x80, 0xff][random.below(4)],
            3 => damaged.insert(at, random.next() as u8),
            4 => drop(damaged.remove(at)),
            _ if random.once_in(8) => damaged.truncate(at),
            _ => {
                let middle = damaged.len() / 2;
                damaged.swap(at, middle);
            }
        }
    }
    damaged
}
