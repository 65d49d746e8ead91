//! `wasmtime/component/types/val.h`: the types of values.

use super::give_name;
use super::resource::wasmtime_component_resource_type_t;
use ampoule::Error;
use ampoule_component::types::{
    EnumType, FlagsType, ListType, MapType, OptionType, RecordType, ResultType, TupleType, ValType, VariantType,
};
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ptr;
use std::sync::Arc;

/// Gives a type, where there is one.
pub(super) fn give_type(ty: Option<&ValType>, type_ret: &mut MaybeUninit<wasmtime_component_valtype_t>) -> bool {
    ty.map(|ty| type_ret.write(ty.into())).is_some()
}

/// `wasmtime_component_list_type_t`.
pub type wasmtime_component_list_type_t = ListType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_list_type_clone(
    ty: &wasmtime_component_list_type_t,
) -> Box<wasmtime_component_list_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_list_type_equal(
    a: &wasmtime_component_list_type_t,
    b: &wasmtime_component_list_type_t,
) -> bool {
    a == b
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_list_type_delete(_ptr: Option<Box<wasmtime_component_list_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_list_type_element(
    ty: &wasmtime_component_list_type_t,
    type_ret: &mut MaybeUninit<wasmtime_component_valtype_t>,
) {
    type_ret.write(ty.element().into());
}

/// `wasmtime_component_record_type_t`.
pub type wasmtime_component_record_type_t = RecordType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_record_type_clone(
    ty: &wasmtime_component_record_type_t,
) -> Box<wasmtime_component_record_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_record_type_equal(
    a: &wasmtime_component_record_type_t,
    b: &wasmtime_component_record_type_t,
) -> bool {
    a == b
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_record_type_delete(_ptr: Option<Box<wasmtime_component_record_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_record_type_field_count(ty: &wasmtime_component_record_type_t) -> usize {
    ty.fields().len()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_record_type_field_nth(
    ty: &wasmtime_component_record_type_t,
    nth: usize,
    name_ret: &mut MaybeUninit<*const u8>,
    name_len_ret: &mut MaybeUninit<usize>,
    type_ret: &mut MaybeUninit<wasmtime_component_valtype_t>,
) -> bool {
    let Some(field) = ty.fields().get(nth) else { return false };
    give_name(&field.name, (name_ret, name_len_ret));
    give_type(Some(&field.ty), type_ret)
}

/// `wasmtime_component_tuple_type_t`.
pub type wasmtime_component_tuple_type_t = TupleType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_tuple_type_clone(
    ty: &wasmtime_component_tuple_type_t,
) -> Box<wasmtime_component_tuple_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_tuple_type_equal(
    a: &wasmtime_component_tuple_type_t,
    b: &wasmtime_component_tuple_type_t,
) -> bool {
    a == b
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_tuple_type_delete(_ptr: Option<Box<wasmtime_component_tuple_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_tuple_type_types_count(ty: &wasmtime_component_tuple_type_t) -> usize {
    ty.types().len()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_tuple_type_types_nth(
    ty: &wasmtime_component_tuple_type_t,
    nth: usize,
    type_ret: &mut MaybeUninit<wasmtime_component_valtype_t>,
) -> bool {
    give_type(ty.types().get(nth), type_ret)
}

/// `wasmtime_component_variant_type_t`.
pub type wasmtime_component_variant_type_t = VariantType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_variant_type_clone(
    ty: &wasmtime_component_variant_type_t,
) -> Box<wasmtime_component_variant_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_variant_type_equal(
    a: &wasmtime_component_variant_type_t,
    b: &wasmtime_component_variant_type_t,
) -> bool {
    a == b
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_variant_type_delete(_ptr: Option<Box<wasmtime_component_variant_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_variant_type_case_count(ty: &wasmtime_component_variant_type_t) -> usize {
    ty.cases().len()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_variant_type_case_nth(
    ty: &wasmtime_component_variant_type_t,
    nth: usize,
    name_ret: &mut MaybeUninit<*const u8>,
    name_len_ret: &mut MaybeUninit<usize>,
    has_payload_ret: &mut MaybeUninit<bool>,
    payload_ret: &mut MaybeUninit<wasmtime_component_valtype_t>,
) -> bool {
    let Some(case) = ty.cases().get(nth) else { return false };
    give_name(&case.name, (name_ret, name_len_ret));
    has_payload_ret.write(give_type(case.ty.as_ref(), payload_ret));
    true
}

/// `wasmtime_component_enum_type_t`.
pub type wasmtime_component_enum_type_t = EnumType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_enum_type_clone(
    ty: &wasmtime_component_enum_type_t,
) -> Box<wasmtime_component_enum_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_enum_type_equal(
    a: &wasmtime_component_enum_type_t,
    b: &wasmtime_component_enum_type_t,
) -> bool {
    a == b
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_enum_type_delete(_ptr: Option<Box<wasmtime_component_enum_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_enum_type_names_count(ty: &wasmtime_component_enum_type_t) -> usize {
    ty.names().len()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_enum_type_names_nth(
    ty: &wasmtime_component_enum_type_t,
    nth: usize,
    name_ret: &mut MaybeUninit<*const u8>,
    name_len_ret: &mut MaybeUninit<usize>,
) -> bool {
    ty.names().get(nth).map(|name| give_name(name, (name_ret, name_len_ret))).is_some()
}

/// `wasmtime_component_option_type_t`.
pub type wasmtime_component_option_type_t = OptionType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_option_type_clone(
    ty: &wasmtime_component_option_type_t,
) -> Box<wasmtime_component_option_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_option_type_equal(
    a: &wasmtime_component_option_type_t,
    b: &wasmtime_component_option_type_t,
) -> bool {
    a == b
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_option_type_delete(_ptr: Option<Box<wasmtime_component_option_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_option_type_ty(
    ty: &wasmtime_component_option_type_t,
    type_ret: &mut MaybeUninit<wasmtime_component_valtype_t>,
) {
    type_ret.write(ty.ty().into());
}

/// `wasmtime_component_result_type_t`.
pub type wasmtime_component_result_type_t = ResultType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_result_type_clone(
    ty: &wasmtime_component_result_type_t,
) -> Box<wasmtime_component_result_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_result_type_equal(
    a: &wasmtime_component_result_type_t,
    b: &wasmtime_component_result_type_t,
) -> bool {
    a == b
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_result_type_delete(_ptr: Option<Box<wasmtime_component_result_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_result_type_ok(
    ty: &wasmtime_component_result_type_t,
    type_ret: &mut MaybeUninit<wasmtime_component_valtype_t>,
) -> bool {
    give_type(ty.ok(), type_ret)
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_result_type_err(
    ty: &wasmtime_component_result_type_t,
    type_ret: &mut MaybeUninit<wasmtime_component_valtype_t>,
) -> bool {
    give_type(ty.err(), type_ret)
}

/// `wasmtime_component_flags_type_t`.
pub type wasmtime_component_flags_type_t = FlagsType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_flags_type_clone(
    ty: &wasmtime_component_flags_type_t,
) -> Box<wasmtime_component_flags_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_flags_type_equal(
    a: &wasmtime_component_flags_type_t,
    b: &wasmtime_component_flags_type_t,
) -> bool {
    a == b
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_flags_type_delete(_ptr: Option<Box<wasmtime_component_flags_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_flags_type_names_count(ty: &wasmtime_component_flags_type_t) -> usize {
    ty.names().len()
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_flags_type_names_nth(
    ty: &wasmtime_component_flags_type_t,
    nth: usize,
    name_ret: &mut MaybeUninit<*const u8>,
    name_len_ret: &mut MaybeUninit<usize>,
) -> bool {
    ty.names().get(nth).map(|name| give_name(name, (name_ret, name_len_ret))).is_some()
}

/// `wasmtime_component_future_type_t`.
pub type wasmtime_component_future_type_t = Option<ValType>;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_future_type_clone(
    ty: &wasmtime_component_future_type_t,
) -> Box<wasmtime_component_future_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_future_type_equal(
    a: &wasmtime_component_future_type_t,
    b: &wasmtime_component_future_type_t,
) -> bool {
    a == b
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_future_type_delete(_ptr: Option<Box<wasmtime_component_future_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_future_type_ty(
    ty: &wasmtime_component_future_type_t,
    type_ret: &mut MaybeUninit<wasmtime_component_valtype_t>,
) -> bool {
    give_type(ty.as_ref(), type_ret)
}

/// `wasmtime_component_stream_type_t`.
pub type wasmtime_component_stream_type_t = Option<ValType>;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_stream_type_clone(
    ty: &wasmtime_component_stream_type_t,
) -> Box<wasmtime_component_stream_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_stream_type_equal(
    a: &wasmtime_component_stream_type_t,
    b: &wasmtime_component_stream_type_t,
) -> bool {
    a == b
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_stream_type_delete(_ptr: Option<Box<wasmtime_component_stream_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_stream_type_ty(
    ty: &wasmtime_component_stream_type_t,
    type_ret: &mut MaybeUninit<wasmtime_component_valtype_t>,
) -> bool {
    give_type(ty.as_ref(), type_ret)
}

/// `wasmtime_component_map_type_t`.
pub type wasmtime_component_map_type_t = MapType;

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_map_type_clone(
    ty: &wasmtime_component_map_type_t,
) -> Box<wasmtime_component_map_type_t> {
    Box::new(ty.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_map_type_equal(
    a: &wasmtime_component_map_type_t,
    b: &wasmtime_component_map_type_t,
) -> bool {
    a == b
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_map_type_delete(_ptr: Option<Box<wasmtime_component_map_type_t>>) {}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_map_type_key(
    ty: &wasmtime_component_map_type_t,
    type_ret: &mut MaybeUninit<wasmtime_component_valtype_t>,
) {
    type_ret.write(ty.key().into());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_map_type_value(
    ty: &wasmtime_component_map_type_t,
    type_ret: &mut MaybeUninit<wasmtime_component_valtype_t>,
) {
    type_ret.write(ty.value().into());
}

/// What a type is. Its numbers are not those of values.
pub type wasmtime_component_valtype_kind_t = u8;

#[allow(missing_docs)] // The names of the specification.
pub mod kind {
    use super::wasmtime_component_valtype_kind_t as Kind;

    pub const BOOL: Kind = 0;
    pub const S8: Kind = 1;
    pub const S16: Kind = 2;
    pub const S32: Kind = 3;
    pub const S64: Kind = 4;
    pub const U8: Kind = 5;
    pub const U16: Kind = 6;
    pub const U32: Kind = 7;
    pub const U64: Kind = 8;
    pub const F32: Kind = 9;
    pub const F64: Kind = 10;
    pub const CHAR: Kind = 11;
    pub const STRING: Kind = 12;
    pub const LIST: Kind = 13;
    pub const RECORD: Kind = 14;
    pub const TUPLE: Kind = 15;
    pub const VARIANT: Kind = 16;
    pub const ENUM: Kind = 17;
    pub const OPTION: Kind = 18;
    pub const RESULT: Kind = 19;
    pub const FLAGS: Kind = 20;
    pub const OWN: Kind = 21;
    pub const BORROW: Kind = 22;
    pub const FUTURE: Kind = 23;
    pub const STREAM: Kind = 24;
    pub const ERROR_CONTEXT: Kind = 25;
    pub const MAP: Kind = 26;
}

/// A type of values.
///
/// 1. The member of `of` that the kind names is initialised and owned; of kinds that name none, nothing is.
#[repr(C)]
pub struct wasmtime_component_valtype_t {
    kind: wasmtime_component_valtype_kind_t,
    of: Of,
}

#[repr(C)]
union Of {
    nothing: *const u8,
    list: ManuallyDrop<Box<wasmtime_component_list_type_t>>,
    record: ManuallyDrop<Box<wasmtime_component_record_type_t>>,
    tuple: ManuallyDrop<Box<wasmtime_component_tuple_type_t>>,
    variant: ManuallyDrop<Box<wasmtime_component_variant_type_t>>,
    enum_: ManuallyDrop<Box<wasmtime_component_enum_type_t>>,
    option: ManuallyDrop<Box<wasmtime_component_option_type_t>>,
    result: ManuallyDrop<Box<wasmtime_component_result_type_t>>,
    flags: ManuallyDrop<Box<wasmtime_component_flags_type_t>>,
    own: ManuallyDrop<Box<wasmtime_component_resource_type_t>>,
    borrow: ManuallyDrop<Box<wasmtime_component_resource_type_t>>,
    future: ManuallyDrop<Box<wasmtime_component_future_type_t>>,
    stream: ManuallyDrop<Box<wasmtime_component_stream_type_t>>,
    map: ManuallyDrop<Box<wasmtime_component_map_type_t>>,
}

const _: () = assert!(size_of::<wasmtime_component_valtype_t>() == 16);

impl wasmtime_component_valtype_t {
    /// A type that its kind says all about.
    fn plain(kind: wasmtime_component_valtype_kind_t) -> Self {
        Self { kind, of: Of { nothing: ptr::null() } }
    }
}

impl Default for wasmtime_component_valtype_t {
    fn default() -> Self {
        Self::plain(kind::BOOL)
    }
}

impl From<&ValType> for wasmtime_component_valtype_t {
    fn from(ty: &ValType) -> Self {
        fn owned<T: Clone>(ty: &T) -> ManuallyDrop<Box<T>> {
            ManuallyDrop::new(Box::new(ty.clone()))
        }
        let (kind, of) = match ty {
            ValType::Bool => return Self::plain(kind::BOOL),
            ValType::S8 => return Self::plain(kind::S8),
            ValType::S16 => return Self::plain(kind::S16),
            ValType::S32 => return Self::plain(kind::S32),
            ValType::S64 => return Self::plain(kind::S64),
            ValType::U8 => return Self::plain(kind::U8),
            ValType::U16 => return Self::plain(kind::U16),
            ValType::U32 => return Self::plain(kind::U32),
            ValType::U64 => return Self::plain(kind::U64),
            ValType::F32 => return Self::plain(kind::F32),
            ValType::F64 => return Self::plain(kind::F64),
            ValType::Char => return Self::plain(kind::CHAR),
            ValType::String => return Self::plain(kind::STRING),
            ValType::List(ty) => (kind::LIST, Of { list: owned(ty) }),
            // As a value it is a list; that it has one length only, this interface can't tell.
            ValType::FixedLengthList(ty) => (kind::LIST, Of { list: owned(ty.list()) }),
            ValType::Record(ty) => (kind::RECORD, Of { record: owned(ty) }),
            ValType::Tuple(ty) => (kind::TUPLE, Of { tuple: owned(ty) }),
            ValType::Variant(ty) => (kind::VARIANT, Of { variant: owned(ty) }),
            ValType::Enum(ty) => (kind::ENUM, Of { enum_: owned(ty) }),
            ValType::Option(ty) => (kind::OPTION, Of { option: owned(ty) }),
            ValType::Result(ty) => (kind::RESULT, Of { result: owned(ty) }),
            ValType::Flags(ty) => (kind::FLAGS, Of { flags: owned(ty) }),
            ValType::Own(ty) => (kind::OWN, Of { own: owned(ty) }),
            ValType::Borrow(ty) => (kind::BORROW, Of { borrow: owned(ty) }),
            ValType::Future(ty) => (kind::FUTURE, Of { future: owned(ty) }),
            ValType::Stream(ty) => (kind::STREAM, Of { stream: owned(ty) }),
            ValType::ErrorContext => return Self::plain(kind::ERROR_CONTEXT),
            ValType::Map(ty) => (kind::MAP, Of { map: owned(ty) }),
        };
        Self { kind, of }
    }
}

impl TryFrom<&wasmtime_component_valtype_t> for ValType {
    type Error = Error;

    fn try_from(ty: &wasmtime_component_valtype_t) -> Result<Self, Error> {
        fn shared<T: Clone>(ty: &T) -> Arc<T> {
            Arc::new(ty.clone())
        }
        let of = &ty.of;
        // SAFETY: by (1).
        Ok(unsafe {
            match ty.kind {
                kind::BOOL => ValType::Bool,
                kind::S8 => ValType::S8,
                kind::S16 => ValType::S16,
                kind::S32 => ValType::S32,
                kind::S64 => ValType::S64,
                kind::U8 => ValType::U8,
                kind::U16 => ValType::U16,
                kind::U32 => ValType::U32,
                kind::U64 => ValType::U64,
                kind::F32 => ValType::F32,
                kind::F64 => ValType::F64,
                kind::CHAR => ValType::Char,
                kind::STRING => ValType::String,
                kind::LIST => ValType::List(shared(&**of.list)),
                kind::RECORD => ValType::Record(shared(&**of.record)),
                kind::TUPLE => ValType::Tuple(shared(&**of.tuple)),
                kind::VARIANT => ValType::Variant(shared(&**of.variant)),
                kind::ENUM => ValType::Enum(shared(&**of.enum_)),
                kind::OPTION => ValType::Option(shared(&**of.option)),
                kind::RESULT => ValType::Result(shared(&**of.result)),
                kind::FLAGS => ValType::Flags(shared(&**of.flags)),
                kind::OWN => ValType::Own(**of.own),
                kind::BORROW => ValType::Borrow(**of.borrow),
                kind::FUTURE => ValType::Future(shared(&**of.future)),
                kind::STREAM => ValType::Stream(shared(&**of.stream)),
                kind::ERROR_CONTEXT => ValType::ErrorContext,
                kind::MAP => ValType::Map(shared(&**of.map)),
                unknown => return Err(Error::message(format!("{unknown} is not a kind of types"))),
            }
        })
    }
}

impl Clone for wasmtime_component_valtype_t {
    fn clone(&self) -> Self {
        // SAFETY: by (1).
        let of = unsafe {
            let of = &self.of;
            match self.kind {
                kind::LIST => Of { list: of.list.clone() },
                kind::RECORD => Of { record: of.record.clone() },
                kind::TUPLE => Of { tuple: of.tuple.clone() },
                kind::VARIANT => Of { variant: of.variant.clone() },
                kind::ENUM => Of { enum_: of.enum_.clone() },
                kind::OPTION => Of { option: of.option.clone() },
                kind::RESULT => Of { result: of.result.clone() },
                kind::FLAGS => Of { flags: of.flags.clone() },
                kind::OWN => Of { own: of.own.clone() },
                kind::BORROW => Of { borrow: of.borrow.clone() },
                kind::FUTURE => Of { future: of.future.clone() },
                kind::STREAM => Of { stream: of.stream.clone() },
                kind::MAP => Of { map: of.map.clone() },
                kind => return Self::plain(kind),
            }
        };
        Self { kind: self.kind, of }
    }
}

impl PartialEq for wasmtime_component_valtype_t {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.of, &other.of);
        // SAFETY: by (1), of both, which are of one kind.
        self.kind == other.kind
            && unsafe {
                match self.kind {
                    kind::LIST => a.list == b.list,
                    kind::RECORD => a.record == b.record,
                    kind::TUPLE => a.tuple == b.tuple,
                    kind::VARIANT => a.variant == b.variant,
                    kind::ENUM => a.enum_ == b.enum_,
                    kind::OPTION => a.option == b.option,
                    kind::RESULT => a.result == b.result,
                    kind::FLAGS => a.flags == b.flags,
                    kind::OWN => a.own == b.own,
                    kind::BORROW => a.borrow == b.borrow,
                    kind::FUTURE => a.future == b.future,
                    kind::STREAM => a.stream == b.stream,
                    kind::MAP => a.map == b.map,
                    _ => true,
                }
            }
    }
}

impl Drop for wasmtime_component_valtype_t {
    fn drop(&mut self) {
        let of = &mut self.of;
        // SAFETY: by (1), once.
        unsafe {
            match self.kind {
                kind::LIST => ManuallyDrop::drop(&mut of.list),
                kind::RECORD => ManuallyDrop::drop(&mut of.record),
                kind::TUPLE => ManuallyDrop::drop(&mut of.tuple),
                kind::VARIANT => ManuallyDrop::drop(&mut of.variant),
                kind::ENUM => ManuallyDrop::drop(&mut of.enum_),
                kind::OPTION => ManuallyDrop::drop(&mut of.option),
                kind::RESULT => ManuallyDrop::drop(&mut of.result),
                kind::FLAGS => ManuallyDrop::drop(&mut of.flags),
                kind::OWN => ManuallyDrop::drop(&mut of.own),
                kind::BORROW => ManuallyDrop::drop(&mut of.borrow),
                kind::FUTURE => ManuallyDrop::drop(&mut of.future),
                kind::STREAM => ManuallyDrop::drop(&mut of.stream),
                kind::MAP => ManuallyDrop::drop(&mut of.map),
                _ => {}
            }
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valtype_clone(
    ty: &wasmtime_component_valtype_t,
    out: &mut MaybeUninit<wasmtime_component_valtype_t>,
) {
    out.write(ty.clone());
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valtype_equal(
    a: &wasmtime_component_valtype_t,
    b: &wasmtime_component_valtype_t,
) -> bool {
    a == b
}

#[unsafe(no_mangle)]
pub extern "C" fn wasmtime_component_valtype_delete(ptr: &mut wasmtime_component_valtype_t) {
    drop(mem::take(ptr));
}
