//! The types of values.

use crate::shared_names::SharedName;
use crate::types::layout::{CoreType, Layout, discriminant_size, join_cases};
use crate::vector::Name;
use std::fmt;
use std::sync::Arc;

/// A type of values (Component Model, `valtype`). Cheap to clone. Equality is that of structure; of resources, that of identity.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // The names of the specification.
pub enum ValType {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    List(Arc<ListType>),
    Record(Arc<RecordType>),
    Tuple(Arc<TupleType>),
    Variant(Arc<VariantType>),
    Enum(Arc<EnumType>),
    Option(Arc<OptionType>),
    Result(Arc<ResultType>),
    Flags(Arc<FlagsType>),
    Map(Arc<MapType>),
    Own(ResourceType),
    Borrow(ResourceType),
    Future(Arc<Option<ValType>>),
    Stream(Arc<Option<ValType>>),
    ErrorContext,
    FixedLengthList(Arc<FixedLengthListType>),
}

/// Which resource a handle stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ResourceType {
    /// One of the embedder's, by the number that it chose.
    Host(u32),
    /// One that a component instance of a store defines.
    Guest {
        /// The store.
        store: u64,
        /// The store's count of such types.
        index: u32,
    },
    /// One of a component that isn't instantiated: of the scope that the type is in, by its slot there.
    Abstract {
        /// Which component's scope.
        scope: u64,
        /// The slot.
        slot: u32,
    },
}

macro_rules! composite {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $($(#[$field_doc])* pub(crate) $field: $ty,)*
        }
    };
}

composite!(
    /// `list<T>`.
    ListType { element: ValType, extent: Extent }
);
composite!(
    /// `list<T, N>`: so many elements, which lie where the list is.
    FixedLengthListType { list: Arc<ListType>, len: u32, layout: Layout }
);
composite!(
    /// `record`.
    RecordType {
        fields: Box<[Field]>, names: Names, copied_names: usize, offsets: Box<[u32]>, layout: Layout, extent: Extent,
    }
);
composite!(
    /// `tuple`.
    TupleType { types: Box<[ValType]>, offsets: Box<[u32]>, layout: Layout, extent: Extent }
);
composite!(
    /// `variant`.
    VariantType { cases: Box<[Case]>, names: Names, shape: CasesShape, extent: Extent }
);
composite!(
    /// `enum`.
    EnumType { names: Box<[Box<str>]>, shared: Names }
);
composite!(
    /// `option<T>`.
    OptionType { some: ValType, shape: CasesShape, extent: Extent }
);
composite!(
    /// `result<T, E>`, each of which may be absent.
    ResultType { ok: Option<ValType>, err: Option<ValType>, shape: CasesShape, extent: Extent }
);
composite!(
    /// `flags`.
    FlagsType { names: Box<[Box<str>]>, shared: Names }
);
composite!(
    /// `map<K, V>`: in memory a list of pairs.
    MapType { key: ValType, value: ValType, offsets: [u32; 2], layout: Layout, extent: Extent }
);

/// A field of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name.
    pub name: Box<str>,
    /// Its type.
    pub ty: ValType,
}

/// A case of a variant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// Its name.
    pub name: Box<str>,
    /// The type of its payload, where it has one.
    pub ty: Option<ValType>,
}

/// How a value with a discriminant lies in memory and is passed.
#[derive(Clone, Debug)]
pub(crate) struct CasesShape {
    pub(crate) layout: Layout,
    /// Bytes of the discriminant.
    pub(crate) discriminant: u32,
    /// Where the payload is.
    pub(crate) payload: u32,
    /// The core values that the payload of any case is passed in; `None` where they are too many to be passed so.
    pub(crate) joined: Option<Box<[CoreType]>>,
}

/// What is known of all the parts of a type. Parts are shared, so that a look at each would be one at many more than there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    /// How deep types are nested in it.
    pub(crate) depth: u32,
    /// Whether values are handles or have handles in them.
    pub(crate) has_handles: bool,
}

impl Extent {
    /// Of a type with these parts.
    pub(crate) fn around<'a>(parts: impl IntoIterator<Item = &'a ValType>) -> Extent {
        let all = parts.into_iter().map(ValType::extent).fold(Extent::default(), |all, part| Extent {
            depth: all.depth.max(part.depth),
            has_handles: all.has_handles || part.has_handles,
        });
        Extent { depth: all.depth + 1, ..all }
    }
}

