//! Values of a guest become the host's.

use crate::canon::options::{Encoding, MAX_BYTES, Options};
use crate::canon::strings;
use crate::handle::ResourceAny;
use crate::state::{ComponentState, Owner};
use crate::types::val::{CasesShape, FlagsType};
use crate::types::{FuncType, ResourceType, ValType};
use crate::val::{FieldVal, Kind, Val};
use crate::vector::Vector;
use ampoule::{Error, Store, VmValRaw};

/// Bytes of the host's that the values of one call may take: a guest's lists may lie on top of each other, so that its memory is no
/// bound.
const MAX_HOST_BYTES: usize = 256 << 20;

/// Values that are being lifted, out of one memory.
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
pub(crate) struct FlatIn<'a> {
    values: std::slice::Iter<'a, VmValRaw>,
}

impl<'a> FlatIn<'a> {
    pub(crate) fn new(values: &'a [VmValRaw]) -> Self {
        Self { values: values.iter() }
    }

    /// The next value's bits, of which a narrower type's are the lowest.
    #[inline]
    fn next(&mut self) -> u64 {
        let value = self.values.next().expect("as many as the type has");
        // SAFETY: the slots are initialised where machine code has written them, and zeroed before.
        unsafe { value.f64 }
    }

    #[inline]
    fn next_u32(&mut self) -> u32 {
        self.next() as u32
    }

