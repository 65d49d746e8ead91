//! What the first code of a module's functions notes while it runs: how often it does, and what its indirect calls call.
//!
//! Machine code has the addresses of these words, and writes them on any thread. So they stay where they are as long as the value lives, and
//! code of a function that is made again goes on with those that it had.

use ampoule_core::index::DefinedFuncIndex;
use ampoule_core::vm::{Callees, VmCallSite};
use ampoule_machine::os::sync::Mutex;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// What is noted of a module.
#[derive(Debug)]
pub struct Profile {
    /// What a function's counter begins with.
    after: i32,
    /// By function, how many calls and turns of loops are left until it is hot.
    counters: Box<[AtomicI32]>,
    /// By function, whether code was ever made of it.
    called: Box<[AtomicBool]>,
    /// By function, whether it was found to be hot when it was called, and not in a loop: then it is called often.
    called_often: Box<[AtomicBool]>,
    /// By the offset of their operator in the module: one for each indirect call of functions whose first code was made.
    call_sites: Mutex<BTreeMap<u32, Box<VmCallSite>>>,
}

/// More than anything counts down to soon.
const NEVER: i32 = i32::MAX;

/// How often code must have run to tell what it will do. More calls than others the callee of a site must have had, to be taken for the one that is called
/// from then on, or as many as there are until functions are hot, where that is sooner: then what was never called tells nothing.
const OFTEN: i32 = 32;

impl Profile {
    /// Of so many functions, which are hot after so many calls and turns of loops.
    pub fn new(count: usize, after: u32) -> Self {
        let after = after.min(NEVER as u32) as i32;
        let counters = std::iter::repeat_with(|| AtomicI32::new(after)).take(count).collect();
        let flags = || std::iter::repeat_with(AtomicBool::default).take(count).collect();
        Self { after, counters, called: flags(), called_often: flags(), call_sites: Mutex::default() }
    }

    /// Where machine code counts: the address of an `i32` for each function, which it counts down.
    pub fn counters(&self) -> usize {
        self.counters.as_ptr().expose_provenance()
    }

    /// Notes that code of a function is made, because it is called.
    pub(super) fn note_called(&self, func: DefinedFuncIndex) {
        self.called[func.index()].store(true, Ordering::Relaxed);
    }

    /// Whether a function may be called where others are hot: code was made of it, or that would have been too early to tell.
    pub fn was_called(&self, func: DefinedFuncIndex) -> bool {
        self.after < OFTEN || self.called[func.index()].load(Ordering::Relaxed)
    }

    /// What is left of a function's counter. It changes while its first code runs.
    pub(super) fn count(&self, func: DefinedFuncIndex) -> i32 {
        self.counters[func.index()].load(Ordering::Relaxed)
    }

    /// Notes that a function is hot when it is called.
    pub(super) fn note_called_often(&self, func: DefinedFuncIndex) {
        self.called_often[func.index()].store(true, Ordering::Relaxed);
    }

    /// Whether what was never reached in a function is hardly reached in later calls. One that was called a few times, and is hot because of a loop, may
    /// not have come to the rest of it yet.
    pub fn has_shown_all(&self, func: DefinedFuncIndex) -> bool {
        self.called_often[func.index()].load(Ordering::Relaxed)
    }

    /// Lets a function be hot after as many calls and turns once more.
    pub(super) fn count_again(&self, func: DefinedFuncIndex) {
        self.counters[func.index()].store(self.after, Ordering::Relaxed);
    }

    /// Lets a function never be hot again.
    pub(super) fn stop_counting(&self, func: DefinedFuncIndex) {
        self.counters[func.index()].store(NEVER, Ordering::Relaxed);
    }

    /// Where machine code notes what the indirect call at this offset of the module calls: the address of a [`VmCallSite`].
    pub fn call_site(&self, position: u32) -> usize {
        let mut sites = self.call_sites.lock();
        let site: &VmCallSite = sites.entry(position).or_default();
        ptr::from_ref(site).expose_provenance()
    }

