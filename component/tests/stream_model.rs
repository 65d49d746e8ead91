//! Everything that two guests can do with the two ends of a stream, in every order, against a small model of the specification
//! (Canonical ABI, "Stream State").

use ampoule::{Engine, Error, Store};
use ampoule_component::{Component, Func, Instance, Linker, Val, ValRef};

/// Has one end of a stream of bytes, and does with it what it is told. Its memory is 64 numbered bytes.
fn guest(side: &str) -> String {
    let (begin, params, results) = match side {
        "writable" => (
            "(func (export \"begin\") (result i32)
                (local $pair i64)
                (local.set $pair (call $new))
                (global.set $end (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
                (call $join (global.get $end) (call $set))
                (i32.wrap_i64 (local.get $pair)))",
            "",
            "(result (stream u8))",
        ),
        _ => (
            "(func (export \"begin\") (param i32)
                (global.set $end (local.get 0))
                (call $join (global.get $end) (call $set)))",
            "(param \"s\" (stream u8))",
            "",
        ),
    };
    let (copy, cancel) = if side == "writable" { ("write", "cancel-write") } else { ("read", "cancel-read") };
    let first = if side == "writable" { 1 } else { 101 };
    let bytes: String = (0..64).map(|at| format!("\\{:02x}", at + first)).collect();
    format!(
        r#"(component
        (core module $memory (memory (export "memory") 1) (data (i32.const 0) "{bytes}"))
        (core instance $memory (instantiate $memory))
        (alias core export $memory "memory" (core memory $memory))
        (type $s (stream u8))
        (core func $new (canon stream.new $s))
        (core func $copy (canon stream.{copy} $s async (memory $memory)))
        (core func $cancel (canon stream.{cancel} $s))
        (core func $drop (canon stream.drop-{side} $s))
        (core func $set-new (canon waitable-set.new))
        (core func $join (canon waitable.join))
        (core func $poll (canon waitable-set.poll (memory $memory)))
        (core module $m
            (import "" "memory" (memory 1))
            (import "" "new" (func $new (result i64)))
            (import "" "copy" (func $copy (param i32 i32 i32) (result i32)))
            (import "" "cancel" (func $cancel (param i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "set-new" (func $set-new (result i32)))
            (import "" "join" (func $join (param i32 i32)))
            (import "" "poll" (func $poll (param i32 i32) (result i32)))
            (global $end (mut i32) (i32.const 0))
            (global $waitables (mut i32) (i32.const 0))
            (func $set (result i32)
                (global.set $waitables (call $set-new))
                (global.get $waitables))
            {begin}
            (func (export "copy") (param i32 i32) (result i32)
                (call $copy (global.get $end) (local.get 0) (local.get 1)))
            (func (export "cancel") (result i32)
                (call $join (global.get $end) (i32.const 0))
                (call $cancel (global.get $end))
                (call $join (global.get $end) (global.get $waitables)))
            (func (export "drop") (call $drop (global.get $end)))
            ;; The second number of the event, or -2 for none.
            (func (export "poll") (result i32)
                (if (i32.eqz (call $poll (global.get $waitables) (i32.const 128))) (then (return (i32.const -2))))
                (if (i32.ne (i32.load (i32.const 128)) (global.get $end)) (then unreachable))
                (i32.load (i32.const 132)))
            (func (export "bytes") (result i32)
                (i32.store (i32.const 136) (i32.const 0))
                (i32.store (i32.const 140) (i32.const 64))
                (i32.const 136)))
        (core instance $i (instantiate $m (with "" (instance
            (export "memory" (memory $memory)) (export "new" (func $new)) (export "copy" (func $copy))
            (export "cancel" (func $cancel)) (export "drop" (func $drop)) (export "set-new" (func $set-new))
            (export "join" (func $join)) (export "poll" (func $poll))))))
        (func (export "begin") {params} {results} (canon lift (core func $i "begin")))
        (func (export "copy") (param "at" u32) (param "len" u32) (result s32) (canon lift (core func $i "copy")))
        (func (export "cancel") async (result s32) (canon lift (core func $i "cancel")))
        (func (export "drop") (canon lift (core func $i "drop")))
        (func (export "poll") (result s32) (canon lift (core func $i "poll")))
        (func (export "bytes") (result (list u8)) (canon lift (core func $i "bytes") (memory $memory))))"#
    )
}

/// What a guest does with its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    /// A read or write of so many bytes.
    Copy(u32),
    Cancel,
    Drop,
    Poll,
}

