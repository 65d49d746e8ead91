//! Buffers as producers and consumers of the host see them: a guest's memory, or, where both ends are the host's, one in between.

use super::{Holder, Side};
use crate::canon::lift::Lift;
use crate::canon::lower::Lower;
use crate::canon::options::Options;
use crate::state::ComponentState;
use crate::types::ValType;
use crate::val::{Kind, Val};
use ampoule::store::slots::Slots;
use ampoule::{Error, Store};
use std::collections::VecDeque;

/// Elements that one buffer between two ends of the host's has room for.
const MAX_BETWEEN: usize = 64;
/// The same of bytes.
const MAX_BYTES_BETWEEN: usize = 64 << 10;

/// A buffer between two ends that are both the host's.
pub(super) struct Between {
    pub(super) ty: Option<ValType>,
    /// Elements that aren't bytes.
    vals: VecDeque<Val>,
    /// Elements that are.
    bytes: Vec<u8>,
    /// How much of the bytes is there, and how much of that was taken.
    filled: usize,
    taken: usize,
    /// Whether nothing comes after what is there.
    pub(super) is_last: bool,
}

impl Between {
    pub(super) fn new(ty: Option<ValType>) -> Between {
        Between { ty, vals: VecDeque::new(), bytes: Vec::new(), filled: 0, taken: 0, is_last: false }
    }

    fn len(&self) -> usize {
        if self.ty == Some(ValType::U8) { self.filled - self.taken } else { self.vals.len() }
    }

    /// Moves what there is, as far as there is room.
    pub(super) fn drain_into(&mut self, into: &mut Destination<'_>) -> Result<(), Error> {
        if let Some(bytes) = into.bytes() {
            let count = bytes.len().min(self.len());
            bytes[..count].copy_from_slice(&self.bytes[self.taken..][..count]);
            self.taken += count;
            into.advance(count);
        }
        while into.remaining() > 0
            && let Some(val) = self.vals.pop_front()
        {
            into.push(val)?;
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is filled or emptied.
enum Place<'a> {
    Guest(Lent),
    Between(&'a mut Between),
}

/// A guest's buffer, while it is lent.
struct Lent {
    stream: u32,
    /// The guest's side, and its end.
    side: Side,
    id: u32,
    /// Where the buffer is. It stays in the store as long as that lives.
    options: *const Options,
}

impl Lent {
    /// The address of the next element of this size, and how many there are. Nothing once the buffer is the guest's again: code of the
    /// host's may have run the guest meanwhile.
    fn rest(&self, store: &mut Store, size: u32) -> (usize, usize) {
        let state = ComponentState::of(store);
        let Some(found) = state.concurrency.streams.get(self.stream) else { return (0, 0) };
        let is_lent = found.pending == Some(self.side);
        if !is_lent || !matches!(found.holder(self.side), Holder::Guest(id) if *id == self.id) {
            return (0, 0);
        }
        let buffer = &state.end(self.id).buffer;
        (buffer.at as usize + buffer.progress as usize * size as usize, buffer.remaining() as usize)
    }

    fn options<'o>(&self) -> &'o Options {
        // SAFETY: built-in functions stay where they are as long as their store, which whoever has this borrows.
        unsafe { &*self.options }
    }

    fn bytes<'s>(&self, store: &'s mut Store) -> Option<&'s mut [u8]> {
        self.memory(store, 1)
    }

    fn bytes_and_slots<'s>(&self, store: &'s mut Store) -> Option<(&'s mut [u8], &'s mut Slots)> {
        self.memory_and_slots(store, 1)
    }

