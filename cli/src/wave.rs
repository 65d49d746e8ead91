//! Values of components as text, in the notation WAVE (`wasm-wave`): `{name: "x", sizes: [1, 2]}`.

use ampoule_component::types::ValType;
use ampoule_component::{Val, ValRef};
use anyhow::{Result, anyhow, ensure};
use std::borrow::Cow;
use wasm_wave::untyped::UntypedFuncCall;
use wasm_wave::wasm::{WasmType, WasmTypeKind, WasmValue, WasmValueError};

/// A call as people write it: `f(1, "x")`.
pub struct Call<'a>(UntypedFuncCall<'a>);

impl<'a> Call<'a> {
    /// Reads the text; values are read when their types are known.
    ///
    /// # Errors
    /// Where it is no call.
    pub fn parse(text: &'a str) -> Result<Self> {
        Ok(Self(UntypedFuncCall::parse(text)?))
    }

    /// Which function is called.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The arguments, of these types.
    ///
    /// # Errors
    /// Where they don't fit.
    pub fn args<'t>(&self, types: impl ExactSizeIterator<Item = &'t ValType>) -> Result<Vec<Val>> {
        let types: Vec<Type> = types.cloned().map(Type).collect();
        let args = self.0.to_wasm_params::<Value>(&types).map_err(|error| anyhow!("{error}"))?;
        // The parser takes options that are left out at the end for `none`.
        ensure!(args.len() == types.len(), "`{}` takes {} arguments, {} given", self.name(), types.len(), args.len());
        Ok(args.into_iter().map(|arg| arg.0).collect())
    }
}

/// The value that a text stands for.
///
/// # Errors
/// Where it is none of this type.
pub fn parse(ty: &ValType, text: &str) -> Result<Val> {
    let value: Result<Value, _> = wasm_wave::from_str(&Type(ty.clone()), text);
    value.map(|value| value.0).map_err(|error| anyhow!("`{text}` is not a valid {ty}: {error}"))
}

/// A value as text. Handles have none.
pub fn show(val: &Val) -> String {
    wasm_wave::to_string(&Value(val.clone())).unwrap_or_else(|_| "<handle>".to_string())
}

#[derive(Clone)]
struct Type(ValType);

#[derive(Clone)]
struct Value(Val);

type Names<'a> = Box<dyn Iterator<Item = Cow<'a, str>> + 'a>;

fn names(names: &[Box<str>]) -> Names<'_> {
    Box::new(names.iter().map(|name| Cow::Borrowed(&**name)))
}

/// Asked only of types of the kind that each function is about: others have nothing.
impl WasmType for Type {
    fn kind(&self) -> WasmTypeKind {
        match &self.0 {
            ValType::Bool => WasmTypeKind::Bool,
            ValType::S8 => WasmTypeKind::S8,
            ValType::U8 => WasmTypeKind::U8,
            ValType::S16 => WasmTypeKind::S16,
            ValType::U16 => WasmTypeKind::U16,
            ValType::S32 => WasmTypeKind::S32,
            ValType::U32 => WasmTypeKind::U32,
            ValType::S64 => WasmTypeKind::S64,
            ValType::U64 => WasmTypeKind::U64,
            ValType::F32 => WasmTypeKind::F32,
            ValType::F64 => WasmTypeKind::F64,
            ValType::Char => WasmTypeKind::Char,
            ValType::String => WasmTypeKind::String,
            ValType::List(_) | ValType::FixedLengthList(_) => WasmTypeKind::List,
            ValType::Record(_) => WasmTypeKind::Record,
            ValType::Tuple(_) => WasmTypeKind::Tuple,
            ValType::Variant(_) => WasmTypeKind::Variant,
            ValType::Enum(_) => WasmTypeKind::Enum,
            ValType::Option(_) => WasmTypeKind::Option,
            ValType::Result(_) => WasmTypeKind::Result,
            ValType::Flags(_) => WasmTypeKind::Flags,
            ValType::Map(_) => WasmTypeKind::Map,
            _ => WasmTypeKind::Unsupported,
        }
    }

    fn list_element_type(&self) -> Option<Self> {
        match &self.0 {
            ValType::List(list) => Some(Type(list.element().clone())),
            ValType::FixedLengthList(list) => Some(Type(list.element().clone())),
            _ => None,
        }
    }

