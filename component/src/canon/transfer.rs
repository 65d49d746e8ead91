//! Values from one component to another: from memory to memory, without a value of the host's in between.
//!
//! Both functions have the same type, but for resources, which each component knows by slots of its own. What is wrong is told by trap
//! codes: a component has made the mistake, and another one has met it.

use crate::builtin::{Payload, StreamKind};
use crate::canon::lift::cases_shape;
use crate::canon::options::{Encoding, MAX_BYTES, Options};
use crate::canon::realloc::realloc;
use crate::canon::spill::{Load, Spill};
use crate::canon::strings::{self, Broken, Stored};
use crate::canon::{check_stack, is_aligned};
use crate::state::{ComponentState, Owner};
use crate::types::layout::MAX_FLAT;
use crate::types::{FuncType, ResourceType, ValType};
use ampoule::{Error, Store, TrapCode, VmValRaw};

/// Values on their way.
///
/// 1. Bases and lengths are the memories', read again after each call of guest code. Both memories may be the same.
pub(crate) struct Transfer<'a> {
    store: &'a mut Store,
    from: &'a Options,
    to: &'a Options,
    source: (*mut u8, usize),
    target: (*mut u8, usize),
}

/// Core values, read one after another.
struct Reader<'v>(std::slice::Iter<'v, VmValRaw>);

impl Reader<'_> {
    #[inline]
    fn next(&mut self) -> u64 {
        // SAFETY: slots of values are initialised, a narrower one's upper bits before it.
        unsafe { self.0.next().expect("as many as the type has").f64 }
    }

    /// The same, of an `i32`, of which no more is read than was written.
    #[inline]
    fn next_u32(&mut self) -> u32 {
        // SAFETY: as above.
        unsafe { self.0.next().expect("as many as the type has").i32 as u32 }
    }
}

/// Core values, written one after another.
struct Writer<'v>(std::slice::IterMut<'v, VmValRaw>);

impl Writer<'_> {
    #[inline]
    fn push(&mut self, bits: u64) {
        *self.0.next().expect("as many as the type has") = VmValRaw { f64: bits };
    }
}

impl<'a> Transfer<'a> {
    pub(crate) fn new(store: &'a mut Store, from: &'a Options, to: &'a Options) -> Result<Self, Error> {
        let (source, target) = (from.memory(store)?, to.memory(store)?);
        Ok(Self { store, from, to, source, target })
    }

    /// The arguments of a call: `as_given` is the caller's type, `as_taken` the callee's.
    pub(crate) fn params(
        &mut self,
        (as_given, as_taken): (&FuncType, &FuncType),
        given: &[VmValRaw],
        taken: &mut [VmValRaw],
    ) -> Result<(), Error> {
        check_stack(as_given.extent)?;
        let (mut given, mut taken) = (Reader(given.iter()), Writer(taken.iter_mut()));
        let params = as_given.params().iter().zip(as_taken.params()).map(|((_, given), (_, taken))| (given, taken));
        if as_given.flat_params.is_some() {
            return params.into_iter().try_for_each(|types| self.flat(types, &mut given, &mut taken));
        }
        let layout = as_given.params_layout;
        let from = self.region(self.source, given.next_u32(), layout.size as usize, layout.align, MEMORY)?;
        let to = self.allocate(layout.size as usize, layout.align, MEMORY)?;
        taken.push(to as u64);
        for (types, &offset) in params.zip(&as_given.param_offsets) {
            self.value(types, from + offset as usize, to + offset as usize)?;
        }
        Ok(())
    }

    /// As [`Transfer::params`], for a caller that calls asynchronously, which passes fewer as core values.
    pub(crate) fn async_params(
        &mut self,
        (as_given, as_taken): (&FuncType, &FuncType),
        given: &[VmValRaw],
        taken: &mut [VmValRaw],
    ) -> Result<(), Error> {
        check_stack(as_given.extent)?;
        if as_given.flat_async_params.is_some() || as_given.flat_params.is_none() {
            return self.params((as_given, as_taken), given, taken);
        }
        let layout = as_given.params_layout;
        let from =
            self.region(self.source, Reader(given.iter()).next_u32(), layout.size as usize, layout.align, MEMORY)?;
        let mut flat = [VmValRaw { v128: [0; 16] }; MAX_FLAT];
        let mut load = Load { memory: self.source(), values: flat.iter_mut() };
        for ((_, ty), &offset) in as_given.params().iter().zip(&as_given.param_offsets) {
            load.value(ty, from + offset as usize)?;
        }
        self.params((as_given, as_taken), &flat, taken)
    }