    /// The rest of the buffer, of elements of this size.
    fn memory<'s>(&self, store: &'s mut Store, size: usize) -> Option<&'s mut [u8]> {
        self.memory_and_slots(store, size).map(|(memory, _)| memory)
    }

    fn memory_and_slots<'s>(&self, store: &'s mut Store, size: usize) -> Option<(&'s mut [u8], &'s mut Slots)> {
        let (at, len) = self.rest(store, size as u32);
        let len = len * size;
        let (base, memory_len) = self.options().memory(store).ok()?;
        let slots = store.slots_mut();
        if len == 0 {
            return Some((&mut [], slots));
        }
        assert!(at + len <= memory_len, "a buffer lies in memory, and memories don't shrink");
        // SAFETY: the memory is the store's, and mapped so far, as was just compared. The store is borrowed as long as this is, so
        // that nobody else looks at it or moves it; what is in its slots doesn't lead back to the store.
        Some((unsafe { std::slice::from_raw_parts_mut(base.add(at), len) }, slots))
    }

    fn advance(&self, store: &mut Store, count: usize) {
        let (_, len) = self.rest(store, 0);
        if len == 0 {
            // The end may have gone with its buffer.
            return;
        }
        ComponentState::of(store).end(self.id).buffer.progress += count.min(len) as u32;
    }
}

/// What a producer fills or a consumer empties.
struct Elements<'a> {
    store: &'a mut Store,
    place: Place<'a>,
    ty: Option<ValType>,
}

impl<'a> Elements<'a> {
    fn lent(store: &'a mut Store, stream: u32, side: Side, id: u32) -> Self {
        let end = ComponentState::of(store).end(id);
        // SAFETY: built-in functions stay where they are as long as their store.
        let options = unsafe { &raw const (*end.buffer.builtin).options };
        let ty = Option::clone(&end.payload);
        Self { store, place: Place::Guest(Lent { stream, side, id, options }), ty }
    }

    fn are_bytes(&self) -> bool {
        self.ty == Some(ValType::U8)
    }

    /// The size of the elements, where those are scalars; `None` where they are nothing but their number.
    fn scalar_size(&self) -> Result<Option<usize>, Error> {
        self.ty.as_ref().map(ValType::scalar_size).transpose()
    }

    /// The rest of a guest's buffer, where the elements are numbers, any bits of which are one.
    fn numbers(&mut self, size: usize) -> Option<&mut [u8]> {
        match &self.place {
            Place::Guest(lent) if self.ty.as_ref().is_some_and(|ty| Kind::of_number(ty).is_some()) => {
                lent.memory(self.store, size)
            }
            _ => None,
        }
    }
}

/// What a [`Producer`](super::host::Producer) fills.
pub struct Destination<'a>(Elements<'a>);

impl<'a> Destination<'a> {
    pub(super) fn lent(store: &'a mut Store, stream: u32, side: Side, id: u32) -> Self {
        Self(Elements::lent(store, stream, side, id))
    }

    pub(super) fn between(store: &'a mut Store, between: &'a mut Between, ty: Option<ValType>) -> Self {
        if ty == Some(ValType::U8) {
            between.bytes.resize(MAX_BYTES_BETWEEN, 0);
            (between.filled, between.taken) = (0, 0);
        }
        Self(Elements { store, place: Place::Between(between), ty })
    }

    /// How many elements there is room for.
    pub fn remaining(&mut self) -> usize {
        let are_bytes = self.0.are_bytes();
        match &self.0.place {
            Place::Guest(lent) => lent.rest(self.0.store, 0).1,
            Place::Between(between) if are_bytes => between.bytes.len() - between.filled,
            Place::Between(between) => MAX_BETWEEN - between.vals.len(),
        }
    }

    /// The store.
    pub fn store(&mut self) -> &mut Store {
        self.0.store
    }

    /// The memory itself, for as many bytes as there is room for, where the elements are `u8`; `None` where they aren't. What is put
    /// there counts after [`Destination::advance`].
    pub fn bytes(&mut self) -> Option<&mut [u8]> {
        if !self.0.are_bytes() {
            return None;
        }
        match &mut self.0.place {
            Place::Guest(lent) => lent.bytes(self.0.store),
            Place::Between(between) => Some(&mut between.bytes[between.filled..]),
        }
    }

