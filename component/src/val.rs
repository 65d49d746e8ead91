//! Values of component types, as the host holds them. The layout is `wasmtime_component_val_t`'s, so that values of C programs are
//! read and written where they are.
//!
//! A value that comes from C may be anything: nothing here assumes that its kind is a known one, a string UTF-8 or a character a
//! character. Lowering looks at each.

use crate::builtin::StreamKind;
use crate::end::EndAny;
use crate::handle::ResourceAny;
use crate::types::ValType;
pub use crate::vector::Name;
use crate::vector::Vector;
use ampoule::Error;
use std::borrow::Cow;
use std::fmt;
use std::mem::ManuallyDrop;

/// A value.
///
/// 1. The field of `of` that `kind` names is initialised, and what it points to is owned by the value. Of an unknown kind nothing is
///    owned.
#[repr(C)]
pub struct Val {
    kind: Kind,
    of: Of,
}

/// What a value is; any number may stand here.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind(pub u8);

impl ValType {
    /// The kind of the values of a type.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            ValType::Bool => Kind::BOOL,
            ValType::Char => Kind::CHAR,
            ValType::String => Kind::STRING,
            ValType::List(_) | ValType::FixedLengthList(_) => Kind::LIST,
            ValType::Record(_) => Kind::RECORD,
            ValType::Tuple(_) => Kind::TUPLE,
            ValType::Variant(_) => Kind::VARIANT,
            ValType::Enum(_) => Kind::ENUM,
            ValType::Option(_) => Kind::OPTION,
            ValType::Result(_) => Kind::RESULT,
            ValType::Flags(_) => Kind::FLAGS,
            ValType::Map(_) => Kind::MAP,
            ValType::Own(_) | ValType::Borrow(_) => Kind::RESOURCE,
            ValType::Future(_) => Kind::FUTURE,
            ValType::Stream(_) => Kind::STREAM,
            ValType::ErrorContext => Kind::ERROR_CONTEXT,
            number => Kind::of_number(number).expect("all other types are numbers"),
        }
    }

    /// How many bytes a scalar of this type has in C's memory, which are as many as in a guest's.
    ///
    /// # Errors
    /// Where it is none.
    pub fn scalar_size(&self) -> Result<usize, Error> {
        if self.kind().0 > Kind::CHAR.0 {
            return Err(Error::message(format!("values of the type {} don't lie in memory as such", self.name())));
        }
        Ok(self.layout().size as usize)
    }
}

#[allow(missing_docs)] // The names of the specification.
impl Kind {
    pub const BOOL: Kind = Kind(0);
    pub const S8: Kind = Kind(1);
    pub const U8: Kind = Kind(2);
    pub const S16: Kind = Kind(3);
    pub const U16: Kind = Kind(4);
    pub const S32: Kind = Kind(5);
    pub const U32: Kind = Kind(6);
    pub const S64: Kind = Kind(7);
    pub const U64: Kind = Kind(8);
    pub const F32: Kind = Kind(9);
    pub const F64: Kind = Kind(10);
    pub const CHAR: Kind = Kind(11);
    pub const STRING: Kind = Kind(12);
    pub const LIST: Kind = Kind(13);
    pub const RECORD: Kind = Kind(14);
    pub const TUPLE: Kind = Kind(15);
    pub const VARIANT: Kind = Kind(16);
    pub const ENUM: Kind = Kind(17);
    pub const OPTION: Kind = Kind(18);
    pub const RESULT: Kind = Kind(19);
    pub const FLAGS: Kind = Kind(20);
    pub const RESOURCE: Kind = Kind(21);
    pub const MAP: Kind = Kind(22);

    // Kinds that the interface of 44.0.0 does not have, far from those that later versions of it may add.
    pub const STREAM: Kind = Kind(128);
    pub const FUTURE: Kind = Kind(129);
    pub const ERROR_CONTEXT: Kind = Kind(130);

