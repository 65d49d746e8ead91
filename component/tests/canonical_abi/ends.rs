//! Streams and futures of random types whose ends are dropped, and whose reads and writes are cancelled, whenever it pleases who has them: two
//! guests, or a guest and the host. Each side is told what the specification says ([`copies`](crate::copies)); no element is lost, comes twice,
//! or comes where nobody has read.

use crate::copies::{BLOCKED, CANCELLED, COMPLETED, DROPPED, Doing, Kind, Model, Op, READER, WRITER};
use crate::guest::{Guest, IMAGE, IMAGE_END, Realloc, ends_text};
use crate::model::{Encoding, Flat, Lift, Lower, elem_size};
use crate::streams::{READ, Way, copy, event};
use crate::types::{Random, Ty};
use crate::{BUDGET, assert_same, for_seeds};
use ampoule::{Config, Engine, Error, Features, Store};
use ampoule_component::streams::{FutureReader, FutureWriter, StreamReader, StreamWriter, future, heed, stream};
use ampoule_component::types::ValType;
use ampoule_component::{Component, Instance, Linker, Val, ValRef};
use std::cell::Cell;
use std::task::{Context, Poll, Waker};

const SEEDS: u64 = 200;

/// So many steps are taken with one stream or future.
const STEPS: usize = 40;

/// How often what has happened, for each way.
#[derive(Debug, Default)]
struct Counts {
    moved: [usize; 3],
    dropped: [usize; 3],
    cancelled: [usize; 3],
    /// Cancelled after some elements had gone over.
    cancelled_late: [usize; 3],
    trapped: [usize; 3],
}

#[test]
fn no_element_is_lost_or_comes_twice_whatever_is_dropped_or_cancelled() {
    let mut counts = [Counts::default(), Counts::default()];
    if for_seeds(SEEDS, |seed| check(seed, &mut counts)) {
        println!("{counts:?}");
        for Counts { moved, dropped, cancelled, trapped, .. } in &counts {
            let all = moved.iter().chain(cancelled).chain(trapped);
            assert!(all.chain([&dropped[0], &dropped[1]]).all(|count| *count > 5), "{counts:?}");
        }
        assert!(counts[0].cancelled_late.iter().all(|count| *count > 5), "{counts:?}");
    }
}