    /// As [`Destination::bytes`], and beside it what the store keeps for the host's libraries.
    pub fn bytes_and_slots(&mut self) -> Option<(&mut [u8], &mut Slots)> {
        if !self.0.are_bytes() {
            return None;
        }
        match &mut self.0.place {
            Place::Guest(lent) => lent.bytes_and_slots(self.0.store),
            Place::Between(between) => Some((&mut between.bytes[between.filled..], self.0.store.slots_mut())),
        }
    }

    /// Counts elements that were put into [`Destination::bytes`]; or elements that are nothing but their number.
    ///
    /// # Panics
    /// Where there is no room for so many.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining(), "there is room for no more");
        let are_bytes = self.0.are_bytes();
        match &mut self.0.place {
            Place::Guest(lent) => lent.advance(self.0.store, count),
            Place::Between(between) if are_bytes => between.filled += count,
            Place::Between(between) => between.vals.extend((0..count).map(|_| Val::tuple(Vec::new()))),
        }
    }

    /// Puts an element.
    ///
    /// # Errors
    /// Where it isn't of the elements' type, or there is no room.
    pub fn push(&mut self, mut val: Val) -> Result<(), Error> {
        self.push_from(&mut val)
    }

    /// Puts an element, which is taken from its place unless that fails.
    ///
    /// # Errors
    /// As [`Destination::push`].
    pub fn push_from(&mut self, val: &mut Val) -> Result<(), Error> {
        if self.remaining() == 0 {
            return Err(Error::message("the buffer has no room for more elements"));
        }
        let Elements { store, place, ty } = &mut self.0;
        match place {
            Place::Guest(lent) => {
                if let Some(ty) = ty {
                    let (at, _) = lent.rest(store, ty.layout().size);
                    Lower::new(store, lent.options())?.element(ty, val, at)?;
                }
                lent.advance(store, 1);
                drop(std::mem::take(val));
            }
            Place::Between(between) if *ty == Some(ValType::U8) => {
                val.check_kind(&ValType::U8)?;
                between.bytes[between.filled] = val.bits_of(Kind::U8).expect("it is a byte") as u8;
                between.filled += 1;
            }
            Place::Between(between) => {
                ty.iter().try_for_each(|ty| val.check_kind(ty))?;
                between.vals.push_back(std::mem::take(val));
            }
        }
        Ok(())
    }

    /// Puts scalars that lie beside each other in memory as C has them, as many as there is room for: gives how many. Of a `bool`, any bits
    /// but zeros are `true`; a `char` has 32 bits. Of elements that are nothing but their number, each byte is one.
    ///
    /// # Errors
    /// Where the elements are no scalars, or one is no `char`: those before it are put.
    pub fn push_block(&mut self, block: &[u8]) -> Result<usize, Error> {
        let Some(size) = self.0.scalar_size()? else {
            let count = block.len().min(self.remaining());
            self.advance(count);
            return Ok(count);
        };
        let count = (block.len() / size).min(self.remaining());
        let memory = if self.0.are_bytes() { self.bytes() } else { self.0.numbers(size) };
        if let Some(memory) = memory {
            memory[..count * size].copy_from_slice(&block[..count * size]);
            self.advance(count);
            return Ok(count);
        }
        let ty = self.0.ty.clone().expect("it has a size");
        for (done, element) in block.chunks_exact(size).take(count).enumerate() {
            match Val::of_scalar(&ty, element) {
                Ok(val) => self.push(val)?,
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }
}

/// What a [`Consumer`](super::host::Consumer) empties.
pub struct Source<'a>(Elements<'a>);

impl<'a> Source<'a> {
    pub(super) fn lent(store: &'a mut Store, stream: u32, side: Side, id: u32) -> Self {
        Self(Elements::lent(store, stream, side, id))
    }

    pub(super) fn between(store: &'a mut Store, between: &'a mut Between, ty: Option<ValType>) -> Self {
        Self(Elements { store, place: Place::Between(between), ty })
    }

