//! Handles in values of random types, which go between two guests, and to and from the host, in calls, streams and futures: owned and borrowed resources of a third
//! guest's, and error contexts. Each has the number that the specification says (Canonical ABI, "Table State"), each destructor runs once, when the
//! owner drops what it has, and what was not taken out of a stream is still its writer's.

mod host;
mod model;
mod text;

use crate::copies::Kind;
use crate::guest::{Guest, IMAGE, IMAGE_END, Realloc, Signature};
use crate::model::{Encoding, Flat, Lift, Lower, MAX_FLAT_PARAMS, elem_size};
use crate::streams::READ;
use crate::types::{Handle, Random, Ty, bits_of};
use crate::{BUDGET, assert_same, for_seeds};
use ampoule::{Config, Engine, Error, Features, Store};
use ampoule_component::{Component, Instance, Linker, Val, ValRef};
use model::{Entry, Model, Trap, is_error, is_own, renumber, with_handles};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use text::{CALLS_BACK, DROPS, MESSAGE, TOLD, TRAPS, text};

const SEEDS: u64 = 150;

/// So many steps are taken with the guests of one seed.
const STEPS: usize = 40;

#[test]
fn handles_in_values_are_what_the_specification_says_however_they_go() {
    let mut counts = Counts::default();
    if for_seeds(SEEDS, |seed| check(seed, &mut counts)) {
        println!("{counts:?}");
        let traps = |name: &str| name != "host-write";
        let many = |name: &str, [returned, trapped]: [u32; 2]| returned > 20 && (trapped > 0) == traps(name);
        assert!(counts.iter().all(|(name, count)| many(name, *count)), "{counts:?}");
        assert_eq!(counts.len(), 10, "{counts:?}");
    }
}

/// How often each step has returned and trapped.
type Counts = BTreeMap<&'static str, [u32; 2]>;

/// Core values, and what lies in memory.
type Lowered = (Vec<(Flat, u64)>, Vec<u8>);