/// The writer's end is 0, the reader's 1.
type Step = (usize, Op);

const WRITER: usize = 0;

const BLOCKED: i32 = -1;
const NO_EVENT: i32 = -2;
const COMPLETED: i32 = 0;
const DROPPED: i32 = 1;
const CANCELLED: i32 = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Nothing,
    Copying,
    Done,
    Gone,
}

#[derive(Clone, Copy)]
struct End {
    doing: Doing,
    at: usize,
    len: usize,
    progress: usize,
    /// The result, and whether the buffer is lent until it is told.
    event: Option<(i32, bool)>,
}

/// What the specification says.
struct Model {
    ends: [End; 2],
    pending: Option<usize>,
    memories: [[u8; 64]; 2],
}

impl Model {
    fn new() -> Model {
        let end = End { doing: Doing::Nothing, at: 0, len: 0, progress: 0, event: None };
        let numbered = |first: usize| std::array::from_fn(|at| (at + first) as u8);
        Model { ends: [end; 2], pending: None, memories: [numbered(1), numbered(101)] }
    }

    /// Whether a step is one that doesn't trap.
    fn allows(&self, (who, op): Step) -> bool {
        let doing = self.ends[who].doing;
        match op {
            Op::Copy(_) => doing == Doing::Nothing,
            Op::Cancel => doing == Doing::Copying,
            Op::Drop => matches!(doing, Doing::Nothing | Doing::Done),
            Op::Poll => true,
        }
    }

    fn tell(&mut self, who: usize) -> i32 {
        let end = &mut self.ends[who];
        let (result, lent) = end.event.take().expect("there is one");
        end.doing = if result == DROPPED { Doing::Done } else { Doing::Nothing };
        if lent {
            self.pending = None;
        }
        result | (end.progress as i32) << 4
    }

    fn notify_pending(&mut self, result: i32) {
        if let Some(who) = self.pending.take() {
            self.ends[who].event = Some((result, false));
        }
    }

    fn step(&mut self, (who, op): Step) -> i32 {
        let other = 1 - who;
        match op {
            Op::Poll => return if self.ends[who].event.is_some() { self.tell(who) } else { NO_EVENT },
            Op::Drop => {
                self.ends[who].doing = Doing::Gone;
                self.notify_pending(DROPPED);
                return 0;
            }
            Op::Cancel => {
                match self.ends[who].event {
                    None => self.notify_pending(CANCELLED),
                    Some((COMPLETED, lent)) => self.ends[who].event = Some((CANCELLED, lent)),
                    Some(_) => {}
                }
                return self.tell(who);
            }
            Op::Copy(len) => {
                let end = &mut self.ends[who];
                (end.at, end.len, end.progress) = (if who == WRITER { 3 } else { 20 }, len as usize, 0);
                end.doing = Doing::Copying;
            }
        }
        let [mine, theirs] = [self.ends[who], self.ends[other]];
        if theirs.doing == Doing::Gone {
            self.ends[who].event = Some((DROPPED, false));
        } else if self.pending.is_none() {
            self.pending = Some(who);
        } else if theirs.len > theirs.progress {
            let count = (theirs.len - theirs.progress).min(mine.len);
            if count > 0 {
                let [from, to] = [WRITER, 1].map(|who| self.ends[who].at + self.ends[who].progress);
                for at in 0..count {
                    self.memories[1][to + at] = self.memories[WRITER][from + at];
                }
                self.ends[who].progress += count;
                self.ends[other].progress += count;
                self.ends[other].event = Some((COMPLETED, true));
            }
            self.ends[who].event = Some((COMPLETED, false));
        } else if who == WRITER && mine.len == 0 && theirs.len == 0 {
            self.ends[who].event = Some((COMPLETED, false));
        } else {
            self.notify_pending(COMPLETED);
            self.pending = Some(who);
        }
        if self.ends[who].event.is_some() { self.tell(who) } else { BLOCKED }
    }
}

struct Guests {
    store: Box<Store>,
    funcs: [Funcs; 2],
}

struct Funcs {
    copy: Func,
    cancel: Func,
    drop: Func,
    poll: Func,
    bytes: Func,
}

struct World {
    engine: Engine,
    components: [Component; 2],
}

impl World {
    fn new() -> World {
        let engine = Engine::default();
        let components = ["writable", "readable"].map(|side| Component::new(&engine, guest(side).as_bytes()).unwrap());
        World { engine, components }
    }

