//! Every operator on numbers, vectors, references and atomics, and of exceptions, compiles, under every choice that changes what is made of it.
//!
//! The table below is checked against the decoder's list of operators, so that none can be missing.

use ampoule_compiler::baseline::BaselineCompiler;
use ampoule_compiler::optimizing::OptimizingCompiler;
use ampoule_compiler::{Compiler, ModuleInput};
use ampoule_core::decode::{body_reader, decode, validate_body};
use ampoule_core::features::Features;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::tunables::{OptLevel, Tunables};
use ampoule_core::vm::VmLayout;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

/// Operators by signature; `addr` is the memory's index type. Immediates follow the name.
const OPERATORS: &[(&str, &str)] = &[
    ("-> i32", "i32.const 7"),
    ("-> i64", "i64.const -7"),
    ("-> f32", "f32.const nan:0x200000"),
    ("-> f64", "f64.const -0x1p-1074"),
    ("i32 -> i32", "i32.eqz, i32.clz, i32.ctz, i32.popcnt, i32.extend8_s, i32.extend16_s"),
    ("i64 -> i64", "i64.clz, i64.ctz, i64.popcnt, i64.extend8_s, i64.extend16_s, i64.extend32_s"),
    ("i64 -> i32", "i64.eqz, i32.wrap_i64"),
    ("i32 -> i64", "i64.extend_i32_s, i64.extend_i32_u"),
    (
        "i32 i32 -> i32",
        "i32.eq, i32.ne, i32.lt_s, i32.lt_u, i32.gt_s, i32.gt_u, i32.le_s, i32.le_u, i32.ge_s, i32.ge_u, i32.add, i32.sub, \
         i32.mul, i32.div_s, i32.div_u, i32.rem_s, i32.rem_u, i32.and, i32.or, i32.xor, i32.shl, i32.shr_s, i32.shr_u, \
         i32.rotl, i32.rotr",
    ),
    (
        "i64 i64 -> i64",
        "i64.add, i64.sub, i64.mul, i64.div_s, i64.div_u, i64.rem_s, i64.rem_u, i64.and, i64.or, i64.xor, i64.shl, \
         i64.shr_s, i64.shr_u, i64.rotl, i64.rotr",
    ),
    (
        "i64 i64 -> i32",
        "i64.eq, i64.ne, i64.lt_s, i64.lt_u, i64.gt_s, i64.gt_u, i64.le_s, i64.le_u, i64.ge_s, i64.ge_u",
    ),
    ("f32 f32 -> i32", "f32.eq, f32.ne, f32.lt, f32.gt, f32.le, f32.ge"),
    ("f64 f64 -> i32", "f64.eq, f64.ne, f64.lt, f64.gt, f64.le, f64.ge"),
    ("f32 -> f32", "f32.abs, f32.neg, f32.ceil, f32.floor, f32.trunc, f32.nearest, f32.sqrt"),
    ("f64 -> f64", "f64.abs, f64.neg, f64.ceil, f64.floor, f64.trunc, f64.nearest, f64.sqrt"),
    ("f32 f32 -> f32", "f32.add, f32.sub, f32.mul, f32.div, f32.min, f32.max, f32.copysign"),
    ("f64 f64 -> f64", "f64.add, f64.sub, f64.mul, f64.div, f64.min, f64.max, f64.copysign"),
    ("f32 -> i32", "i32.trunc_f32_s, i32.trunc_f32_u, i32.trunc_sat_f32_s, i32.trunc_sat_f32_u, i32.reinterpret_f32"),
    ("f64 -> i32", "i32.trunc_f64_s, i32.trunc_f64_u, i32.trunc_sat_f64_s, i32.trunc_sat_f64_u"),
    ("f32 -> i64", "i64.trunc_f32_s, i64.trunc_f32_u, i64.trunc_sat_f32_s, i64.trunc_sat_f32_u"),
    ("f64 -> i64", "i64.trunc_f64_s, i64.trunc_f64_u, i64.trunc_sat_f64_s, i64.trunc_sat_f64_u, i64.reinterpret_f64"),
    ("i32 -> f32", "f32.convert_i32_s, f32.convert_i32_u, f32.reinterpret_i32"),
    ("i64 -> f32", "f32.convert_i64_s, f32.convert_i64_u"),
    ("i32 -> f64", "f64.convert_i32_s, f64.convert_i32_u"),
    ("i64 -> f64", "f64.convert_i64_s, f64.convert_i64_u, f64.reinterpret_i64"),
    ("f64 -> f32", "f32.demote_f64"),
    ("f32 -> f64", "f64.promote_f32"),
    ("i64 i64 i64 i64 -> i64 i64", "i64.add128, i64.sub128"),
    ("i64 i64 -> i64 i64", "i64.mul_wide_s, i64.mul_wide_u"),
    ("-> v128", "v128.const i64x2 0x0123456789abcdef 0xfedcba9876543210"),
    (
        "addr -> v128",
        "v128.load, v128.load8x8_s, v128.load8x8_u, v128.load16x4_s, v128.load16x4_u, v128.load32x2_s, v128.load32x2_u, \
         v128.load8_splat, v128.load16_splat, v128.load32_splat, v128.load64_splat, v128.load32_zero, v128.load64_zero, \
         v128.load offset=65535, v128.load32_splat offset=0xfffffff0",
    ),
    ("addr v128 -> v128", "v128.load8_lane 15, v128.load16_lane 7, v128.load32_lane 3, v128.load64_lane 1"),
    (
        "addr v128 ->",
        "v128.store, v128.store8_lane 0, v128.store8_lane 15, v128.store16_lane 7, v128.store32_lane 3, \
         v128.store64_lane 1",
    ),
    ("i32 -> v128", "i8x16.splat, i16x8.splat, i32x4.splat"),
    ("i64 -> v128", "i64x2.splat"),
    ("f32 -> v128", "f32x4.splat"),
    ("f64 -> v128", "f64x2.splat"),
    (
        "v128 -> i32",
        "i8x16.extract_lane_s 0, i8x16.extract_lane_s 15, i8x16.extract_lane_u 14, i16x8.extract_lane_s 7, \
         i16x8.extract_lane_u 0, i32x4.extract_lane 0, i32x4.extract_lane 3, v128.any_true, i8x16.all_true, \
         i16x8.all_true, i32x4.all_true, i64x2.all_true, i8x16.bitmask, i16x8.bitmask, i32x4.bitmask, i64x2.bitmask",
    ),
    ("v128 -> i64", "i64x2.extract_lane 0, i64x2.extract_lane 1"),
    ("v128 -> f32", "f32x4.extract_lane 0, f32x4.extract_lane 3"),
    ("v128 -> f64", "f64x2.extract_lane 0, f64x2.extract_lane 1"),
    (
        "v128 i32 -> v128",
        "i8x16.replace_lane 0, i8x16.replace_lane 15, i16x8.replace_lane 7, i32x4.replace_lane 3, i8x16.shl, i16x8.shl, \
         i32x4.shl, i64x2.shl, i8x16.shr_s, i16x8.shr_s, i32x4.shr_s, i64x2.shr_s, i8x16.shr_u, i16x8.shr_u, \
         i32x4.shr_u, i64x2.shr_u",
    ),
    ("v128 i64 -> v128", "i64x2.replace_lane 0, i64x2.replace_lane 1"),
    ("v128 f32 -> v128", "f32x4.replace_lane 0, f32x4.replace_lane 3"),
    ("v128 f64 -> v128", "f64x2.replace_lane 0, f64x2.replace_lane 1"),
    (
        "v128 -> v128",
        "v128.not, i8x16.abs, i16x8.abs, i32x4.abs, i64x2.abs, i8x16.neg, i16x8.neg, i32x4.neg, i64x2.neg, i8x16.popcnt, \
         i16x8.extadd_pairwise_i8x16_s, i16x8.extadd_pairwise_i8x16_u, i32x4.extadd_pairwise_i16x8_s, \
         i32x4.extadd_pairwise_i16x8_u, i16x8.extend_low_i8x16_s, i16x8.extend_high_i8x16_s, i16x8.extend_low_i8x16_u, \
         i16x8.extend_high_i8x16_u, i32x4.extend_low_i16x8_s, i32x4.extend_high_i16x8_s, i32x4.extend_low_i16x8_u, \
         i32x4.extend_high_i16x8_u, i64x2.extend_low_i32x4_s, i64x2.extend_high_i32x4_s, i64x2.extend_low_i32x4_u, \
         i64x2.extend_high_i32x4_u, f32x4.ceil, f32x4.floor, f32x4.trunc, f32x4.nearest, f32x4.abs, f32x4.neg, \
         f32x4.sqrt, f64x2.ceil, f64x2.floor, f64x2.trunc, f64x2.nearest, f64x2.abs, f64x2.neg, f64x2.sqrt, \
         i32x4.trunc_sat_f32x4_s, i32x4.trunc_sat_f32x4_u, f32x4.convert_i32x4_s, f32x4.convert_i32x4_u, \
         i32x4.trunc_sat_f64x2_s_zero, i32x4.trunc_sat_f64x2_u_zero, f64x2.convert_low_i32x4_s, \
         f64x2.convert_low_i32x4_u, f32x4.demote_f64x2_zero, f64x2.promote_low_f32x4, i32x4.relaxed_trunc_f32x4_s, \
         i32x4.relaxed_trunc_f32x4_u, i32x4.relaxed_trunc_f64x2_s_zero, i32x4.relaxed_trunc_f64x2_u_zero",
    ),
    (
        "v128 v128 -> v128",
        "i8x16.shuffle 0 31 2 29 4 27 6 25 8 23 10 21 12 19 14 17, i8x16.shuffle 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5, \
         i8x16.shuffle 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18, i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23, \
         i8x16.swizzle, i8x16.eq, i8x16.ne, i8x16.lt_s, i8x16.lt_u, i8x16.gt_s, i8x16.gt_u, i8x16.le_s, i8x16.le_u, \
         i8x16.ge_s, i8x16.ge_u, i16x8.eq, i16x8.ne, i16x8.lt_s, i16x8.lt_u, i16x8.gt_s, i16x8.gt_u, i16x8.le_s, \
         i16x8.le_u, i16x8.ge_s, i16x8.ge_u, i32x4.eq, i32x4.ne, i32x4.lt_s, i32x4.lt_u, i32x4.gt_s, i32x4.gt_u, \
         i32x4.le_s, i32x4.le_u, i32x4.ge_s, i32x4.ge_u, i64x2.eq, i64x2.ne, i64x2.lt_s, i64x2.gt_s, i64x2.le_s, \
         i64x2.ge_s, f32x4.eq, f32x4.ne, f32x4.lt, f32x4.gt, f32x4.le, f32x4.ge, f64x2.eq, f64x2.ne, f64x2.lt, f64x2.gt, \
         f64x2.le, f64x2.ge, v128.and, v128.andnot, v128.or, v128.xor, i8x16.narrow_i16x8_s, i8x16.narrow_i16x8_u, \
         i8x16.add, i8x16.add_sat_s, i8x16.add_sat_u, i8x16.sub, i8x16.sub_sat_s, i8x16.sub_sat_u, i8x16.min_s, \
         i8x16.min_u, i8x16.max_s, i8x16.max_u, i8x16.avgr_u, i16x8.q15mulr_sat_s, i16x8.narrow_i32x4_s, \
         i16x8.narrow_i32x4_u, i16x8.add, i16x8.add_sat_s, i16x8.add_sat_u, i16x8.sub, i16x8.sub_sat_s, \
         i16x8.sub_sat_u, i16x8.mul, i16x8.min_s, i16x8.min_u, i16x8.max_s, i16x8.max_u, i16x8.avgr_u, \
         i16x8.extmul_low_i8x16_s, i16x8.extmul_high_i8x16_s, i16x8.extmul_low_i8x16_u, i16x8.extmul_high_i8x16_u, \
         i32x4.add, i32x4.sub, i32x4.mul, i32x4.min_s, i32x4.min_u, i32x4.max_s, i32x4.max_u, i32x4.dot_i16x8_s, \
         i32x4.extmul_low_i16x8_s, i32x4.extmul_high_i16x8_s, i32x4.extmul_low_i16x8_u, i32x4.extmul_high_i16x8_u, \
         i64x2.add, i64x2.sub, i64x2.mul, i64x2.extmul_low_i32x4_s, i64x2.extmul_high_i32x4_s, \
         i64x2.extmul_low_i32x4_u, i64x2.extmul_high_i32x4_u, f32x4.add, f32x4.sub, f32x4.mul, f32x4.div, f32x4.min, \
         f32x4.max, f32x4.pmin, f32x4.pmax, f64x2.add, f64x2.sub, f64x2.mul, f64x2.div, f64x2.min, f64x2.max, \
         f64x2.pmin, f64x2.pmax, i8x16.relaxed_swizzle, f32x4.relaxed_min, f32x4.relaxed_max, f64x2.relaxed_min, \
         f64x2.relaxed_max, i16x8.relaxed_q15mulr_s, i16x8.relaxed_dot_i8x16_i7x16_s",
    ),
    (
        "v128 v128 v128 -> v128",
        "v128.bitselect, f32x4.relaxed_madd, f32x4.relaxed_nmadd, f64x2.relaxed_madd, f64x2.relaxed_nmadd, \
         i8x16.relaxed_laneselect, i16x8.relaxed_laneselect, i32x4.relaxed_laneselect, i64x2.relaxed_laneselect, \
         i32x4.relaxed_dot_i8x16_i7x16_add_s",
    ),
    ("->", "atomic.fence"),
    ("addr i32 -> i32", "memory.atomic.notify, memory.atomic.notify offset=4"),
    ("addr i32 i64 -> i32", "memory.atomic.wait32, memory.atomic.wait32 offset=3"),
    ("addr i64 i64 -> i32", "memory.atomic.wait64, memory.atomic.wait64 offset=0xffffffff"),
    ("addr -> i32", "i32.atomic.load, i32.atomic.load8_u, i32.atomic.load16_u, i32.atomic.load offset=1"),
    (
        "addr -> i64",
        "i64.atomic.load, i64.atomic.load8_u, i64.atomic.load16_u, i64.atomic.load32_u, \
         i64.atomic.load offset=0xffffffff",
    ),
    ("addr i32 ->", "i32.atomic.store, i32.atomic.store8, i32.atomic.store16"),
    ("addr i64 ->", "i64.atomic.store, i64.atomic.store8, i64.atomic.store16, i64.atomic.store32"),
    (
        "addr i32 -> i32",
        "i32.atomic.rmw.add, i32.atomic.rmw8.add_u, i32.atomic.rmw16.add_u, i32.atomic.rmw.sub, i32.atomic.rmw8.sub_u, \
         i32.atomic.rmw16.sub_u, i32.atomic.rmw.and, i32.atomic.rmw8.and_u, i32.atomic.rmw16.and_u, i32.atomic.rmw.or, \
         i32.atomic.rmw8.or_u, i32.atomic.rmw16.or_u, i32.atomic.rmw.xor, i32.atomic.rmw8.xor_u, i32.atomic.rmw16.xor_u, \
         i32.atomic.rmw.xchg, i32.atomic.rmw8.xchg_u, i32.atomic.rmw16.xchg_u",
    ),
    (
        "addr i64 -> i64",
        "i64.atomic.rmw.add, i64.atomic.rmw8.add_u, i64.atomic.rmw16.add_u, i64.atomic.rmw32.add_u, i64.atomic.rmw.sub, \
         i64.atomic.rmw8.sub_u, i64.atomic.rmw16.sub_u, i64.atomic.rmw32.sub_u, i64.atomic.rmw.and, \
         i64.atomic.rmw8.and_u, i64.atomic.rmw16.and_u, i64.atomic.rmw32.and_u, i64.atomic.rmw.or, i64.atomic.rmw8.or_u, \
         i64.atomic.rmw16.or_u, i64.atomic.rmw32.or_u, i64.atomic.rmw.xor, i64.atomic.rmw8.xor_u, \
         i64.atomic.rmw16.xor_u, i64.atomic.rmw32.xor_u, i64.atomic.rmw.xchg, i64.atomic.rmw8.xchg_u, \
         i64.atomic.rmw16.xchg_u, i64.atomic.rmw32.xchg_u",
    ),
    ("addr i32 i32 -> i32", "i32.atomic.rmw.cmpxchg, i32.atomic.rmw8.cmpxchg_u, i32.atomic.rmw16.cmpxchg_u"),
    (
        "addr i64 i64 -> i64",
        "i64.atomic.rmw.cmpxchg, i64.atomic.rmw8.cmpxchg_u, i64.atomic.rmw16.cmpxchg_u, i64.atomic.rmw32.cmpxchg_u",
    ),
];

