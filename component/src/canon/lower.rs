//! Values of the host become a guest's.

use crate::builtin::{Payload, StreamKind};
use crate::canon::lift::cases_shape;
use crate::canon::options::{Encoding, MAX_BYTES, Options};
use crate::canon::realloc::realloc;
use crate::canon::strings::{self, Stored};
use crate::canon::{check_stack, is_aligned};
use crate::handle::ResourceAny;
use crate::state::{ComponentState, Owner};
use crate::types::val::FlagsType;
use crate::types::{FixedLengthListType, FuncType, ResourceType, ValType};
use crate::val::{EntryVal, FieldVal, Kind, Name, Val, ValRef};
use ampoule::{Error, Store, VmValRaw};

/// Values that are being lowered, into one memory.
///
/// 1. `base` and `len` are the memory's, read again after each call of guest code.
pub(crate) struct Lower<'a> {
    store: &'a mut Store,
    options: &'a Options,
    base: *mut u8,
    len: usize,
    /// A string may stand for a `list<u8>` of its bytes.
    pub(crate) compact_bytes: bool,
}

/// Core values that flat ones are put into. The slots are zero before.
pub(crate) struct FlatOut<'a> {
    values: std::slice::IterMut<'a, VmValRaw>,
}

impl<'a> FlatOut<'a> {
    pub(crate) fn new(values: &'a mut [VmValRaw]) -> Self {
        Self { values: values.iter_mut() }
    }

    #[inline]
    pub(crate) fn push(&mut self, bits: u64) {
        // The bits above a narrower type's are zero, as the payload of a variant wants them.
        *self.values.next().expect("as many as the type has") = VmValRaw { f64: bits };
    }

    /// How many slots are left.
    pub(crate) fn left(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn skip(&mut self, count: usize) {
        if count > 0 {
            self.values.nth(count - 1);
        }
    }
}

impl<'a> Lower<'a> {
    #[inline]
    pub(crate) fn new(store: &'a mut Store, options: &'a Options) -> Result<Self, Error> {
        let (base, len) = options.memory(store)?;
        Ok(Self { store, options, base, len, compact_bytes: false })
    }

    /// The arguments of a function of the guest.
    pub(crate) fn params(&mut self, ty: &FuncType, vals: &[Val], values: &mut [VmValRaw]) -> Result<(), Error> {
        check_stack(ty.extent)?;
        let mut out = FlatOut::new(values);
        let params = ty.params().iter().zip(vals);
        if ty.flat_params.is_some() {
            for ((_, ty), val) in params {
                self.flat(ty, val, &mut out)?;
            }
            return Ok(());
        }
        let at = self.allocate(ty.params_layout.size as usize, ty.params_layout.align)?;
        for (((_, ty), val), &offset) in params.zip(&ty.param_offsets) {
            self.store(ty, val, at + offset as usize)?;
        }
        out.push(at as u64);
        Ok(())
    }

    /// The result of a function that the guest has called, in core values.
    pub(crate) fn flat_result(&mut self, result: &ValType, val: &Val, values: &mut [VmValRaw]) -> Result<(), Error> {
        check_stack(result.extent())?;
        self.flat(result, val, &mut FlatOut::new(values))
    }

    /// The same where the guest has said that it goes.
    pub(crate) fn result_at(&mut self, result: &ValType, val: &Val, address: u32) -> Result<(), Error> {
        check_stack(result.extent())?;
        let layout = result.layout();
        if !is_aligned(address, layout.align) {
            return Err(Error::message("pointer not aligned"));
        }
        if address as usize + layout.size as usize > self.len {
            return Err(Error::message("pointer out of bounds of memory"));
        }
        self.store(result, val, address as usize)
    }

    /// The memory, as it is now.
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        // SAFETY: by (1); the store is borrowed, so nobody else looks at it.
        unsafe { std::slice::from_raw_parts_mut(self.base, self.len) }
    }