impl CasesShape {
    fn new<'a>(count: usize, payloads: impl Iterator<Item = &'a ValType> + Clone) -> Self {
        let (layout, discriminant, payload) = Layout::cases(count, payloads.clone().map(ValType::layout));
        Self { layout, discriminant, payload, joined: join_cases(payloads) }
    }
}

impl ListType {
    pub(crate) fn new(element: ValType) -> Self {
        let extent = Extent::around([&element]);
        Self { element, extent }
    }

    /// The type of the elements.
    pub fn element(&self) -> &ValType {
        &self.element
    }
}

impl FixedLengthListType {
    /// The validator bounds the size.
    pub(crate) fn new(element: ValType, len: u32) -> Self {
        let Layout { size, align } = element.layout();
        let layout = Layout { size: size.saturating_mul(len), align };
        Self { list: Arc::new(ListType::new(element)), len, layout }
    }

    /// The type of the elements.
    pub fn element(&self) -> &ValType {
        &self.list.element
    }

    /// How many elements there are, at least one.
    #[allow(clippy::len_without_is_empty)] // It never is.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// The type of lists of the same elements, of any length.
    pub fn list(&self) -> &Arc<ListType> {
        &self.list
    }
}

impl RecordType {
    pub(crate) fn new(fields: Box<[Field]>) -> Self {
        let (layout, offsets) = Layout::fields(fields.iter().map(|field| field.ty.layout()));
        let names = Names::of(fields.iter().map(|field| &*field.name));
        let copied_names = fields.iter().enumerate().map(|(index, field)| names.copied(index, &field.name)).sum();
        let extent = Extent::around(fields.iter().map(|field| &field.ty));
        Self { fields, names, copied_names, offsets, layout, extent }
    }

    /// The fields, as declared.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
}

impl TupleType {
    pub(crate) fn new(types: Box<[ValType]>) -> Self {
        let (layout, offsets) = Layout::fields(types.iter().map(ValType::layout));
        let extent = Extent::around(&types);
        Self { types, offsets, layout, extent }
    }

    /// The types of the elements.
    pub fn types(&self) -> &[ValType] {
        &self.types
    }
}

impl VariantType {
    pub(crate) fn new(cases: Box<[Case]>) -> Self {
        let payloads = cases.iter().filter_map(|case| case.ty.as_ref());
        let (shape, extent) = (CasesShape::new(cases.len(), payloads.clone()), Extent::around(payloads));
        let names = Names::of(cases.iter().map(|case| &*case.name));
        Self { cases, names, shape, extent }
    }

    /// The name of a case, for a value.
    pub(crate) fn name(&self, index: usize) -> Name {
        self.names.get(index, &self.cases[index].name)
    }

    /// What a value's copy of the name of a case takes.
    pub(crate) fn copied_name(&self, index: usize) -> usize {
        self.names.copied(index, &self.cases[index].name)
    }

    /// The case of this name.
    pub(crate) fn position(&self, name: &[u8]) -> Option<usize> {
        self.names.position(self.cases.iter().map(|case| &*case.name), name)
    }

    /// The cases, as declared.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }
}

impl EnumType {
    pub(crate) fn new(names: Box<[Box<str>]>) -> Self {
        let shared = Names::of(names.iter().map(|name| &**name));
        Self { names, shared }
    }

    /// A name, for a value.
    pub(crate) fn name(&self, index: usize) -> Name {
        self.shared.get(index, &self.names[index])
    }

    /// What a value's copy of a name takes.
    pub(crate) fn copied_name(&self, index: usize) -> usize {
        self.shared.copied(index, &self.names[index])
    }

    /// The place of a name.
    pub(crate) fn position(&self, name: &[u8]) -> Option<usize> {
        self.shared.position(self.names.iter().map(|name| &**name), name)
    }

    /// The names, as declared.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }
}

impl OptionType {
    pub(crate) fn new(some: ValType) -> Self {
        let (shape, extent) = (CasesShape::new(2, std::iter::once(&some)), Extent::around([&some]));
        Self { some, shape, extent }
    }

    /// The type of the value, where there is one.
    pub fn ty(&self) -> &ValType {
        &self.some
    }
}

impl ResultType {
    pub(crate) fn new(ok: Option<ValType>, err: Option<ValType>) -> Self {
        let payloads = ok.iter().chain(&err);
        let (shape, extent) = (CasesShape::new(2, payloads.clone()), Extent::around(payloads));
        Self { ok, err, shape, extent }
    }

    /// The type of success, where it has a value.
    pub fn ok(&self) -> Option<&ValType> {
        self.ok.as_ref()
    }

    /// The type of failure, where it has a value.
    pub fn err(&self) -> Option<&ValType> {
        self.err.as_ref()
    }
}

