//! Values of a guest become the host's.

use crate::builtin::{Payload, StreamKind};
use crate::canon::options::{Encoding, MAX_BYTES, Options};
use crate::canon::{check_stack, is_aligned, strings};
use crate::handle::ResourceAny;
use crate::state::{ComponentState, Owner};
use crate::types::layout::MAX_FLAT;
use crate::types::val::CasesShape;
use crate::types::{EnumType, FlagsType, FuncType, MapType, RecordType, ResourceType, ValType};
use crate::val::{EntryVal, FieldVal, Kind, Name, Val};
use crate::vector::Vector;
use ampoule::{Error, Store, VmValRaw};
use std::borrow::Cow;

/// Bytes of the host's that the values of one call may take: a guest's lists may lie on top of each other, so that its memory is no
/// bound.
const MAX_HOST_BYTES: usize = 256 << 20;

/// Values that are being lifted, out of one memory. Each goes into its place, which stays as it is on errors.
///
/// 1. No guest code runs while this lives: it borrows the store.
pub(crate) struct Lift<'a> {
    memory: &'a [u8],
    encoding: Encoding,
    owner: Owner,
    store_id: u64,
    state: &'a mut ComponentState,
    host_bytes_left: usize,
    /// A `list<u8>` becomes a string of these bytes, rather than a list of a value for each.
    pub(crate) compact_bytes: bool,
}

/// Core values that hold flat ones.
#[derive(Clone)]
pub(crate) struct FlatIn<'a> {
    values: std::slice::Iter<'a, VmValRaw>,
}

impl<'a> FlatIn<'a> {
    pub(crate) fn new(values: &'a [VmValRaw]) -> Self {
        Self { values: values.iter() }
    }

    /// The next value's bits, of which a narrower type's are the lowest.
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        let value = self.values.next().expect("as many as the type has");
        // SAFETY: the slots are initialised where machine code has written them, and zeroed before.
        unsafe { value.f64 }
    }

    /// The same, of an `i32`. No more is read than machine code has just written: to read more takes as long as a call.
    #[inline]
    pub(crate) fn next_u32(&mut self) -> u32 {
        let value = self.values.next().expect("as many as the type has");
        // SAFETY: as above.
        unsafe { value.i32 as u32 }
    }

    pub(crate) fn skip(&mut self, count: usize) {
        if count > 0 {
            self.values.nth(count - 1);
        }
    }
}

impl<'a> Lift<'a> {
    #[inline]
    pub(crate) fn new(store: &'a mut Store, options: &Options) -> Result<Self, Error> {
        let (base, len) = options.memory(store)?;
        // SAFETY: the memory is the store's and mapped so far; by (1) nothing writes to it or moves it meanwhile.
        let memory = unsafe { std::slice::from_raw_parts(base, len) };
        Ok(Self {
            memory,
            encoding: options.encoding,
            owner: Owner::Instance(options.instance),
            store_id: store.id(),
            state: ComponentState::of(store),
            host_bytes_left: MAX_HOST_BYTES,
            compact_bytes: false,
        })
    }

    /// What the store knows of components.
    #[inline]
    pub(crate) fn state(&mut self) -> &mut ComponentState {
        self.state
    }

    /// The parameters of a function that the guest calls, into as many places.
    #[inline(always)]
    pub(crate) fn params(
        &mut self,
        ty: &FuncType,
        is_async: bool,
        values: &[VmValRaw],
        args: &mut [Val],
    ) -> Result<(), Error> {
        check_stack(ty.extent)?;
        let mut flat = FlatIn::new(values);
        if if is_async { ty.flat_async_params.is_some() } else { ty.flat_params.is_some() } {
            for ((_, ty), arg) in ty.params().iter().zip(args) {
                self.flat(ty, &mut flat, arg)?;
            }
            return Ok(());
        }
        self.params_in_memory(ty, flat.next_u32(), args)
    }

