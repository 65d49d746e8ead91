//! Random programs that make structs: held in locals, handed to functions that are inlined or not, carried by branches, put into
//! fields of each other, written to, compared, and sometimes kept. The optimizer makes no object of those which it sees never leave a function, so what
//! it does is compared with what is done without it.
//!
//! Every program ends, by counters of loops; some trap, where they read a field of null.
//!
//! They are not compared with another engine: 44.0.0 takes one reference for another in one of some hundred of them. After
//! `(loop $l (if (ref.test (ref $sub) (local.tee $a (local.get $null))) (then (local.set $a (struct.new $sub …))))
//! (local.set $v (call $add (local.get $w) (local.get $w))) (br_if $l …))`, where `$v` is used later, `$a` is there what `$v` ought to be.

use crate::count::{Compared, for_seeds, is_longer};
use crate::generate::Random;
use crate::ours::{self, Mode};
use crate::outcome::End;
use crate::{compare, differs, expected};
use std::fmt::Write;

/// Programs of each run.
const PROGRAMS: u64 = 100;
/// Statements of a function, and how deep they nest.
const STATEMENTS: usize = 22;
const DEPTH: usize = 4;
/// Locals of each type.
const LOCALS: usize = 3;

/// What all programs have: `$m` is written to, `$v` never is.
const COMMON: &str = r#"
  (type $m (sub (struct (field $x (mut i32)) (field $b (mut i8)) (field $next (mut (ref null $m))))))
  (type $sub (sub $m (struct (field $x (mut i32)) (field $b (mut i8)) (field $next (mut (ref null $m))) (field $more i64))))
  (type $v (struct (field $i i32) (field $h i16) (field $l i64) (field $w (ref null $m))))
  (global $kept (mut (ref null $m)) (ref.null $m))
  (func $new (param i32) (result (ref $m)) (struct.new $m (local.get 0) (i32.shr_s (local.get 0) (i32.const 3)) (ref.null $m)))
  (func $sum (param (ref null $m)) (result i32)
    (if (ref.is_null (local.get 0)) (then (return (i32.const -1))))
    (i32.add (struct.get $m $x (local.get 0)) (struct.get_s $m $b (local.get 0))))
  (func $twice (param (ref null $m)) (result (ref null $m))
    (struct.set $m $x (local.get 0) (i32.shl (struct.get $m $x (local.get 0)) (i32.const 1))) (local.get 0))
  (func $add (param (ref null $v) (ref null $v)) (result (ref $v))
    (struct.new $v
      (i32.add (struct.get $v $i (local.get 0)) (struct.get $v $i (local.get 1)))
      (i32.xor (struct.get_u $v $h (local.get 0)) (struct.get_s $v $h (local.get 1)))
      (i64.add (struct.get $v $l (local.get 0)) (struct.get $v $l (local.get 1)))
      (struct.get $v $w (local.get 0))))
  (func $or (param (ref null $m) (ref null $m)) (result (ref null $m))
    (if (ref.is_null (local.get 0)) (then (return (local.get 1)))) (local.get 0))
  (func $keep (param (ref null $m)) (global.set $kept (local.get 0)))
  (func $garbage (param i32) (result i32)
    (loop (drop (struct.new $m (local.get 0) (i32.const 0) (global.get $kept)))
      (br_if 0 (i32.gt_s (local.tee 0 (i32.sub (i32.and (local.get 0) (i32.const 7)) (i32.const 1))) (i32.const 0))))
    (local.get 0))
"#;

/// What a branch may lead to: a block that gives an object of this type, or none.
struct Label {
    name: String,
    carries: Option<char>,
}

struct Writer {
    random: Random,
    text: String,
    labels: Vec<Label>,
    left: usize,
    names: usize,
    counters: Vec<String>,
}

fn program(seed: u64) -> String {
    let mut writer = Writer {
        random: Random::new(seed ^ 0x0b1e),
        text: String::new(),
        labels: Vec::new(),
        left: 0,
        names: 0,
        counters: Vec::new(),
    };
    let functions: String = ["a", "b", "c"].iter().map(|name| writer.function(name)).collect();
    format!("(module {COMMON}\n{functions})\n")
}