    /// The result of a callee that returns it in core values or not, for a caller that takes it as those, or else where it says.
    pub(crate) fn returned(
        &mut self,
        types: (&ValType, &ValType),
        given_flat: bool,
        given: &[VmValRaw],
        address: u32,
        taken: Option<&mut [VmValRaw]>,
    ) -> Result<(), Error> {
        check_stack(types.0.extent())?;
        match taken {
            Some(taken) => self.result(types, true, given, address, taken),
            None if !given_flat => self.result(types, false, given, address, &mut []),
            None => {
                let layout = types.1.layout();
                // Before the caller's allocator can make the memory as large as that.
                let to = self.region(self.target, address, layout.size as usize, layout.align, MEMORY)?;
                let mut flat = [VmValRaw { v128: [0; 16] }; MAX_FLAT];
                self.flat(types, &mut Reader(given.iter()), &mut Writer(flat.iter_mut()))?;
                assert!(to + layout.size as usize <= self.target.1, "a region has been checked");
                // SAFETY: by (1); nothing else looks at the memory while this writes.
                let memory = unsafe { std::slice::from_raw_parts_mut(self.target.0, self.target.1) };
                Spill { memory, values: flat.iter() }.value(types.1, to);
                Ok(())
            }
        }
    }

    /// The result: into the first of the values, or where the caller says. The types are the callee's and the caller's.
    pub(crate) fn result(
        &mut self,
        (as_given, as_taken): (&ValType, &ValType),
        is_flat: bool,
        given: &[VmValRaw],
        address: u32,
        taken: &mut [VmValRaw],
    ) -> Result<(), Error> {
        check_stack(as_given.extent())?;
        let mut given = Reader(given.iter());
        if is_flat {
            return self.flat((as_given, as_taken), &mut given, &mut Writer(taken.iter_mut()));
        }
        let layout = as_given.layout();
        let from = self.region(self.source, given.next_u32(), layout.size as usize, layout.align, MEMORY)?;
        let to = self.region(self.target, address, layout.size as usize, layout.align, MEMORY)?;
        self.value((as_given, as_taken), from, to)
    }

