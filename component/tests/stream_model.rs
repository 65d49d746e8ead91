//! Everything that two guests can do with the two ends of a stream or future, in every order, against a small model of the specification
//! ([`copies`]).

#[path = "canonical_abi/copies.rs"]
mod copies;

use ampoule::{Engine, Error, Store};
use ampoule_component::{Component, Func, Instance, Linker, Val, ValRef};
use copies::{Doing, Kind, Model, Op, READER, Step};

/// Where each end has its buffer.
const AT: [usize; 2] = [3, 20];

/// Has one end of a stream or future of bytes, and does with it what it is told. Its memory is 64 numbered bytes.
fn guest(kind: Kind, side: &str) -> String {
    let (kind, buffer, given) = match kind {
        Kind::Stream => ("stream", "(param i32 i32 i32)", "(local.get 0) (local.get 1)"),
        Kind::Future => ("future", "(param i32 i32)", "(local.get 0)"),
    };
    let (param, result) = (format!("(param \"s\" ({kind} u8))"), format!("(result ({kind} u8))"));
    let (begin, params, results) = match side {
        "writable" => (
            "(func (export \"begin\") (result i32)
                (local $pair i64)
                (local.set $pair (call $new))
                (global.set $end (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
                (call $join (global.get $end) (call $set))
                (i32.wrap_i64 (local.get $pair)))",
            "",
            &result[..],
        ),
        _ => (
            "(func (export \"begin\") (param i32)
                (global.set $end (local.get 0))
                (call $join (global.get $end) (call $set)))",
            &param[..],
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
        (type $s ({kind} u8))
        (core func $new (canon {kind}.new $s))
        (core func $copy (canon {kind}.{copy} $s async (memory $memory)))
        (core func $cancel (canon {kind}.{cancel} $s))
        (core func $drop (canon {kind}.drop-{side} $s))
        (core func $set-new (canon waitable-set.new))
        (core func $join (canon waitable.join))
        (core func $poll (canon waitable-set.poll (memory $memory)))
        (core module $m
            (import "" "memory" (memory 1))
            (import "" "new" (func $new (result i64)))
            (import "" "copy" (func $copy {buffer} (result i32)))
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
                (call $copy (global.get $end) {given}))
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
    kind: Kind,
    engine: Engine,
    components: [Component; 2],
}

impl World {
    fn new(kind: Kind) -> World {
        let engine = Engine::default();
        let component = |side| Component::new(&engine, guest(kind, side).as_bytes()).unwrap();
        let components = ["writable", "readable"].map(component);
        World { kind, engine, components }
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
        let at = AT[who] as u32;
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
    let (mut model, mut guests) = (Model::new(world.kind, AT), world.begin());
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
    let [from, mut to] = [1, 101].map(|first: u8| std::array::from_fn::<u8, 64, _>(|at| first + at as u8));
    for (given, taken) in model.moved {
        to[taken] = from[given];
    }
    assert_eq!(guests.memory(READER), to, "{steps:?}");
}

/// All orders of so many steps.
fn check_every_order(world: &World, steps: &mut Vec<Step>, more: usize) {
    let mut model = Model::new(world.kind, AT);
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
    // How many elements is a stream's matter.
    let is_left_out = |op| op == Op::Copy(3) || op == Op::Copy(0) && world.kind == Kind::Future;
    for step in all_steps().filter(|step| !is_left_out(step.1)) {
        steps.push(step);
        check_every_order(world, steps, more - 1);
        steps.pop();
    }
}

#[test]
fn every_order_of_few_steps_does_as_the_specification_says() {
    check_every_order(&World::new(Kind::Stream), &mut Vec::new(), 4);
}

#[test]
fn every_order_of_few_steps_with_a_future_does_as_the_specification_says() {
    check_every_order(&World::new(Kind::Future), &mut Vec::new(), 5);
}

fn check_long_orders(kind: Kind) {
    let world = World::new(kind);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 33) as usize % below
    };
    for _ in 0..400 {
        let (mut model, mut steps) = (Model::new(kind, AT), Vec::new());
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

#[test]
fn long_random_orders_do_as_the_specification_says() {
    check_long_orders(Kind::Stream);
}

#[test]
fn long_random_orders_with_a_future_do_as_the_specification_says() {
    check_long_orders(Kind::Future);
}