impl Writer {
    fn once_in(&mut self, n: usize) -> bool {
        self.random.below(n) == 0
    }

    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("${kind}{}", self.names)
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "  {line}");
    }

    fn function(&mut self, name: &str) -> String {
        self.left = STATEMENTS;
        // As a rule locals hold objects before anything else is done.
        for local in 0..LOCALS {
            for kind in ['m', 'v'] {
                if !self.once_in(20) {
                    let object = self.new_object(kind, 1);
                    self.line(&format!("(local.set ${kind}{local} {object})"));
                }
            }
        }
        self.statements(0, STATEMENTS);
        let mut result = String::from("(local.get $i0)");
        for local in 0..LOCALS {
            let fields = format!("(i32.add (call $sum (local.get $m{local})) (ref.is_null (local.get $v{local})))");
            result = format!("(i32.add (i32.mul {result} (i32.const 31)) (i32.add (local.get $i{local}) {fields}))");
        }
        result = format!("(i32.add {result} (call $sum (global.get $kept)))");
        let (body, counters) = (std::mem::take(&mut self.text), std::mem::take(&mut self.counters));
        let mut locals: String = counters.iter().map(|name| format!(" (local {name} i32)")).collect();
        for local in 0..LOCALS {
            let _ = write!(locals, " (local $m{local} (ref null $m)) (local $v{local} (ref null $v))");
        }
        format!(
            "(func (export \"{name}\") (param $i0 i32) (param $i1 i32) (param $i2 i32) (result i32){locals}\n{body}  {result})\n"
        )
    }

    fn statements(&mut self, depth: usize, most: usize) {
        for _ in 0..1 + self.random.below(most) {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            self.statement(depth);
        }
    }

    fn local(&mut self, kind: char) -> String {
        format!("${kind}{}", self.random.below(LOCALS))
    }

    fn kind(&mut self) -> char {
        if self.once_in(3) { 'v' } else { 'm' }
    }

    fn statement(&mut self, depth: usize) {
        match self.random.below(if depth < DEPTH { 19 } else { 13 }) {
            0..=3 => {
                let kind = self.kind();
                let (local, object) = (self.local(kind), self.object(kind, 2));
                self.line(&format!("(local.set {local} {object})"));
            }
            4 | 5 => {
                let (local, value) = (self.local('i'), self.integer(3));
                self.line(&format!("(local.set {local} {value})"));
            }
            6..=8 => {
                let (object, field) = (self.object('m', 1), ["$x", "$b", "$next"][self.random.below(3)]);
                let value = if field == "$next" { self.object('m', 1) } else { self.integer(2) };
                self.line(&format!("(struct.set $m {field} {object} {value})"));
            }
            9 => {
                let local = self.local('m');
                self.line(&format!("(drop (call $twice (local.get {local})))"));
            }
            10 if self.once_in(3) => {
                let object = self.object('m', 1);
                self.line(&format!("(call $keep {object})"));
            }
            10 => {
                let (local, value) = (self.local('i'), self.integer(1));
                self.line(&format!("(local.set {local} (call $garbage {value}))"));
            }
            11 | 12 => self.branch(),
            13 | 14 => {
                let condition = self.integer(2);
                self.line(&format!("(if {condition} (then"));
                self.statements(depth + 1, 4);
                if self.once_in(2) {
                    self.line(") (else");
                    self.statements(depth + 1, 4);
                }
                self.line("))");
            }
            15 | 16 => {
                let (kind, name) = (self.kind(), self.name("block"));
                let carries = self.once_in(2).then_some(kind);
                let result = carries.map(|kind| format!("(result (ref null ${kind}))")).unwrap_or_default();
                self.line(&format!("(block {name} {result}"));
                self.labels.push(Label { name, carries });
                self.statements(depth + 1, 5);
                self.labels.pop();
                let object = carries.map(|kind| self.object(kind, 1)).unwrap_or_default();
                self.line(&format!("{object})"));
                if carries.is_some() {
                    let local = self.local(kind);
                    self.line(&format!("(local.set {local})"));
                }
            }
            _ => self.repeat(depth),
        }
    }

    /// A branch out of a block.
    fn branch(&mut self) {
        let condition = self.integer(2);
        let Some(at) = self.labels.len().checked_sub(1) else { return };
        let at = if self.once_in(2) { at } else { self.random.below(at + 1) };
        let (name, carries) = (self.labels[at].name.clone(), self.labels[at].carries);
        match carries {
            Some(kind) => {
                let (object, local) = (self.object(kind, 1), self.local(kind));
                self.line(&format!("(local.set {local} (br_if {name} {object} {condition}))"));
            }
            None => self.line(&format!("(br_if {name} {condition})")),
        }
    }

    /// A loop that carries an object as its parameter, or nothing.
    fn repeat(&mut self, depth: usize) {
        let (head, counter) = (self.name("loop"), self.name("n"));
        self.counters.push(counter.clone());
        let (kind, times) = (self.kind(), 1 + self.random.below(5));
        let carries = self.once_in(2);
        self.line(&format!("(local.set {counter} (i32.const {times}))"));
        let local = self.local(kind);
        if carries {
            let object = self.object(kind, 1);
            self.line(&format!("{object} (loop {head} (param (ref null ${kind})) (local.set {local})"));
        } else {
            self.line(&format!("(loop {head}"));
        }
        self.statements(depth + 1, 5);
        let object = if carries { self.object(kind, 1) } else { String::new() };
        let count = format!("(local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))");
        self.line(&format!("{object} (br_if {head} (i32.gt_s {count} (i32.const 0)))"));
        self.line(if carries { "drop)" } else { ")" });
    }

    fn new_object(&mut self, kind: char, left: usize) -> String {
        let left = left.saturating_sub(1);
        if kind == 'm' && self.once_in(3) {
            return format!("(call $new {})", self.integer(left));
        }
        let (one, two, inner) = (self.integer(left), self.integer(left), self.inner(left));
        match (kind, self.once_in(8)) {
            ('v', _) => format!("(struct.new $v {one} {two} (i64.extend_i32_u {one}) {inner})"),
            (_, true) => format!("(struct.new $sub {one} {two} {inner} (i64.const 3))"),
            _ => format!("(struct.new $m {one} {two} {inner})"),
        }
    }

    /// What is put into a new object.
    fn inner(&mut self, left: usize) -> String {
        if left == 0 || self.once_in(2) { "(ref.null $m)".to_string() } else { self.object('m', left) }
    }

    /// An expression that gives an object, or null.
    fn object(&mut self, kind: char, left: usize) -> String {
        if left == 0 || self.once_in(3) {
            return format!("(local.get {})", self.local(kind));
        }
        let left = left - 1;
        match self.random.below(10) {
            0..=3 => self.new_object(kind, left),
            4 => {
                let (condition, one, other) = (self.integer(1), self.object(kind, left), self.object(kind, left));
                match self.once_in(2) {
                    true => format!("(select (result (ref null ${kind})) {one} {other} {condition})"),
                    false => format!("(if (result (ref null ${kind})) {condition} (then {one}) (else {other}))"),
                }
            }
            5 => format!("(local.tee {} {})", self.local(kind), self.object(kind, left)),
            6 if kind == 'v' => {
                format!("(call $add (local.get {}) {})", self.local(kind), self.object(kind, left))
            }
            6 => format!("(ref.as_non_null {})", self.object(kind, left)),
            7 if kind == 'm' => {
                let inner = match self.random.below(5) {
                    0 | 1 => format!("(struct.get $m $next {})", self.object('m', left)),
                    2 | 3 => format!("(struct.get $v $w {})", self.object('v', left)),
                    _ => "(global.get $kept)".to_string(),
                };
                match self.once_in(10) {
                    true => inner,
                    false => format!("(call $or {inner} (local.get {}))", self.local('m')),
                }
            }
            8 if kind == 'm' => format!("(ref.cast (ref null $m) {})", self.object('m', left)),
            _ => format!("(local.get {})", self.local(kind)),
        }
    }

    fn integer(&mut self, left: usize) -> String {
        if left == 0 || self.once_in(4) {
            return match self.random.below(3) {
                0 => format!("(i32.const {})", self.random.next() as i32 >> self.random.below(31)),
                _ => format!("(local.get {})", self.local('i')),
            };
        }
        let left = left - 1;
        match self.random.below(12) {
            0 | 1 => format!("(struct.get $m $x {})", self.object('m', left)),
            2 => format!("(struct.get_{} $m $b {})", ["s", "u"][self.random.below(2)], self.object('m', left)),
            3 => format!("(struct.get_{} $v $h {})", ["s", "u"][self.random.below(2)], self.object('v', left)),
            4 => format!("(i32.wrap_i64 (struct.get $v $l {}))", self.object('v', left)),
            5 => format!("(struct.get $v $i {})", self.object('v', left)),
            6 => {
                let kind = self.kind();
                format!("(ref.eq {} {})", self.object(kind, left), self.object(kind, left))
            }
            7 => format!("(ref.is_null {})", self.object('m', left)),
            8 => format!("(ref.test (ref $sub) {})", self.object('m', left)),
            9 => format!("(call $sum {})", self.object('m', left)),
            _ => {
                const OPERATORS: [&str; 5] = ["add", "sub", "mul", "xor", "and"];
                let operator = OPERATORS[self.random.below(OPERATORS.len())];
                format!("(i32.{operator} {} {})", self.integer(left), self.integer(left))
            }
        }
    }
}

