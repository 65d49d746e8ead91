//! The tables of handles, as the specification says (Canonical ABI, "Table State" and "Resource State"), and values that have handles.

use super::text::{CALLS_BACK, DROPS, TRAPS};
use crate::types::{Handle, Random, Ty, bits_of, case, parts};
use ampoule_component::Val;
use std::collections::BTreeMap;

/// What the specification traps for.
#[derive(Clone, Copy, Debug)]
pub struct Trap;

/// What has a number with a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    Own(u32),
    Borrow(u32),
    /// The message's number.
    ErrorContext(u32),
    /// An end of a stream or future.
    End,
}

/// The model of a guest's table, and the numbers that are free, the next one last.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub entries: BTreeMap<u32, Entry>,
    free: Vec<u32>,
    pub len: u32,
}

impl Table {
    pub fn insert(&mut self, entry: Entry) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.len += 1;
            self.len
        });
        self.entries.insert(index, entry);
        index
    }

    pub fn get(&self, index: u32) -> Result<Entry, Trap> {
        self.entries.get(&index).copied().ok_or(Trap)
    }

    pub fn remove(&mut self, index: u32) -> Result<Entry, Trap> {
        let entry = self.entries.remove(&index).ok_or(Trap)?;
        self.free.push(index);
        Ok(entry)
    }

    pub fn all(&self, is: impl Fn(Entry) -> bool) -> Vec<u32> {
        self.entries.iter().filter(|(_, entry)| is(**entry)).map(|(index, _)| *index).collect()
    }
}

pub fn is_own(entry: Entry) -> bool {
    matches!(entry, Entry::Own(_))
}

pub fn is_error(entry: Entry) -> bool {
    matches!(entry, Entry::ErrorContext(_))
}

/// The type with handles of these kinds in places of others, at least one.
pub fn with_handles(ty: &Ty, random: &mut Random, kinds: &[Handle]) -> Ty {
    fn replace(ty: &Ty, random: &mut Random, kinds: &[Handle]) -> Ty {
        let mut of = |ty: &Ty| replace(ty, random, kinds);
        let mut all = |types: &[Ty]| types.iter().map(&mut of).collect();
        match ty {
            Ty::Record(types) => Ty::Record(all(types)),
            Ty::Tuple(types) => Ty::Tuple(all(types)),
            Ty::List(ty) => Ty::List(of(ty).into()),
            Ty::FixedList(ty, len) => Ty::FixedList(of(ty).into(), *len),
            // Maps have no handles.
            Ty::Map(..) => ty.clone(),
            Ty::Option(ty) => Ty::Option(of(ty).into()),
            Ty::Variant(cases) => Ty::Variant(cases.iter().map(|ty| ty.as_ref().map(&mut of)).collect()),
            Ty::Result(ok, err) => {
                let ok = ok.as_ref().map(|ty| of(ty).into());
                Ty::Result(ok, err.as_ref().map(|ty| of(ty).into()))
            }
            leaf if random.one_in(3) => leaf.clone(),
            _ => Ty::Handle(random.pick(kinds)),
        }
    }
    let more = replace(ty, random, kinds);
    Ty::Tuple(vec![Ty::Handle(kinds[0]), more])
}

/// The value with others in place of its handles, in their order.
pub fn map_handles(ty: &Ty, val: &Val, of: &mut dyn FnMut(Handle, &Val) -> Result<Val, Trap>) -> Result<Val, Trap> {
    if let Ty::Handle(handle) = ty {
        return of(*handle, val);
    }
    if let Ty::List(ty) = ty {
        let vals = parts(val).into_iter().map(|val| map_handles(ty, val, of));
        return Ok(Val::list(vals.collect::<Result<Vec<_>, _>>()?));
    }
    if let Some(fields) = ty.fields() {
        let vals = fields.into_iter().zip(parts(val)).map(|(ty, val)| map_handles(ty, val, of));
        return Ok(ty.of_fields(vals.collect::<Result<Vec<_>, _>>()?));
    }
    if let Some(cases) = ty.cases() {
        let (index, payload) = case(val);
        let payload = match (cases[index], payload) {
            (Some(ty), Some(val)) => Some(map_handles(ty, val, of)?),
            _ => None,
        };
        return Ok(ty.of_case(index, payload));
    }
    Ok(val.clone())
}

/// The same with numbers.
pub fn renumber(ty: &Ty, val: &Val, number: &mut dyn FnMut(Handle, u32) -> Result<u32, Trap>) -> Result<Val, Trap> {
    map_handles(ty, val, &mut |handle, val| number(handle, bits_of(val) as u32).map(Val::from))
}

/// The three guests' tables, and what the host is told.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub a: Table,
    pub b: Table,
    pub d: Table,
    pub dropped: Vec<u32>,
    /// Which resource the host drops when it is told of one that has [`CALLS_BACK`].
    pub calls_back: u32,
}

impl Model {
    /// What is lifted out of `a`, in the order in which it lies there.
    pub fn lift(&mut self, ty: &Ty, val: &Val) -> Result<Vec<Entry>, Trap> {
        let (mut lifted, mut lent) = (Vec::new(), Vec::new());
        renumber(ty, val, &mut |handle, index| {
            let entry = match (handle, self.a.get(index)?) {
                (Handle::Own, Entry::Own(_)) if lent.contains(&index) => return Err(Trap),
                (Handle::Own, Entry::Own(_)) => self.a.remove(index)?,
                (Handle::Borrow, Entry::Own(rep)) => {
                    lent.push(index);
                    Entry::Borrow(rep)
                }
                (Handle::ErrorContext, entry @ Entry::ErrorContext(_)) => entry,
                _ => return Err(Trap),
            };
            lifted.push(entry);
            Ok(index)
        })?;
        Ok(lifted)
    }

    /// A value goes from `a` to `b`: there with these numbers.
    pub fn pass(&mut self, ty: &Ty, val: &Val) -> Result<Val, Trap> {
        let mut lifted = self.lift(ty, val)?.into_iter();
        renumber(ty, val, &mut |_, _| Ok(self.b.insert(lifted.next().expect("as many"))))
    }

    pub fn destroy(&mut self, rep: u32) -> Result<(), Trap> {
        self.dropped.push(rep);
        if rep & TRAPS != 0 {
            return Err(Trap);
        }
        if rep & CALLS_BACK != 0 {
            return self.destroy(self.calls_back);
        }
        if rep & DROPS != 0 {
            let Entry::Own(rep) = self.d.remove(rep & 0xffff)? else { return Err(Trap) };
            return self.destroy(rep);
        }
        Ok(())
    }

    pub fn table(&mut self, name: &str) -> &mut Table {
        if name == "a" { &mut self.a } else { &mut self.b }
    }
}
