//! Values of random types and their representations, whole and damaged, against a plain interpretation of the specification ([`model`]): from
//! the host to a guest and back, from a guest to the host and back, and from one component to another and back.
//!
//! Whatever a guest's memory, core values and `realloc` are: what the specification says is a value arrives as this value, and what it says
//! is a trap is an error. The seeds are always the same ones; with `AMPOULE_FUZZ_SECONDS` there are as many as that takes, from
//! `AMPOULE_FUZZ_FROM` on. A failure names its seed, which `AMPOULE_FUZZ_SEED` shows again.

mod copies;
mod ends;
mod guest;
mod handles;
mod model;
mod streams;
mod types;

use ampoule::{Config, Engine, Error, Features, Store};
use ampoule_component::{Component, Instance, Linker, Val};
use guest::{Guest, HEAP, IMAGE, IMAGE_END, MEMORY, Realloc, Signature, text};
use model::{Encoding, End, Flat, Lift, Lower, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, alignment, elem_size};
use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use types::{Random, Ty};

/// How many seeds a run of the tests has.
const SEEDS: u64 = 60;

/// How many values there are of the types of one seed.
const ROUNDS: u32 = 12;

/// How many values the model makes before it gives up: damaged lists may be of anything.
const BUDGET: u32 = 200_000;

#[test]
fn values_are_what_the_specification_says_whatever_a_guest_does() {
    let mut counts = Counts::default();
    if for_seeds(SEEDS, |seed| check(seed, &mut counts)) {
        println!("{counts:?}");
        // Of each way many, and of each outcome.
        assert!(counts.0.iter().flatten().all(|count| *count > 20), "{counts:?}");
    }
}

/// Checks so many seeds, or those that the environment wants. Whether they are more than one.
fn for_seeds(count: u64, mut check: impl FnMut(u64)) -> bool {
    let number = |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>().expect("a number"));
    if let Some(seed) = number("AMPOULE_FUZZ_SEED") {
        check(seed);
        return false;
    }
    let first = number("AMPOULE_FUZZ_FROM").unwrap_or(0);
    let end = number("AMPOULE_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut seed = first;
    while end.map_or(seed < first + count, |end| Instant::now() < end) {
        let shown = ShowSeed(seed);
        check(seed);
        drop(shown);
        seed += 1;
    }
    println!("{} seeds", seed - first);
    true
}

struct ShowSeed(u64);

impl Drop for ShowSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed with AMPOULE_FUZZ_SEED={}", self.0);
        }
    }
}

/// Calls of each way that have returned, and that were errors.
#[derive(Debug, Default)]
struct Counts([[u32; 2]; 3]);

/// What the host's function does: what it was given, and what it answers.
#[derive(Default)]
struct Host {
    got: Vec<Val>,
    answer: Option<Val>,
}

struct Case {
    random: Random,
    signature: Signature,
    encodings: [Encoding; 2],
    host: Arc<Mutex<Host>>,
    /// Whether a memory may be larger than when its instance was made.
    has_grown: bool,
}