impl FlagsType {
    pub(crate) fn new(names: Box<[Box<str>]>) -> Self {
        let shared = Names::of(names.iter().map(|name| &**name));
        Self { names, shared }
    }

    /// A name, for a value.
    pub(crate) fn name(&self, index: usize) -> Name {
        self.shared.get(index, &self.names[index])
    }

    /// The place of a name.
    pub(crate) fn position(&self, name: &[u8]) -> Option<usize> {
        self.shared.position(self.names.iter().map(|name| &**name), name)
    }

    /// The names, as declared.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The core values that hold the bits.
    pub(crate) fn words(&self) -> usize {
        self.names.len().div_ceil(32)
    }

    fn layout(&self) -> Layout {
        match self.names.len() {
            0..=8 => Layout::scalar(1),
            9..=16 => Layout::scalar(2),
            _ => Layout { size: 4 * self.words() as u32, align: 4 },
        }
    }
}

impl MapType {
    pub(crate) fn new(key: ValType, value: ValType) -> Self {
        let (layout, offsets) = Layout::fields([&key, &value].map(ValType::layout).into_iter());
        let extent = Extent::around([&key, &value]);
        Self { offsets: [offsets[0], offsets[1]], key, value, layout, extent }
    }

    /// The type of the keys.
    pub fn key(&self) -> &ValType {
        &self.key
    }

    /// The type of the values.
    pub fn value(&self) -> &ValType {
        &self.value
    }
}

/// The names of a type as its values have them.
#[derive(Clone, Debug)]
pub(crate) struct Names(Box<[TypeName]>);

/// One of them: shared, where it has found a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TypeName(Option<SharedName>);

impl TypeName {
    /// The name, which is `name`, for a value.
    #[inline]
    pub(crate) fn get(self, name: &str) -> Name {
        self.0.map_or_else(|| name.into(), Name::from)
    }

    /// Whether the name, which is `name`, is the one that is given.
    #[inline]
    pub(crate) fn is(self, name: &str, given: &[u8]) -> bool {
        self.0.is_some_and(|shared| shared.is(given)) || is_same(name.as_bytes(), given)
    }
}

impl Names {
    fn of<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        Self(names.map(|name| TypeName(SharedName::of(name))).collect())
    }

    /// The name at this place, which is `name`.
    #[inline]
    pub(crate) fn get(&self, index: usize, name: &str) -> Name {
        self.0[index].get(name)
    }

    /// The bytes that a value's copy of the name at this place takes, which is `name`; none where it is shared.
    pub(crate) fn copied(&self, index: usize, name: &str) -> usize {
        if self.0[index].0.is_some() { 0 } else { name.len() }
    }

    /// The names, in the order of the type.
    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &TypeName> {
        self.0.iter()
    }

    /// The place of the name that is given, among these, which are the names.
    pub(crate) fn position<'n>(&self, mut names: impl Iterator<Item = &'n str>, given: &[u8]) -> Option<usize> {
        let same = self.0.iter().position(|name| name.0.is_some_and(|name| name.is(given)));
        same.or_else(|| names.position(|name| is_same(name.as_bytes(), given)))
    }
}

/// Whether names are equal. Most are as short as a word or two, for which a call takes longer than to compare them.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    fn same_ends<const N: usize>(a: &[u8], b: &[u8]) -> bool {
        a.first_chunk::<N>() == b.first_chunk() && a.last_chunk::<N>() == b.last_chunk()
    }
    a.len() == b.len()
        && match a.len() {
            0 => true,
            1 => a[0] == b[0],
            2..4 => same_ends::<2>(a, b),
            4..8 => same_ends::<4>(a, b),
            8..=16 => same_ends::<8>(a, b),
            _ => a == b,
        }
}

// Layouts follow from the rest, so only that is compared. Types are shared, so a look at the address comes first.
macro_rules! equal_by {
    ($($name:ident: $($field:ident),*;)*) => {$(
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                std::ptr::eq(self, other) || ($(self.$field == other.$field)&&*)
            }
        }

        impl Eq for $name {}
    )*};
}

equal_by! {
    ListType: element;
    FixedLengthListType: list, len;
    RecordType: fields;
    TupleType: types;
    VariantType: cases;
    EnumType: names;
    OptionType: some;
    ResultType: ok, err;
    FlagsType: names;
    MapType: key, value;
}