    fn params_in_memory(&mut self, ty: &FuncType, at: u32, args: &mut [Val]) -> Result<(), Error> {
        let at = self.region(at, ty.params_layout.size, ty.params_layout.align, "pointer not aligned")?;
        let mut params = ty.params().iter().zip(&ty.param_offsets).zip(args);
        params.try_for_each(|(((_, ty), &offset), arg)| self.load(ty, at + offset as usize, arg))
    }

    /// The result of a function that the guest has returned from.
    pub(crate) fn result(
        &mut self,
        ty: &FuncType,
        result: &ValType,
        values: &[VmValRaw],
        into: &mut Val,
    ) -> Result<(), Error> {
        self.returned(result, ty.flat_result.is_some(), values, into)
    }

    /// The same, in core values or in memory as the way says by which the guest returns.
    pub(crate) fn returned(
        &mut self,
        result: &ValType,
        is_flat: bool,
        values: &[VmValRaw],
        into: &mut Val,
    ) -> Result<(), Error> {
        check_stack(result.extent())?;
        let mut flat = FlatIn::new(values);
        if is_flat {
            return self.flat(result, &mut flat, into);
        }
        let layout = result.layout();
        let at = self.region(flat.next_u32(), layout.size, layout.align, "return pointer not aligned")?;
        self.load(result, at, into)
    }

    /// Checks that so many bytes lie in memory, aligned.
    #[inline]
    pub(crate) fn region(&self, at: u32, size: u32, align: u32, misaligned: &str) -> Result<usize, Error> {
        if !is_aligned(at, align) {
            return Err(Error::message(misaligned));
        }
        let start = at as usize;
        if start + size as usize > self.memory.len() {
            return Err(Error::message("pointer out of bounds of memory"));
        }
        Ok(start)
    }