    fn record_fields(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Self)> + '_> {
        let ValType::Record(record) = &self.0 else { return Box::new(std::iter::empty()) };
        Box::new(record.fields().iter().map(|field| (Cow::Borrowed(&*field.name), Type(field.ty.clone()))))
    }

    fn tuple_element_types(&self) -> Box<dyn Iterator<Item = Self> + '_> {
        let ValType::Tuple(tuple) = &self.0 else { return Box::new(std::iter::empty()) };
        Box::new(tuple.types().iter().cloned().map(Type))
    }

    fn variant_cases(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Option<Self>)> + '_> {
        let ValType::Variant(variant) = &self.0 else { return Box::new(std::iter::empty()) };
        Box::new(variant.cases().iter().map(|case| (Cow::Borrowed(&*case.name), case.ty.clone().map(Type))))
    }

    fn enum_cases(&self) -> Names<'_> {
        if let ValType::Enum(ty) = &self.0 { names(ty.names()) } else { Box::new(std::iter::empty()) }
    }

    fn option_some_type(&self) -> Option<Self> {
        if let ValType::Option(option) = &self.0 { Some(Type(option.ty().clone())) } else { None }
    }

    fn result_types(&self) -> Option<(Option<Self>, Option<Self>)> {
        let ValType::Result(result) = &self.0 else { return None };
        Some((result.ok().cloned().map(Type), result.err().cloned().map(Type)))
    }

    fn flags_names(&self) -> Names<'_> {
        if let ValType::Flags(flags) = &self.0 { names(flags.names()) } else { Box::new(std::iter::empty()) }
    }

    fn map_key_value_types(&self) -> Option<(Self, Self)> {
        let ValType::Map(map) = &self.0 else { return None };
        Some((Type(map.key().clone()), Type(map.value().clone())))
    }
}