impl ValType {
    /// Size and alignment in linear memory.
    pub fn layout(&self) -> Layout {
        match self {
            ValType::Bool | ValType::S8 | ValType::U8 => Layout::scalar(1),
            ValType::S16 | ValType::U16 => Layout::scalar(2),
            ValType::S64 | ValType::U64 | ValType::F64 => Layout::scalar(8),
            ValType::String | ValType::List(_) | ValType::Map(_) => Layout::PAIR,
            ValType::FixedLengthList(list) => list.layout,
            ValType::Record(record) => record.layout,
            ValType::Tuple(tuple) => tuple.layout,
            ValType::Variant(variant) => variant.shape.layout,
            ValType::Enum(names) => Layout::scalar(discriminant_size(names.names.len())),
            ValType::Option(option) => option.shape.layout,
            ValType::Result(result) => result.shape.layout,
            ValType::Flags(flags) => flags.layout(),
            _ => Layout::scalar(4),
        }
    }

    /// The core values of a payload, of a type that has cases.
    pub(crate) fn joined(&self) -> Option<&[CoreType]> {
        match self {
            ValType::Variant(variant) => variant.shape.joined.as_deref(),
            ValType::Option(option) => option.shape.joined.as_deref(),
            ValType::Result(result) => result.shape.joined.as_deref(),
            _ => None,
        }
    }