    #[inline]
    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        self.memory[at..at + N].try_into().expect("as long as asked for")
    }

    #[inline]
    fn u32_at(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    /// Counts what the host keeps.
    #[inline]
    pub(crate) fn count(&mut self, bytes: usize) -> Result<(), Error> {
        let left = self.host_bytes_left.checked_sub(bytes);
        self.host_bytes_left = left.ok_or_else(too_many_bytes)?;
        Ok(())
    }

    /// A value in memory, all of whose bytes are known to be there. What records mostly consist of takes no further call.
    #[inline(always)]
    fn load(&mut self, ty: &ValType, at: usize, into: &mut Val) -> Result<(), Error> {
        if let Some(kind) = Kind::of_number(ty) {
            let bits = match kind.byte_len() {
                1 => u64::from(self.memory[at]),
                2 => u64::from(u16::from_le_bytes(self.bytes(at))),
                4 => u64::from(self.u32_at(at)),
                _ => u64::from_le_bytes(self.bytes(at)),
            };
            *into = Val::scalar(kind, bits);
            return Ok(());
        }
        match ty {
            ValType::String => self.string(self.u32_at(at), self.u32_at(at + 4), into),
            _ => self.load_compound(ty, at, into),
        }
    }

    /// As [`Lift::load`], of what is neither a number nor a string.
    fn load_compound(&mut self, ty: &ValType, at: usize, into: &mut Val) -> Result<(), Error> {
        match ty {
            ValType::Bool => *into = Val::from(self.memory[at] != 0),
            ValType::Char => *into = Val::from(character(self.u32_at(at))?),
            ValType::List(_) | ValType::Map(_) => {
                return self.pair(ty, self.u32_at(at), self.u32_at(at + 4), into);
            }
            ValType::FixedLengthList(list) => {
                let (element, len) = (list.element(), list.len() as usize);
                self.count(len * size_of::<Val>())?;
                let size = element.layout().size as usize;
                let mut elements = Vec::with_capacity(len);
                (0..len).try_for_each(|index| self.load(element, at + index * size, added(&mut elements)))?;
                into.set_list(elements.into());
            }
            ValType::Record(record) => {
                self.count(record.fields.len() * size_of::<FieldVal>() + record.copied_names)?;
                let mut fields = named_fields(record);
                for ((field, &offset), into) in record.fields.iter().zip(&record.offsets).zip(&mut fields) {
                    self.load(&field.ty, at + offset as usize, &mut into.val)?;
                }
                into.set_record(fields.into());
            }
            ValType::Tuple(tuple) => {
                self.count(tuple.types.len() * size_of::<Val>())?;
                let mut elements = Vec::with_capacity(tuple.types.len());
                for (ty, &offset) in tuple.types.iter().zip(&tuple.offsets) {
                    self.load(ty, at + offset as usize, added(&mut elements))?;
                }
                into.set_tuple(elements.into());
            }
            ValType::Variant(_) | ValType::Option(_) | ValType::Result(_) => {
                let shape = cases_shape(ty);
                let case = self.discriminant(shape.discriminant, at);
                *into =
                    self.case(ty, case, |lift, payload, into| lift.load(payload, at + shape.payload as usize, into))?;
            }
            ValType::Enum(names) => *into = self.enumeration(names, self.discriminant(ty.layout().size, at))?,
            ValType::Flags(flags) => {
                let size = ty.layout().size as usize;
                let bytes = &self.memory[at..at + size];
                *into = self.flags(flags, |index| bytes[index / 8] >> (index % 8) & 1 != 0)?;
            }
            ValType::Own(slot) => *into = self.own(*slot, self.u32_at(at))?,
            ValType::Borrow(slot) => *into = self.borrow(*slot, self.u32_at(at))?,
            ValType::Stream(payload) => *into = self.end(StreamKind::Stream, payload, self.u32_at(at))?,
            ValType::Future(payload) => *into = self.end(StreamKind::Future, payload, self.u32_at(at))?,
            ValType::ErrorContext => *into = self.error_context(self.u32_at(at))?,
            _ => unreachable!("the others were looked at"),
        }
        Ok(())
    }

    /// An unsigned number of up to four bytes.
    pub(crate) fn discriminant(&self, size: u32, at: usize) -> u32 {
        match size {
            1 => u32::from(self.memory[at]),
            2 => u32::from(u16::from_le_bytes(self.bytes(at))),
            _ => self.u32_at(at),
        }
    }

    /// A value in core values.
    #[inline(always)]
    fn flat(&mut self, ty: &ValType, flat: &mut FlatIn<'_>, into: &mut Val) -> Result<(), Error> {
        match Kind::of_number(ty) {
            Some(kind) => *into = number(kind, flat.values.next().expect("as many as the type has")),
            None if matches!(ty, ValType::String) => return self.string(flat.next_u32(), flat.next_u32(), into),
            None => return self.flat_compound(ty, flat, into),
        }
        Ok(())
    }

    /// As [`Lift::flat`], of what is neither a number nor a string.
    fn flat_compound(&mut self, ty: &ValType, flat: &mut FlatIn<'_>, into: &mut Val) -> Result<(), Error> {
        match ty {
            ValType::Bool => *into = Val::from(flat.next_u32() != 0),
            ValType::Char => *into = Val::from(character(flat.next_u32())?),
            ValType::List(_) | ValType::Map(_) => {
                let (at, len) = (flat.next_u32(), flat.next_u32());
                return self.pair(ty, at, len, into);
            }
            ValType::FixedLengthList(list) => {
                let mut elements = Vec::with_capacity(list.len() as usize);
                (0..list.len()).try_for_each(|_| self.flat(list.element(), flat, added(&mut elements)))?;
                into.set_list(elements.into());
            }
            ValType::Record(record) => {
                let mut fields = named_fields(record);
                for (field, into) in record.fields.iter().zip(&mut fields) {
                    self.flat(&field.ty, flat, &mut into.val)?;
                }
                into.set_record(fields.into());
            }
            ValType::Tuple(tuple) => {
                let mut elements = Vec::with_capacity(tuple.types.len());
                tuple.types.iter().try_for_each(|ty| self.flat(ty, flat, added(&mut elements)))?;
                into.set_tuple(elements.into());
            }
            ValType::Variant(_) | ValType::Option(_) | ValType::Result(_) => {
                let case = flat.next_u32();
                let joined = ty.joined().expect("flat, so the payloads are").len();
                let mut payload_values = FlatIn { values: flat.values.clone() };
                flat.skip(joined);
                *into = self.case(ty, case, |lift, payload, into| lift.flat(payload, &mut payload_values, into))?;
            }
            ValType::Enum(names) => *into = self.enumeration(names, flat.next_u32())?,
            ValType::Flags(flags) => {
                // No more words are passed like this than functions have parameters.
                let mut words = [0; MAX_FLAT];
                words[..flags.words()].iter_mut().for_each(|word| *word = flat.next_u32());
                *into = self.flags(flags, |index| words[index / 32] >> (index % 32) & 1 != 0)?;
            }
            ValType::Own(slot) => *into = self.own(*slot, flat.next_u32())?,
            ValType::Borrow(slot) => *into = self.borrow(*slot, flat.next_u32())?,
            ValType::Stream(payload) => *into = self.end(StreamKind::Stream, payload, flat.next_u32())?,
            ValType::Future(payload) => *into = self.end(StreamKind::Future, payload, flat.next_u32())?,
            ValType::ErrorContext => *into = self.error_context(flat.next_u32())?,
            _ => unreachable!("the others were looked at"),
        }
        Ok(())
    }

    /// A value with a discriminant; `lift` lifts the payload of the case, where it has one.
    fn case(
        &mut self,
        ty: &ValType,
        case: u32,
        lift: impl FnOnce(&mut Self, &ValType, &mut Val) -> Result<(), Error>,
    ) -> Result<Val, Error> {
        let name_len = match ty {
            ValType::Variant(variant) if (case as usize) < variant.cases.len() => variant.copied_name(case as usize),
            _ => 0,
        };
        self.count(size_of::<Val>() + name_len)?;
        let payload = |ty: Option<&ValType>| {
            let Some(ty) = ty else { return Ok(None) };
            let mut payload = Box::<Val>::default();
            lift(self, ty, &mut payload)?;
            Ok::<_, Error>(Some(payload))
        };
        Ok(match (ty, case) {
            (ValType::Option(_), 0) => Val::option_of(None),
            (ValType::Option(option), 1) => Val::option_of(payload(Some(&option.some))?),
            (ValType::Result(result), 0) => Val::result_of(true, payload(result.ok.as_ref())?),
            (ValType::Result(result), 1) => Val::result_of(false, payload(result.err.as_ref())?),
            (ValType::Variant(variant), _) => {
                let found = variant.cases.get(case as usize).ok_or_else(|| out_of_range(case, variant.cases.len()))?;
                Val::variant_of(variant.name(case as usize), payload(found.ty.as_ref())?)
            }
            _ => return Err(out_of_range(case, 2)),
        })
    }

    fn enumeration(&mut self, names: &EnumType, case: u32) -> Result<Val, Error> {
        let count = names.names.len();
        if case as usize >= count {
            return Err(out_of_range(case, count));
        }
        self.count(names.copied_name(case as usize))?;
        Ok(Val::enumeration_of(names.name(case as usize)))
    }

    /// A string.
    fn string(&mut self, at: u32, len: u32, into: &mut Val) -> Result<(), Error> {
        if self.encoding != Encoding::Utf8 {
            return self.transcoded(at, len, into);
        }
        let text = strings::load_utf8(self.memory, at, len)?;
        self.count(text.len())?;
        into.set_string(text.as_bytes().into());
        Ok(())
    }

    fn transcoded(&mut self, at: u32, len: u32, into: &mut Val) -> Result<(), Error> {
        let text = strings::load(self.memory, self.encoding, at, len)?;
        self.count(text.len())?;
        into.set_string(text.into_owned().into_bytes().into());
        Ok(())
    }

    /// A list or a map, which is passed as a pointer and a length.
    fn pair(&mut self, ty: &ValType, at: u32, len: u32, into: &mut Val) -> Result<(), Error> {
        match ty {
            ValType::List(list) if self.compact_bytes && list.element == ValType::U8 => {
                into.set_string(self.elements(at, len, 1, 1, 1)?.into());
            }
            ValType::List(list) => into.set_list(self.list(&list.element, at, len)?),
            ValType::Map(map) => *into = Val::map_of(self.map(map, at, len)?),
            _ => unreachable!("the callers have looked"),
        }
        Ok(())
    }

    /// Bytes that are known to be there.
    pub(crate) fn slice(&self, at: usize, len: usize) -> &'a [u8] {
        &self.memory[at..at + len]
    }

    /// A string, as a text.
    pub(crate) fn text(&self, at: u32, len: u32) -> Result<Cow<'a, str>, Error> {
        match self.encoding {
            Encoding::Utf8 => strings::load_utf8(self.memory, at, len).map(Cow::Borrowed),
            encoding => Ok(strings::load(self.memory, encoding, at, len)?),
        }
    }

    /// The bytes of a list's elements, each of which takes the host so much memory.
    pub(crate) fn elements(
        &mut self,
        at: u32,
        len: u32,
        size: u32,
        align: u32,
        host_size: usize,
    ) -> Result<&'a [u8], Error> {
        let byte_len = len as usize * size as usize;
        let start = at as usize;
        if byte_len > MAX_BYTES || start + byte_len > self.memory.len() {
            return Err(Error::message("list pointer/length out of bounds of memory"));
        }
        if !is_aligned(at, align) {
            return Err(Error::message("list pointer is not aligned"));
        }
        self.count(len as usize * host_size)?;
        Ok(&self.memory[start..start + byte_len])
    }

    fn list(&mut self, element: &ValType, at: u32, len: u32) -> Result<Vector<Val>, Error> {
        fn scalars<const N: usize>(bytes: &[u8], lift: impl Fn([u8; N]) -> Val) -> Vec<Val> {
            bytes.as_chunks::<N>().0.iter().map(|&bytes| lift(bytes)).collect()
        }
        fn of_kind<const N: usize>(bytes: &[u8], kind: Kind) -> Vec<Val> {
            scalars::<N>(bytes, |bytes| {
                let mut bits = [0; 8];
                bits[..N].copy_from_slice(&bytes);
                Val::scalar(kind, u64::from_le_bytes(bits))
            })
        }
        let layout = element.layout();
        let bytes = self.elements(at, len, layout.size, layout.align, size_of::<Val>())?;
        let elements = match element {
            ValType::Bool => scalars(bytes, |[byte]| Val::from(byte != 0)),
            ValType::S8 => of_kind::<1>(bytes, Kind::S8),
            ValType::U8 => of_kind::<1>(bytes, Kind::U8),
            ValType::S16 => of_kind::<2>(bytes, Kind::S16),
            ValType::U16 => of_kind::<2>(bytes, Kind::U16),
            ValType::S32 => of_kind::<4>(bytes, Kind::S32),
            ValType::U32 => of_kind::<4>(bytes, Kind::U32),
            ValType::S64 => of_kind::<8>(bytes, Kind::S64),
            ValType::U64 => of_kind::<8>(bytes, Kind::U64),
            ValType::F32 => of_kind::<4>(bytes, Kind::F32),
            ValType::F64 => of_kind::<8>(bytes, Kind::F64),
            _ => {
                let mut elements = Vec::with_capacity(len as usize);
                for index in 0..len as usize {
                    self.load(element, at as usize + index * layout.size as usize, added(&mut elements))?;
                }
                elements
            }
        };
        Ok(elements.into())
    }

    fn map(&mut self, map: &MapType, at: u32, len: u32) -> Result<Vector<EntryVal>, Error> {
        let size = map.layout.size;
        self.elements(at, len, size, map.layout.align, size_of::<EntryVal>())?;
        let mut entries = Vec::with_capacity(len as usize);
        for index in 0..len as usize {
            let [key, value] = map.offsets.map(|offset| at as usize + index * size as usize + offset as usize);
            let mut entry = EntryVal::default();
            self.load(&map.key, key, &mut entry.key)?;
            self.load(&map.value, value, &mut entry.value)?;
            entries.push(entry);
        }
        Ok(entries.into())
    }

    fn flags(&mut self, flags: &FlagsType, bit: impl Fn(usize) -> bool) -> Result<Val, Error> {
        let set = (0..flags.names.len()).filter(|&index| bit(index));
        let set: Vec<Name> = set.map(|index| flags.name(index)).collect();
        self.count(set.iter().map(|name| name.as_slice().len() + size_of::<Name>()).sum())?;
        Ok(Val::flags_of(set.into()))
    }

    /// A value where there is memory for it, aligned.
    pub(crate) fn element(&mut self, ty: &ValType, at: usize) -> Result<Val, Error> {
        if at + ty.layout().size as usize > self.memory.len() {
            return Err(Error::message("pointer out of bounds of memory"));
        }
        let mut val = Val::default();
        self.load(ty, at, &mut val)?;
        Ok(val)
    }

    /// The readable end of a stream or future.
    fn end(&mut self, kind: StreamKind, payload: &Payload, index: u32) -> Result<Val, Error> {
        let Owner::Instance(instance) = self.owner else { unreachable!("guests' values are an instance's") };
        Ok(Val::from(self.state.lift_end(self.store_id, instance, index, kind, payload)?))
    }

    fn error_context(&mut self, index: u32) -> Result<Val, Error> {
        let Owner::Instance(instance) = self.owner else { unreachable!("guests' values are an instance's") };
        let id = self.state.error_context_at(instance, index)?;
        Ok(Val::error_context(&*self.state.concurrency.error_contexts[id].message))
    }

    fn own(&mut self, slot: ResourceType, index: u32) -> Result<Val, Error> {
        let resource = self.resource(slot)?;
        let (resource, rep) = self.state.take(self.owner, index, resource)?;
        let index = self.state.give(Owner::Host, resource, rep)?;
        Ok(self.handle(resource, index, true))
    }

    fn borrow(&mut self, slot: ResourceType, index: u32) -> Result<Val, Error> {
        let resource = self.resource(slot)?;
        let rep = self.state.lend(self.owner, index, resource)?;
        let index = self.state.give_borrow(Owner::Host, resource, rep)?;
        Ok(self.handle(resource, index, false))
    }

    fn resource(&self, slot: ResourceType) -> Result<u32, Error> {
        let Owner::Instance(instance) = self.owner else { unreachable!("guests' values are an instance's") };
        self.state.resource_in(instance, slot)
    }

    fn handle(&self, resource: u32, index: u32, owned: bool) -> Val {
        let ty = self.state.resources[resource as usize].ty;
        Val::from(ResourceAny { store: self.store_id, index, ty, owned })
    }
}