    /// How many elements there are.
    pub fn remaining(&mut self) -> usize {
        match &self.0.place {
            Place::Guest(lent) => lent.rest(self.0.store, 0).1,
            Place::Between(between) => between.len(),
        }
    }

    /// The store.
    pub fn store(&mut self) -> &mut Store {
        self.0.store
    }

    /// The memory itself, where the elements are `u8`; `None` where they aren't. What was taken counts after [`Source::advance`].
    pub fn bytes(&mut self) -> Option<&[u8]> {
        if !self.0.are_bytes() {
            return None;
        }
        match &mut self.0.place {
            Place::Guest(lent) => lent.bytes(self.0.store).map(|bytes| &*bytes),
            Place::Between(between) => Some(&between.bytes[between.taken..between.filled]),
        }
    }

    /// As [`Source::bytes`], and beside it what the store keeps for the host's libraries. The bytes may be overwritten, whose they are
    /// doesn't rely on them any more: the operating system wants buffers so.
    pub fn bytes_and_slots(&mut self) -> Option<(&mut [u8], &mut Slots)> {
        if !self.0.are_bytes() {
            return None;
        }
        match &mut self.0.place {
            Place::Guest(lent) => lent.bytes_and_slots(self.0.store),
            Place::Between(between) => {
                Some((&mut between.bytes[between.taken..between.filled], self.0.store.slots_mut()))
            }
        }
    }

    /// Counts elements that were taken out of [`Source::bytes`]; or elements that are nothing but their number.
    ///
    /// # Panics
    /// Where there are not so many.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining(), "there are no more");
        let are_bytes = self.0.are_bytes();
        match &mut self.0.place {
            Place::Guest(lent) => lent.advance(self.0.store, count),
            Place::Between(between) if are_bytes => between.taken += count,
            Place::Between(between) => drop(between.vals.drain(..count)),
        }
    }

    /// Takes an element; of elements that are nothing but their number, an empty tuple. `None` where there are no more.
    ///
    /// # Errors
    /// Where it means nothing.
    pub fn pop(&mut self) -> Result<Option<Val>, Error> {
        if self.remaining() == 0 {
            return Ok(None);
        }
        let Elements { store, place, ty } = &mut self.0;
        Ok(Some(match place {
            Place::Guest(lent) => {
                let val = match ty {
                    None => Val::tuple(Vec::new()),
                    Some(ty) => {
                        let (at, _) = lent.rest(store, ty.layout().size);
                        Lift::new(store, lent.options())?.element(ty, at)?
                    }
                };
                lent.advance(store, 1);
                val
            }
            Place::Between(between) if *ty == Some(ValType::U8) => {
                between.taken += 1;
                Val::from(between.bytes[between.taken - 1])
            }
            Place::Between(between) => between.vals.pop_front().expect("there are some"),
        }))
    }

    /// Takes scalars, as many as there are and fit, to lie beside each other as [`Destination::push_block`] has them: gives how many.
    ///
    /// # Errors
    /// Where the elements are no scalars, or one means nothing.
    pub fn pop_block(&mut self, block: &mut [u8]) -> Result<usize, Error> {
        let Some(size) = self.0.scalar_size()? else {
            let count = block.len().min(self.remaining());
            self.advance(count);
            return Ok(count);
        };
        let count = (block.len() / size).min(self.remaining());
        let memory = if self.0.are_bytes() { self.bytes() } else { self.0.numbers(size).map(|memory| &*memory) };
        if let Some(memory) = memory {
            block[..count * size].copy_from_slice(&memory[..count * size]);
            self.advance(count);
            return Ok(count);
        }
        for element in block.chunks_exact_mut(size).take(count) {
            let val = self.pop()?.unwrap_or_default();
            let bits = val.bits_of(val.kind()).expect("elements are of their type");
            element.copy_from_slice(&bits.to_le_bytes()[..size]);
        }
        Ok(count)
    }
}