    #[inline]
    fn write<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.memory()[at..at + N].copy_from_slice(&bytes);
    }

    /// Asks the guest for memory.
    pub(crate) fn allocate(&mut self, size: usize, align: u32) -> Result<usize, Error> {
        if size > MAX_BYTES {
            return Err(too_large(size));
        }
        let at = realloc(self.store, self.options, size, align)?;
        (self.base, self.len) = self.options.memory(self.store)?;
        let wrong = if !is_aligned(at, align) {
            "realloc return: result not aligned"
        } else if at as usize + size > self.len {
            "realloc return: beyond end of memory"
        } else {
            return Ok(at as usize);
        };
        Err(Error::message(wrong))
    }

    /// A value into memory, all of whose bytes are known to be there. What records mostly consist of takes no further call.
    #[inline(always)]
    fn store(&mut self, ty: &ValType, val: &Val, at: usize) -> Result<(), Error> {
        match ty {
            ValType::S8 => self.store_number::<1>(ty, val, Kind::S8, at),
            ValType::U8 => self.store_number::<1>(ty, val, Kind::U8, at),
            ValType::S16 => self.store_number::<2>(ty, val, Kind::S16, at),
            ValType::U16 => self.store_number::<2>(ty, val, Kind::U16, at),
            ValType::S32 => self.store_number::<4>(ty, val, Kind::S32, at),
            ValType::U32 => self.store_number::<4>(ty, val, Kind::U32, at),
            ValType::S64 => self.store_number::<8>(ty, val, Kind::S64, at),
            ValType::U64 => self.store_number::<8>(ty, val, Kind::U64, at),
            ValType::F32 => self.store_number::<4>(ty, val, Kind::F32, at),
            ValType::F64 => self.store_number::<8>(ty, val, Kind::F64, at),
            _ => self.store_compound(ty, val, at),
        }
    }

    #[inline(always)]
    fn store_number<const N: usize>(&mut self, ty: &ValType, val: &Val, kind: Kind, at: usize) -> Result<(), Error> {
        let bits = bits(ty, val, kind)?.to_le_bytes();
        self.write::<N>(at, *bits.first_chunk().expect("no number is longer"));
        Ok(())
    }

    /// As [`Lower::store`], of what is no number.
    fn store_compound(&mut self, ty: &ValType, val: &Val, at: usize) -> Result<(), Error> {
        match ty {
            ValType::String | ValType::List(_) | ValType::Map(_) => {
                let (pointer, len) = self.pair(ty, val)?;
                self.write(at, (pointer as u32).to_le_bytes());
                self.write(at + 4, len.to_le_bytes());
            }
            ValType::FixedLengthList(list) => {
                let size = list.element().layout().size as usize;
                for (index, val) in fixed_elements(list, val)?.iter().enumerate() {
                    self.store(list.element(), val, at + index * size)?;
                }
            }
            ValType::Record(record) => {
                let fields = record_fields(ty, val)?;
                for ((field, &offset), given) in record.fields.iter().zip(&record.offsets).zip(fields) {
                    self.store(&field.ty, &given.val, at + offset as usize)?;
                }
            }
            ValType::Tuple(tuple) => {
                let elements = tuple_elements(ty, val)?;
                for ((ty, &offset), val) in tuple.types.iter().zip(&tuple.offsets).zip(elements) {
                    self.store(ty, val, at + offset as usize)?;
                }
            }
            ValType::Variant(_) | ValType::Option(_) | ValType::Result(_) => {
                let (case, payload) = case_of(ty, val)?;
                let shape = cases_shape(ty);
                self.write_bits(at, shape.discriminant, u64::from(case));
                if let Some((ty, val)) = payload {
                    self.store(ty, val, at + shape.payload as usize)?;
                }
            }
            ValType::Flags(flags) => {
                let words = flag_words(flags, val)?;
                let size = ty.layout().size as usize;
                let bytes = words.iter().flat_map(|word| word.to_le_bytes());
                self.memory()[at..at + size].iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
            }
            _ => {
                let bits = self.scalar(ty, val)?;
                self.write_bits(at, ty.layout().size, bits);
            }
        }
        Ok(())
    }

    /// Writes the lowest bytes of a number.
    #[inline]
    pub(crate) fn write_bits(&mut self, at: usize, byte_len: u32, bits: u64) {
        match byte_len {
            1 => self.write(at, [bits as u8]),
            2 => self.write(at, (bits as u16).to_le_bytes()),
            4 => self.write(at, (bits as u32).to_le_bytes()),
            _ => self.write(at, bits.to_le_bytes()),
        }
    }

    /// A value into core values.
    #[inline(always)]
    fn flat(&mut self, ty: &ValType, val: &Val, out: &mut FlatOut<'_>) -> Result<(), Error> {
        match Kind::of_number(ty) {
            Some(kind) => {
                let bits = bits(ty, val, kind)?;
                out.push(match kind {
                    // Narrow integers are passed as i32 of the same value.
                    Kind::S8 => u64::from(bits as i8 as i32 as u32),
                    Kind::S16 => u64::from(bits as i16 as i32 as u32),
                    _ => bits,
                });
                Ok(())
            }
            None => match (ty, val.as_string()) {
                (ValType::String, Some(bytes)) => {
                    let (pointer, len) = self.string(bytes)?;
                    out.push(pointer as u64);
                    out.push(u64::from(len));
                    Ok(())
                }
                _ => self.flat_compound(ty, val, out),
            },
        }
    }

    /// As [`Lower::flat`], of what is no number.
    fn flat_compound(&mut self, ty: &ValType, val: &Val, out: &mut FlatOut<'_>) -> Result<(), Error> {
        match ty {
            ValType::String | ValType::List(_) | ValType::Map(_) => {
                let (pointer, len) = self.pair(ty, val)?;
                out.push(pointer as u64);
                out.push(u64::from(len));
            }
            ValType::FixedLengthList(list) => {
                for val in fixed_elements(list, val)? {
                    self.flat(list.element(), val, out)?;
                }
            }
            ValType::Record(record) => {
                let fields = record_fields(ty, val)?;
                for (field, given) in record.fields.iter().zip(fields) {
                    self.flat(&field.ty, &given.val, out)?;
                }
            }
            ValType::Tuple(tuple) => {
                for (ty, val) in tuple.types.iter().zip(tuple_elements(ty, val)?) {
                    self.flat(ty, val, out)?;
                }
            }
            ValType::Variant(_) | ValType::Option(_) | ValType::Result(_) => {
                let (case, payload) = case_of(ty, val)?;
                out.push(u64::from(case));
                let joined = ty.joined().expect("flat, so the payloads are").len();
                let before = out.values.len();
                if let Some((ty, val)) = payload {
                    self.flat(ty, val, out)?;
                }
                // What the case doesn't use stays zero.
                out.skip(joined - (before - out.values.len()));
            }
            ValType::Flags(flags) => flag_words(flags, val)?.iter().for_each(|&word| out.push(u64::from(word))),
            _ => {
                let bits = self.scalar(ty, val)?;
                out.push(bits);
            }
        }
        Ok(())
    }

    /// What is one core value, and no number: its bits.
    fn scalar(&mut self, ty: &ValType, val: &Val) -> Result<u64, Error> {
        match ty {
            ValType::Bool => Ok(u64::from(bits(ty, val, Kind::BOOL)? != 0)),
            ValType::Char => {
                let code = bits(ty, val, Kind::CHAR)?;
                match char::from_u32(code as u32) {
                    Some(_) => Ok(code),
                    None => Err(Error::message("converted integer out of range for `char`")),
                }
            }
            ValType::Enum(names) => {
                let ValRef::Enum(given) = val.get() else { return Err(mismatch(ty, val)) };
                names.position(given).map(|index| index as u64).ok_or_else(|| {
                    Error::message(format!("enum variant name `{}` is not valid", String::from_utf8_lossy(given)))
                })
            }
            ValType::Own(slot) => Ok(u64::from(self.own(ty, *slot, val)?)),
            ValType::Borrow(slot) => Ok(u64::from(self.borrow(ty, *slot, val)?)),
            ValType::Stream(payload) => Ok(u64::from(self.end(ty, StreamKind::Stream, payload, val)?)),
            ValType::Future(payload) => Ok(u64::from(self.end(ty, StreamKind::Future, payload, val)?)),
            ValType::ErrorContext => {
                let ValRef::ErrorContext(message) = val.get() else { return Err(mismatch(ty, val)) };
                let message = String::from_utf8_lossy(message);
                let instance = self.options.instance;
                Ok(u64::from(ComponentState::of(self.store).new_error_context(instance, &message)?))
            }
            _ => unreachable!("it is a scalar"),
        }
    }

    /// What is passed as a pointer and a length.
    fn pair(&mut self, ty: &ValType, val: &Val) -> Result<(usize, u32), Error> {
        match (ty, val.get()) {
            (ValType::String, ValRef::String(bytes)) => self.string(bytes),
            (ValType::List(list), ValRef::String(bytes)) if self.compact_bytes && list.element == ValType::U8 => {
                self.bytes(bytes)
            }
            (ValType::List(list), ValRef::List(vals)) => self.list(&list.element, vals),
            (ValType::Map(_), ValRef::Map(entries)) => self.map(ty, entries),
            _ => Err(mismatch(ty, val)),
        }
    }

    /// A value, to where there is memory for it, aligned.
    pub(crate) fn element(&mut self, ty: &ValType, val: &Val, at: usize) -> Result<(), Error> {
        if at + ty.layout().size as usize > self.len {
            return Err(Error::message("pointer out of bounds of memory"));
        }
        self.store(ty, val, at)
    }

    /// A string, to where its pointer and length are to be.
    pub(crate) fn string_at(&mut self, text: &str, at: u32) -> Result<(), Error> {
        let (pointer, len) = self.string(text.as_bytes())?;
        if !is_aligned(at, 4) {
            return Err(Error::message("pointer not aligned"));
        }
        if at as usize + 8 > self.len {
            return Err(Error::message("pointer out of bounds of memory"));
        }
        self.write(at as usize, (pointer as u32).to_le_bytes());
        self.write(at as usize + 4, len.to_le_bytes());
        Ok(())
    }

    /// A string: where it is, and the length that it is given with.
    pub(crate) fn string(&mut self, bytes: &[u8]) -> Result<(usize, u32), Error> {
        let text = strings::utf8(bytes)?;
        if self.options.encoding == Encoding::Utf8 {
            return self.bytes(bytes);
        }
        self.transcode(text)
    }

    fn transcode(&mut self, text: &str) -> Result<(usize, u32), Error> {
        let stored = Stored::of(text, self.options.encoding)?;
        let at = self.allocate(stored.byte_len, stored.align)?;
        stored.write(text, &mut self.memory()[at..at + stored.byte_len]);
        Ok((at, stored.len))
    }

    /// Bytes as they are.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(usize, u32), Error> {
        let at = self.allocate(bytes.len(), 1)?;
        self.memory()[at..at + bytes.len()].copy_from_slice(bytes);
        Ok((at, bytes.len() as u32))
    }

    /// Memory for the elements of a list: where they begin.
    pub(crate) fn elements(&mut self, count: usize, size: u32, align: u32) -> Result<usize, Error> {
        let byte_len = count.checked_mul(size as usize).filter(|&len| len <= MAX_BYTES);
        self.allocate(byte_len.ok_or_else(|| Error::message("list is too long to be passed"))?, align)
    }

    fn list(&mut self, element: &ValType, vals: &[Val]) -> Result<(usize, u32), Error> {
        let layout = element.layout();
        let at = self.elements(vals.len(), layout.size, layout.align)?;
        let end = at + vals.len() * layout.size as usize;
        let scalars = match element {
            ValType::U8 => store_scalars::<1, { Kind::U8.0 }>(&mut self.memory()[at..end], vals),
            ValType::S8 => store_scalars::<1, { Kind::S8.0 }>(&mut self.memory()[at..end], vals),
            ValType::U16 => store_scalars::<2, { Kind::U16.0 }>(&mut self.memory()[at..end], vals),
            ValType::S16 => store_scalars::<2, { Kind::S16.0 }>(&mut self.memory()[at..end], vals),
            ValType::U32 => store_scalars::<4, { Kind::U32.0 }>(&mut self.memory()[at..end], vals),
            ValType::S32 => store_scalars::<4, { Kind::S32.0 }>(&mut self.memory()[at..end], vals),
            ValType::U64 => store_scalars::<8, { Kind::U64.0 }>(&mut self.memory()[at..end], vals),
            ValType::S64 => store_scalars::<8, { Kind::S64.0 }>(&mut self.memory()[at..end], vals),
            ValType::F32 => store_scalars::<4, { Kind::F32.0 }>(&mut self.memory()[at..end], vals),
            ValType::F64 => store_scalars::<8, { Kind::F64.0 }>(&mut self.memory()[at..end], vals),
            _ => {
                for (index, val) in vals.iter().enumerate() {
                    self.store(element, val, at + index * layout.size as usize)?;
                }
                None
            }
        };
        match scalars {
            Some(wrong) => Err(mismatch(element, wrong)),
            None => Ok((at, vals.len() as u32)),
        }
    }

    fn map(&mut self, ty: &ValType, entries: &[EntryVal]) -> Result<(usize, u32), Error> {
        let ValType::Map(map) = ty else { unreachable!("the caller has looked") };
        let at = self.elements(entries.len(), map.layout.size, map.layout.align)?;
        for (index, entry) in entries.iter().enumerate() {
            let at = at + index * map.layout.size as usize;
            self.store(&map.key, &entry.key, at + map.offsets[0] as usize)?;
            self.store(&map.value, &entry.value, at + map.offsets[1] as usize)?;
        }
        Ok((at, entries.len() as u32))
    }

    fn resource<'v>(
        &mut self,
        ty: &ValType,
        slot: ResourceType,
        val: &'v Val,
    ) -> Result<(&'v ResourceAny, u32), Error> {
        let ValRef::Resource(Some(any)) = val.get() else { return Err(mismatch(ty, val)) };
        any.check(self.store)?;
        let resource = ComponentState::of(self.store).resource_in(self.options.instance, slot)?;
        Ok((any, resource))
    }

    /// The readable end of a stream or future.
    fn end(&mut self, ty: &ValType, kind: StreamKind, payload: &Payload, val: &Val) -> Result<u32, Error> {
        let any = match (val.get(), kind) {
            (ValRef::Stream(any), StreamKind::Stream) | (ValRef::Future(any), StreamKind::Future) => any,
            _ => return Err(mismatch(ty, val)),
        };
        let any = any.ok_or_else(|| Error::message(format!("the {} was given away", kind.name())))?;
        any.check(self.store)?;
        ComponentState::of(self.store).lower_end(any, self.options.instance, kind, payload)
    }

    fn own(&mut self, ty: &ValType, slot: ResourceType, val: &Val) -> Result<u32, Error> {
        let (any, resource) = self.resource(ty, slot, val)?;
        if !any.owned {
            return Err(Error::message("cannot lower a `borrow` resource into an `own`"));
        }
        let state = ComponentState::of(self.store);
        // The linker's destructor is that of the resource type as the guest knows it.
        let (_, rep) = state.take(Owner::Host, any.index, resource)?;
        state.give(Owner::Instance(self.options.instance), resource, rep)
    }

    fn borrow(&mut self, ty: &ValType, slot: ResourceType, val: &Val) -> Result<u32, Error> {
        let (any, resource) = self.resource(ty, slot, val)?;
        let state = ComponentState::of(self.store);
        let rep = state.lend(Owner::Host, any.index, resource)?;
        state.give_borrow(Owner::Instance(self.options.instance), resource, rep)
    }
}