/// The number of this kind in a core value. As for [`FlatIn::next_u32`], what is narrow is read as such.
#[inline]
pub(crate) fn number(kind: Kind, value: &VmValRaw) -> Val {
    // SAFETY: as for `FlatIn::next`.
    let bits = unsafe { if kind.byte_len() == 8 { value.f64 } else { u64::from(value.i32 as u32) } };
    Val::number(kind, bits)
}

pub(super) fn cases_shape(ty: &ValType) -> &CasesShape {
    match ty {
        ValType::Variant(variant) => &variant.shape,
        ValType::Option(option) => &option.shape,
        ValType::Result(result) => &result.shape,
        _ => unreachable!("only asked of types with cases"),
    }
}

/// A place behind the others for a value to be lifted into, which is cheaper than moving it there.
#[inline]
fn added(vals: &mut Vec<Val>) -> &mut Val {
    vals.push(Val::default());
    vals.last_mut().expect("just added")
}

/// The fields of a record, which have their names, as places for their values.
fn named_fields(record: &RecordType) -> Vec<FieldVal> {
    let names = record.fields.iter().zip(record.names.iter());
    names.map(|(field, name)| FieldVal { name: name.get(&field.name), val: Val::default() }).collect()
}

#[cold]
fn too_many_bytes() -> Error {
    Error::message(format!("the values of one call would take the host more than {} MiB", MAX_HOST_BYTES >> 20))
}

pub(crate) fn character(code: u32) -> Result<char, Error> {
    char::from_u32(code).ok_or_else(|| Error::message("converted integer out of range for `char`"))
}

#[cold]
pub(crate) fn out_of_range(case: u32, count: usize) -> Error {
    Error::message(format!("discriminant {case} out of range [0..{count})"))
}