/// Declares functions that make values of scalars, and take them back.
macro_rules! scalars {
    ($($make:ident $unwrap:ident $ty:ty = $case:ident;)*) => {$(
        fn $make(val: $ty) -> Self {
            Value(val.into())
        }

        fn $unwrap(&self) -> $ty {
            if let ValRef::$case(val) = self.0.get() { val } else { Default::default() }
        }
    )*};
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn owned<'a>(val: &Val) -> Cow<'a, Value> {
    Cow::Owned(Value(val.clone()))
}

/// Asked only of values of the kind that each function is about: others are nothing.
impl WasmValue for Value {
    type Type = Type;

    fn kind(&self) -> WasmTypeKind {
        match self.0.get() {
            ValRef::Bool(_) => WasmTypeKind::Bool,
            ValRef::S8(_) => WasmTypeKind::S8,
            ValRef::U8(_) => WasmTypeKind::U8,
            ValRef::S16(_) => WasmTypeKind::S16,
            ValRef::U16(_) => WasmTypeKind::U16,
            ValRef::S32(_) => WasmTypeKind::S32,
            ValRef::U32(_) => WasmTypeKind::U32,
            ValRef::S64(_) => WasmTypeKind::S64,
            ValRef::U64(_) => WasmTypeKind::U64,
            ValRef::F32(_) => WasmTypeKind::F32,
            ValRef::F64(_) => WasmTypeKind::F64,
            ValRef::Char(_) => WasmTypeKind::Char,
            ValRef::String(_) => WasmTypeKind::String,
            ValRef::List(_) => WasmTypeKind::List,
            ValRef::Record(_) => WasmTypeKind::Record,
            ValRef::Tuple(_) => WasmTypeKind::Tuple,
            ValRef::Variant(..) => WasmTypeKind::Variant,
            ValRef::Enum(_) => WasmTypeKind::Enum,
            ValRef::Option(_) => WasmTypeKind::Option,
            ValRef::Ok(_) | ValRef::Err(_) => WasmTypeKind::Result,
            ValRef::Flags(_) => WasmTypeKind::Flags,
            ValRef::Map(_) => WasmTypeKind::Map,
            ValRef::Resource(_)
            | ValRef::Stream(_)
            | ValRef::Future(_)
            | ValRef::ErrorContext(_)
            | ValRef::Unknown(_) => WasmTypeKind::Unsupported,
        }
    }

    scalars! {
        make_bool unwrap_bool bool = Bool;
        make_s8 unwrap_s8 i8 = S8;
        make_u8 unwrap_u8 u8 = U8;
        make_s16 unwrap_s16 i16 = S16;
        make_u16 unwrap_u16 u16 = U16;
        make_s32 unwrap_s32 i32 = S32;
        make_u32 unwrap_u32 u32 = U32;
        make_s64 unwrap_s64 i64 = S64;
        make_u64 unwrap_u64 u64 = U64;
        make_f32 unwrap_f32 f32 = F32;
        make_f64 unwrap_f64 f64 = F64;
    }

    fn make_char(val: char) -> Self {
        Value(val.into())
    }

    fn make_string(val: Cow<str>) -> Self {
        Value(val.into_owned().into())
    }

    fn make_list(_: &Type, vals: impl IntoIterator<Item = Self>) -> Result<Self, WasmValueError> {
        Ok(Value(Val::list(vals.into_iter().map(|val| val.0).collect::<Vec<_>>())))
    }

    fn make_record<'a>(ty: &Type, fields: impl IntoIterator<Item = (&'a str, Self)>) -> Result<Self, WasmValueError> {
        // In any order as text; the type has one.
        let mut given: Vec<(&str, Self)> = fields.into_iter().collect();
        let ordered = ty.record_fields().map(|(name, _)| {
            let at = given.iter().position(|(have, _)| *have == name);
            let at = at.ok_or_else(|| WasmValueError::MissingField(name.to_string()))?;
            Ok((name.into_owned(), given.swap_remove(at).1.0))
        });
        let fields = ordered.collect::<Result<Vec<_>, WasmValueError>>()?;
        match given.first() {
            Some((name, _)) => Err(WasmValueError::UnknownField((*name).to_string())),
            None => Ok(Value(Val::record(fields))),
        }
    }

    fn make_tuple(_: &Type, vals: impl IntoIterator<Item = Self>) -> Result<Self, WasmValueError> {
        Ok(Value(Val::tuple(vals.into_iter().map(|val| val.0).collect::<Vec<_>>())))
    }

    fn make_variant(_: &Type, case: &str, val: Option<Self>) -> Result<Self, WasmValueError> {
        Ok(Value(Val::variant(case, val.map(|val| val.0))))
    }

    fn make_enum(_: &Type, case: &str) -> Result<Self, WasmValueError> {
        Ok(Value(Val::enumeration(case)))
    }

    fn make_option(_: &Type, val: Option<Self>) -> Result<Self, WasmValueError> {
        Ok(Value(Val::option(val.map(|val| val.0))))
    }

    fn make_result(_: &Type, val: Result<Option<Self>, Option<Self>>) -> Result<Self, WasmValueError> {
        let payload = |val: Option<Self>| val.map(|val| val.0);
        Ok(Value(Val::result(val.map(payload).map_err(payload))))
    }

    fn make_flags<'a>(_: &Type, names: impl IntoIterator<Item = &'a str>) -> Result<Self, WasmValueError> {
        Ok(Value(Val::flags(names)))
    }

    fn make_map(_: &Type, entries: impl IntoIterator<Item = (Self, Self)>) -> Result<Self, WasmValueError> {
        Ok(Value(Val::map(entries.into_iter().map(|(key, value)| (key.0, value.0)))))
    }

    fn unwrap_char(&self) -> char {
        let ValRef::Char(code) = self.0.get() else { return char::default() };
        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn unwrap_string(&self) -> Cow<'_, str> {
        if let ValRef::String(bytes) = self.0.get() { text(bytes) } else { Cow::Borrowed("") }
    }

    fn unwrap_list(&self) -> Box<dyn Iterator<Item = Cow<'_, Self>> + '_> {
        let ValRef::List(vals) = self.0.get() else { return Box::new(std::iter::empty()) };
        Box::new(vals.iter().map(owned))
    }

    fn unwrap_record(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Cow<'_, Self>)> + '_> {
        let ValRef::Record(fields) = self.0.get() else { return Box::new(std::iter::empty()) };
        Box::new(fields.iter().map(|field| (text(field.name.as_slice()), owned(&field.val))))
    }

    fn unwrap_tuple(&self) -> Box<dyn Iterator<Item = Cow<'_, Self>> + '_> {
        let ValRef::Tuple(vals) = self.0.get() else { return Box::new(std::iter::empty()) };
        Box::new(vals.iter().map(owned))
    }

    fn unwrap_variant(&self) -> (Cow<'_, str>, Option<Cow<'_, Self>>) {
        let ValRef::Variant(case, payload) = self.0.get() else { return Default::default() };
        (text(case), payload.map(owned))
    }

    fn unwrap_enum(&self) -> Cow<'_, str> {
        if let ValRef::Enum(case) = self.0.get() { text(case) } else { Cow::Borrowed("") }
    }

    fn unwrap_option(&self) -> Option<Cow<'_, Self>> {
        if let ValRef::Option(val) = self.0.get() { val.map(owned) } else { None }
    }

    fn unwrap_result(&self) -> Result<Option<Cow<'_, Self>>, Option<Cow<'_, Self>>> {
        match self.0.get() {
            ValRef::Ok(payload) => Ok(payload.map(owned)),
            ValRef::Err(payload) => Err(payload.map(owned)),
            _ => Ok(None),
        }
    }

    fn unwrap_flags(&self) -> Names<'_> {
        let ValRef::Flags(names) = self.0.get() else { return Box::new(std::iter::empty()) };
        Box::new(names.iter().map(|name| text(name.as_slice())))
    }

    fn unwrap_map(&self) -> Box<dyn Iterator<Item = (Cow<'_, Self>, Cow<'_, Self>)> + '_> {
        let ValRef::Map(entries) = self.0.get() else { return Box::new(std::iter::empty()) };
        Box::new(entries.iter().map(|entry| (owned(&entry.key), owned(&entry.value))))
    }
}