/// Stores numbers of one kind, of so many bytes each; gives the first value that isn't of it.
fn store_scalars<'v, const N: usize, const KIND: u8>(into: &mut [u8], vals: &'v [Val]) -> Option<&'v Val> {
    #[inline(always)]
    fn store<'v, const N: usize, const KIND: u8>(places: &mut [[u8; N]], vals: &'v [Val]) -> Option<&'v Val> {
        for (place, val) in places.iter_mut().zip(vals) {
            match val.bits_of(Kind(KIND)) {
                Some(bits) => place.copy_from_slice(&bits.to_le_bytes()[..N]),
                None => return Some(val),
            }
        }
        None
    }
    // Eight at a time, which are no loop: to count would be half of the work.
    let (eights, rest) = vals.as_chunks::<8>();
    let (places, places_of_rest) = into.as_chunks_mut::<N>().0.as_chunks_mut::<8>();
    let wrong = places.iter_mut().zip(eights).find_map(|(places, vals)| store::<N, KIND>(places, vals));
    wrong.or_else(|| store::<N, KIND>(places_of_rest, rest))
}

#[cold]
fn too_large(size: usize) -> Error {
    Error::message(format!("a value of {size} bytes is too large to be passed"))
}

#[inline]
fn bits(ty: &ValType, val: &Val, kind: Kind) -> Result<u64, Error> {
    val.bits_of(kind).ok_or_else(|| mismatch(ty, val))
}