    fn source(&self) -> &'a [u8] {
        // SAFETY: by (1); what is read is copied before guest code runs again. Where both memories are the same, `write` and the copies
        // of lists don't hold this slice while they write.
        unsafe { std::slice::from_raw_parts(self.source.0, self.source.1) }
    }

    fn read<const N: usize>(&self, at: usize) -> [u8; N] {
        self.source()[at..at + N].try_into().expect("as long as asked for")
    }

    fn u32_at(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.read(at))
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.target.1, "a region has been checked");
        // SAFETY: by (1), the bytes are in the memory, as was just compared; `bytes` is none of it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.target.0.add(at), bytes.len()) }
    }

    /// Copies bytes from memory to memory.
    fn copy(&mut self, from: usize, to: usize, len: usize) {
        assert!(from + len <= self.source.1 && to + len <= self.target.1, "regions have been checked");
        // SAFETY: by (1), both are in their memories, as was just compared. They may overlap.
        unsafe { std::ptr::copy(self.source.0.add(from), self.target.0.add(to), len) }
    }

    /// Checks that so many bytes lie in a memory, aligned: where they begin.
    fn region(
        &self,
        memory: (*mut u8, usize),
        at: u32,
        size: usize,
        align: u32,
        outside: TrapCode,
    ) -> Result<usize, Error> {
        if !is_aligned(at, align) {
            return Err(Error::trap(TrapCode::UnalignedPointer));
        }
        if at as usize + size > memory.1 || size > MAX_BYTES {
            return Err(Error::trap(outside));
        }
        Ok(at as usize)
    }

    /// Asks the callee for memory.
    fn allocate(&mut self, size: usize, align: u32, outside: TrapCode) -> Result<usize, Error> {
        if size > MAX_BYTES {
            return Err(Error::trap(outside));
        }
        let at = realloc(self.store, self.to, size, align)?;
        (self.source, self.target) = (self.from.memory(self.store)?, self.to.memory(self.store)?);
        self.region(self.target, at, size, align, outside)
    }

    /// A value in memory, all of whose bytes are known to be there, on both sides.
    fn value(&mut self, (from_ty, to_ty): (&ValType, &ValType), from: usize, to: usize) -> Result<(), Error> {
        match (from_ty, to_ty) {
            (ValType::Bool, _) => {
                let byte = u8::from(self.source()[from] != 0);
                self.write(to, &[byte]);
            }
            (ValType::Char, _) => {
                let code = character(self.u32_at(from))?;
                self.write(to, &code.to_le_bytes());
            }
            (ValType::String | ValType::List(_) | ValType::Map(_), _) => {
                let (at, len) = self.pair((from_ty, to_ty), self.u32_at(from), self.u32_at(from + 4))?;
                self.write(to, &at.to_le_bytes());
                self.write(to + 4, &len.to_le_bytes());
            }
            (ValType::FixedLengthList(given), ValType::FixedLengthList(taken)) => {
                self.block((given.element(), taken.element()), from, to, given.len() as usize)?;
            }
            (ValType::Record(given), ValType::Record(taken)) => {
                let fields = given.fields.iter().zip(&taken.fields).zip(&given.offsets);
                for ((given, taken), &offset) in fields {
                    self.value((&given.ty, &taken.ty), from + offset as usize, to + offset as usize)?;
                }
            }
            (ValType::Tuple(given), ValType::Tuple(taken)) => {
                for (types, &offset) in given.types.iter().zip(&taken.types).zip(&given.offsets) {
                    self.value(types, from + offset as usize, to + offset as usize)?;
                }
            }
            (ValType::Variant(_) | ValType::Option(_) | ValType::Result(_), _) => {
                let shape = cases_shape(from_ty);
                let case = self.discriminant(from, to, shape.discriminant);
                if let Some(types) = payloads(from_ty, to_ty, case)? {
                    self.value(types, from + shape.payload as usize, to + shape.payload as usize)?;
                }
            }
            (ValType::Enum(names), _) => {
                let case = self.discriminant(from, to, from_ty.layout().size);
                check_case(case, names.names.len())?;
            }
            (ValType::Flags(flags), _) => {
                let (size, count) = (from_ty.layout().size as usize, flags.names.len());
                let mut bytes = self.source()[from..from + size].to_vec();
                // Bits that no flag has are dropped.
                bytes.iter_mut().enumerate().for_each(|(index, byte)| {
                    let flags = count.saturating_sub(index * 8).min(8);
                    *byte &= (0xff_u16 >> (8 - flags)) as u8;
                });
                self.write(to, &bytes);
            }
            (&ValType::Own(given), &ValType::Own(taken)) => {
                let index = self.own(given, taken, self.u32_at(from))?;
                self.write(to, &index.to_le_bytes());
            }
            (&ValType::Borrow(given), &ValType::Borrow(taken)) => {
                let index = self.borrow(given, taken, self.u32_at(from))?;
                self.write(to, &index.to_le_bytes());
            }
            (ValType::Stream(given), ValType::Stream(taken)) => {
                let index = self.end((given, taken), StreamKind::Stream, self.u32_at(from))?;
                self.write(to, &index.to_le_bytes());
            }
            (ValType::Future(given), ValType::Future(taken)) => {
                let index = self.end((given, taken), StreamKind::Future, self.u32_at(from))?;
                self.write(to, &index.to_le_bytes());
            }
            (ValType::ErrorContext, _) => {
                let index = self.error_context(self.u32_at(from))?;
                self.write(to, &index.to_le_bytes());
            }
            _ => self.copy(from, to, from_ty.layout().size as usize),
        }
        Ok(())
    }

    /// Copies a discriminant, and gives it.
    fn discriminant(&mut self, from: usize, to: usize, size: u32) -> u32 {
        let mut bytes = [0; 4];
        bytes[..size as usize].copy_from_slice(&self.source()[from..from + size as usize]);
        self.write(to, &bytes[..size as usize]);
        u32::from_le_bytes(bytes)
    }

    /// A value in core values, on both sides.
    fn flat(
        &mut self,
        (from_ty, to_ty): (&ValType, &ValType),
        from: &mut Reader<'_>,
        to: &mut Writer<'_>,
    ) -> Result<(), Error> {
        match (from_ty, to_ty) {
            (ValType::Bool, _) => to.push(u64::from(from.next_u32() != 0)),
            (ValType::S8, _) => to.push(u64::from(from.next() as i8 as u32)),
            (ValType::U8, _) => to.push(u64::from(from.next() as u8)),
            (ValType::S16, _) => to.push(u64::from(from.next() as i16 as u32)),
            (ValType::U16, _) => to.push(u64::from(from.next() as u16)),
            (ValType::Char, _) => to.push(u64::from(character(from.next_u32())?)),
            (ValType::String | ValType::List(_) | ValType::Map(_), _) => {
                let (at, len) = (from.next_u32(), from.next_u32());
                let (at, len) = self.pair((from_ty, to_ty), at, len)?;
                to.push(u64::from(at));
                to.push(u64::from(len));
            }
            (ValType::FixedLengthList(given), ValType::FixedLengthList(taken)) => {
                for _ in 0..given.len() {
                    self.flat((given.element(), taken.element()), from, to)?;
                }
            }
            (ValType::Record(given), ValType::Record(taken)) => {
                for (given, taken) in given.fields.iter().zip(&taken.fields) {
                    self.flat((&given.ty, &taken.ty), from, to)?;
                }
            }
            (ValType::Tuple(given), ValType::Tuple(taken)) => {
                for types in given.types.iter().zip(&taken.types) {
                    self.flat(types, from, to)?;
                }
            }
            (ValType::Variant(_) | ValType::Option(_) | ValType::Result(_), _) => {
                let case = from.next_u32();
                let joined = from_ty.joined().expect("flat, so the payloads are").len();
                let types = payloads(from_ty, to_ty, case)?;
                to.push(u64::from(case));
                let (values, rest) = from.0.as_slice().split_at(joined);
                let before = to.0.len();
                if let Some(types) = types {
                    self.flat(types, &mut Reader(values.iter()), to)?;
                }
                from.0 = rest.iter();
                // What the case doesn't use is zero.
                (before - to.0.len()..joined).for_each(|_| to.push(0));
            }
            (ValType::Enum(names), _) => {
                let case = from.next_u32();
                check_case(case, names.names.len())?;
                to.push(u64::from(case));
            }
            (ValType::Flags(flags), _) => {
                for word in 0..flags.words() {
                    let count = (flags.names.len() - word * 32).min(32);
                    to.push(u64::from(from.next_u32()) & ((1 << count) - 1));
                }
            }
            (&ValType::Own(given), &ValType::Own(taken)) => {
                to.push(u64::from(self.own(given, taken, from.next_u32())?))
            }
            (&ValType::Borrow(given), &ValType::Borrow(taken)) => {
                to.push(u64::from(self.borrow(given, taken, from.next_u32())?));
            }
            (ValType::Stream(given), ValType::Stream(taken)) => {
                to.push(u64::from(self.end((given, taken), StreamKind::Stream, from.next_u32())?));
            }
            (ValType::Future(given), ValType::Future(taken)) => {
                to.push(u64::from(self.end((given, taken), StreamKind::Future, from.next_u32())?));
            }
            (ValType::ErrorContext, _) => to.push(u64::from(self.error_context(from.next_u32())?)),
            (ValType::S64 | ValType::U64 | ValType::F64, _) => to.push(from.next()),
            _ => to.push(u64::from(from.next_u32())),
        }
        Ok(())
    }

    /// What is passed as a pointer and a length.
    fn pair(&mut self, (from_ty, to_ty): (&ValType, &ValType), at: u32, len: u32) -> Result<(u32, u32), Error> {
        match (from_ty, to_ty) {
            (ValType::List(given), ValType::List(taken)) => {
                let types = (&given.element, &taken.element);
                let layout = types.0.layout();
                self.elements(at, len, layout.size, layout.align, |transfer, from, to| {
                    transfer.block(types, from, to, len as usize)
                })
            }
            (ValType::Map(given), ValType::Map(taken)) => {
                self.elements(at, len, given.layout.size, given.layout.align, |transfer, from, to| {
                    (0..len as usize).try_for_each(|index| {
                        let entry = index * given.layout.size as usize;
                        let [key, value] = given.offsets.map(|offset| entry + offset as usize);
                        transfer.value((&given.key, &taken.key), from + key, to + key)?;
                        transfer.value((&given.value, &taken.value), from + value, to + value)
                    })
                })
            }
            _ => self.string(at, len),
        }
    }

    /// Values of one type, one after another.
    fn block(&mut self, types: (&ValType, &ValType), from: usize, to: usize, len: usize) -> Result<(), Error> {
        let size = types.0.layout().size as usize;
        if is_plain(types.0) {
            self.copy(from, to, len * size);
            return Ok(());
        }
        (0..len).try_for_each(|index| self.value(types, from + index * size, to + index * size))
    }

    /// Values of one type, one after another, from memory to memory, both of which are there already and aligned.
    pub(crate) fn between_buffers(
        &mut self,
        types: (&ValType, &ValType),
        from: u32,
        to: u32,
        len: u32,
    ) -> Result<(), Error> {
        let byte_len = len as usize * types.0.layout().size as usize;
        let (from, to) = (from as usize, to as usize);
        if from + byte_len > self.source.1 || to + byte_len > self.target.1 {
            return Err(Error::trap(MEMORY));
        }
        self.block(types, from, to, len as usize)
    }

    /// The elements of a list: `copy` gets where they are and where they go.
    fn elements(
        &mut self,
        at: u32,
        len: u32,
        size: u32,
        align: u32,
        copy: impl FnOnce(&mut Self, usize, usize) -> Result<(), Error>,
    ) -> Result<(u32, u32), Error> {
        let byte_len = len as usize * size as usize;
        let from = self.region(self.source, at, byte_len, align, TrapCode::ListOutOfBounds)?;
        let to = self.allocate(byte_len, align, TrapCode::ListOutOfBounds)?;
        copy(self, from, to)?;
        Ok((to as u32, len))
    }

    fn string(&mut self, at: u32, len: u32) -> Result<(u32, u32), Error> {
        let trap = |broken| match broken {
            Broken::Misaligned => Error::trap(TrapCode::UnalignedPointer),
            Broken::OutOfBounds => Error::trap(TrapCode::StringOutOfBounds),
            // Without the place, which is nothing to the component that was to get the string.
            Broken::Encoding(_) if self.from.encoding == Encoding::Utf8 => Error::message("invalid utf8 encoding"),
            Broken::Encoding(_) => Error::message("invalid utf16 encoding"),
        };
        let text = strings::load(self.source(), self.from.encoding, at, len).map_err(trap)?;
        let stored = Stored::of(&text, self.to.encoding)?;
        if (self.from.encoding, self.to.encoding) == (Encoding::Utf8, Encoding::Utf8) {
            let to = self.allocate(stored.byte_len, 1, TrapCode::StringOutOfBounds)?;
            self.copy(at as usize, to, stored.byte_len);
            return Ok((to as u32, len));
        }
        // The guest runs before the text is written: it is kept until then.
        let text = text.into_owned();
        let to = self.allocate(stored.byte_len, stored.align, TrapCode::StringOutOfBounds)?;
        let mut bytes = vec![0; stored.byte_len];
        stored.write(&text, &mut bytes);
        self.write(to, &bytes);
        Ok((to as u32, stored.len))
    }

    fn own(&mut self, given: ResourceType, taken: ResourceType, index: u32) -> Result<u32, Error> {
        let (from, to) = (self.from.instance, self.to.instance);
        let state = ComponentState::of(self.store);
        let (given, taken) = (state.resource_in(from, given)?, state.resource_in(to, taken)?);
        let (_, rep) = state.take(Owner::Instance(from), index, given)?;
        state.give(Owner::Instance(to), taken, rep)
    }

    /// The readable end of a stream or future.
    fn end(&mut self, (given, taken): (&Payload, &Payload), kind: StreamKind, index: u32) -> Result<u32, Error> {
        let (from, to) = (self.from.instance, self.to.instance);
        ComponentState::of(self.store).pass_end((from, given), (to, taken), kind, index)
    }

    fn error_context(&mut self, index: u32) -> Result<u32, Error> {
        let (from, to) = (self.from.instance, self.to.instance);
        let state = ComponentState::of(self.store);
        let id = state.error_context_at(from, index)?;
        state.give_error_context(to, id)
    }

    fn borrow(&mut self, given: ResourceType, taken: ResourceType, index: u32) -> Result<u32, Error> {
        let (from, to) = (self.from.instance, self.to.instance);
        let state = ComponentState::of(self.store);
        let (given, taken) = (state.resource_in(from, given)?, state.resource_in(to, taken)?);
        let rep = state.lend(Owner::Instance(from), index, given)?;
        state.give_borrow(Owner::Instance(to), taken, rep)
    }
}