fn binary(seed: u64) -> Vec<u8> {
    let text = program(seed);
    ampoule::Module::binary_of_text(&text).unwrap_or_else(|error| panic!("program {seed} is wrong: {error}\n{text}"))
}

#[test]
fn objects_are_the_same_in_every_mode() {
    let plain = ours::mode("opt_none", &|config| config.tunables.opt_level = ampoule_core::tunables::OptLevel::None);
    let verified = ours::mode("verified", &|config| config.tunables.debug_verifier = true);
    let stress = ours::mode("stress", &|config| config.gc_stress = true);
    let modes: [Mode; 8] = [
        verified,
        stress,
        ours::mode("fuel", &|config| config.tunables.consume_fuel = true),
        ours::mode("signals_off", &|config| config.tunables.signals_based_traps = false),
        ours::baseline("baseline", &|_| {}),
        ours::tier_up("tier_up", 0, &|config| config.gc_stress = true),
        ours::baseline("baseline_stress", &|config| config.gc_stress = true),
        ours::baseline("baseline_checks", &|config| {
            (config.tunables.consume_fuel, config.tunables.signals_based_traps) = (true, false);
        }),
    ];
    let (mut compared, mut returned, mut trapped) = (Compared::default(), 0, 0);
    let mut test = |seed: u64| {
        let binary = binary(seed);
        let (_, calls) = expected(&plain, &binary, seed)?;
        for mode in &modes {
            compare((seed, &binary), (&plain, &calls), mode, PartialEq::eq, &mut compared);
        }
        for (_, outcome) in &calls {
            match outcome.end {
                End::Results(_) => returned += 1,
                End::Trap(_) => trapped += 1,
                End::Error(_) | End::HeapFull => differs(seed, &binary, format!("a program ends with {outcome:?}")),
            }
        }
        Some(())
    };
    if std::env::var_os("AMPOULE_FUZZ_SEED").is_none() {
        (0..PROGRAMS).for_each(|seed| {
            test(seed);
        });
    }
    if is_longer() {
        for_seeds(&mut test);
    }
    compared.print();
    println!("{returned} calls returned, {trapped} trapped");
    assert!(std::env::var_os("AMPOULE_FUZZ_SEED").is_some() || (returned > trapped && trapped > 0), "both happen");
}