#[cold]
fn mismatch(ty: &ValType, val: &Val) -> Error {
    Error::message(format!("type mismatch: expected {ty}, found {}", val.kind_name()))
}

fn record_fields<'v>(ty: &ValType, val: &'v Val) -> Result<&'v [FieldVal], Error> {
    let (ValType::Record(record), Some(fields)) = (ty, val.as_record()) else { return Err(mismatch(ty, val)) };
    if fields.len() != record.fields.len() {
        return Err(Error::message(format!("expected {} fields, got {}", record.fields.len(), fields.len())));
    }
    for ((field, name), given) in record.fields.iter().zip(record.names.iter()).zip(fields) {
        if !name.is(&field.name, given.name.as_slice()) {
            return Err(wrong_field(&field.name, given));
        }
    }
    Ok(fields)
}

#[cold]
fn wrong_field(expected: &str, given: &FieldVal) -> Error {
    let name = String::from_utf8_lossy(given.name.as_slice());
    Error::message(format!("expected field `{expected}`, got `{name}`"))
}

fn fixed_elements<'v>(list: &FixedLengthListType, val: &'v Val) -> Result<&'v [Val], Error> {
    let ValRef::List(elements) = val.get() else {
        return Err(Error::message(format!("type mismatch: expected list, found {}", val.kind_name())));
    };
    if elements.len() != list.len() as usize {
        return Err(Error::message(format!("expected {} elements, got {}", list.len(), elements.len())));
    }
    Ok(elements)
}

