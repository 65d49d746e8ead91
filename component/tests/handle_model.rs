//! Handles between two guests and the host, in random order, against a model of the handle tables (Canonical ABI, "Table State"): which number
//! each handle gets, which may be lent, given away and dropped, and what the host is told of its resources' ends.
//!
//! The seeds are always the same ones; `AMPOULE_FUZZ_SECONDS` has as many as that takes. A failure names its seed.

use ampoule::{Engine, Error, Store};
use ampoule_component::{Component, Instance, Linker, ResourceHost, Val, ValRef};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// `b` has functions that take handles, and says which numbers they have with it; `a` calls them with those that it is told. Whoever drops
/// does so by number.
const GUESTS: &str = r#"(component
    (import "r" (type $r (sub resource)))
    (import "make" (func $make (param "rep" u32) (result (own $r))))
    (import "look" (func $look (param "x" (borrow $r)) (result u32)))
    (type $d (record (field "a" (own $r)) (field "b" (option (own $r))) (field "c" (list (own $r)))))
    (import "many" (type $many (eq $d)))
    (component $b
        (import "r" (type $r (sub resource)))
        (type $d (record (field "a" (own $r)) (field "b" (option (own $r))) (field "c" (list (own $r)))))
        (import "many" (type $many (eq $d)))
        (core func $drop (canon resource.drop $r))
        (core module $m
            (import "" "drop" (func $drop (param i32)))
            (memory (export "memory") 1)
            (global $next (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next (i32.rem_u (i32.add (global.get $next) (local.get 3)) (i32.const 32768)))
                (i32.and (i32.add (i32.const 4096) (global.get $next)) (i32.const -8)))
            (func (export "take") (param i32) (result i32) (local.get 0))
            (func (export "lend") (param i32) (result i32) (call $drop (local.get 0)) (local.get 0))
            (func (export "keep") (param i32) (result i32) (local.get 0))
            (func (export "both") (param i32 i32) (result i32) (call $drop (local.get 0)) (local.get 1))
            (func (export "twice") (param i32 i32) (result i32)
                (call $drop (local.get 0)) (call $drop (local.get 1))
                (i32.add (i32.mul (local.get 0) (i32.const 65536)) (local.get 1)))
            (func (export "back") (param i32) (result i32) (local.get 0))
            ;; All numbers, one after the other; that of a case without a handle is 0.
            (func (export "many") (param $a i32) (param $is-some i32) (param $b i32) (param $c i32) (param $len i32) (result i32)
                (i32.store (i32.const 512) (local.get $a))
                (i32.store (i32.const 516) (select (local.get $b) (i32.const 0) (local.get $is-some)))
                (memory.copy (i32.const 520) (local.get $c) (i32.mul (local.get $len) (i32.const 4)))
                (i32.store (i32.const 256) (i32.const 512))
                (i32.store (i32.const 260) (i32.add (local.get $len) (i32.const 2)))
                (i32.const 256))
            (func (export "drop") (param i32) (call $drop (local.get 0))))
        (core instance $m (instantiate $m (with "" (instance (export "drop" (func $drop))))))
        (alias core export $m "memory" (core memory $memory))
        (alias core export $m "realloc" (core func $realloc))
        (func (export "take") (param "x" (own $r)) (result u32) (canon lift (core func $m "take")))
        (func (export "lend") (param "x" (borrow $r)) (result u32) (canon lift (core func $m "lend")))
        (func (export "keep") (param "x" (borrow $r)) (result u32) (canon lift (core func $m "keep")))
        (func (export "both") (param "x" (borrow $r)) (param "y" (own $r)) (result u32) (canon lift (core func $m "both")))
        (func (export "twice") (param "x" (borrow $r)) (param "y" (borrow $r)) (result u32)
            (canon lift (core func $m "twice")))
        (func (export "back") (param "x" u32) (result (own $r)) (canon lift (core func $m "back")))
        (func (export "many") (param "x" $many) (result (list u32))
            (canon lift (core func $m "many") (memory $memory) (realloc $realloc)))
        (func (export "drop") (param "x" u32) (canon lift (core func $m "drop"))))
    (instance $b (instantiate $b (with "r" (type $r)) (with "many" (type $many))))
    (component $a
    (import "r" (type $r (sub resource)))
    (type $d (record (field "a" (own $r)) (field "b" (option (own $r))) (field "c" (list (own $r)))))
    (import "many" (type $many (eq $d)))
    (import "make" (func $make (param "rep" u32) (result (own $r))))
    (import "look" (func $look (param "x" (borrow $r)) (result u32)))
    (import "b" (instance $b
        (alias outer 1 $r (type $r')) (alias outer 1 $many (type $many'))
        (export "take" (func (param "x" (own $r')) (result u32))) (export "lend" (func (param "x" (borrow $r')) (result u32)))
        (export "keep" (func (param "x" (borrow $r')) (result u32)))
        (export "both" (func (param "x" (borrow $r')) (param "y" (own $r')) (result u32)))
        (export "twice" (func (param "x" (borrow $r')) (param "y" (borrow $r')) (result u32)))
        (export "back" (func (param "x" u32) (result (own $r'))))
        (export "many" (func (param "x" $many') (result (list u32))))))
    (core func $drop (canon resource.drop $r))
    (core module $memory
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $next (i32.rem_u (i32.add (global.get $next) (local.get 3)) (i32.const 32768)))
            (i32.and (i32.add (i32.const 4096) (global.get $next)) (i32.const -8))))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $memory))
    (alias core export $memory "realloc" (core func $realloc))
    (core func $make (canon lower (func $make))) (core func $look (canon lower (func $look)))
    (core func $take (canon lower (func $b "take"))) (core func $lend (canon lower (func $b "lend")))
    (core func $keep (canon lower (func $b "keep"))) (core func $both (canon lower (func $b "both")))
    (core func $twice (canon lower (func $b "twice"))) (core func $back (canon lower (func $b "back")))
    (core func $many (canon lower (func $b "many") (memory $memory) (realloc $realloc)))
    (core module $m
        (import "" "make" (func $make (param i32) (result i32))) (import "" "look" (func $look (param i32) (result i32)))
        (import "" "take" (func $take (param i32) (result i32))) (import "" "lend" (func $lend (param i32) (result i32)))
        (import "" "keep" (func $keep (param i32) (result i32))) (import "" "both" (func $both (param i32 i32) (result i32)))
        (import "" "twice" (func $twice (param i32 i32) (result i32)))
        (import "" "back" (func $back (param i32) (result i32)))
        (import "" "many" (func $many (param i32 i32 i32 i32 i32 i32))) (import "" "drop" (func $drop (param i32)))
        (func (export "make") (param i32) (result i32) (call $make (local.get 0)))
        (func (export "look") (param i32) (result i32) (call $look (local.get 0)))
        (func (export "take") (param i32) (result i32) (call $take (local.get 0)))
        (func (export "lend") (param i32) (result i32) (call $lend (local.get 0)))
        (func (export "keep") (param i32) (result i32) (call $keep (local.get 0)))
        (func (export "both") (param i32 i32) (result i32) (call $both (local.get 0) (local.get 1)))
        (func (export "twice") (param i32 i32) (result i32) (call $twice (local.get 0) (local.get 1)))
        (func (export "back") (param i32) (result i32) (call $back (local.get 0)))
        (func (export "many") (param i32 i32 i32 i32) (result i32)
            (call $many (local.get 0) (i32.ne (local.get 1) (i32.const 0)) (local.get 1) (local.get 2) (local.get 3) (i32.const 256))
            (i32.const 256))
        (func (export "drop") (param i32) (call $drop (local.get 0))))
    (core instance $m (instantiate $m (with "" (instance
        (export "make" (func $make)) (export "look" (func $look)) (export "take" (func $take)) (export "lend" (func $lend))
        (export "keep" (func $keep)) (export "both" (func $both)) (export "twice" (func $twice)) (export "back" (func $back))
        (export "many" (func $many)) (export "drop" (func $drop))))))
    (func (export "make") (param "x" u32) (result u32) (canon lift (core func $m "make")))
    (func (export "look") (param "x" u32) (result u32) (canon lift (core func $m "look")))
    (func (export "take") (param "x" u32) (result u32) (canon lift (core func $m "take")))
    (func (export "lend") (param "x" u32) (result u32) (canon lift (core func $m "lend")))
    (func (export "keep") (param "x" u32) (result u32) (canon lift (core func $m "keep")))
    (func (export "both") (param "x" u32) (param "y" u32) (result u32) (canon lift (core func $m "both")))
    (func (export "twice") (param "x" u32) (param "y" u32) (result u32) (canon lift (core func $m "twice")))
    (func (export "back") (param "x" u32) (result u32) (canon lift (core func $m "back")))
    (func (export "many") (param "a" u32) (param "b" u32) (param "c" (list u32)) (result (list u32))
        (canon lift (core func $m "many") (memory $memory) (realloc $realloc)))
    (func (export "drop-mine") (param "x" u32) (canon lift (core func $m "drop"))))
    (instance $a (instantiate $a (with "r" (type $r)) (with "many" (type $many)) (with "make" (func $make))
        (with "look" (func $look)) (with "b" (instance $b))))
    (export "a" (instance $a))
    (export "b" (instance $b)))"#;

/// The model of a table: what stands behind each handle, by number, and the numbers that are free, the next one last.
#[derive(Clone, Debug, Default)]
struct Table {
    reps: BTreeMap<u32, u32>,
    free: Vec<u32>,
    len: u32,
}

/// What the specification traps for.
#[derive(Debug)]
struct Trap;

impl Table {
    fn insert(&mut self, rep: u32) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.len += 1;
            self.len
        });
        self.reps.insert(index, rep);
        index
    }

    fn get(&self, index: u32) -> Result<u32, Trap> {
        self.reps.get(&index).copied().ok_or(Trap)
    }

    fn remove(&mut self, index: u32) -> Result<u32, Trap> {
        let rep = self.reps.remove(&index).ok_or(Trap)?;
        self.free.push(index);
        Ok(rep)
    }
}

/// The model of both guests. Nothing is lent between two calls.
#[derive(Clone, Debug, Default)]
struct Model {
    a: Table,
    b: Table,
    /// What the host is told of, in order.
    dropped: Vec<u32>,
}

impl Model {
    /// What a call answers.
    fn call(&mut self, name: &str, args: &[u32]) -> Result<Vec<u32>, Trap> {
        let answer = match (name, args) {
            ("make", &[rep]) => self.a.insert(rep),
            ("look", &[x]) => self.a.get(x)?,
            ("take", &[x]) => {
                let rep = self.a.remove(x)?;
                self.b.insert(rep)
            }
            ("lend", &[x]) => {
                let rep = self.a.get(x)?;
                let index = self.b.insert(rep);
                self.b.remove(index)?;
                index
            }
            // The callee has not dropped what it was lent.
            ("keep", _) => return Err(Trap),
            ("both", &[x, y]) => {
                let lent = self.a.get(x)?;
                if x == y {
                    return Err(Trap);
                }
                let given = self.a.remove(y)?;
                let borrowed = self.b.insert(lent);
                let index = self.b.insert(given);
                self.b.remove(borrowed)?;
                index
            }
            ("twice", &[x, y]) => {
                let indices = [self.a.get(x)?, self.a.get(y)?].map(|rep| self.b.insert(rep));
                for index in indices {
                    self.b.remove(index)?;
                }
                indices[0] * 65536 + indices[1]
            }
            ("back", &[x]) => {
                let rep = self.b.remove(x)?;
                self.a.insert(rep)
            }
            ("many", &[first, maybe, ref rest @ ..]) => {
                let all = [first, maybe].into_iter().chain(rest.iter().copied()).enumerate();
                let all = all
                    .map(|(at, index)| if at == 1 && index == 0 { Ok(None) } else { self.a.remove(index).map(Some) });
                let all = all.collect::<Result<Vec<_>, _>>()?;
                return Ok(all.into_iter().map(|rep| rep.map_or(0, |rep| self.b.insert(rep))).collect());
            }
            ("drop-mine", &[x]) => {
                self.dropped.push(self.a.remove(x)?);
                return Ok(Vec::new());
            }
            ("drop-theirs", &[x]) => {
                self.dropped.push(self.b.remove(x)?);
                return Ok(Vec::new());
            }
            other => unreachable!("{other:?}"),
        };
        Ok(vec![answer])
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % u64::from(bound)) as u32
    }

    /// The number of a handle; of none mostly, where it is to be wrong.
    fn handle(&mut self, of: &Table, is_wrong: bool) -> u32 {
        if of.reps.is_empty() || is_wrong && self.below(3) > 0 {
            return [0, of.len + 1, of.free.first().copied().unwrap_or(7), u32::MAX][self.below(4) as usize];
        }
        *of.reps.keys().nth(self.below(of.reps.len() as u32) as usize).expect("there are as many")
    }
}

/// Calls a function: the numbers that it answers.
fn call(store: &mut Store, instance: &Instance, name: &str, args: &[u32]) -> Result<Vec<u32>, Error> {
    let path = if name == "drop-theirs" { ["b", "drop"] } else { ["a", name] };
    let func = instance.get_func(store, &path)?.expect("the component exports it");
    let vals: Vec<Val> = match (name, args) {
        ("many", [a, b, rest @ ..]) => {
            let rest = rest.iter().map(|&index| Val::from(index)).collect::<Vec<_>>();
            vec![Val::from(*a), Val::from(*b), Val::list(rest)]
        }
        _ => args.iter().map(|&arg| Val::from(arg)).collect(),
    };
    let mut results = vec![Val::default(); usize::from(func.ty(store)?.result().is_some())];
    func.call(store, &vals, &mut results)?;
    let number = |val: &Val| match val.get() {
        ValRef::U32(number) => number,
        other => panic!("{other:?} is no number"),
    };
    Ok(match results.first().map(Val::get) {
        None => Vec::new(),
        Some(ValRef::List(vals)) => vals.iter().map(number).collect(),
        Some(_) => vec![number(&results[0])],
    })
}

/// How often each function has returned and trapped.
type Counts = BTreeMap<&'static str, [u32; 2]>;

const CALLS: [(&str, usize); 11] = [
    ("make", 1),
    ("look", 1),
    ("take", 1),
    ("lend", 1),
    ("keep", 1),
    ("both", 2),
    ("twice", 2),
    ("back", 1),
    ("many", 2),
    ("drop-mine", 1),
    ("drop-theirs", 1),
];

fn check(seed: u64, engine: &Engine, component: &Component, counts: &mut Counts) {
    let mut random = Random(seed);
    let dropped: Arc<Mutex<Vec<u32>>> = Arc::default();
    let mut linker = Linker::new(engine);
    let drops = dropped.clone();
    let mut root = linker.root();
    root.resource("r", 1, move |_, rep| {
        drops.lock().unwrap().push(rep);
        Ok(())
    })
    .unwrap();
    root.func("make", |store, _, args, results| {
        let ValRef::U32(rep) = args[0].get() else { panic!("{args:?}") };
        results[0] = ResourceHost { rep, ty: 1, owned: true }.into_any(store)?.into();
        Ok(())
    })
    .unwrap();
    root.func("look", |store, _, args, results| {
        let ValRef::Resource(Some(any)) = args[0].get() else { panic!("{args:?}") };
        results[0] = Val::from(ResourceHost::from_any(any, store)?.rep);
        Ok(())
    })
    .unwrap();
    let mut store = Store::new(engine);
    let instance = linker.instantiate(&mut store, component).unwrap();
    let mut model = Model::default();
    for step in 0..200 {
        // What ends it all is rare: a handle that isn't there, or is given twice.
        let is_wrong = random.below(60) == 0;
        let (name, count) = CALLS[random.below(CALLS.len() as u32) as usize];
        let table = if matches!(name, "back" | "drop-theirs") { &model.b } else { &model.a };
        let (name, args) = match name {
            "make" => (name, vec![random.below(1 << 30)]),
            "keep" if !is_wrong => continue,
            _ if is_wrong => {
                let args = 0..count + random.below(2) as usize * usize::from(name == "many");
                (name, args.map(|_| random.handle(table, true)).collect())
            }
            _ if table.reps.len() < count => ("make", vec![random.below(1 << 30)]),
            _ => {
                let most = if name == "many" { 5 } else { count };
                let mut args: Vec<u32> = (0..most).map(|_| random.handle(table, false)).collect();
                if name == "many" && random.below(2) == 0 {
                    args[1] = 0;
                }
                // Each of them once, where it is given away.
                let again = |at: usize, args: &[u32]| name != "twice" && args[..at].contains(&args[at]);
                while let Some(at) = (0..args.len()).find(|&at| again(at, &args)) {
                    match name {
                        "many" if at == 1 => args[1] = 0,
                        "many" => _ = args.remove(at),
                        _ => args[at] = random.handle(table, false),
                    }
                }
                (name, args)
            }
        };
        let before = model.clone();
        let expected = model.call(name, &args);
        let got = call(&mut store, &instance, name, &args);
        let told = || format!("seed {seed}, step {step}: {name}({args:?}) in {before:?}: {got:?}, not {expected:?}");
        counts.entry(name).or_default()[usize::from(expected.is_err())] += 1;
        match (&expected, &got) {
            (Ok(expected), Ok(got)) => assert_eq!(expected, got, "{}", told()),
            (Err(Trap), Err(_)) => {
                let again = call(&mut store, &instance, "look", &[1]).expect_err("no guest goes on");
                assert!(again.to_string().contains("cannot enter component instance"), "{}: {again}", told());
                break;
            }
            _ => panic!("{}", told()),
        }
        assert_eq!(*dropped.lock().unwrap(), model.dropped, "{}", told());
    }
    let told = dropped.lock().unwrap().len();
    drop(store);
    assert_eq!(dropped.lock().unwrap().len(), told, "a store's end drops no resources");
}

#[test]
fn handles_are_what_the_specification_says_whatever_is_done_with_them() {
    let engine = Engine::default();
    let component = Component::new(&engine, GUESTS.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let seconds = std::env::var("AMPOULE_FUZZ_SECONDS").ok().map(|text| text.parse().expect("a number"));
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut counts = Counts::new();
    let mut seed = 0;
    while end.map_or(seed < 300, |end| Instant::now() < end) {
        check(seed, &engine, &component, &mut counts);
        seed += 1;
    }
    println!("{seed} seeds: {counts:?}");
    // Of each many, and of each outcome that it may have.
    for (name, [returned, trapped]) in counts {
        assert!((returned > 20 || name == "keep") && (trapped > 2 || name == "make"), "{name}: {returned}, {trapped}");
    }
}