    /// What the indirect call at this offset of the module has called; `None` where that is not noted, or it is too early to tell.
    pub fn callees(&self, position: u32) -> Option<Callees> {
        let sites = self.call_sites.lock();
        let callees = sites.get(&position)?.callees(OFTEN.min(self.after));
        (callees != Callees::None || self.after >= OFTEN).then_some(callees)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ampoule_core::vm::KnownCallees;

    #[test]
    fn a_call_has_one_place_for_what_it_calls_however_often_its_code_is_made() {
        let profile = Profile::new(1, 1000);
        let places: Vec<usize> = (0..1000).map(|position| profile.call_site(position)).collect();
        for (position, place) in places.iter().enumerate() {
            assert_eq!(profile.call_site(position as u32), *place);
        }
        assert_eq!(profile.call_sites.lock().len(), 1000);
        assert_eq!(profile.callees(7), Some(Callees::None));
        assert_eq!(profile.callees(1000), None, "no code was made of it");
    }

    #[test]
    fn where_functions_are_hot_sooner_fewer_calls_tell_what_is_called() {
        let noted = |after: u32| {
            let profile = Profile::new(1, after);
            profile.call_site(0);
            let site = VmCallSite::default();
            site.callees[0].callee.store(48, Ordering::Relaxed);
            site.callees[0].calls.store(4, Ordering::Relaxed);
            profile.call_sites.lock().insert(0, Box::new(site));
            profile.callees(0)
        };
        let known = Some(Callees::Known(KnownCallees::new(&[48], true)));
        assert_eq!((noted(0), noted(4)), (known, known));
        assert_eq!(noted(2000), Some(Callees::TooFew));
    }

    #[test]
    fn where_functions_are_hot_sooner_nothing_is_taken_to_be_never_called() {
        let known = |after: u32| {
            let profile = Profile::new(2, after);
            profile.call_site(0);
            profile.note_called(DefinedFuncIndex(0));
            (profile.callees(0), [0, 1].map(|func| profile.was_called(DefinedFuncIndex(func))))
        };
        assert_eq!(known(31), (None, [true, true]));
        assert_eq!(known(32), (Some(Callees::None), [true, false]));
    }

    /// What each indirect call of a guest has called, in the order of the text, after it ran in so many instances.
    #[cfg(feature = "compiler")]
    fn callees_of(text: &str, imports: &[&str], instances: usize) -> (Vec<Callees>, crate::Module) {
        use crate::{Config, Engine, Extern, Func, Instance, Module, Store};
        let mut config = Config::new();
        config.tunables.tiers = ampoule_core::tunables::Tiers::Auto;
        config.tier_up.after = 1 << 30;
        config.features.function_references = true;
        let engine = Engine::new(&config).expect("it can be had");
        let module = |text: &str| Module::new(&engine, text.as_bytes()).expect("it is valid");
        let guest = module(text);
        for _ in 0..instances {
            let mut store = Store::new(&engine);
            let imports: Vec<Extern> = imports
                .iter()
                .map(|text| {
                    let other = Instance::new(&mut store, &module(text), &[]).expect("it imports nothing");
                    other.get_export(&store, "f").expect("it is exported")
                })
                .collect();
            let instance = Instance::new(&mut store, &guest, &imports).expect("the imports fit");
            let run: Func = instance.get_func(&store, "run").expect("it is exported");
            run.call(&mut store, &[], &mut []).expect("it returns");
        }
        let code = guest.code().clone();
        let super::super::Functions::Lazy(lazy) = &code.functions else { panic!("it is compiled lazily") };
        let profile = &lazy.tiering.as_ref().expect("the engine tiers").profile;
        let sites: Vec<u32> = profile.call_sites.lock().keys().copied().collect();
        (sites.into_iter().map(|site| profile.callees(site).expect("it is noted")).collect(), guest)
    }

    #[cfg(feature = "compiler")]
    #[test]
    fn what_is_nearly_always_called_is_noted_whichever_instance_calls() {
        let text = r#"(module
          (import "" "f" (func $imported (param i32) (result i32)))
          (type $t (func (param i32) (result i32)))
          (table funcref (elem $one $two $imported
            $two $two $one $two $three $three $one $three $two $four $two $four $three $one $two $two
            $one $two $imported $three $four $five $six $seven $eight $tail $one $two $three $four $five $six))
          (elem declare func $one $two)
          (func $one (type $t) (local.get 0))
          (func $two (type $t) (i32.const 2))
          (func $three (type $t) (i32.const 3))
          (func $four (type $t) (i32.const 4))
          (func $five (type $t) (i32.const 5))
          (func $six (type $t) (i32.const 6))
          (func $seven (type $t) (i32.const 7))
          (func $eight (type $t) (i32.const 8))
          (func $tail (type $t) (return_call_ref $t (local.get 0) (ref.func $two)))
          (func (export "run") (local $n i32)
            (local.set $n (i32.const 160))
            (loop $again
              (drop (call_indirect (type $t) (i32.const 5) (i32.const 0)))
              (drop (call_indirect (type $t) (i32.const 5) (i32.add (i32.const 3) (i32.and (local.get $n) (i32.const 15)))))
              (drop (call_ref $t (i32.const 5)
                (select (result (ref $t)) (ref.func $one) (ref.func $two) (i32.and (local.get $n) (i32.const 15)))))
              (if (i32.eqz (local.get $n)) (then (drop (call_indirect (type $t) (i32.const 5) (i32.const 0)))))
              (drop (call_indirect (type $t) (i32.const 5) (i32.const 2)))
              (drop (call $tail (local.get $n)))
              (drop (call_indirect (type $t) (i32.const 5) (i32.add (i32.const 19) (i32.and (local.get $n) (i32.const 7)))))
              (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;
        let imported = r#"(module (func (export "f") (param i32) (result i32) (local.get 0)))"#;
        for instances in [1, 5] {
            let (found, guest) = callees_of(text, &[imported], instances);
            let reference = |func: u32| {
                let description = guest.description();
                let position = description.func_ref(ampoule_core::index::FuncIndex(func));
                guest.layout().func_ref(position.expect("there is a reference to it")).into()
            };
            let often = |funcs: &[u32]| {
                let callees: Vec<u64> = funcs.iter().map(|&func| reference(func)).collect();
                Callees::Known(KnownCallees::new(&callees, true))
            };
            let [tail, one, several, mostly_one, none, of_another, various] = found[..] else { panic!("{found:?}") };
            assert_eq!((tail, one, mostly_one), (often(&[2]), often(&[1]), often(&[1])));
            assert_eq!((several, none), (often(&[2, 3, 1, 4]), Callees::None));
            assert!(matches!(various, Callees::Known(known) if !known.are_nearly_all && known.iter().count() == 4));
            assert!(![often(&[1]), often(&[2])].contains(&of_another) && of_another != Callees::None);
        }
    }
}