fn tuple_elements<'v>(ty: &ValType, val: &'v Val) -> Result<&'v [Val], Error> {
    let (ValType::Tuple(tuple), ValRef::Tuple(elements)) = (ty, val.get()) else { return Err(mismatch(ty, val)) };
    if elements.len() != tuple.types.len() {
        return Err(Error::message(format!("expected {} types, got {}", tuple.types.len(), elements.len())));
    }
    Ok(elements)
}

/// The case of a value that has a discriminant, and its payload with its type.
#[allow(clippy::type_complexity)] // A pair of an index and a pair.
fn case_of<'t, 'v>(ty: &'t ValType, val: &'v Val) -> Result<(u32, Option<(&'t ValType, &'v Val)>), Error> {
    let (case, name, payload_ty, payload) = match (ty, val.get()) {
        (ValType::Option(_), ValRef::Option(None)) => return Ok((0, None)),
        (ValType::Option(option), ValRef::Option(Some(payload))) => return Ok((1, Some((&option.some, payload)))),
        (ValType::Result(result), ValRef::Ok(payload)) => (0, "ok", result.ok.as_ref(), payload),
        (ValType::Result(result), ValRef::Err(payload)) => (1, "err", result.err.as_ref(), payload),
        (ValType::Variant(variant), ValRef::Variant(given, payload)) => {
            let index = variant
                .position(given)
                .ok_or_else(|| Error::message(format!("unknown variant case: `{}`", String::from_utf8_lossy(given))))?;
            let case = &variant.cases[index];
            (index as u32, &*case.name, case.ty.as_ref(), payload)
        }
        _ => return Err(mismatch(ty, val)),
    };
    let is_variant = matches!(ty, ValType::Variant(_));
    match (payload_ty, payload) {
        (Some(ty), Some(val)) => Ok((case, Some((ty, val)))),
        (None, None) => Ok((case, None)),
        (Some(_), None) if is_variant => Err(Error::message(format!("expected a payload for case `{name}`"))),
        (None, Some(_)) if is_variant => Err(Error::message(format!("did not expect a payload for case `{name}`"))),
        (Some(_), None) => Err(Error::message(format!("payload expected to `{name}` but not provided"))),
        (None, Some(_)) => Err(Error::message(format!("payload provided to `{name}` but not expected"))),
    }
}

fn flag_words(flags: &FlagsType, val: &Val) -> Result<Vec<u32>, Error> {
    let ValRef::Flags(given) = val.get() else {
        return Err(Error::message(format!("type mismatch: expected flags, found {}", val.kind_name())));
    };
    let mut words = vec![0; flags.words()];
    for name in given {
        let index = flag_index(flags, name)?;
        words[index / 32] |= 1 << (index % 32);
    }
    Ok(words)
}

fn flag_index(flags: &FlagsType, given: &Name) -> Result<usize, Error> {
    flags
        .position(given.as_slice())
        .ok_or_else(|| Error::message(format!("unknown flag: `{}`", String::from_utf8_lossy(given.as_slice()))))
}