    /// What the type is called in messages.
    pub fn name(&self) -> &'static str {
        match self {
            ValType::Bool => "bool",
            ValType::S8 => "s8",
            ValType::U8 => "u8",
            ValType::S16 => "s16",
            ValType::U16 => "u16",
            ValType::S32 => "s32",
            ValType::U32 => "u32",
            ValType::S64 => "s64",
            ValType::U64 => "u64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
            ValType::Char => "char",
            ValType::String => "string",
            ValType::List(_) | ValType::FixedLengthList(_) => "list",
            ValType::Record(_) => "record",
            ValType::Tuple(_) => "tuple",
            ValType::Variant(_) => "variant",
            ValType::Enum(_) => "enum",
            ValType::Option(_) => "option",
            ValType::Result(_) => "result",
            ValType::Flags(_) => "flags",
            ValType::Map(_) => "map",
            ValType::Own(_) => "owned resource",
            ValType::Borrow(_) => "borrowed resource",
            ValType::Future(_) => "future",
            ValType::Stream(_) => "stream",
            ValType::ErrorContext => "error-context",
        }
    }

    /// The same type with its resources put in place of those of a scope.
    pub(crate) fn with_resources(&self, put: &dyn Fn(ResourceType) -> ResourceType) -> ValType {
        if !self.extent().has_handles {
            return self.clone();
        }
        let again = |ty: &ValType| ty.with_resources(put);
        let maybe = |ty: &Option<ValType>| ty.as_ref().map(again);
        match self {
            ValType::List(list) => ValType::List(Arc::new(ListType::new(again(&list.element)))),
            ValType::FixedLengthList(list) => {
                ValType::FixedLengthList(Arc::new(FixedLengthListType::new(again(list.element()), list.len)))
            }
            ValType::Record(record) => {
                let field = |field: &Field| Field { name: field.name.clone(), ty: again(&field.ty) };
                ValType::Record(Arc::new(RecordType::new(record.fields.iter().map(field).collect())))
            }
            ValType::Tuple(tuple) => ValType::Tuple(Arc::new(TupleType::new(tuple.types.iter().map(again).collect()))),
            ValType::Variant(variant) => {
                let case = |case: &Case| Case { name: case.name.clone(), ty: maybe(&case.ty) };
                ValType::Variant(Arc::new(VariantType::new(variant.cases.iter().map(case).collect())))
            }
            ValType::Option(option) => ValType::Option(Arc::new(OptionType::new(again(&option.some)))),
            ValType::Result(result) => {
                ValType::Result(Arc::new(ResultType::new(maybe(&result.ok), maybe(&result.err))))
            }
            ValType::Map(map) => ValType::Map(Arc::new(MapType::new(again(&map.key), again(&map.value)))),
            ValType::Future(ty) => ValType::Future(Arc::new(maybe(ty))),
            ValType::Stream(ty) => ValType::Stream(Arc::new(maybe(ty))),
            ValType::Own(resource) => ValType::Own(put(*resource)),
            ValType::Borrow(resource) => ValType::Borrow(put(*resource)),
            _ => self.clone(),
        }
    }

    /// How deep it is, and whether it has handles.
    pub(crate) fn extent(&self) -> Extent {
        match self {
            ValType::List(list) => list.extent,
            ValType::FixedLengthList(list) => list.list.extent,
            ValType::Record(record) => record.extent,
            ValType::Tuple(tuple) => tuple.extent,
            ValType::Variant(variant) => variant.extent,
            ValType::Option(option) => option.extent,
            ValType::Result(result) => result.extent,
            ValType::Map(map) => map.extent,
            ValType::Own(_) | ValType::Borrow(_) => Extent { depth: 1, has_handles: true },
            // A chain: each has one part at most.
            ValType::Future(ty) | ValType::Stream(ty) => Extent { has_handles: true, ..Extent::around(&**ty) },
            _ => Extent { depth: 1, has_handles: false },
        }
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::layout::Flat;

    fn record(types: &[ValType]) -> ValType {
        let field = |ty: &ValType| Field { name: "f".into(), ty: ty.clone() };
        ValType::Record(Arc::new(RecordType::new(types.iter().map(field).collect())))
    }

    #[test]
    fn names_are_the_same_where_all_of_their_bytes_are() {
        for len in 0..40 {
            let name: Vec<u8> = (0..len).collect();
            assert!(is_same(&name, &name.clone()));
            for at in 0..name.len() {
                let mut other = name.clone();
                other[at] ^= 0x80;
                assert!(!is_same(&name, &other) && !is_same(&name, &name[..at]), "{at} of {len}");
            }
        }
    }

    #[test]
    fn fields_are_aligned_and_the_size_is_a_multiple_of_the_alignment() {
        let ValType::Record(ty) = record(&[ValType::U8, ValType::U64, ValType::U8]) else { unreachable!() };
        assert_eq!((&*ty.offsets, ty.layout), (&[0, 8, 16][..], Layout { size: 24, align: 8 }));
    }

    #[test]
    fn a_payload_follows_its_discriminant() {
        let option = OptionType::new(ValType::U64);
        assert_eq!((option.shape.discriminant, option.shape.payload), (1, 8));
        assert_eq!(option.shape.layout, Layout { size: 16, align: 8 });
        let result = ResultType::new(None, None);
        assert_eq!(result.shape.layout, Layout { size: 1, align: 1 });
    }

    #[test]
    fn cases_of_different_core_types_are_joined() {
        let result = ValType::Result(Arc::new(ResultType::new(Some(ValType::F32), Some(ValType::U32))));
        assert_eq!(result.joined().unwrap(), [CoreType::I32]);
        let result = ValType::Result(Arc::new(ResultType::new(Some(ValType::F32), Some(ValType::String))));
        assert_eq!(result.joined().unwrap(), [CoreType::I32, CoreType::I32]);
        let result = ValType::Result(Arc::new(ResultType::new(Some(ValType::F64), Some(ValType::U8))));
        assert_eq!(result.joined().unwrap(), [CoreType::I64]);
    }

    #[test]
    fn more_than_sixteen_core_values_are_not_passed_one_by_one() {
        let many = record(&vec![ValType::U8; 17]);
        assert!(Flat::of([&many], 16).is_none());
        assert_eq!(Flat::of([&record(&vec![ValType::U8; 16])], 16).unwrap().len(), 16);
        assert!(ValType::Option(Arc::new(OptionType::new(many))).joined().is_none());
    }

    #[test]
    fn a_list_of_fixed_length_lies_where_it_is() {
        let list = |element, len| ValType::FixedLengthList(Arc::new(FixedLengthListType::new(element, len)));
        assert_eq!(list(ValType::U16, 3).layout(), Layout { size: 6, align: 2 });
        assert_eq!(Flat::of([&list(ValType::String, 2)], 16).unwrap().len(), 4);
        // However long it is, no more values are looked at than may be passed.
        assert!(Flat::of([&list(list(ValType::U8, 1 << 14), 1 << 14)], 16).is_none());
        assert_ne!(list(ValType::U16, 3), list(ValType::U16, 4));
    }

    #[test]
    fn names_are_the_same_where_every_byte_is() {
        let name = b"a name of many bytes";
        for len in 0..name.len() {
            assert!(is_same(&name[..len], &(*name)[..len]) && !is_same(&name[..len], name));
            for at in 0..len {
                let mut other = *name;
                other[at] ^= 1;
                assert!(!is_same(&name[..len], &other[..len]), "{len} {at}");
            }
        }
    }

    #[test]
    fn equality_is_that_of_structure() {
        assert_eq!(record(&[ValType::U8]), record(&[ValType::U8]));
        assert_ne!(record(&[ValType::U8]), record(&[ValType::S8]));
        assert_ne!(ValType::Own(ResourceType::Host(1)), ValType::Own(ResourceType::Host(2)));
    }
}
