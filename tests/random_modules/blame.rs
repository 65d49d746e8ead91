//! From a program that goes wrong to the pass of the optimizing tier without which it doesn't, and the function for which the pass is at fault.

use crate::ours::Mode;
use crate::outcome::{Call, Outcome};
use ampoule::Pass;
use std::fmt;
use std::ops::Range;

/// What makes a program go wrong.
#[derive(PartialEq, Eq, Debug)]
pub struct Culprit {
    pass: Pass,
    /// The function that it may not be used for, counted with imported ones; `None` where it takes several.
    func: Option<u32>,
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.pass.name();
        match self.func {
            Some(func) => write!(f, "{name} of function {func} (--without {name}@{func}..{})", func + 1),
            None => write!(f, "{name}, of several functions"),
        }
    }
}

/// The passes without which a program of so many functions isn't wrong, each with the function for which it has to be left out. `is_wrong` runs the
/// program without a pass for some functions.
///
/// Halves are tried as long as one of them alone makes the difference.
pub fn culprits(functions: u32, is_wrong: impl Fn(Pass, Range<u32>) -> bool) -> Vec<Culprit> {
    let without = |pass: &Pass| !is_wrong(*pass, 0..functions);
    let function = |pass: Pass| {
        let mut range = 0..functions;
        while range.len() > 1 {
            let middle = range.start + range.len() as u32 / 2;
            let halves = [range.start..middle, middle..range.end];
            range = halves.into_iter().find(|half| !is_wrong(pass, half.clone()))?;
        }
        (!range.is_empty()).then_some(range.start)
    };
    Pass::ALL.into_iter().filter(without).map(|pass| Culprit { pass, func: function(pass) }).collect()
}

/// Who makes a call end in this mode otherwise than it is to.
pub fn blamed(mode: &Mode, binary: &[u8], call: &Call, expected: &Outcome) -> String {
    let ends_otherwise = |mode: &Mode| {
        let module = mode.module(binary).expect("it was one before");
        mode.run(&module, call, crate::PLENTY) != *expected
    };
    if !ends_otherwise(mode) {
        return format!("made once more in {}, it ends as it is to", mode.name);
    }
    let functions = mode.module(binary).expect("it was one before").description().functions.iter().count() as u32;
    let found = culprits(functions, |pass, functions| {
        ends_otherwise(&mode.changed(|config| {
            config.without_pass_for(pass, functions);
        }))
    });
    match found.iter().map(Culprit::to_string).collect::<Vec<_>>() {
        found if found.is_empty() => {
            format!("no pass of the optimizing tier alone makes the difference in {}", mode.name)
        }
        found => format!("in {} it ends as it is to without: {}", mode.name, found.join("; ")),
    }
}

/// Who makes a call end otherwise in one of two modes than in the other.
pub fn either(one: &Mode, in_one: &Outcome, other: &Mode, in_other: &Outcome, binary: &[u8], call: &Call) -> String {
    format!("{}\n{}", blamed(one, binary, call, in_other), blamed(other, binary, call, in_one))
}

#[test]
fn the_pass_and_the_function_are_found() {
    // Wrong where unrolling is on for function 5; or where code hoisting is on for both of 2 and 9.
    let on =
        |off: &[(Pass, Range<u32>)], pass: Pass, func: u32| !off.iter().any(|(p, f)| *p == pass && f.contains(&func));
    for functions in [6, 7, 8, 100] {
        let found = culprits(functions, |pass, off| on(&[(pass, off)], Pass::Unrolling, 5));
        assert_eq!(found, [Culprit { pass: Pass::Unrolling, func: Some(5) }]);
        assert_eq!(found[0].to_string(), "unrolling of function 5 (--without unrolling@5..6)");
    }
    let both = |pass, off: Range<u32>| {
        let off = [(pass, off)];
        on(&off, Pass::CodeHoisting, 2) && on(&off, Pass::CodeHoisting, 9)
    };
    assert_eq!(culprits(10, both), [Culprit { pass: Pass::CodeHoisting, func: Some(2) }]);
    // Wrong where it is on for either: it has to be off for both.
    let either = |pass, off: Range<u32>| {
        let off = [(pass, off)];
        on(&off, Pass::KnownBits, 2) || on(&off, Pass::KnownBits, 9)
    };
    assert_eq!(culprits(10, either), [Culprit { pass: Pass::KnownBits, func: None }]);
    assert_eq!(culprits(10, |_, _| true), []);
}