/// What a region outside of memory is when it is neither a string's nor a list's.
const MEMORY: TrapCode = TrapCode::MemoryOutOfBounds;

fn character(code: u32) -> Result<u32, Error> {
    if char::from_u32(code).is_some() { Ok(code) } else { Err(Error::trap(TrapCode::InvalidChar)) }
}

fn check_case(case: u32, count: usize) -> Result<(), Error> {
    if (case as usize) < count { Ok(()) } else { Err(Error::trap(TrapCode::InvalidDiscriminant)) }
}

/// The types of a case's payload on both sides; `None` where it has none.
fn payloads<'t>(from: &'t ValType, to: &'t ValType, case: u32) -> Result<Option<(&'t ValType, &'t ValType)>, Error> {
    Ok(match (from, to) {
        (ValType::Variant(from), ValType::Variant(to)) => {
            check_case(case, from.cases.len())?;
            let at = case as usize;
            from.cases[at].ty.as_ref().zip(to.cases.get(at).and_then(|case| case.ty.as_ref()))
        }
        (ValType::Option(from), ValType::Option(to)) => {
            check_case(case, 2)?;
            (case == 1).then_some((&from.some, &to.some))
        }
        (ValType::Result(from), ValType::Result(to)) => {
            check_case(case, 2)?;
            if case == 0 { from.ok.as_ref().zip(to.ok.as_ref()) } else { from.err.as_ref().zip(to.err.as_ref()) }
        }
        _ => None,
    })
}

/// Whether values may be copied as bytes: any bytes are a value, and there is no padding, in which one component would see what another
/// has had there.
fn is_plain(ty: &ValType) -> bool {
    match ty {
        ValType::S8 | ValType::U8 | ValType::S16 | ValType::U16 | ValType::S32 | ValType::U32 => true,
        ValType::S64 | ValType::U64 | ValType::F32 | ValType::F64 => true,
        ValType::FixedLengthList(list) => is_plain(list.element()),
        ValType::Record(record) => are_plain(record.fields.iter().map(|field| &field.ty), record.layout.size),
        ValType::Tuple(tuple) => are_plain(tuple.types.iter(), tuple.layout.size),
        _ => false,
    }
}

fn are_plain<'t>(types: impl Iterator<Item = &'t ValType>, size: u32) -> bool {
    let mut sum = 0;
    for ty in types {
        if !is_plain(ty) {
            return false;
        }
        sum += ty.layout().size;
    }
    sum == size
}
