//! Values of scripts: arguments to pass, and patterns to compare results with.

use ::wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use ampoule::{AnyRef, ExternRef, RefType, Store, Val, ValType};
use anyhow::{Result, bail};

/// The value that an argument stands for. A host reference holds its number.
pub(super) fn from_script(store: &mut Store, arg: &WastArgCore<'_>) -> Result<Val> {
    Ok(match arg {
        WastArgCore::I32(value) => Val::I32(*value),
        WastArgCore::I64(value) => Val::I64(*value),
        WastArgCore::F32(value) => Val::F32(value.bits),
        WastArgCore::F64(value) => Val::F64(value.bits),
        WastArgCore::V128(value) => Val::V128(u128::from_le_bytes(value.to_le_bytes())),
        WastArgCore::RefNull(heap) => match null_type(heap) {
            Some(hierarchy) => Val::default_for(ValType::Ref(RefType::null_or(hierarchy))),
            None => bail!("references to {heap:?} are not supported"),
        },
        WastArgCore::RefExtern(number) => Val::ExternRef(Some(ExternRef::new(store, Box::new(*number))?)),
        WastArgCore::RefHost(number) => {
            let value = ExternRef::new(store, Box::new(*number))?;
            Val::AnyRef(Some(AnyRef::from_extern(store, &value)?))
        }
    })
}

/// Whether a result is what a script expects. `either` is the caller's.
pub(super) fn matches(store: &Store, value: &Val, expected: &WastRetCore<'_>) -> bool {
    match (value, expected) {
        (Val::I32(value), WastRetCore::I32(expected)) => value == expected,
        (Val::I64(value), WastRetCore::I64(expected)) => value == expected,
        (Val::F32(bits), WastRetCore::F32(expected)) => f32_matches(*bits, &map_pattern(expected, |value| value.bits)),
        (Val::F64(bits), WastRetCore::F64(expected)) => f64_matches(*bits, &map_pattern(expected, |value| value.bits)),
        (Val::V128(value), WastRetCore::V128(expected)) => v128_matches(value.to_le_bytes(), expected),
        (
            Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) | Val::ExnRef(None),
            WastRetCore::RefNull(heap),
        ) => heap.as_ref().is_none_or(|heap| {
            let Ok(ValType::Ref(ty)) = value.ty(store) else { return false };
            // A script may name a declared type, of which it says nothing more.
            null_type(heap).is_none_or(|hierarchy| hierarchy == ty.top())
        }),
        (Val::AnyRef(Some(value)), expected) => any_matches(store, value, expected).unwrap_or(false),
        (Val::FuncRef(Some(_)), WastRetCore::RefFunc(_)) => true,
        (Val::ExternRef(Some(_)), WastRetCore::RefExtern(None)) => true,
        (Val::ExternRef(Some(value)), WastRetCore::RefExtern(Some(number))) => {
            value.data(store).is_ok_and(|data| data.and_then(|data| data.downcast_ref::<u32>()) == Some(number))
        }
        _ => false,
    }
}

fn any_matches(store: &Store, value: &AnyRef, expected: &WastRetCore<'_>) -> Result<bool, ampoule::Error> {
    Ok(match expected {
        WastRetCore::RefAny => true,
        WastRetCore::RefEq => value.as_eq(store)?.is_some(),
        WastRetCore::RefArray => value.as_array(store)?.is_some(),
        WastRetCore::RefStruct => value.as_struct(store)?.is_some(),
        WastRetCore::RefI31 | WastRetCore::RefI31Shared => value.as_i31().is_some(),
        WastRetCore::RefHost(number) => value.host_data(store)?.and_then(|data| data.downcast_ref()) == Some(number),
        _ => false,
    })
}

/// The hierarchy that a null belongs to, by its largest type.
fn null_type(heap: &HeapType<'_>) -> Option<ampoule::HeapType> {
    let HeapType::Abstract { ty, .. } = heap else { return None };
    Some(match ty {
        AbstractHeapType::Func | AbstractHeapType::NoFunc => ampoule::HeapType::Func,
        AbstractHeapType::Extern | AbstractHeapType::NoExtern => ampoule::HeapType::Extern,
        AbstractHeapType::Exn | AbstractHeapType::NoExn => ampoule::HeapType::Exn,
        AbstractHeapType::Any
        | AbstractHeapType::Eq
        | AbstractHeapType::I31
        | AbstractHeapType::Struct
        | AbstractHeapType::Array
        | AbstractHeapType::None => ampoule::HeapType::Any,
        AbstractHeapType::Cont | AbstractHeapType::NoCont => return None,
    })
}

fn map_pattern<T, U>(pattern: &NanPattern<T>, bits: impl Fn(&T) -> U) -> NanPattern<U> {
    match pattern {
        NanPattern::CanonicalNan => NanPattern::CanonicalNan,
        NanPattern::ArithmeticNan => NanPattern::ArithmeticNan,
        NanPattern::Value(value) => NanPattern::Value(bits(value)),
    }
}

/// Core spec, section 4.3.3: a canonical NaN has the payload's top bit set alone, an arithmetic NaN has at least that.
fn f32_matches(bits: u32, expected: &NanPattern<u32>) -> bool {
    const CANONICAL: u32 = 0x7fc0_0000;
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == CANONICAL,
        NanPattern::ArithmeticNan => bits & CANONICAL == CANONICAL,
        NanPattern::Value(expected) => bits == *expected,
    }
}

fn f64_matches(bits: u64, expected: &NanPattern<u64>) -> bool {
    const CANONICAL: u64 = 0x7ff8_0000_0000_0000;
    match expected {
        NanPattern::CanonicalNan => bits & (u64::MAX >> 1) == CANONICAL,
        NanPattern::ArithmeticNan => bits & CANONICAL == CANONICAL,
        NanPattern::Value(expected) => bits == *expected,
    }
}

fn v128_matches(bytes: [u8; 16], expected: &V128Pattern) -> bool {
    let chunk = |lane: usize, size: usize| &bytes[lane * size..(lane + 1) * size];
    let u32_lane = |lane| u32::from_le_bytes(chunk(lane, 4).try_into().expect("four bytes"));
    let u64_lane = |lane| u64::from_le_bytes(chunk(lane, 8).try_into().expect("eight bytes"));
    match expected {
        V128Pattern::I8x16(lanes) => (0..16).all(|lane| chunk(lane, 1) == lanes[lane].to_le_bytes()),
        V128Pattern::I16x8(lanes) => (0..8).all(|lane| chunk(lane, 2) == lanes[lane].to_le_bytes()),
        V128Pattern::I32x4(lanes) => (0..4).all(|lane| chunk(lane, 4) == lanes[lane].to_le_bytes()),
        V128Pattern::I64x2(lanes) => (0..2).all(|lane| chunk(lane, 8) == lanes[lane].to_le_bytes()),
        V128Pattern::F32x4(lanes) => {
            (0..4).all(|lane| f32_matches(u32_lane(lane), &map_pattern(&lanes[lane], |value| value.bits)))
        }
        V128Pattern::F64x2(lanes) => {
            (0..2).all(|lane| f64_matches(u64_lane(lane), &map_pattern(&lanes[lane], |value| value.bits)))
        }
    }
}