fn check(seed: u64, counts: &mut [Counts; 2]) {
    let mut random = Random(seed ^ 0xe4d5);
    let kind = random.pick(&[Kind::Stream, Kind::Future]);
    let ty = loop {
        let ty = (!random.one_in(20)).then(|| Ty::random(&mut random, 3));
        // No stream is of characters.
        if ty.as_ref().is_none_or(|ty| elem_size(ty) < 200 && !matches!(ty, Ty::Char)) {
            break ty;
        }
    };
    let encodings = [0; 2].map(|_| random.pick(&[Encoding::Utf8, Encoding::Utf16, Encoding::Latin1OrUtf16]));
    let features = Features {
        component_model_fixed_length_lists: true,
        component_model_map: true,
        component_model_more_async_builtins: true,
        ..Features::default()
    };
    let engine = Engine::new(&Config { features, ..Config::default() }).unwrap();
    let text = ends_text(kind, ty.as_ref(), encodings, random.pick(&["", "async"]));
    let component = Component::new(&engine, text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let linker = Linker::new(&engine);
    for way in [Way::Between, Way::ToHost, Way::FromHost] {
        let mut store = Store::new(&engine);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        // The next one has the same handles as the one before.
        for _ in 0..3 {
            let Some(mut case) = Case::new(&mut store, &instance, (kind, way), &ty, encodings, &mut random) else {
                break;
            };
            let is_over = case.run(&mut store, &mut random, &mut counts[kind as usize]);
            if is_over.is_err() || !case.end(&mut store) {
                break;
            }
        }
    }
}

/// What the host has, if anything.
enum Host {
    Nothing,
    StreamReader(StreamReader),
    StreamWriter(StreamWriter),
    FutureReader(FutureReader),
    FutureWriter(FutureWriter),
}

/// What stops the store.
struct Trapped;

/// One stream or future.
struct Case<'a> {
    way: Way,
    ty: &'a Option<Ty>,
    encoding: Encoding,
    guests: [Guest<'a>; 2],
    host: Host,
    model: Model,
    /// What the writer has, one after the other from this address on, or the host.
    vals: Vec<Val>,
    from: u64,
    /// What the host has read.
    got: Vec<Val>,
    /// Which value the host has promised to a future.
    promised: Option<usize>,
    /// What was done, for whoever looks for what is wrong.
    log: Vec<String>,
}

impl<'a> Case<'a> {
    /// A new stream or future; `None` where there is no room for its values.
    fn new(
        store: &mut Store,
        instance: &'a Instance,
        (kind, way): (Kind, Way),
        ty: &'a Option<Ty>,
        encodings: [Encoding; 2],
        random: &mut Random,
    ) -> Option<Case<'a>> {
        let unit = || Val::tuple(Vec::new());
        let count = 1 + random.below(8);
        let vals: Vec<Val> = (0..count).map(|_| ty.as_ref().map_or_else(unit, |ty| ty.random_val(random))).collect();
        let (mut image, mut from) = (Vec::new(), IMAGE);
        if let Some(ty) = ty {
            let (mut choose, list) = (|below| random.below(below), Ty::List(ty.clone().into()));
            let encoding = encodings[WRITER];
            let mut lower = Lower { memory: Vec::new(), start: IMAGE, encoding, choose: &mut choose, pieces: None };
            from = lower.lower_flat_values(usize::MAX, &[list], &[Val::list(vals.clone())])[0].1;
            image = lower.memory;
        }
        if image.len() as u64 > READ - IMAGE {
            return None;
        }
        let guests = ["w", "r"].map(|name| Guest { instance, name });
        guests[WRITER].prepare(store, &image, &[], Realloc::Proper);
        guests[READER].prepare(store, &vec![0; (IMAGE_END - IMAGE) as usize], &[], Realloc::Proper);
        let (mut end, mut host) = ([Val::default()], Host::Nothing);
        match way {
            Way::FromHost => {
                let ty = guests[READER].func(store, "begin").ty(store).unwrap();
                let (ValType::Stream(payload) | ValType::Future(payload)) = &ty.params()[0].1 else { panic!("{ty:?}") };
                if kind == Kind::Stream {
                    let (writable, readable) = stream(store, Option::clone(payload)).unwrap();
                    (host, end) = (Host::StreamWriter(writable), [Val::from(readable)]);
                } else {
                    let (writable, readable) = future(store, Option::clone(payload)).unwrap();
                    (host, end) = (Host::FutureWriter(writable), [Val::from(readable)]);
                }
            }
            _ => guests[WRITER].func(store, "begin").call(store, &[], &mut end).unwrap(),
        }
        match (way, kind) {
            (Way::ToHost, Kind::Stream) => host = Host::StreamReader(StreamReader::from_val(&mut end[0]).unwrap()),
            (Way::ToHost, Kind::Future) => host = Host::FutureReader(FutureReader::from_val(&mut end[0]).unwrap()),
            _ => guests[READER].func(store, "begin").call(store, &end, &mut []).unwrap(),
        }
        let model = Model::new(kind, [0; 2]);
        let encoding = encodings[READER];
        let (got, promised, log) = (Vec::new(), None, Vec::new());
        Some(Case { way, ty, encoding, guests, host, model, vals, from, got, promised, log })
    }

    fn is_host(&self, who: usize) -> bool {
        matches!((self.way, who), (Way::ToHost, READER) | (Way::FromHost, WRITER))
    }

    /// Random steps, and a look at what has come over.
    fn run(&mut self, store: &mut Store, random: &mut Random, counts: &mut Counts) -> Result<(), Trapped> {
        for _ in 0..STEPS {
            if self.model.ends.iter().all(|end| end.doing == Doing::Gone) {
                break;
            }
            let who = random.below(2);
            let op = match random.below(16) {
                0 => Op::Drop,
                1..=3 => Op::Cancel,
                4..=8 => Op::Poll,
                _ => Op::Copy(random.below(4) as u32),
            };
            // What stops it all is rare.
            let may_trap = random.one_in(100);
            let done = if self.is_host(who) {
                self.host_step(store, who, op, may_trap, random)
            } else {
                self.guest_step(store, who, op, may_trap, random, counts)
            };
            if done.is_err() {
                counts.trapped[self.way as usize] += 1;
                return done;
            }
        }
        counts.moved[self.way as usize] += self.model.moved.len();
        self.check_moved(store);
        Ok(())
    }

    fn guest_step(
        &mut self,
        store: &mut Store,
        who: usize,
        op: Op,
        may_trap: bool,
        random: &mut Random,
        counts: &mut Counts,
    ) -> Result<(), Trapped> {
        let moved = self.model.moved.len();
        let op = match op {
            Op::Copy(_) if self.model.kind == Kind::Future => {
                self.model.at = [random.below(self.vals.len()), 0];
                Op::Copy(1)
            }
            Op::Copy(len) => {
                self.model.at = [moved; 2];
                Op::Copy(if who == WRITER { len.min((self.vals.len() - moved) as u32) } else { len })
            }
            op => op,
        };
        let at = self.model.at[who];
        // A host may leave without the value that it has promised; whoever reads then is stopped.
        let is_broken = self.way == Way::FromHost
            && self.model.kind == Kind::Future
            && self.model.ends[WRITER].doing == Doing::Gone
            && matches!(op, Op::Copy(_));
        let allowed = self.model.allows((who, op)) && !is_broken;
        if !allowed && !may_trap {
            return Ok(());
        }
        let told = format!("{who} {op:?} at {at} of {:?}", self.model);
        let answer = self.call(store, who, op, at);
        if !allowed {
            assert!(answer.is_err(), "{told} after {:?}", self.log);
            return Err(Trapped);
        }
        let answer = answer.unwrap_or_else(|error| panic!("{told} after {:?}: {error:#}", self.log));
        let expected = match self.promised {
            Some(index) if matches!(op, Op::Copy(_)) => {
                self.promised = None;
                self.model.moved.push((index, at));
                (self.model.ends[READER].doing, self.model.ends[WRITER].doing) = (Doing::Done, Doing::Gone);
                COMPLETED
            }
            _ => self.model.step((who, op)),
        };
        self.log.push(format!("{who} {op:?}: {answer}"));
        assert_eq!(answer, expected, "{told} after {:?}", self.log);
        if matches!(op, Op::Copy(_) | Op::Poll | Op::Cancel) && answer != BLOCKED && answer >= 0 {
            match answer & 15 {
                DROPPED => counts.dropped[self.way as usize] += 1,
                CANCELLED => {
                    counts.cancelled[self.way as usize] += 1;
                    counts.cancelled_late[self.way as usize] += usize::from(answer >> 4 > 0);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn call(&self, store: &mut Store, who: usize, op: Op, at: usize) -> Result<i32, Error> {
        let guest = self.guests[who];
        let mut results = [Val::default()];
        match op {
            Op::Copy(len) => {
                let begin = if who == WRITER { self.from } else { READ };
                let at = begin + at as u64 * self.ty.as_ref().map_or(0, elem_size);
                return copy(store, guest, at, len as usize);
            }
            Op::Poll => return event(store, guest),
            Op::Drop => return guest.func(store, "drop").call(store, &[], &mut []).map(|()| 0),
            Op::Cancel => guest.func(store, "cancel").call(store, &[], &mut results)?,
        }
        let ValRef::S32(answer) = results[0].get() else { panic!("{results:?}") };
        Ok(answer)
    }

    /// The host's reads and writes are done at once, or not at all: there is nothing to cancel, and nothing to be told of.
    fn host_step(
        &mut self,
        store: &mut Store,
        who: usize,
        op: Op,
        may_trap: bool,
        random: &mut Random,
    ) -> Result<(), Trapped> {
        let guest = 1 - who;
        match op {
            Op::Poll | Op::Cancel => return Ok(()),
            Op::Drop => {
                let is_waited_for = matches!(self.host, Host::FutureWriter(_)) && self.model.pending == Some(guest);
                if is_waited_for && !may_trap {
                    return Ok(());
                }
                self.log.push("host drops".into());
                // What it has promised it keeps.
                let goes = self.promised.is_none() && !matches!(self.host, Host::Nothing);
                self.host = Host::Nothing;
                let heeded = heed(store);
                assert_eq!(heeded.is_err(), is_waited_for, "{heeded:?} after {:?}", self.log);
                if is_waited_for {
                    return Err(Trapped);
                }
                if goes {
                    self.model.step((who, Op::Drop));
                }
            }
            Op::Copy(len) => self.host_copy(store, who, 1 + len as usize, random),
        }
        Ok(())
    }

    fn host_copy(&mut self, store: &mut Store, who: usize, most: usize, random: &mut Random) {
        let next = self.model.moved.len();
        let mut cx = Context::from_waker(Waker::noop());
        let index = random.below(self.vals.len());
        self.log.push(format!("host copies {most}"));
        let done = match &mut self.host {
            Host::Nothing => return,
            Host::FutureWriter(_) => {
                let Host::FutureWriter(writer) = std::mem::replace(&mut self.host, Host::Nothing) else { return };
                writer.write(store, self.ty.is_some().then(|| self.vals[index].clone())).unwrap();
                self.model.at[WRITER] = index;
                if self.model.host_copy(who, 1).is_pending() {
                    self.promised = Some(index);
                }
                return;
            }
            Host::StreamWriter(writer) => {
                let mut offered = self.vals[next..(next + most).min(self.vals.len())].to_vec();
                if offered.is_empty() {
                    return;
                }
                self.model.at[WRITER] = next;
                let expected = self.model.host_copy(who, offered.len());
                (writer.poll_write_from(store, &mut cx, &mut offered).map(Result::unwrap), expected)
            }
            Host::StreamReader(reader) => {
                let read = reader.poll_read(store, &mut cx, most).map(Result::unwrap);
                let count = read.map(|vals| vals.map(|vals| (vals.len(), self.got.extend(vals)).0));
                (count, self.model.host_copy(who, most))
            }
            Host::FutureReader(reader) => {
                let read = reader.poll_read(store, &mut cx).map(Result::unwrap);
                (read.map(|val| val.map(|val| (1, self.got.push(val)).0)), self.model.host_copy(who, 1))
            }
        };
        assert_eq!(done.0, done.1, "{:?} after {:?}", self.model, self.log);
    }

    /// Looks for the elements that have come over, and that nothing else has come.
    fn check_moved(&self, store: &mut Store) {
        let moved = &self.model.moved;
        if self.model.kind == Kind::Stream {
            assert!(moved.iter().enumerate().all(|(index, pair)| *pair == (index, index)), "{moved:?}");
        } else {
            assert!(moved.len() <= 1, "{moved:?}");
        }
        let expected: Vec<Val> = moved.iter().map(|(from, _)| self.vals[*from].clone()).collect();
        if self.way == Way::ToHost {
            return assert_same(&self.got, &expected);
        }
        let Some(ty) = self.ty else { return };
        let memory = self.guests[READER].got(store, &[]).1;
        let lift = Lift { memory: &memory, encoding: self.encoding, strict: true, budget: Cell::new(BUDGET) };
        let flat = [(Flat::I32, READ), (Flat::I32, moved.len() as u64)];
        let lifted = lift.lift_flat_values(usize::MAX, &flat, &[Ty::List(ty.clone().into())]);
        assert_same(&lifted.expect("what was lowered can be lifted"), &[Val::list(expected)]);
        let end = READ + moved.len() as u64 * elem_size(ty);
        let rest = &memory[end as usize..IMAGE_END as usize];
        assert!(rest.iter().all(|byte| *byte == 0), "nothing is written where nobody reads: {:?}", self.log);
    }

    /// Whoever has an end still drops it. Whether that may be.
    fn end(&mut self, store: &mut Store) -> bool {
        for who in [READER, WRITER] {
            if self.is_host(who) {
                if self.promised.is_none() && !matches!(self.host, Host::Nothing) {
                    self.host = Host::Nothing;
                    self.model.step((who, Op::Drop));
                    heed(store).unwrap();
                }
                continue;
            }
            let doing = |case: &Case<'_>| case.model.ends[who].doing;
            if doing(self) == Doing::Copying {
                let answer = self.call(store, who, Op::Cancel, 0).unwrap();
                assert_eq!(answer, self.model.step((who, Op::Cancel)), "after {:?}", self.log);
            }
            if doing(self) != Doing::Gone {
                if !self.model.allows((who, Op::Drop)) {
                    return false;
                }
                self.call(store, who, Op::Drop, 0).unwrap();
                self.model.step((who, Op::Drop));
            }
        }
        true
    }
}

impl Model {
    /// What becomes of a copy of the host's, which doesn't wait: as many elements as the guest has or wants that waits; `None` where the guest has
    /// gone, or the one value of a future has.
    fn host_copy(&mut self, who: usize, len: usize) -> Poll<Option<usize>> {
        let other = 1 - who;
        if self.ends.iter().any(|end| end.doing == Doing::Gone) {
            return Poll::Ready(None);
        }
        let theirs = self.ends[other];
        if self.pending != Some(other) {
            return Poll::Pending;
        }
        if theirs.len == 0 {
            // Somebody is here; what is wanted, or there, will be said the next time.
            self.notify_pending(COMPLETED);
            return Poll::Pending;
        }
        let count = len.min(theirs.len - theirs.progress);
        for _ in 0..count {
            let theirs = &mut self.ends[other];
            let (at, next) = (theirs.at + theirs.progress, self.moved.len());
            theirs.progress += 1;
            self.moved.push(if who == WRITER {
                (if self.kind == Kind::Future { self.at[WRITER] } else { next }, at)
            } else {
                (at, if self.kind == Kind::Future { 0 } else { next })
            });
        }
        self.notify_pending(COMPLETED);
        if self.kind == Kind::Future {
            self.ends[who].doing = Doing::Gone;
        }
        Poll::Ready(Some(count))
    }
}