    /// The kind of an integer or float type, any bits of which are a value.
    #[inline]
    pub(crate) fn of_number(ty: &ValType) -> Option<Kind> {
        Some(match ty {
            ValType::S8 => Kind::S8,
            ValType::U8 => Kind::U8,
            ValType::S16 => Kind::S16,
            ValType::U16 => Kind::U16,
            ValType::S32 => Kind::S32,
            ValType::U32 => Kind::U32,
            ValType::S64 => Kind::S64,
            ValType::U64 => Kind::U64,
            ValType::F32 => Kind::F32,
            ValType::F64 => Kind::F64,
            _ => return None,
        })
    }

    /// Bytes that a number of this kind takes in a guest's memory.
    #[inline]
    pub(crate) fn byte_len(self) -> u32 {
        match self {
            Kind::S8 | Kind::U8 => 1,
            Kind::S16 | Kind::U16 => 2,
            Kind::S32 | Kind::U32 | Kind::F32 => 4,
            _ => 8,
        }
    }
}

#[repr(C)]
union Of {
    bits: u64,
    string: ManuallyDrop<Name>,
    vals: ManuallyDrop<Vector<Val>>,
    record: ManuallyDrop<Vector<FieldVal>>,
    variant: ManuallyDrop<VariantVal>,
    option: ManuallyDrop<Option<Box<Val>>>,
    result: ManuallyDrop<ResultVal>,
    names: ManuallyDrop<Vector<Name>>,
    map: ManuallyDrop<Vector<EntryVal>>,
    resource: ManuallyDrop<Option<Box<ResourceAny>>>,
    end: ManuallyDrop<Option<Box<EndAny>>>,
}

/// A field of a record.
#[repr(C)]
#[derive(Clone, Debug, Default)]
pub struct FieldVal {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub val: Val,
}

/// An entry of a map.
#[repr(C)]
#[derive(Clone, Debug, Default)]
pub struct EntryVal {
    /// Its key.
    pub key: Val,
    /// Its value.
    pub value: Val,
}

#[repr(C)]
#[derive(Clone)]
struct VariantVal {
    name: Name,
    payload: Option<Box<Val>>,
}

#[repr(C)]
#[derive(Clone)]
struct ResultVal {
    /// A `bool` of C's: zero or not.
    is_ok: u8,
    payload: Option<Box<Val>>,
}

const _: () = assert!(size_of::<Val>() == 32 && align_of::<Val>() == 8 && std::mem::offset_of!(Val, of) == 8);
const _: () = assert!(size_of::<FieldVal>() == 48 && size_of::<EntryVal>() == 64);