/// The types that the operators on references name.
const TYPES: &str = "
    (type $empty (sub (struct)))
    (type $open (sub $empty (struct (field (mut i8) (mut i16) (mut i32) (mut i64) (mut f32) (mut f64) (mut v128) (mut anyref) (mut funcref)))))
    (type $d2 (sub $open (struct (field (mut i8) (mut i16) (mut i32) (mut i64) (mut f32) (mut f64) (mut v128) (mut anyref) (mut funcref) i8))))
    (type $final (struct (field (mut (ref null $final))) (field (mut i31ref))))
    (type $bytes (array (mut i8))) (type $shorts (array (mut i16))) (type $words (array (mut i32)))
    (type $longs (array (mut i64))) (type $floats (array (mut f32))) (type $doubles (array (mut f64)))
    (type $vectors (array (mut v128))) (type $refs (array (mut anyref))) (type $funcs (array (mut funcref)))
    (type $openfunc (sub (func (param i32)))) (type $func (func (param i32)))
    (data $d \"1234567\") (elem $e anyref (ref.null any)) (elem $f funcref (ref.null func))
    (table $t 4 funcref) (table $typed 4 (ref null $func))";

/// Operators on references by signature, as above; a reference type without blanks is `null$name` for `(ref null $name)`, `ref$name` for
/// `(ref $name)`.
const REFERENCES: &[(&str, &str)] = &[
    ("anyref anyref ->", "drop drop"),
    ("eqref eqref -> i32", "ref.eq"),
    ("i32 -> i31ref", "ref.i31"),
    ("i31ref -> i32", "i31.get_s, i31.get_u"),
    ("externref -> anyref", "any.convert_extern"),
    ("anyref -> externref", "extern.convert_any"),
    ("-> null$final", "struct.new_default $final"),
    ("null$final i31ref -> null$final", "struct.new $final"),
    ("-> null$open", "struct.new_default $open"),
    ("i32 i32 i32 i64 f32 f64 v128 anyref funcref -> null$open", "struct.new $open"),
    (
        "null$open -> i32",
        "struct.get_s $open 0, struct.get_u $open 0, struct.get_s $open 1, struct.get_u $open 1, struct.get $open 2",
    ),
    ("null$open -> i64", "struct.get $open 3"),
    ("null$open -> f32", "struct.get $open 4"),
    ("null$open -> f64", "struct.get $open 5"),
    ("null$open -> v128", "struct.get $open 6"),
    ("null$open -> anyref", "struct.get $open 7"),
    ("null$open -> funcref", "struct.get $open 8"),
    ("null$open i32 ->", "struct.set $open 0, struct.set $open 1, struct.set $open 2"),
    ("null$open i64 ->", "struct.set $open 3"),
    ("null$open f32 ->", "struct.set $open 4"),
    ("null$open f64 ->", "struct.set $open 5"),
    ("null$open v128 ->", "struct.set $open 6"),
    ("null$open anyref ->", "struct.set $open 7"),
    ("null$open funcref ->", "struct.set $open 8"),
    ("null$final i31ref ->", "struct.set $final 1"),
    ("null$final null$final ->", "struct.set $final 0"),
    ("i32 i32 -> null$bytes", "array.new $bytes, array.new_fixed $bytes 2, array.new_data $bytes $d"),
    ("i32 i32 -> null$shorts", "array.new $shorts, array.new_fixed $shorts 2"),
    ("i32 i32 -> null$words", "array.new $words, array.new_fixed $words 2"),
    ("i64 i32 -> null$longs", "array.new $longs"),
    ("f32 i32 -> null$floats", "array.new $floats"),
    ("f64 i32 -> null$doubles", "array.new $doubles"),
    ("v128 i32 -> null$vectors", "array.new $vectors"),
    ("anyref i32 -> null$refs", "array.new $refs"),
    ("funcref i32 -> null$funcs", "array.new $funcs"),
    ("i32 i32 -> null$refs", "array.new_elem $refs $e"),
    ("i32 i32 -> null$funcs", "array.new_elem $funcs $f"),
    ("i32 -> null$vectors", "array.new_default $vectors"),
    ("i32 -> null$refs", "array.new_default $refs"),
    ("i32 -> null$bytes", "i32.const 64 array.new $bytes, i32.const 7 array.new $bytes"),
    ("i32 -> null$shorts", "i32.const 7 array.new $shorts"),
    ("f32 -> null$floats", "i32.const 7 array.new $floats"),
    ("v128 -> null$vectors", "i32.const 3 array.new $vectors"),
    ("anyref -> null$refs", "i32.const 3 array.new $refs"),
    ("-> null$bytes", "i32.const 0 array.new_default $bytes, array.new_fixed $bytes 0"),
    ("null$bytes i32 -> i32", "array.get_s $bytes, array.get_u $bytes"),
    ("null$shorts i32 -> i32", "array.get_s $shorts, array.get_u $shorts"),
    ("null$words i32 -> i32", "array.get $words"),
    ("null$longs i32 -> i64", "array.get $longs"),
    ("null$vectors i32 -> v128", "array.get $vectors"),
    ("null$refs i32 -> anyref", "array.get $refs"),
    ("null$funcs i32 -> funcref", "array.get $funcs"),
    ("null$bytes i32 i32 ->", "array.set $bytes"),
    ("null$shorts i32 i32 ->", "array.set $shorts"),
    ("null$vectors i32 v128 ->", "array.set $vectors"),
    ("null$refs i32 anyref ->", "array.set $refs"),
    ("null$funcs i32 funcref ->", "array.set $funcs"),
    ("arrayref -> i32", "array.len"),
    ("null$bytes i32 i32 i32 ->", "array.fill $bytes, array.init_data $bytes $d"),
    ("null$vectors i32 v128 i32 ->", "array.fill $vectors"),
    ("null$refs i32 anyref i32 ->", "array.fill $refs"),
    ("null$refs i32 i32 i32 ->", "array.init_elem $refs $e"),
    ("null$refs i32 null$refs i32 i32 ->", "array.copy $refs $refs"),
    (
        "anyref -> i32",
        "ref.test anyref, ref.test (ref any), ref.test eqref, ref.test (ref eq), ref.test i31ref, ref.test (ref i31), \
         ref.test structref, ref.test (ref struct), ref.test arrayref, ref.test (ref array), ref.test nullref, ref.test (ref none), \
         ref.test (ref null $open), ref.test (ref $open), ref.test (ref null $final), ref.test (ref $final), ref.test (ref $bytes)",
    ),
    ("anyref -> null$d2", "ref.cast (ref null $d2), ref.cast (ref $d2)"),
    (
        "funcref -> i32",
        "ref.test (ref $openfunc), ref.test (ref null $func), ref.test nullfuncref, ref.test (ref func)",
    ),
    ("externref -> i32", "ref.test (ref extern), ref.test nullexternref"),
    ("anyref -> anyref", "br_on_cast 0 anyref (ref $open), br_on_cast_fail 0 anyref (ref null $final)"),
    ("anyref -> ref$any", "ref.as_non_null, br_on_non_null 0 unreachable"),
    ("null$func ->", "br_on_null 0 drop"),
    ("i32 null$func ->", "call_ref $func, return_call_ref $func"),
    ("i32 null$openfunc ->", "call_ref $openfunc"),
    (
        "i32 i32 ->",
        "call_indirect $t (type $func), call_indirect $t (type $openfunc), call_indirect $typed (type $func)",
    ),
];

/// Functions with the operators that come with blocks: those of exceptions, of both encodings. What they throw is caught in all ways by
/// callers that the first is inlined into, and by others.
const FUNCTIONS: &str = r#"
  (tag $t (param i32 i64 f32 f64 v128 funcref externref exnref)) (tag $e) (tag $i (param i32))
  (func $inlined (export "throw inlined") (throw $i (i32.const 1)))
  (func $fields (export "fields") (param i32)
    (result i32 i64 f32 f64 v128 funcref externref exnref)
    (loop $never_inlined (br_if $never_inlined (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    i32.const 1 i64.const 2 f32.const 3 f64.const 4 v128.const i64x2 5 6 ref.null func ref.null extern ref.null exn)
  (func $throws (export "throw") (param i32 externref)
    (loop $never_inlined (br_if $never_inlined (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (call $fields (local.get 0)) throw $t)
  (func (export "throw_ref") (param exnref) (throw_ref (local.get 0)))
  (func (export "try_table") (param $x externref) (param i32) (result externref)
    (block $all_ref (result exnref)
      (block $i (result i32)
        (block $all
          (block $one_ref (result i32 i64 f32 f64 v128 funcref externref exnref exnref)
            (block $one (result i32 i64 f32 f64 v128 funcref externref exnref)
              (try_table (result i32) (catch_all_ref $all_ref)
                (try_table (catch $e $all) (catch $i $i) (catch_ref $t $one_ref))
                (try_table (result i32) (catch $i $i) (catch $t $one) (catch_all $all)
                  (call $throws (local.get 1) (local.get $x))
                  (call $inlined)
                  (throw $e)))
              drop
              (try_table (result i32 i64 f32 f64 v128 funcref externref exnref) (catch_ref $t $one_ref)
                (call $fields (local.get 1)))
              br $one)
            (throw $t))
          throw_ref)
        (i32.const 1))
      (return (local.get $x)))
    (try_table (param exnref) throw_ref)
    (local.get $x))
  (func (export "try") (param $x externref) (param i32) (result externref i32)
    try $outer (result i32)
      try (result i32)
        (call $throws (local.get 1) (local.get $x))
        (call $inlined)
        i32.const 1
      catch $i
        try
          (call $throws (local.get 1) (local.get $x))
        delegate $outer
      catch $e
        (rethrow 0)
      catch_all
        (call $throws (local.get 1) (local.get $x))
        (rethrow 0)
      end
      (local.set 1)
      try (result i32)
        (call $throws (local.get 1) (local.get $x))
        (local.get 1)
      delegate 1
    catch_all
      (i32.const 2)
    end
    (local.set 1)
    (local.get $x)
    (local.get 1))
"#;

/// How the operands of the function around an operator come about.
#[derive(Clone, Copy, Debug)]
enum Operands {
    Params,
    /// Constants, which the compiler may compute with.
    Constants(i64),
}

/// A module with one function for each operator of the table.
fn module(memory: &str, addr: &str, operands: Operands) -> Vec<u8> {
    let mut text = format!("(module {TYPES} (memory {memory})\n");
    let references = if matches!(operands, Operands::Params) { REFERENCES } else { &[] };
    for (signature, operators) in OPERATORS.iter().chain(references) {
        let signature = signature.replace("addr", addr);
        let (params, results) = signature.split_once("->").expect("every signature has an arrow");
        let params: Vec<&str> = params.split_whitespace().collect();
        for operator in operators.split(',') {
            let mut body = String::new();
            for (position, ty) in params.iter().enumerate() {
                match operands {
                    Operands::Params => write!(body, "local.get {position} "),
                    Operands::Constants(value) if *ty == "v128" => write!(body, "v128.const i64x2 {value} {value} "),
                    Operands::Constants(value) => write!(body, "{ty}.const {value} "),
                }
                .expect("writing to a string succeeds");
            }
            let typed = |name: &str| {
                let name = name.replace("ref$any", "(ref any)");
                match name.split_once('$') {
                    Some(("null", name)) => format!("(ref null ${name})"),
                    Some((_, name)) => format!("(ref ${name})"),
                    None => name,
                }
            };
            let list = |types: &[&str]| types.iter().map(|ty| typed(ty)).collect::<Vec<_>>().join(" ");
            let (params, results) = (list(&params), list(&results.split_whitespace().collect::<Vec<_>>()));
            writeln!(text, "(func (export \"{operator}\") (param {params}) (result {results}) {body} {operator})")
                .expect("writing to a string succeeds");
        }
    }
    text.push_str(FUNCTIONS);
    text.push(')');
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

fn features() -> Features {
    Features {
        wide_arithmetic: true,
        function_references: true,
        gc: true,
        exceptions: true,
        legacy_exceptions: true,
        ..Features::default()
    }
}

/// Compiles every function of a module. Cranelift's verifier is on; a lowering that is missing panics.
fn compile(
    (optimizing, baseline): (&OptimizingCompiler, Option<&BaselineCompiler>),
    bytes: &[u8],
    tunables: &Tunables,
) {
    let mut scratch = Default::default();
    let decoded = decode(bytes, &features()).expect("the table's text is valid");
    for body in decoded.bodies {
        validate_body(body, &mut scratch).expect("the table's signatures are right");
    }
    let module = decoded.module;
    let layout = VmLayout::new(&module);
    let input = ModuleInput { module: &module, layout: &layout, bytes, tunables, counters: None, profile: None };
    for (position, export) in module.exports.iter().enumerate() {
        let func = DefinedFuncIndex(position as u32);
        let functions = [Some(optimizing.compile_function(&input, func)), baseline.map(|b| b.translate(&input, func))];
        for function in functions.into_iter().flatten() {
            let function = function.unwrap_or_else(|error| panic!("{}: {error}", export.name));
            assert!(!function.code.is_empty(), "{}", export.name);
        }
    }
}

/// All shapes of the table under one choice of tunables and CPU.
fn compile_all(missing: &[&str], tunables: Tunables) {
    let tunables = Tunables { debug_verifier: true, ..tunables };
    let flags: Vec<_> = missing.iter().map(|name| (name.to_string(), Some("false".to_string()))).collect();
    let compiler = OptimizingCompiler::new(&tunables, &flags, None).expect("the flags exist");
    let compiler = Arc::new(compiler);
    // The other tier has what instructions there are up to SSE4.2, or refuses.
    let baseline = missing.is_empty().then(|| BaselineCompiler::new(compiler.clone()));
    for (memory, addr) in [("1", "i32"), ("1 65536 shared", "i32"), ("i64 1", "i64")] {
        compile((&compiler, baseline.as_ref()), &module(memory, addr, Operands::Params), &tunables);
    }
    for value in [0, -1, 5] {
        compile((&compiler, baseline.as_ref()), &module("1", "i32", Operands::Constants(value)), &tunables);
    }
}

/// What an x86-64 may lack, in the order in which CPUs came to have it.
const EXTENSIONS: &[&str] = &[
    "has_sse3",
    "has_ssse3",
    "has_cmpxchg16b",
    "has_sse41",
    "has_sse42",
    "has_popcnt",
    "has_avx",
    "has_avx2",
    "has_fma",
    "has_bmi1",
    "has_bmi2",
    "has_lzcnt",
    "has_avx512f",
    "has_avx512vl",
    "has_avx512dq",
    "has_avx512bitalg",
    "has_avx512vbmi",
    "has_avx512vnni",
    "has_avx_vnni",
];

macro_rules! list_operators {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($annotation:tt)*))*) => {
        &[$((stringify!($proposal), stringify!($op))),*]
    };
}

#[test]
fn the_table_names_every_operator() {
    let known: &[(&str, &str)] = wasmparser::for_each_operator!(list_operators);
    let numeric = |op: &str| ["I32", "I64", "F32", "F64"].iter().any(|ty| op.starts_with(ty));
    let expected: BTreeSet<String> = known
        .iter()
        .filter(|(proposal, op)| match *proposal {
            "mvp" => numeric(op) && !op.contains("Load") && !op.contains("Store"),
            "sign_extension"
            | "saturating_float_to_int"
            | "threads"
            | "simd"
            | "relaxed_simd"
            | "wide_arithmetic"
            | "function_references"
            | "gc"
            | "exceptions"
            | "legacy_exceptions" => true,
            _ => false,
        })
        .map(|(_, op)| op.to_string())
        .collect();
    assert!(expected.len() > 400, "the decoder's list was read");

    let bytes = module("1", "i32", Operands::Params);
    let module = decode(&bytes, &features()).expect("the table's text is valid").module;
    let mut found = BTreeSet::new();
    for range in &module.bodies {
        for op in body_reader(&bytes, range).get_operators_reader().expect("a body") {
            let name = format!("{:?}", op.expect("an operator"));
            found.insert(name.split([' ', '{']).next().expect("a name").to_string());
        }
    }
    let missing: Vec<_> = expected.difference(&found).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_operator_compiles_by_default() {
    compile_all(&[], Tunables::default());
}

#[test]
fn every_operator_compiles_without_optimization() {
    compile_all(&[], Tunables { opt_level: OptLevel::None, ..Tunables::default() });
}

#[test]
fn every_operator_compiles_without_signals() {
    compile_all(&[], Tunables { signals_based_traps: false, ..Tunables::default() });
    compile_all(&[], Tunables { signals_based_traps: false, spectre_mitigation: false, ..Tunables::default() });
}

#[test]
fn every_operator_compiles_deterministically() {
    let tunables = Tunables { relaxed_simd_deterministic: true, nan_canonicalization: true, ..Tunables::default() };
    compile_all(&[], tunables);
}

#[test]
fn every_operator_compiles_with_metering() {
    compile_all(&[], Tunables { consume_fuel: true, epoch_interruption: true, ..Tunables::default() });
}

#[test]
fn every_operator_compiles_for_cpus_of_each_age() {
    for oldest_missing in ["has_sse3", "has_ssse3", "has_sse41", "has_avx", "has_fma", "has_avx512f"] {
        let at = EXTENSIONS.iter().position(|&name| name == oldest_missing).expect("it is listed");
        compile_all(&EXTENSIONS[at..], Tunables::default());
    }
}

#[test]
fn every_operator_compiles_in_every_mode_for_the_oldest_x86_64() {
    compile_all(EXTENSIONS, Tunables { opt_level: OptLevel::None, ..Tunables::default() });
    compile_all(EXTENSIONS, Tunables { signals_based_traps: false, ..Tunables::default() });
    compile_all(
        EXTENSIONS,
        Tunables { relaxed_simd_deterministic: true, nan_canonicalization: true, ..Tunables::default() },
    );
}