    fn begin(&self) -> Guests {
        let mut store = Store::new(&self.engine);
        let linker = Linker::new(&self.engine);
        let instances = self.components.each_ref().map(|component| linker.instantiate(&mut store, component).unwrap());
        let func = |store: &mut Store, instance: &Instance, name| instance.get_func(store, &[name]).unwrap().unwrap();
        let mut stream = [Val::default()];
        func(&mut store, &instances[0], "begin").call(&mut store, &[], &mut stream).unwrap();
        func(&mut store, &instances[1], "begin").call(&mut store, &stream, &mut []).unwrap();
        let funcs = instances.map(|instance| Funcs {
            copy: func(&mut store, &instance, "copy"),
            cancel: func(&mut store, &instance, "cancel"),
            drop: func(&mut store, &instance, "drop"),
            poll: func(&mut store, &instance, "poll"),
            bytes: func(&mut store, &instance, "bytes"),
        });
        Guests { store, funcs }
    }
}

impl Guests {
    fn step(&mut self, (who, op): Step) -> Result<i32, Error> {
        let funcs = &self.funcs[who];
        let at = if who == WRITER { 3u32 } else { 20 };
        let mut results = [Val::default()];
        match op {
            Op::Copy(len) => funcs.copy.call(&mut self.store, &[Val::from(at), Val::from(len)], &mut results)?,
            Op::Cancel => funcs.cancel.call(&mut self.store, &[], &mut results)?,
            Op::Poll => funcs.poll.call(&mut self.store, &[], &mut results)?,
            Op::Drop => return funcs.drop.call(&mut self.store, &[], &mut []).map(|()| 0),
        }
        match results[0].get() {
            ValRef::S32(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }

    fn memory(&mut self, who: usize) -> Vec<u8> {
        let mut results = [Val::default()];
        self.funcs[who].bytes.call(&mut self.store, &[], &mut results).unwrap();
        let ValRef::List(bytes) = results[0].get() else { panic!("a list") };
        bytes.iter().map(|byte| if let ValRef::U8(byte) = byte.get() { byte } else { panic!("a byte") }).collect()
    }
}

const OPS: [Op; 6] = [Op::Copy(0), Op::Copy(2), Op::Copy(3), Op::Cancel, Op::Drop, Op::Poll];

fn all_steps() -> impl Iterator<Item = Step> {
    (0..2).flat_map(|who| OPS.map(|op| (who, op)))
}

/// Takes the steps in new guests, which do as the model does. A last step that the model doesn't allow stops the guest.
fn check(world: &World, steps: &[Step]) {
    let (mut model, mut guests) = (Model::new(), world.begin());
    for &step in steps {
        if !model.allows(step) {
            guests.step(step).expect_err(&format!("{steps:?}"));
            assert!(guests.step((0, Op::Poll)).is_err(), "nothing may be entered any more: {steps:?}");
            return;
        }
        let expected = model.step(step);
        let answer = guests.step(step).unwrap_or_else(|error| panic!("{steps:?}: {error:#}"));
        assert_eq!(answer, expected, "{step:?} of {steps:?}");
    }
    assert_eq!(guests.memory(1), model.memories[1], "{steps:?}");
}

#[test]
fn every_order_of_few_steps_does_as_the_specification_says() {
    fn go(world: &World, steps: &mut Vec<Step>, more: usize) {
        let mut model = Model::new();
        let allowed = steps.iter().all(|&step| {
            let allowed = model.allows(step);
            if allowed {
                model.step(step);
            }
            allowed
        });
        if more == 0 || !allowed {
            return check(world, steps);
        }
        for step in all_steps().filter(|step| step.1 != Op::Copy(3)) {
            steps.push(step);
            go(world, steps, more - 1);
            steps.pop();
        }
    }
    let world = World::new();
    go(&world, &mut Vec::new(), 4);
}

#[test]
fn long_random_orders_do_as_the_specification_says() {
    let world = World::new();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 33) as usize % below
    };
    for _ in 0..400 {
        let (mut model, mut steps) = (Model::new(), Vec::new());
        while steps.len() < 40 {
            let step = (random(2), OPS[random(6)]);
            // Ends go rarely, or there would be nothing left to do.
            if model.allows(step) && (step.1 != Op::Drop || random(20) == 0) {
                model.step(step);
                steps.push(step);
            }
            if model.ends.iter().all(|end| end.doing == Doing::Gone) {
                break;
            }
        }
        check(&world, &steps);
    }
}