/// What a value holds.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // The names of the specification.
pub enum ValRef<'a> {
    Bool(bool),
    S8(i8),
    U8(u8),
    S16(i16),
    U16(u16),
    S32(i32),
    U32(u32),
    S64(i64),
    U64(u64),
    F32(f32),
    F64(f64),
    /// A character, unless the value comes from C and is none.
    Char(u32),
    /// UTF-8, unless the value comes from C and isn't; so are names.
    String(&'a [u8]),
    List(&'a [Val]),
    Record(&'a [FieldVal]),
    Tuple(&'a [Val]),
    Variant(&'a [u8], Option<&'a Val>),
    Enum(&'a [u8]),
    Option(Option<&'a Val>),
    Ok(Option<&'a Val>),
    Err(Option<&'a Val>),
    Flags(&'a [Name]),
    Map(&'a [EntryVal]),
    /// `None` where a C program gave none.
    Resource(Option<&'a ResourceAny>),
    /// The readable end of a stream; `None` where it was taken, or the value is a copy.
    Stream(Option<&'a EndAny>),
    /// The readable end of a future, likewise.
    Future(Option<&'a EndAny>),
    /// The message of an error context.
    ErrorContext(&'a [u8]),
    /// Of a kind that there isn't.
    Unknown(u8),
}

macro_rules! scalars {
    ($($(#[$doc:meta])* $name:ident($ty:ty) = $kind:ident, $to_bits:expr;)*) => {
        $(
            impl From<$ty> for Val {
                fn from(value: $ty) -> Val {
                    let to_bits: fn($ty) -> u64 = $to_bits;
                    Val::scalar(Kind::$kind, to_bits(value))
                }
            }
        )*
    };
}

scalars! {
    bool(bool) = BOOL, u64::from;
    s8(i8) = S8, |value| value as u8 as u64;
    u8(u8) = U8, u64::from;
    s16(i16) = S16, |value| value as u16 as u64;
    u16(u16) = U16, u64::from;
    s32(i32) = S32, |value| value as u32 as u64;
    u32(u32) = U32, u64::from;
    s64(i64) = S64, |value| value as u64;
    u64(u64) = U64, |value| value;
    f32(f32) = F32, |value| value.to_bits() as u64;
    f64(f64) = F64, f64::to_bits;
    char(char) = CHAR, |value| value as u64;
}

impl From<&str> for Val {
    fn from(value: &str) -> Val {
        Val::string(value.as_bytes().into())
    }
}

impl From<String> for Val {
    fn from(value: String) -> Val {
        Val::string(value.into_bytes().into())
    }
}

impl From<Cow<'_, str>> for Val {
    fn from(value: Cow<'_, str>) -> Val {
        match value {
            Cow::Borrowed(text) => Val::from(text),
            Cow::Owned(text) => Val::from(text),
        }
    }
}

impl From<EndAny> for Val {
    fn from(end: EndAny) -> Val {
        let kind = match end.kind {
            StreamKind::Stream => Kind::STREAM,
            StreamKind::Future => Kind::FUTURE,
        };
        Val { kind, of: Of { end: ManuallyDrop::new(Some(Box::new(end))) } }
    }
}

impl From<ResourceAny> for Val {
    fn from(resource: ResourceAny) -> Val {
        Val { kind: Kind::RESOURCE, of: Of { resource: ManuallyDrop::new(Some(Box::new(resource))) } }
    }
}

fn name(text: impl AsRef<[u8]>) -> Name {
    text.as_ref().into()
}

impl Val {
    /// What C has where a value is to be filled in.
    pub(crate) const FALSE: Val = Val::scalar(Kind::BOOL, 0);

    /// A scalar of this kind, in the lowest bits.
    #[inline]
    pub(crate) const fn scalar(kind: Kind, bits: u64) -> Val {
        // Whole words, padding too: so nobody copies what nobody has written, or reads as a word what was written in parts.
        let words = [(kind.0 as u64).to_le(), bits, 0, 0];
        // SAFETY: the kind is the first byte, the union the second word and those behind it. Zeros are empty vectors and no payloads of
        // any kind that isn't a scalar's.
        unsafe { std::mem::transmute::<[u64; 4], Val>(words) }
    }

    /// A number of this kind; bits that it hasn't don't count.
    #[inline]
    pub(crate) fn number(kind: Kind, bits: u64) -> Val {
        Val::scalar(
            kind,
            match kind {
                Kind::S8 | Kind::U8 => u64::from(bits as u8),
                Kind::S16 | Kind::U16 => u64::from(bits as u16),
                Kind::S32 | Kind::U32 | Kind::F32 => u64::from(bits as u32),
                _ => bits,
            },
        )
    }

    pub(crate) fn string(text: Name) -> Val {
        Val { kind: Kind::STRING, of: Of { string: ManuallyDrop::new(text) } }
    }

    /// Becomes a value of a kind that has one vector, which it owns. In place, by whole words: a value that is made elsewhere and moved here
    /// waits for the memory that its parts were written to.
    #[inline]
    fn set_vector<T>(&mut self, kind: Kind, vector: Vector<T>) {
        #[repr(C)]
        struct Words<T>(u64, ManuallyDrop<Vector<T>>, u64);
        const { assert!(size_of::<Words<T>>() == size_of::<Val>()) }
        if !self.is_scalar() {
            *self = Val::default();
        }
        let words = Words((kind.0 as u64).to_le(), ManuallyDrop::new(vector), 0);
        // SAFETY: the kind is the first byte, the vector the second and third words; a scalar, which owns nothing, is written over.
        unsafe { (&raw mut *self).cast::<Words<T>>().write(words) }
    }

    #[inline]
    pub(crate) fn set_string(&mut self, text: Name) {
        self.set_vector(Kind::STRING, text);
    }

    #[inline]
    pub(crate) fn set_list(&mut self, elements: Vector<Val>) {
        self.set_vector(Kind::LIST, elements);
    }

    #[inline]
    pub(crate) fn set_tuple(&mut self, elements: Vector<Val>) {
        self.set_vector(Kind::TUPLE, elements);
    }

    #[inline]
    pub(crate) fn set_record(&mut self, fields: Vector<FieldVal>) {
        self.set_vector(Kind::RECORD, fields);
    }

    /// A `list<u8>` in one block, for functions of [`crate::LinkerInstanceMut::func_of_bytes`]; for all others, a string.
    pub fn bytes(bytes: impl Into<Vector<u8>>) -> Val {
        Val::string(bytes.into())
    }

    /// A list.
    pub fn list(elements: impl Into<Vector<Val>>) -> Val {
        Val { kind: Kind::LIST, of: Of { vals: ManuallyDrop::new(elements.into()) } }
    }

    /// A tuple.
    pub fn tuple(elements: impl Into<Vector<Val>>) -> Val {
        Val { kind: Kind::TUPLE, of: Of { vals: ManuallyDrop::new(elements.into()) } }
    }

    /// A record, of names and values in the order that the type declares.
    pub fn record<N: AsRef<[u8]>>(fields: impl IntoIterator<Item = (N, Val)>) -> Val {
        Val::record_of(fields.into_iter().map(|(text, val)| FieldVal { name: name(text), val }).collect())
    }

    /// A record of these fields.
    pub(crate) fn record_of(fields: Vector<FieldVal>) -> Val {
        Val { kind: Kind::RECORD, of: Of { record: ManuallyDrop::new(fields) } }
    }

    /// A case of a variant, by name, with its payload where it has one.
    pub fn variant(case: impl AsRef<[u8]>, payload: Option<Val>) -> Val {
        Val::variant_of(name(case), payload.map(Box::new))
    }

    /// A case of an `enum`, by name.
    pub fn enumeration(case: impl AsRef<[u8]>) -> Val {
        Val::enumeration_of(name(case))
    }

    /// An optional value.
    pub fn option(value: Option<Val>) -> Val {
        Val::option_of(value.map(Box::new))
    }

    /// Success or failure, each with a value where its type has one.
    pub fn result(value: Result<Option<Val>, Option<Val>>) -> Val {
        match value {
            Ok(payload) => Val::result_of(true, payload.map(Box::new)),
            Err(payload) => Val::result_of(false, payload.map(Box::new)),
        }
    }

    /// As [`Val::variant`], of parts that are made already.
    pub(crate) fn variant_of(name: Name, payload: Option<Box<Val>>) -> Val {
        Val { kind: Kind::VARIANT, of: Of { variant: ManuallyDrop::new(VariantVal { name, payload }) } }
    }

    /// As [`Val::enumeration`].
    pub(crate) fn enumeration_of(name: Name) -> Val {
        Val { kind: Kind::ENUM, of: Of { string: ManuallyDrop::new(name) } }
    }

    /// As [`Val::option`].
    pub(crate) fn option_of(value: Option<Box<Val>>) -> Val {
        Val { kind: Kind::OPTION, of: Of { option: ManuallyDrop::new(value) } }
    }

    /// As [`Val::result`].
    pub(crate) fn result_of(is_ok: bool, payload: Option<Box<Val>>) -> Val {
        let result = ResultVal { is_ok: u8::from(is_ok), payload };
        Val { kind: Kind::RESULT, of: Of { result: ManuallyDrop::new(result) } }
    }

    /// As [`Val::flags`].
    pub(crate) fn flags_of(names: Vector<Name>) -> Val {
        Val { kind: Kind::FLAGS, of: Of { names: ManuallyDrop::new(names) } }
    }

    /// As [`Val::map`].
    pub(crate) fn map_of(entries: Vector<EntryVal>) -> Val {
        Val { kind: Kind::MAP, of: Of { map: ManuallyDrop::new(entries) } }
    }

    /// The flags of these names.
    pub fn flags<N: AsRef<[u8]>>(names: impl IntoIterator<Item = N>) -> Val {
        Val::flags_of(names.into_iter().map(name).collect())
    }

    /// A map, of keys and values.
    pub fn map(entries: impl IntoIterator<Item = (Val, Val)>) -> Val {
        Val::map_of(entries.into_iter().map(|(key, value)| EntryVal { key, value }).collect())
    }

    /// An error context with this message.
    pub fn error_context(message: impl AsRef<[u8]>) -> Val {
        Val { kind: Kind::ERROR_CONTEXT, of: Of { string: ManuallyDrop::new(name(message)) } }
    }

    /// A scalar of this type, as it lies in memory in C: a `bool` is `true` unless all its bits are zero, a `char` has 32 bits.
    ///
    /// # Errors
    /// Where the type is no scalar, there are too few bytes for one, or they are no `char`.
    pub fn of_scalar(ty: &ValType, bytes: &[u8]) -> Result<Val, Error> {
        let size = ty.scalar_size()?;
        let given = bytes.get(..size).ok_or_else(|| Error::message("the block is too short"))?;
        let mut bits = [0; 8];
        bits[..size].copy_from_slice(given);
        let bits = u64::from_le_bytes(bits);
        Ok(match ty.kind() {
            Kind::BOOL => Val::from(bits != 0),
            Kind::CHAR => {
                let char = char::from_u32(bits as u32);
                Val::from(char.ok_or_else(|| Error::message(format!("{bits:#x} is not a `char`")))?)
            }
            kind => Val::number(kind, bits),
        })
    }

    /// What the value is.
    #[inline]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The bits of a scalar, where the value is of this kind, which is a scalar's.
    #[inline]
    pub(crate) fn bits_of(&self, kind: Kind) -> Option<u64> {
        if self.kind != kind {
            return None;
        }
        let bits = (&raw const self.of).cast::<u8>();
        // SAFETY: by (1) the bits of a scalar are initialised, as many as it has.
        Some(unsafe {
            match kind {
                Kind::BOOL | Kind::S8 | Kind::U8 => u64::from(*bits),
                Kind::S16 | Kind::U16 => u64::from(*bits.cast::<u16>()),
                Kind::S32 | Kind::U32 | Kind::F32 | Kind::CHAR => u64::from(*bits.cast::<u32>()),
                _ => *bits.cast::<u64>(),
            }
        })
    }

    /// The bytes of a string; `None` of other kinds.
    #[inline]
    pub(crate) fn as_string(&self) -> Option<&[u8]> {
        // SAFETY: by (1), a string.
        (self.kind == Kind::STRING).then(|| unsafe { self.of.string.as_slice() })
    }

    /// The fields of a record; `None` of other kinds.
    #[inline]
    pub(crate) fn as_record(&self) -> Option<&[FieldVal]> {
        // SAFETY: by (1), a record.
        (self.kind == Kind::RECORD).then(|| unsafe { self.of.record.as_slice() })
    }

    /// Checks that the value is of a type's kind: what is in it shows when it is lowered.
    ///
    /// # Errors
    /// Where it isn't.
    pub(crate) fn check_kind(&self, ty: &ValType) -> Result<(), Error> {
        if self.kind == ty.kind() {
            return Ok(());
        }
        Err(Error::message(format!("type mismatch: expected {}, found {}", ty.name(), self.kind_name())))
    }

    #[inline]
    pub(crate) fn is_scalar(&self) -> bool {
        self.kind.0 <= Kind::CHAR.0
    }

    /// What the value holds.
    pub fn get(&self) -> ValRef<'_> {
        // SAFETY: by (1), the field that the kind names.
        unsafe {
            let of = &self.of;
            let bits = (&raw const of.bits).cast::<u8>();
            match self.kind {
                Kind::BOOL => ValRef::Bool(*bits != 0),
                Kind::S8 => ValRef::S8(*bits as i8),
                Kind::U8 => ValRef::U8(*bits),
                Kind::S16 => ValRef::S16(*bits.cast()),
                Kind::U16 => ValRef::U16(*bits.cast()),
                Kind::S32 => ValRef::S32(*bits.cast()),
                Kind::U32 => ValRef::U32(*bits.cast()),
                Kind::S64 => ValRef::S64(*bits.cast()),
                Kind::U64 => ValRef::U64(*bits.cast()),
                Kind::F32 => ValRef::F32(*bits.cast()),
                Kind::F64 => ValRef::F64(*bits.cast()),
                Kind::CHAR => ValRef::Char(*bits.cast()),
                Kind::STRING => ValRef::String(of.string.as_slice()),
                Kind::LIST => ValRef::List(of.vals.as_slice()),
                Kind::RECORD => ValRef::Record(of.record.as_slice()),
                Kind::TUPLE => ValRef::Tuple(of.vals.as_slice()),
                Kind::VARIANT => ValRef::Variant(of.variant.name.as_slice(), of.variant.payload.as_deref()),
                Kind::ENUM => ValRef::Enum(of.string.as_slice()),
                Kind::OPTION => ValRef::Option(of.option.as_deref()),
                Kind::RESULT if of.result.is_ok != 0 => ValRef::Ok(of.result.payload.as_deref()),
                Kind::RESULT => ValRef::Err(of.result.payload.as_deref()),
                Kind::FLAGS => ValRef::Flags(of.names.as_slice()),
                Kind::MAP => ValRef::Map(of.map.as_slice()),
                Kind::RESOURCE => ValRef::Resource(of.resource.as_deref()),
                Kind::STREAM => ValRef::Stream(of.end.as_deref()),
                Kind::FUTURE => ValRef::Future(of.end.as_deref()),
                Kind::ERROR_CONTEXT => ValRef::ErrorContext(of.string.as_slice()),
                Kind(unknown) => ValRef::Unknown(unknown),
            }
        }
    }

    /// What the value is called in messages.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self.get() {
            ValRef::Bool(_) => "bool",
            ValRef::S8(_) => "s8",
            ValRef::U8(_) => "u8",
            ValRef::S16(_) => "s16",
            ValRef::U16(_) => "u16",
            ValRef::S32(_) => "s32",
            ValRef::U32(_) => "u32",
            ValRef::S64(_) => "s64",
            ValRef::U64(_) => "u64",
            ValRef::F32(_) => "f32",
            ValRef::F64(_) => "f64",
            ValRef::Char(_) => "char",
            ValRef::String(_) => "string",
            ValRef::List(_) => "list",
            ValRef::Record(_) => "record",
            ValRef::Tuple(_) => "tuple",
            ValRef::Variant(..) => "variant",
            ValRef::Enum(_) => "enum",
            ValRef::Option(_) => "option",
            ValRef::Ok(_) | ValRef::Err(_) => "result",
            ValRef::Flags(_) => "flags",
            ValRef::Map(_) => "map",
            ValRef::Resource(_) => "resource",
            ValRef::Stream(_) => "stream",
            ValRef::Future(_) => "future",
            ValRef::ErrorContext(_) => "error-context",
            ValRef::Unknown(_) => "a value of an unknown kind",
        }
    }

    /// Drops what the value holds. It is of the same kind after, and holds nothing: of vectors and strings no elements, of the others no
    /// payload.
    pub fn clear(&mut self) {
        let emptied = Val::scalar(self.kind, 0);
        drop(std::mem::replace(self, emptied));
    }

    /// Takes the end of a stream or future, leaving none; `None` of other kinds, and where there was none.
    pub fn take_end(&mut self) -> Option<EndAny> {
        if !matches!(self.kind, Kind::STREAM | Kind::FUTURE) {
            return None;
        }
        // SAFETY: by (1), an end.
        unsafe { (*self.of.end).take() }.map(|end| *end)
    }

    /// Takes the text of a string, leaving it empty; `None` of other kinds.
    pub fn take_string(&mut self) -> Option<Name> {
        // SAFETY: by (1), a string.
        (self.kind == Kind::STRING).then(|| unsafe { std::mem::take(&mut *self.of.string) })
    }
}

/// A value in a box of its own, where a type has one.
pub type Payload = Option<Box<Val>>;

macro_rules! takes {
    ($($(#[$doc:meta])* $name:ident: $kind:ident, $field:ident -> $ty:ty, $open:expr;)*) => {
        /// What a value of a kind holds, leaving a bool behind; `None` of other kinds.
        impl Val {$(
            $(#[$doc])*
            pub fn $name(&mut self) -> Option<$ty> {
                if self.kind != Kind::$kind {
                    return None;
                }
                let mut taken = ManuallyDrop::new(std::mem::take(self));
                // SAFETY: by (1), the field that the kind names; the value is not used again.
                let contents = unsafe { ManuallyDrop::take(&mut taken.of.$field) };
                let open: fn(_) -> $ty = $open;
                Some(open(contents))
            }
        )*}
    };
}

takes! {
    /// The elements of a list.
    take_list: LIST, vals -> Box<[Val]>, |mut elements: Vector<_>| elements.take();
    /// The elements of a tuple.
    take_tuple: TUPLE, vals -> Box<[Val]>, |mut elements: Vector<_>| elements.take();
    /// The fields of a record.
    take_record: RECORD, record -> Box<[FieldVal]>, |mut elements: Vector<_>| elements.take();
    /// The entries of a map.
    take_map: MAP, map -> Box<[EntryVal]>, |mut elements: Vector<_>| elements.take();
    /// The case of a variant, and its payload.
    take_variant: VARIANT, variant -> (Name, Payload), |variant: VariantVal| (variant.name, variant.payload);
    /// The value of an option.
    take_option: OPTION, option -> Payload, |option| option;
    /// The value of success or failure.
    take_result: RESULT, result -> Result<Payload, Payload>, |result: ResultVal| {
        if result.is_ok != 0 { Ok(result.payload) } else { Err(result.payload) }
    };
}

/// `false`, as C has it where a value is to be filled in.
impl Default for Val {
    #[inline]
    fn default() -> Val {
        Val::FALSE
    }
}

impl Clone for Val {
    fn clone(&self) -> Val {
        // SAFETY: by (1), the field that the kind names.
        let of = unsafe {
            match self.kind {
                Kind::STRING | Kind::ENUM | Kind::ERROR_CONTEXT => Of { string: self.of.string.clone() },
                // There is one of each end.
                Kind::STREAM | Kind::FUTURE => Of { end: ManuallyDrop::new(None) },
                Kind::LIST | Kind::TUPLE => Of { vals: self.of.vals.clone() },
                Kind::RECORD => Of { record: self.of.record.clone() },
                Kind::VARIANT => Of { variant: self.of.variant.clone() },
                Kind::OPTION => Of { option: self.of.option.clone() },
                Kind::RESULT => Of { result: self.of.result.clone() },
                Kind::FLAGS => Of { names: self.of.names.clone() },
                Kind::MAP => Of { map: self.of.map.clone() },
                Kind::RESOURCE => Of { resource: self.of.resource.clone() },
                kind if self.is_scalar() => return Val::scalar(kind, self.bits_of(kind).unwrap_or_default()),
                kind => return Val::scalar(kind, 0),
            }
        };
        Val { kind: self.kind, of }
    }
}

impl Drop for Val {
    /// Lists of numbers are long: those have nothing to drop, and are looked at without a call.
    #[inline]
    fn drop(&mut self) {
        if !self.is_scalar() {
            self.drop_contents();
        }
    }
}

impl Val {
    fn drop_contents(&mut self) {
        if self.kind == Kind::STRING {
            // SAFETY: by (1), a string, dropped once.
            return unsafe { ManuallyDrop::drop(&mut self.of.string) };
        }
        self.drop_compound();
    }

    fn drop_compound(&mut self) {
        // SAFETY: by (1), the field that the kind names, dropped once.
        unsafe {
            match self.kind {
                Kind::ENUM | Kind::ERROR_CONTEXT => ManuallyDrop::drop(&mut self.of.string),
                Kind::STREAM | Kind::FUTURE => ManuallyDrop::drop(&mut self.of.end),
                Kind::LIST | Kind::TUPLE => drop_vals(ManuallyDrop::take(&mut self.of.vals)),
                Kind::RECORD => ManuallyDrop::drop(&mut self.of.record),
                Kind::VARIANT => ManuallyDrop::drop(&mut self.of.variant),
                Kind::OPTION => ManuallyDrop::drop(&mut self.of.option),
                Kind::RESULT => ManuallyDrop::drop(&mut self.of.result),
                Kind::FLAGS => ManuallyDrop::drop(&mut self.of.names),
                Kind::MAP => ManuallyDrop::drop(&mut self.of.map),
                Kind::RESOURCE => ManuallyDrop::drop(&mut self.of.resource),
                _ => {}
            }
        }
    }
}

/// Drops a list. Those of numbers are long, and have nothing in their elements: that is seen of several at once.
fn drop_vals(mut vals: Vector<Val>) {
    let vals = vals.take();
    let (eights, rest) = vals.as_chunks::<8>();
    let is_scalars = |vals: &[Val]| vals.iter().all(Val::is_scalar);
    if eights.iter().all(|vals| is_scalars(vals)) && is_scalars(rest) {
        let block = Box::into_raw(vals) as *mut [ManuallyDrop<Val>];
        // SAFETY: the block that was just given up, whose elements own nothing.
        drop(unsafe { Box::from_raw(block) });
    }
}

impl fmt::Debug for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            ValRef::String(text) => fmt::Debug::fmt(&String::from_utf8_lossy(text), f),
            other => fmt::Debug::fmt(&other, f),
        }
    }
}

/// Equality of structure. Floats are equal where their bits are; resources where the handles are.
impl PartialEq for Val {
    fn eq(&self, other: &Val) -> bool {
        match (self.get(), other.get()) {
            (ValRef::String(a), ValRef::String(b)) | (ValRef::Enum(a), ValRef::Enum(b)) => a == b,
            (ValRef::List(a), ValRef::List(b)) | (ValRef::Tuple(a), ValRef::Tuple(b)) => a == b,
            (ValRef::Record(a), ValRef::Record(b)) => a == b,
            (ValRef::Variant(a, x), ValRef::Variant(b, y)) => a == b && x == y,
            (ValRef::Option(a), ValRef::Option(b))
            | (ValRef::Ok(a), ValRef::Ok(b))
            | (ValRef::Err(a), ValRef::Err(b)) => a == b,
            (ValRef::Flags(a), ValRef::Flags(b)) => a == b,
            (ValRef::Map(a), ValRef::Map(b)) => a == b,
            (ValRef::Resource(a), ValRef::Resource(b)) => a == b,
            (ValRef::ErrorContext(a), ValRef::ErrorContext(b)) => a == b,
            _ => self.is_scalar() && self.bits_of(self.kind) == other.bits_of(self.kind),
        }
    }
}

impl PartialEq for FieldVal {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.val == other.val
    }
}

impl PartialEq for EntryVal {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

// SAFETY: a value owns what it points to, all of which may go to another thread; handles of resources are checked where they are used.
unsafe impl Send for Val {}
// SAFETY: as above; nothing changes behind a shared reference.
unsafe impl Sync for Val {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_they_were_made_of() {
        let val = Val::record([("a", Val::from(-1i8)), ("b", Val::list(vec![Val::from("x"), Val::from(1.5f64)]))]);
        let copy = val.clone();
        assert_eq!(val, copy);
        let ValRef::Record([a, b]) = copy.get() else { panic!("not a record: {copy:?}") };
        assert!(matches!(a.val.get(), ValRef::S8(-1)));
        assert_eq!(b.val, Val::list(vec![Val::from("x"), Val::from(1.5f64)]));
    }

    #[test]
    fn a_value_of_an_unknown_kind_owns_nothing() {
        let val = Val::scalar(Kind(99), 7);
        assert!(matches!(val.clone().get(), ValRef::Unknown(99)));
    }

    #[test]
    fn results_and_options_keep_their_payloads() {
        assert_eq!(Val::result(Ok(Some(Val::from(true)))), Val::result(Ok(Some(Val::from(true)))));
        assert_ne!(Val::result(Ok(None)), Val::result(Err(None)));
        assert_ne!(Val::option(None), Val::option(Some(Val::from(0u8))));
    }
}