fn check(seed: u64, counts: &mut Counts) {
    let mut random = Random(seed);
    let signature = loop {
        let params: Vec<Ty> = (0..random.below(4)).map(|_| Ty::random(&mut random, 4)).collect();
        let result = (!random.one_in(6)).then(|| Ty::random(&mut random, 4));
        // No larger than the place that there is.
        let sizes = elem_size(&Ty::Tuple(params.clone())) + result.as_ref().map_or(0, elem_size);
        if sizes < 2000 {
            let [lifts_async, lowers_async] = [0; 2].map(|_| random.one_in(3));
            break Signature { params, result, lifts_async, lowers_async };
        }
    };
    let encodings = [0; 2].map(|_| random.pick(&[Encoding::Utf8, Encoding::Utf16, Encoding::Latin1OrUtf16]));
    let features =
        Features { component_model_fixed_length_lists: true, component_model_map: true, ..Features::default() };
    let engine = Engine::new(&Config { features, ..Config::default() }).unwrap();
    let text = text(&signature, encodings[0], encodings[1]);
    let component = Component::new(&engine, text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let host = Arc::new(Mutex::new(Host::default()));
    let mut linker = Linker::new(&engine);
    let of_host = host.clone();
    let h = move |_: &mut Store, _: &_, args: &mut [Val], results: &mut [Val]| {
        let mut host = of_host.lock().unwrap();
        host.got = args.to_vec();
        results.iter_mut().for_each(|result| *result = host.answer.clone().expect("there is one"));
        Ok(())
    };
    linker.root().func("h", h).unwrap();
    let mut case = Case { random, signature, encodings, host, has_grown: false };
    let mut made: Option<(Box<Store>, Instance)> = None;
    for _ in 0..ROUNDS {
        // What stops a guest stops all of its store.
        let (mut store, instance) = made.take().unwrap_or_else(|| {
            let mut store = Store::new(&engine);
            let instance = linker.instantiate(&mut store, &component).unwrap();
            (store, instance)
        });
        let way = case.random.below(3);
        let returned = match way {
            0 => case.host_to_guest(&mut store, &instance),
            1 => case.guest_to_others(&mut store, &instance, "c"),
            _ => case.guest_to_others(&mut store, &instance, "a"),
        };
        let Some(returned) = returned else { continue };
        counts.0[way][usize::from(!returned)] += 1;
        if returned && !std::mem::take(&mut case.has_grown) {
            made = Some((store, instance));
        }
    }
}

/// A value's representation that a guest gives: its core values, and what lies in its memory.
struct Image {
    given: Vec<(Flat, u64)>,
    bytes: Vec<u8>,
}

impl Case {
    fn vals(&mut self, types: &[Ty]) -> Vec<Val> {
        types.iter().map(|ty| ty.random_val(&mut self.random)).collect()
    }

    /// A representation of values that the model makes; every other one is damaged.
    fn image(&mut self, max: usize, types: &[Ty], vals: &[Val], encoding: Encoding) -> Option<Image> {
        let random = &mut self.random;
        let mut choose = |below| random.below(below);
        let mut lower = Lower { memory: Vec::new(), start: IMAGE, encoding, choose: &mut choose, pieces: None };
        let mut given = lower.lower_flat_values(max, types, vals);
        let mut bytes = lower.memory;
        if bytes.len() as u64 > IMAGE_END - IMAGE {
            return None;
        }
        if random.one_in(2) {
            for _ in 0..=random.below(3) {
                self.damage(&mut given, &mut bytes);
            }
        }
        Some(Image { given, bytes })
    }

    fn damage(&mut self, given: &mut [(Flat, u64)], bytes: &mut [u8]) {
        let random = &mut self.random;
        let word = |random: &mut Random| match random.below(4) {
            0 => random.bits(),
            1 => random.pick(&[
                0,
                1,
                2,
                3,
                0xff,
                0xd800,
                0xdfff,
                0x11_0000,
                0x7fff_ffff,
                0x8000_0000,
                0x8000_0002,
                0xffff_ffff,
            ]),
            2 => MEMORY - random.below(20) as u64,
            _ => IMAGE + random.below(200) as u64,
        };
        if !given.is_empty() && random.one_in(3) {
            let index = random.below(given.len());
            let bits = word(random);
            given[index].1 = if matches!(given[index].0, Flat::I32 | Flat::F32) { bits as u32 as u64 } else { bits };
        } else if bytes.len() >= 4 && random.one_in(2) {
            let at = random.below(bytes.len() / 4) * 4;
            bytes[at..at + 4].copy_from_slice(&(word(random) as u32).to_le_bytes());
        } else if !bytes.is_empty() {
            let at = random.below(bytes.len());
            bytes[at] = random.pick(&[0, 1, 2, 0x7f, 0x80, 0xc0, 0xd8, 0xdc, 0xff]);
        }
    }

    fn realloc(&mut self) -> Realloc {
        use Realloc::*;
        let of = [Proper, Proper, Proper, Proper, Grows, Grows, Unaligned, Outside, FarOutside, Traps, Same];
        let realloc = self.random.pick(&of);
        self.has_grown |= realloc == Grows;
        realloc
    }

    /// What is to become of values that are lowered where `realloc` does this.
    fn lowered(&mut self, max: usize, types: &[Ty], vals: &[Val], encoding: Encoding, realloc: Realloc) -> Lowered {
        let mut pieces = Vec::new();
        let (mut choose, pieces_of) = (|_| 0, Some(&mut pieces));
        let mut lower = Lower { memory: Vec::new(), start: IMAGE, encoding, choose: &mut choose, pieces: pieces_of };
        lower.lower_flat_values(max, types, vals);
        let with_bytes = pieces.iter().filter(|(_, size)| *size > 0).count();
        let must_fail = match realloc {
            Realloc::Proper | Realloc::Grows => return Lowered::Arrives,
            Realloc::Same => false,
            Realloc::Unaligned => pieces.iter().any(|(alignment, size)| *alignment > 1 && *size > 0),
            Realloc::Outside | Realloc::FarOutside | Realloc::Traps => with_bytes > 0,
        };
        match (must_fail, with_bytes) {
            (true, _) => Lowered::Fails,
            (false, 0) if pieces.is_empty() => Lowered::Arrives,
            // Whether `realloc` is called for no bytes is the implementation's choice.
            (false, 0) => Lowered::MayArrive,
            (false, 1) => Lowered::MayArrive,
            // One piece lies on the other.
            _ => Lowered::IsMixedUp,
        }
    }

    /// What values an image is of. `None` where that depends on what isn't known yet: where `realloc` gives memory, what is noted there, and
    /// how large the memory will be.
    fn lifted(
        &self,
        max: usize,
        types: &[Ty],
        given: &[(Flat, u64)],
        memory: &[u8],
        encoding: Encoding,
    ) -> Option<Result<Vec<Val>, End>> {
        let mut outcome = None;
        for fill in [0, 0xff] {
            let mut memory = memory.to_vec();
            memory[..0x100].fill(fill);
            memory[HEAP as usize..].fill(fill);
            let lift = Lift { memory: &memory, encoding, strict: false, budget: Cell::new(BUDGET) };
            let lifted = lift.lift_flat_values(max, given, types);
            let may_be_inside = matches!(lifted, Err(End::Trap(why)) if self.has_grown && why.starts_with("bounds"));
            if may_be_inside
                || lifted == Err(End::TooMuch)
                || outcome.as_ref().is_some_and(|outcome| *outcome != lifted)
            {
                return None;
            }
            outcome = Some(lifted);
        }
        outcome
    }

    /// Looks for the values that a guest has got.
    fn check_got(
        &self,
        max: usize,
        types: &[Ty],
        vals: &[Val],
        flat: &[(Flat, u64)],
        memory: &[u8],
        encoding: Encoding,
    ) {
        let lift = Lift { memory, encoding, strict: true, budget: Cell::new(BUDGET) };
        let got = lift.lift_flat_values(max, flat, types);
        assert_same(&got.expect("what was lowered can be lifted"), vals);
    }

    /// For whoever looks for what is wrong.
    fn describe(&self, way: &str, vals: &[Val], answer: &[Val], reallocs: &[Realloc]) {
        if std::env::var_os("AMPOULE_FUZZ_SEED").is_some() {
            let Signature { params, result, lifts_async, lowers_async } = &self.signature;
            println!(
                "{way}: {params:?} -> {result:?} ({lifts_async}, {lowers_async}) in {:?}\n  {vals:?}\n  {answer:?}\n  {reallocs:?}",
                self.encodings
            );
        }
    }

    /// The host calls `f` of `b`. Whether that returned; `None` where nothing was done.
    fn host_to_guest(&mut self, store: &mut Store, instance: &Instance) -> Option<bool> {
        let encoding = self.encodings[1];
        let params = self.signature.params.clone();
        let results: Vec<Ty> = self.signature.result.iter().cloned().collect();
        let (vals, answer) = (self.vals(&params), self.vals(&results));
        let max_results = self.signature.max_lifted_results();
        let image = self.image(max_results, &results, &answer, encoding)?;
        let realloc = self.realloc();
        let guest = Guest { instance, name: "b" };
        guest.prepare(store, &image.bytes, &image.given, realloc);
        let memory = guest.got(store, &[]).1;
        let lowered = self.lowered(MAX_FLAT_PARAMS, &params, &vals, encoding, realloc);
        let lifted = self.lifted(max_results, &results, &image.given, &memory, encoding);
        self.describe("host to guest", &vals, &answer, &[realloc]);
        let mut got = vec![Val::default(); results.len()];
        let outcome = guest.func(store, "f").call(store, &vals, &mut got);
        expect(&outcome, &[lowered.expectation(), expectation(&lifted)]);
        outcome.ok().map_or(Some(false), |()| {
            if let Some(Ok(expected)) = lifted {
                assert_same(&got, &expected);
            }
            if lowered.arrives() {
                let (flat, memory) = guest.got(store, &self.signature.lifted().0);
                self.check_got(MAX_FLAT_PARAMS, &params, &vals, &flat, &memory, encoding);
            }
            Some(true)
        })
    }

    /// A guest calls the host, or another guest.
    fn guest_to_others(&mut self, store: &mut Store, instance: &Instance, name: &str) -> Option<bool> {
        let params = self.signature.params.clone();
        let results: Vec<Ty> = self.signature.result.iter().cloned().collect();
        let [encoding, callee_encoding] = self.encodings;
        let (vals, answer) = (self.vals(&params), self.vals(&results));
        let caller = Guest { instance, name };
        let callee = (name == "a").then_some(Guest { instance, name: "b" });

        let (max_params, max_results) = (self.signature.max_lowered_params(), self.signature.max_lifted_results());
        let mut image = self.image(max_params, &params, &vals, encoding)?;
        let in_memory = self.signature.returns_in_memory();
        let size = results.first().map_or(0, elem_size);
        let (at, at_is_good, at_is_ours) = match self.random.below(8) {
            _ if !in_memory => (0, true, true),
            0 => (0xf001, alignment(&results[0]) == 1, true),
            1 => (MEMORY - size, (MEMORY - size).is_multiple_of(alignment(&results[0])), false),
            2 => (MEMORY - size + 8, false, false),
            3 => (0xffff_fff8, false, false),
            _ => (0xf000, true, true),
        };
        if in_memory {
            image.given.push((Flat::I32, at));
        }
        let realloc = self.realloc();
        caller.prepare(store, &image.bytes, &image.given, realloc);
        let memory = caller.got(store, &[]).1;
        let lifted = self.lifted(max_params, &params, &image.given, &memory, encoding);

        // What the other side does with them, and what it answers.
        let mut expectations = vec![expectation(&lifted)];
        let (mut arrive, mut answered) = (true, Some(Ok(answer.clone())));
        if let Some(callee) = callee {
            let answer = self.image(max_results, &results, &answer, callee_encoding)?;
            let realloc = self.realloc();
            callee.prepare(store, &answer.bytes, &answer.given, realloc);
            let memory = callee.got(store, &[]).1;
            answered = self.lifted(max_results, &results, &answer.given, &memory, callee_encoding);
            if let Some(Ok(vals)) = &lifted {
                let lowered = self.lowered(MAX_FLAT_PARAMS, &params, vals, callee_encoding, realloc);
                expectations.push(lowered.expectation());
                arrive = lowered.arrives();
            }
        } else {
            *self.host.lock().unwrap() = Host { got: Vec::new(), answer: answer.first().cloned() };
        }
        expectations.push(expectation(&answered));
        let mut answer_arrives = at_is_ours;
        // If nothing is known of what is lowered, nothing is known of what comes of that.
        match &answered {
            Some(Ok(vals)) => {
                let lowered = self.lowered(
                    if in_memory { usize::MAX } else { MAX_FLAT_RESULTS },
                    &results,
                    vals,
                    encoding,
                    realloc,
                );
                expectations.push(lowered.expectation());
                answer_arrives &= lowered.arrives();
            }
            _ => answer_arrives = false,
        }
        expectations.push(Some(at_is_good));
        if lifted.is_none() || answered.is_none() {
            expectations.push(None);
        }
        self.describe(if callee.is_some() { "guest to guest" } else { "guest to host" }, &vals, &answer, &[realloc]);
        let outcome = caller.run(store);
        expect(&outcome, &expectations);
        if outcome.is_err() {
            return Some(false);
        }
        if self.signature.lowers_async {
            // RETURNED: there was nothing to wait for.
            assert_eq!(caller.got(store, &[Flat::I32]).0, [(Flat::I32, 2)]);
        }
        if let (Some(Ok(vals)), true) = (&lifted, arrive) {
            match callee {
                Some(callee) => {
                    let (flat, memory) = callee.got(store, &self.signature.lifted().0);
                    self.check_got(MAX_FLAT_PARAMS, &params, vals, &flat, &memory, callee_encoding);
                }
                None => assert_same(&self.host.lock().unwrap().got, vals),
            }
        }
        if let (Some(Ok(vals)), true) = (&answered, answer_arrives) {
            let (flat, memory) = caller.got(store, &self.signature.lowered().1);
            let (max, flat) = if in_memory { (0, vec![(Flat::I32, at)]) } else { (MAX_FLAT_RESULTS, flat) };
            self.check_got(max, &results, vals, &flat, &memory, encoding);
        }
        Some(true)
    }
}

/// What becomes of values that a guest is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lowered {
    Arrives,
    /// Or it is refused.
    MayArrive,
    Fails,
    /// Something arrives, but what is not known.
    IsMixedUp,
}

impl Lowered {
    fn expectation(self) -> Option<bool> {
        match self {
            Self::Arrives => Some(true),
            Self::MayArrive | Self::IsMixedUp => None,
            Self::Fails => Some(false),
        }
    }

    fn arrives(self) -> bool {
        matches!(self, Self::Arrives | Self::MayArrive)
    }
}

/// Whether it is right that there are values.
fn expectation(lifted: &Option<Result<Vec<Val>, End>>) -> Option<bool> {
    lifted.as_ref().map(Result::is_ok)
}

/// Which NaN a NaN is, is nobody's business: the text is the same.
fn assert_same(got: &[Val], expected: &[Val]) {
    assert_eq!(format!("{got:?}"), format!("{expected:?}"));
}

/// A call returns where everything is right, and is an error where one thing isn't.
fn expect(outcome: &Result<(), Error>, expectations: &[Option<bool>]) {
    if expectations.contains(&Some(false)) {
        assert!(outcome.is_err(), "the specification traps: {expectations:?}");
    } else if !expectations.contains(&None) {
        assert!(outcome.is_ok(), "the specification does not trap: {outcome:?}");
    }
}