    fn skip(&mut self, count: usize) {
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

    /// The parameters of a function that the guest calls, added to `args`.
    pub(crate) fn params(&mut self, ty: &FuncType, values: &[VmValRaw], args: &mut Vec<Val>) -> Result<(), Error> {
        let mut flat = FlatIn::new(values);
        args.reserve(ty.params().len());
        if ty.flat_params.is_some() {
            for (_, ty) in ty.params() {
                args.push(self.flat(ty, &mut flat)?);
            }
            return Ok(());
        }
        let at = self.region(flat.next_u32(), ty.params_layout.size, ty.params_layout.align, "pointer not aligned")?;
        for ((_, ty), &offset) in ty.params().iter().zip(&ty.param_offsets) {
            args.push(self.load(ty, at + offset as usize)?);
        }
        Ok(())
    }

    /// The result of a function that the guest has returned from.
    pub(crate) fn result(&mut self, ty: &FuncType, result: &ValType, values: &[VmValRaw]) -> Result<Val, Error> {
        let mut flat = FlatIn::new(values);
        if ty.flat_result.is_some() {
            return self.flat(result, &mut flat);
        }
        let layout = result.layout();
        let at = self.region(flat.next_u32(), layout.size, layout.align, "return pointer not aligned")?;
        self.load(result, at)
    }

    /// Checks that so many bytes lie in memory, aligned.
    fn region(&self, at: u32, size: u32, align: u32, misaligned: &str) -> Result<usize, Error> {
        if !at.is_multiple_of(align) {
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
    fn count(&mut self, bytes: usize) -> Result<(), Error> {
        let left = self.host_bytes_left.checked_sub(bytes);
        self.host_bytes_left = left.ok_or_else(|| {
            Error::message(format!("the values of one call would take the host more than {} MiB", MAX_HOST_BYTES >> 20))
        })?;
        Ok(())
    }

    /// A value in memory, all of whose bytes are known to be there.
    fn load(&mut self, ty: &ValType, at: usize) -> Result<Val, Error> {
        Ok(match ty {
            ValType::Bool => Val::from(self.memory[at] != 0),
            ValType::S8 => Val::scalar(Kind::S8, u64::from(self.memory[at])),
            ValType::U8 => Val::scalar(Kind::U8, u64::from(self.memory[at])),
            ValType::S16 => Val::scalar(Kind::S16, u64::from(u16::from_le_bytes(self.bytes(at)))),
            ValType::U16 => Val::scalar(Kind::U16, u64::from(u16::from_le_bytes(self.bytes(at)))),
            ValType::S32 => Val::scalar(Kind::S32, u64::from(self.u32_at(at))),
            ValType::U32 => Val::scalar(Kind::U32, u64::from(self.u32_at(at))),
            ValType::S64 => Val::scalar(Kind::S64, u64::from_le_bytes(self.bytes(at))),
            ValType::U64 => Val::scalar(Kind::U64, u64::from_le_bytes(self.bytes(at))),
            ValType::F32 => Val::scalar(Kind::F32, u64::from(self.u32_at(at))),
            ValType::F64 => Val::scalar(Kind::F64, u64::from_le_bytes(self.bytes(at))),
            ValType::Char => Val::from(character(self.u32_at(at))?),
            ValType::String => self.string(self.u32_at(at), self.u32_at(at + 4))?,
            ValType::List(list) => self.list_val(&list.element, self.u32_at(at), self.u32_at(at + 4))?,
            ValType::Map(_) => self.map(ty, self.u32_at(at), self.u32_at(at + 4))?,
            ValType::FixedLengthList(list) => {
                let (element, len) = (list.element(), list.len() as usize);
                self.count(len * size_of::<Val>())?;
                let size = element.layout().size as usize;
                let mut elements = Vec::with_capacity(len);
                for index in 0..len {
                    elements.push(self.load(element, at + index * size)?);
                }
                Val::list(elements)
            }
            ValType::Record(record) => {
                self.count(record.fields.len() * size_of::<FieldVal>())?;
                let mut fields = Vec::with_capacity(record.fields.len());
                for (field, &offset) in record.fields.iter().zip(&record.offsets) {
                    let val = self.load(&field.ty, at + offset as usize)?;
                    fields.push(FieldVal { name: (&*field.name).into(), val });
                }
                Val::record_of(fields.into())
            }
            ValType::Tuple(tuple) => {
                self.count(tuple.types.len() * size_of::<Val>())?;
                let elements = tuple.types.iter().zip(&tuple.offsets);
                Val::tuple(
                    elements.map(|(ty, &offset)| self.load(ty, at + offset as usize)).collect::<Result<Vec<_>, _>>()?,
                )
            }
            ValType::Variant(_) | ValType::Option(_) | ValType::Result(_) => {
                let shape = cases_shape(ty);
                let case = self.discriminant(shape.discriminant, at);
                self.case(ty, case, |lift, payload| lift.load(payload, at + shape.payload as usize))?
            }
            ValType::Enum(names) => {
                let case = self.discriminant(ty.layout().size, at);
                enumeration(&names.names, case)?
            }
            ValType::Flags(flags) => {
                let size = ty.layout().size as usize;
                let bytes = &self.memory[at..at + size];
                let bit = |index: usize| bytes[index / 8] >> (index % 8) & 1 != 0;
                self.flags(flags, bit)?
            }
            ValType::Own(slot) => self.own(*slot, self.u32_at(at))?,
            ValType::Borrow(slot) => self.borrow(*slot, self.u32_at(at))?,
            ValType::Future(_) | ValType::Stream(_) | ValType::ErrorContext => return Err(no_value(ty)),
        })
    }

    fn discriminant(&self, size: u32, at: usize) -> u32 {
        match size {
            1 => u32::from(self.memory[at]),
            2 => u32::from(u16::from_le_bytes(self.bytes(at))),
            _ => self.u32_at(at),
        }
    }

    /// A value in core values.
    fn flat(&mut self, ty: &ValType, flat: &mut FlatIn<'_>) -> Result<Val, Error> {
        Ok(match ty {
            ValType::Bool => Val::from(flat.next_u32() != 0),
            ValType::S8 => Val::from(flat.next() as i8),
            ValType::U8 => Val::from(flat.next() as u8),
            ValType::S16 => Val::from(flat.next() as i16),
            ValType::U16 => Val::from(flat.next() as u16),
            ValType::S32 => Val::from(flat.next() as i32),
            ValType::U32 => Val::from(flat.next_u32()),
            ValType::S64 => Val::scalar(Kind::S64, flat.next()),
            ValType::U64 => Val::scalar(Kind::U64, flat.next()),
            ValType::F32 => Val::scalar(Kind::F32, u64::from(flat.next_u32())),
            ValType::F64 => Val::scalar(Kind::F64, flat.next()),
            ValType::Char => Val::from(character(flat.next_u32())?),
            ValType::String => {
                let (at, len) = (flat.next_u32(), flat.next_u32());
                self.string(at, len)?
            }
            ValType::List(list) => {
                let (at, len) = (flat.next_u32(), flat.next_u32());
                self.list_val(&list.element, at, len)?
            }
            ValType::Map(_) => {
                let (at, len) = (flat.next_u32(), flat.next_u32());
                self.map(ty, at, len)?
            }
            ValType::FixedLengthList(list) => {
                Val::list((0..list.len()).map(|_| self.flat(list.element(), flat)).collect::<Result<Vec<_>, _>>()?)
            }
            ValType::Record(record) => {
                let mut fields = Vec::with_capacity(record.fields.len());
                for field in &record.fields {
                    fields.push(FieldVal { name: (&*field.name).into(), val: self.flat(&field.ty, flat)? });
                }
                Val::record_of(fields.into())
            }
            ValType::Tuple(tuple) => {
                Val::tuple(tuple.types.iter().map(|ty| self.flat(ty, flat)).collect::<Result<Vec<_>, _>>()?)
            }
            ValType::Variant(_) | ValType::Option(_) | ValType::Result(_) => {
                let case = flat.next_u32();
                let joined = ty.joined().expect("flat, so the payloads are").len();
                let mut payload_values = FlatIn { values: flat.values.clone() };
                flat.skip(joined);
                self.case(ty, case, |lift, payload| lift.flat(payload, &mut payload_values))?
            }
            ValType::Enum(names) => enumeration(&names.names, flat.next_u32())?,
            ValType::Flags(flags) => {
                let words: Vec<u32> = (0..flags.words()).map(|_| flat.next_u32()).collect();
                self.flags(flags, |index| words[index / 32] >> (index % 32) & 1 != 0)?
            }
            ValType::Own(slot) => self.own(*slot, flat.next_u32())?,
            ValType::Borrow(slot) => self.borrow(*slot, flat.next_u32())?,
            ValType::Future(_) | ValType::Stream(_) | ValType::ErrorContext => return Err(no_value(ty)),
        })
    }

    /// A value with a discriminant; `payload` lifts that of the case, where it has one.
    fn case(
        &mut self,
        ty: &ValType,
        case: u32,
        payload: impl FnOnce(&mut Self, &ValType) -> Result<Val, Error>,
    ) -> Result<Val, Error> {
        self.count(size_of::<Val>())?;
        let lift = |ty: Option<&ValType>| ty.map(|ty| payload(self, ty)).transpose();
        Ok(match (ty, case) {
            (ValType::Option(_), 0) => Val::option(None),
            (ValType::Option(option), 1) => Val::option(lift(Some(&option.some))?),
            (ValType::Result(result), 0) => Val::result(Ok(lift(result.ok.as_ref())?)),
            (ValType::Result(result), 1) => Val::result(Err(lift(result.err.as_ref())?)),
            (ValType::Variant(variant), _) => {
                let found = variant.cases.get(case as usize).ok_or_else(|| out_of_range(case, variant.cases.len()))?;
                Val::variant(&*found.name, lift(found.ty.as_ref())?)
            }
            _ => return Err(out_of_range(case, 2)),
        })
    }

    fn string(&mut self, at: u32, len: u32) -> Result<Val, Error> {
        let text = strings::load(self.memory, self.encoding, at, len)?;
        self.count(text.len())?;
        Ok(Val::from(text.into_owned()))
    }

    /// The bytes of a list's elements.
    fn elements(&mut self, at: u32, len: u32, size: u32, align: u32, host_size: usize) -> Result<&'a [u8], Error> {
        let byte_len = len as usize * size as usize;
        let start = at as usize;
        if byte_len > MAX_BYTES || start + byte_len > self.memory.len() {
            return Err(Error::message("list pointer/length out of bounds of memory"));
        }
        if !at.is_multiple_of(align) {
            return Err(Error::message("list pointer is not aligned"));
        }
        self.count(len as usize * host_size)?;
        Ok(&self.memory[start..start + byte_len])
    }

    fn list_val(&mut self, element: &ValType, at: u32, len: u32) -> Result<Val, Error> {
        if self.compact_bytes && *element == ValType::U8 {
            return Ok(Val::bytes(self.elements(at, len, 1, 1, 1)?));
        }
        Ok(Val::list(self.list(element, at, len)?))
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
                    elements.push(self.load(element, at as usize + index * layout.size as usize)?);
                }
                elements
            }
        };
        Ok(elements.into())
    }

    fn map(&mut self, ty: &ValType, at: u32, len: u32) -> Result<Val, Error> {
        let ValType::Map(map) = ty else { unreachable!("the caller has looked") };
        let size = map.layout.size;
        self.elements(at, len, size, map.layout.align, size_of::<crate::val::EntryVal>())?;
        let mut entries = Vec::with_capacity(len as usize);
        for index in 0..len as usize {
            let entry = at as usize + index * size as usize;
            let key = self.load(&map.key, entry + map.offsets[0] as usize)?;
            entries.push((key, self.load(&map.value, entry + map.offsets[1] as usize)?));
        }
        Ok(Val::map(entries))
    }

    fn flags(&mut self, flags: &FlagsType, bit: impl Fn(usize) -> bool) -> Result<Val, Error> {
        let set: Vec<&str> =
            flags.names.iter().enumerate().filter(|&(index, _)| bit(index)).map(|(_, name)| &**name).collect();
        self.count(set.iter().map(|name| name.len() + size_of::<crate::val::Name>()).sum())?;
        Ok(Val::flags(set))
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

pub(crate) fn cases_shape(ty: &ValType) -> &CasesShape {
    match ty {
        ValType::Variant(variant) => &variant.shape,
        ValType::Option(option) => &option.shape,
        ValType::Result(result) => &result.shape,
        _ => unreachable!("only asked of types with cases"),
    }
}

fn enumeration(names: &[Box<str>], case: u32) -> Result<Val, Error> {
    let name = names.get(case as usize).ok_or_else(|| out_of_range(case, names.len()))?;
    Ok(Val::enumeration(&**name))
}

fn character(code: u32) -> Result<char, Error> {
    char::from_u32(code).ok_or_else(|| Error::message("converted integer out of range for `char`"))
}

#[cold]
fn out_of_range(case: u32, count: usize) -> Error {
    Error::message(format!("discriminant {case} out of range [0..{count})"))
}

#[cold]
pub(crate) fn no_value(ty: &ValType) -> Error {
    Error::message(format!("no value of the host stands for a {ty}"))
}