fn check(seed: u64, counts: &mut Counts) {
    let mut random = Random(seed ^ 0x4a4d);
    let has_errors = random.one_in(2);
    let (owned, called): (&[Handle], &[Handle]) = if has_errors {
        (&[Handle::Own, Handle::ErrorContext], &[Handle::Own, Handle::ErrorContext, Handle::Borrow])
    } else {
        (&[Handle::Own], &[Handle::Own, Handle::Borrow])
    };
    let mut ty = |kinds: &[Handle]| loop {
        let ty = Ty::random(&mut random, 3);
        let ty = with_handles(&ty, &mut random, kinds);
        if elem_size(&ty) < 200 {
            break ty;
        }
    };
    let (called, sent) = (ty(called), ty(owned));
    let sent = random.pick(&[None, Some(Kind::Stream), Some(Kind::Future)]).map(|kind| (kind, sent));
    let features = Features {
        component_model_fixed_length_lists: true,
        component_model_map: true,
        component_model_more_async_builtins: true,
        component_model_error_context: true,
        ..Features::default()
    };
    let engine = Engine::new(&Config { features, ..Config::default() }).unwrap();
    let text = text(&called, sent.as_ref().map(|(kind, ty)| (*kind, ty)), has_errors);
    let component = Component::new(&engine, text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let told: Arc<Mutex<Vec<u32>>> = Arc::default();
    let notes = told.clone();
    let mut linker = Linker::new(&engine);
    let calls_back: Arc<Mutex<Option<Val>>> = Arc::default();
    let called_back = calls_back.clone();
    let note = move |store: &mut Store, _: &_, args: &mut [Val], _: &mut [Val]| {
        let rep = bits_of(&args[0]) as u32;
        notes.lock().unwrap().push(rep);
        if rep & CALLS_BACK == 0 {
            return Ok(());
        }
        // As in the reference implementation, the host may enter whom it was called by.
        let val = called_back.lock().unwrap().take().expect("there is one");
        let ValRef::Resource(Some(any)) = val.get() else { panic!("{val:?}") };
        any.drop(store)
    };
    linker.root().func("note", note).unwrap();
    let mut store = Store::new(&engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let mut case = Case {
        store,
        instance,
        random,
        model: Model::default(),
        made: 0,
        called,
        sent,
        has_errors,
        hosts: Vec::new(),
        calls_back,
    };
    for _ in 0..STEPS {
        // What ends it all is rare.
        let is_wrong = case.random.one_in(40);
        let before = case.model.clone();
        let (name, outcome) = case.step(is_wrong);
        counts.entry(name).or_default()[usize::from(outcome.is_err())] += 1;
        assert_eq!(*told.lock().unwrap(), case.model.dropped, "{name} in {before:?}");
        if outcome.is_err() {
            break;
        }
    }
    drop(case);
    drop(linker);
    let told_last = told.lock().unwrap().len();
    drop(component);
    assert_eq!(told.lock().unwrap().len(), told_last, "a store's end drops no resources");
}

pub struct Case {
    pub store: Box<Store>,
    pub instance: Instance,
    pub random: Random,
    pub model: Model,
    /// How many resources and messages there have been: each is another one.
    pub made: u32,
    pub called: Ty,
    pub sent: Option<(Kind, Ty)>,
    pub has_errors: bool,
    /// What the host has, with its representation.
    pub hosts: Vec<(Val, u32)>,
    /// The one that the host drops while the destructor of another one runs.
    calls_back: Arc<Mutex<Option<Val>>>,
}

impl Case {
    /// Calls a function that takes numbers and answers one, or none.
    pub fn call(&mut self, guest: &str, name: &str, args: &[u32]) -> Result<u32, Error> {
        let func = self.instance.get_func(&mut self.store, &[guest, name])?.expect("the component exports it");
        let args: Vec<Val> = args.iter().map(|arg| Val::from(*arg)).collect();
        let mut results = vec![Val::default(); usize::from(func.ty(&mut self.store)?.result().is_some())];
        func.call(&mut self.store, &args, &mut results)?;
        Ok(results.first().map_or(0, |val| bits_of(val) as u32))
    }

    pub fn prepare(&mut self, name: &str, image: &[u8], given: &[(Flat, u64)]) {
        Guest { instance: &self.instance, name }.prepare(&mut self.store, image, given, Realloc::Proper);
    }

    pub fn got(&mut self, name: &str, flat: &[Flat]) -> (Vec<(Flat, u64)>, Vec<u8>) {
        Guest { instance: &self.instance, name }.got(&mut self.store, flat)
    }

    fn step(&mut self, is_wrong: bool) -> (&'static str, Result<(), Trap>) {
        match self.random.below(12) {
            0 | 1 => ("run", self.run(is_wrong)),
            6 => ("host-call", self.host_call(is_wrong)),
            7 if self.sent.is_some() => ("host-read", self.host_read(is_wrong)),
            8 if self.sent.is_some() => ("host-write", self.host_write()),
            9 => ("host-drop", self.host_drop()),
            2 | 3 if self.sent.is_some() => {
                let name =
                    if self.sent.as_ref().is_some_and(|sent| sent.0 == Kind::Stream) { "stream" } else { "future" };
                (name, self.send(is_wrong))
            }
            4 if self.has_errors => ("error-drop", self.drop_error(is_wrong)),
            5 if self.has_errors => ("error-message", self.read_message(is_wrong)),
            _ => ("drop", self.drop_resource(is_wrong)),
        }
    }

    /// `a` gets a resource whose destructor does nothing else, or drops another one; rarely, one whose destructor traps, or has the host drop
    /// another one.
    pub fn make(&mut self) -> u32 {
        self.made += 1;
        let mut rep = self.made << 16;
        match self.random.below(60) {
            0 => rep |= TRAPS,
            1 if self.calls_back.lock().unwrap().is_none() => {
                let index = self.call("a", "make", &[rep]).unwrap();
                let val = self.hand(index);
                *self.calls_back.lock().unwrap() = Some(val);
                self.model.calls_back = rep;
                self.made += 1;
                rep = self.made << 16 | CALLS_BACK;
            }
            2..=12 => {
                let kept = self.call("d", "keep", &[rep]).unwrap();
                assert_eq!(kept, self.model.d.insert(Entry::Own(rep)));
                self.made += 1;
                rep = self.made << 16 | DROPS | kept;
            }
            _ => {}
        }
        let index = self.call("a", "make", &[rep]).unwrap();
        assert_eq!(index, self.model.a.insert(Entry::Own(rep)));
        index
    }

    /// `a` gets an error context.
    fn make_error(&mut self) -> u32 {
        self.made += 1;
        let text = format!("e{}", self.made);
        let guest = Guest { instance: &self.instance, name: "a" };
        let write = guest.func(&mut self.store, "write").typed::<(u32, Vec<u8>), ()>(&mut self.store).unwrap();
        write.call(&mut self.store, (MESSAGE as u32, text.clone().into_bytes())).unwrap();
        let index = self.call("a", "error-new", &[MESSAGE as u32, text.len() as u32]).unwrap();
        assert_eq!(index, self.model.a.insert(Entry::ErrorContext(self.made)));
        index
    }

    /// Any value, with handles that `a` has; perhaps one that it hasn't, or that is there twice.
    fn random_val(&mut self, ty: &Ty, taken: &mut Vec<u32>, is_wrong: bool) -> Val {
        let val = ty.random_val(&mut self.random);
        let mut count = 0;
        renumber(ty, &val, &mut |_, index| (count += 1, Ok(index)).1).expect("none traps");
        let wrong = is_wrong.then(|| self.random.below(count));
        // Those that are lent are none of those that are given.
        let lent = self.make();
        let mut at = 0;
        let numbered = renumber(ty, &val, &mut |handle, _| {
            at += 1;
            if wrong == Some(at - 1) {
                let taken = taken.first().copied().unwrap_or(0);
                return Ok(self.random.pick(&[0, lent, taken, self.model.a.len + 1, u32::MAX]));
            }
            Ok(match handle {
                Handle::Borrow => lent,
                Handle::ErrorContext => {
                    let have = self.model.a.all(is_error);
                    if have.is_empty() || self.random.one_in(4) { self.make_error() } else { self.random.pick(&have) }
                }
                Handle::Own => {
                    let mut have = self.model.a.all(is_own);
                    have.retain(|index| *index != lent && !taken.contains(index));
                    let index = if have.is_empty() { self.make() } else { self.random.pick(&have) };
                    taken.push(index);
                    index
                }
            })
        });
        numbered.expect("none traps")
    }

    /// Values as they lie in `a`: a list's elements from an address on, or what a function is given.
    pub fn lower(&mut self, max: usize, ty: &Ty, val: Val) -> Option<Lowered> {
        let mut choose = |below| self.random.below(below);
        let encoding = Encoding::Utf8;
        let mut lower = Lower { memory: Vec::new(), start: IMAGE, encoding, choose: &mut choose, pieces: None };
        let given = lower.lower_flat_values(max, std::slice::from_ref(ty), &[val]);
        (lower.memory.len() as u64 <= READ - IMAGE).then_some((given, lower.memory))
    }

    pub fn check_got(&mut self, max: usize, ty: &Ty, flat: &[(Flat, u64)], memory: &[u8], expected: Val) {
        let lift = Lift { memory, encoding: Encoding::Utf8, strict: true, budget: Cell::new(BUDGET) };
        let got = lift.lift_flat_values(max, flat, std::slice::from_ref(ty)).expect("what was lowered can be lifted");
        assert_same(&got, &[expected]);
    }

    /// `a` calls `b`.
    fn run(&mut self, is_wrong: bool) -> Result<(), Trap> {
        let ty = self.called.clone();
        let val = self.random_val(&ty, &mut Vec::new(), is_wrong);
        let Some((given, image)) = self.lower(MAX_FLAT_PARAMS, &ty, val.clone()) else { return Ok(()) };
        let passed = self.model.pass(&ty, &val);
        self.prepare("a", &image, &given);
        self.call_b(passed, is_wrong, |case| case.call("a", "run", &[]))
    }

    /// `b` is called with this value, as it sees it, and drops what it was lent in any order.
    pub fn call_b(
        &mut self,
        passed: Result<Val, Trap>,
        is_wrong: bool,
        call: impl FnOnce(&mut Case) -> Result<u32, Error>,
    ) -> Result<(), Trap> {
        let mut lent = self.model.b.all(|entry| matches!(entry, Entry::Borrow(_)));
        if !is_wrong || self.random.one_in(2) {
            for at in 1..lent.len() {
                let other = self.random.below(at + 1);
                lent.swap(at, other);
            }
        } else {
            lent.pop();
        }
        lent.truncate(30);
        let told = std::iter::once(lent.len() as u32).chain(lent.iter().copied());
        let told: Vec<(Flat, u64)> = told.map(|number| (Flat::I32, u64::from(number))).collect();
        self.prepare("b", &[], &told);
        let outcome = call(self);
        let passed = passed.and_then(|passed| {
            lent.iter().try_for_each(|index| self.model.b.remove(*index).map(drop))?;
            let has_kept = !self.model.b.all(|entry| matches!(entry, Entry::Borrow(_))).is_empty();
            if has_kept { Err(Trap) } else { Ok(passed) }
        });
        expect(&outcome, passed.as_ref().map(drop).map_err(|_| Trap))?;
        let ty = self.called.clone();
        let signature = Signature { params: vec![ty.clone()], result: None, lifts_async: false, lowers_async: false };
        let (flat, memory) = self.got("b", &signature.lifted().0);
        self.check_got(MAX_FLAT_PARAMS, &ty, &flat, &memory, passed?);
        Ok(())
    }

    /// Elements that `a` has in its memory, and where; `None` where there is no room.
    pub fn offer(&mut self, kind: Kind, ty: &Ty, is_wrong: bool) -> Option<(Vec<Val>, u32)> {
        let count = if kind == Kind::Stream { 1 + self.random.below(4) } else { 1 };
        let mut taken = Vec::new();
        let wrong = is_wrong.then(|| self.random.below(count));
        let vals: Vec<Val> = (0..count).map(|at| self.random_val(ty, &mut taken, wrong == Some(at))).collect();
        let (given, image) = self.lower(usize::MAX, &Ty::List(ty.clone().into()), Val::list(vals.clone()))?;
        self.prepare("a", &image, &[]);
        Some((vals, given[0].1 as u32))
    }

    /// Looks for the elements that `b` has read.
    pub fn check_read(&mut self, ty: &Ty, expected: Vec<Val>) {
        let memory = self.got("b", &[]).1;
        let flat = [(Flat::I32, READ), (Flat::I32, expected.len() as u64)];
        self.check_got(usize::MAX, &Ty::List(ty.clone().into()), &flat, &memory, Val::list(expected));
    }

    /// Elements go from `a` to `b`, as many as both want; then both ends go.
    fn send(&mut self, is_wrong: bool) -> Result<(), Trap> {
        let (kind, ty) = self.sent.clone().expect("there is one");
        let Some((vals, at)) = self.offer(kind, &ty, is_wrong) else { return Ok(()) };
        let count = vals.len();
        self.prepare("b", &vec![0; (IMAGE_END - IMAGE) as usize], &[]);
        self.call("a", "start", &[]).unwrap();
        // The readable end goes at once.
        let ends = [self.model.a.insert(Entry::End), self.model.a.insert(Entry::End)];
        self.model.a.remove(ends[0])?;
        let readable = self.model.b.insert(Entry::End);

        let wants = if kind == Kind::Stream { 1 + self.random.below(4) } else { 1 };
        let moved = count.min(wants);
        let mut copies = [("a", at, count), ("b", READ as u32, wants)];
        if self.random.one_in(2) {
            copies.swap(0, 1);
        }
        let [first, second] = copies;
        assert_eq!(self.call(first.0, "copy", &[first.1, first.2 as u32]).unwrap() as i32, -1);
        let passed: Result<Vec<Val>, Trap> = vals[..moved].iter().map(|val| self.model.pass(&ty, val)).collect();
        let outcome = self.call(second.0, "copy", &[second.1, second.2 as u32]);
        expect(&outcome, passed.as_ref().map(drop).map_err(|_| Trap))?;
        let progress = if kind == Kind::Stream { (moved as u32) << 4 } else { 0 };
        assert_eq!(outcome.unwrap(), progress);
        // Told or cancelled: what is done stays done.
        let cancelled = if kind == Kind::Stream { 2 } else { 0 };
        assert_eq!(self.call(first.0, "cancel", &[]).unwrap(), progress | cancelled);
        self.check_read(&ty, passed?);
        for (name, end) in [("a", ends[1]), ("b", readable)] {
            self.call(name, "let-go", &[]).unwrap();
            self.model.table(name).remove(end)?;
        }
        Ok(())
    }

    /// One of the guests, and the number of something that it has; of nothing, or something else, where that is to be wrong.
    fn any(&mut self, is: fn(Entry) -> bool, is_wrong: bool) -> Option<(&'static str, u32)> {
        let name = self.random.pick(&["a", "b"]);
        let have = self.model.table(name).all(|entry| is(entry) != is_wrong);
        if is_wrong && (have.is_empty() || self.random.one_in(2)) {
            return Some((name, self.random.pick(&[0, self.model.table(name).len + 1, u32::MAX])));
        }
        (!have.is_empty()).then(|| (name, self.random.pick(&have)))
    }

    fn drop_resource(&mut self, is_wrong: bool) -> Result<(), Trap> {
        let Some((name, index)) = self.any(is_own, is_wrong) else { return Ok(()) };
        let outcome = self.call(name, "drop", &[index]);
        let expected = match self.model.table(name).get(index) {
            Ok(Entry::Own(rep)) => {
                self.model.table(name).remove(index)?;
                self.model.destroy(rep)
            }
            _ => Err(Trap),
        };
        expect(&outcome, expected)
    }

    fn drop_error(&mut self, is_wrong: bool) -> Result<(), Trap> {
        let Some((name, index)) = self.any(is_error, is_wrong) else { return Ok(()) };
        let outcome = self.call(name, "error-drop", &[index]);
        let expected = match self.model.table(name).get(index) {
            Ok(Entry::ErrorContext(_)) => self.model.table(name).remove(index).map(drop),
            _ => Err(Trap),
        };
        expect(&outcome, expected)
    }

    fn read_message(&mut self, is_wrong: bool) -> Result<(), Trap> {
        let Some((name, index)) = self.any(is_error, is_wrong) else { return Ok(()) };
        let outcome = self.call(name, "error-message", &[index, TOLD as u32]);
        let expected = match self.model.table(name).get(index) {
            Ok(Entry::ErrorContext(number)) => Ok(number),
            _ => Err(Trap),
        };
        expect(&outcome, expected.map(drop))?;
        let memory = self.got(name, &[]).1;
        let number = |at: u64| {
            let at = at as usize;
            u32::from_le_bytes(memory[at..at + 4].try_into().expect("four")) as usize
        };
        let text = &memory[number(TOLD)..][..number(TOLD + 4)];
        assert_eq!(std::str::from_utf8(text).unwrap(), format!("e{}", expected?));
        Ok(())
    }
}

/// A step returns where the specification says so, and stops all guests where it traps.
pub fn expect(outcome: &Result<u32, Error>, expected: Result<(), Trap>) -> Result<(), Trap> {
    match (outcome, expected) {
        (Err(error), Ok(())) => panic!("the specification does not trap: {error:#}"),
        (Ok(_), Err(Trap)) => panic!("the specification traps"),
        _ => expected,
    }
}
