//! Profiles of a guest that its host takes: from an epoch callback the host asks for a sample, and at the end for all of them as
//! JSON that the Firefox Profiler reads.
//!
//! In the profile a module is a library, and an operator's offset in the module's bytes is its address. So addresses mean the
//! same whether code was compiled lazily, loaded, or inlined, and tools that know the module can look them up.

use crate::engine::Engine;
use crate::error::Error;
use crate::error::backtrace::Backtrace;
use crate::module::Module;
use crate::module::symbols::demangle::demangle;
use crate::store::Store;
use fxprof_processed_profile::{
    CategoryHandle, CpuDelta, Frame, FrameFlags, FrameInfo, LibraryHandle, LibraryInfo, ProcessHandle, Profile,
    SamplingInterval, Symbol, SymbolTable, ThreadHandle, Timestamp,
};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Frames of a sample at most, the innermost ones.
const MAX_FRAMES: usize = 1024;

/// Collects samples of a guest's stack. Send it where you like, but one thread at a time uses it.
pub struct GuestProfiler {
    profile: Profile,
    process: ProcessHandle,
    thread: ThreadHandle,
    start: Instant,
    modules: Vec<(Module, LibraryHandle)>,
}

impl GuestProfiler {
    /// A profile named `name`, to have a sample every `interval`. Frames of `modules`, which come with the names to show, are
    /// part of it; others are left out.
    ///
    /// # Errors
    /// Where a module belongs to another engine.
    pub fn new(
        engine: &Engine,
        name: &str,
        interval: Duration,
        modules: impl IntoIterator<Item = (String, Module)>,
    ) -> Result<Self, Error> {
        let interval = SamplingInterval::from_nanos(u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX));
        let mut profile = Profile::new(name, SystemTime::now().into(), interval);
        let start = Timestamp::from_nanos_since_reference(0);
        let process = profile.add_process(name, 0, start);
        let thread = profile.add_thread(process, 0, start, true);
        profile.set_thread_name(thread, name);
        let mut known = Vec::new();
        for (shown, module) in modules {
            if !module.engine().same(engine) {
                return Err(Error::message(format!("module `{shown}` to be profiled belongs to another engine")));
            }
            let library = profile.add_lib(library(shown, &module));
            known.push((module, library));
        }
        Ok(GuestProfiler { profile, process, thread, start: Instant::now(), modules: known })
    }

    /// Adds a sample of the stack of the guest that runs in `store`; without frames where none does. `cpu` is the processor
    /// time since the last sample, zero where it isn't known.
    pub fn sample(&mut self, store: &Store, cpu: Duration) {
        let now = self.now();
        let backtrace = Backtrace::capture_up_to(store, MAX_FRAMES);
        let modules = &self.modules;
        let frames = backtrace.frames().iter().rev().filter_map(|frame| {
            let (module, library) = modules.iter().find(|(module, _)| module.has_frame(frame))?;
            let body = || {
                let description = module.description();
                let own = description.defined_func(ampoule_core::index::FuncIndex(frame.func_index()))?;
                Some(description.bodies[own.index()].start as usize)
            };
            let address = u32::try_from(frame.module_offset().or_else(body)?).ok()?;
            Some(FrameInfo {
                frame: Frame::RelativeAddressFromInstructionPointer(*library, address),
                category_pair: CategoryHandle::OTHER.into(),
                flags: FrameFlags::empty(),
            })
        });
        let stack = self.profile.intern_stack_frames(self.thread, frames);
        let cpu = CpuDelta::from_nanos(u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX));
        self.profile.add_sample(self.thread, now, stack, cpu, 1);
    }

    /// Writes the profile as JSON.
    ///
    /// # Errors
    /// What `output` says.
    pub fn finish(mut self, output: impl io::Write) -> Result<(), Error> {
        let end = self.now();
        self.profile.set_thread_end_time(self.thread, end);
        self.profile.set_process_end_time(self.process, end);
        serde_json::to_writer(output, &self.profile)
            .map_err(|error| Error::message(format!("cannot write the profile: {error}")))
    }

    fn now(&self) -> Timestamp {
        let elapsed = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Timestamp::from_nanos_since_reference(elapsed)
    }
}

impl fmt::Debug for GuestProfiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modules: Vec<_> = self.modules.iter().map(|(module, _)| module.name()).collect();
        f.debug_struct("GuestProfiler").field("modules", &modules).finish_non_exhaustive()
    }
}

/// A module as a library, with its functions as symbols.
fn library(name: String, module: &Module) -> LibraryInfo {
    let description = module.description();
    let symbols = description.bodies.iter().enumerate().filter_map(|(number, body)| {
        let func = description.func_index(ampoule_core::index::DefinedFuncIndex(number as u32));
        let name = match module.symbols().function_name(func) {
            Some(name) => demangle(name).into_owned(),
            None => format!("<wasm function {}>", func.0),
        };
        let (address, size) = (u32::try_from(body.start).ok()?, u32::try_from(body.end - body.start).ok());
        Some(Symbol { address, size, name })
    });
    LibraryInfo {
        name,
        debug_name: String::new(),
        path: String::new(),
        debug_path: String::new(),
        debug_id: Default::default(),
        code_id: None,
        arch: None,
        symbol_table: Some(Arc::new(SymbolTable::new(symbols.collect()))),
    }
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;
    use crate::store::epoch::UpdateDeadline;
    use crate::{Config, Instance};
    use serde_json::Value;
    use std::sync::Mutex;

    const GUEST: &str = r#"(module $m
        (func $_ZN1a4spinEv (param i32)
            (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "run") (call $_ZN1a4spinEv (i32.const 1000))))"#;

    fn engine() -> Engine {
        Engine::new(Config::new().epoch_interruption(true)).unwrap()
    }

    fn profile_of(profiler: GuestProfiler) -> Value {
        let mut json = Vec::new();
        profiler.finish(&mut json).unwrap();
        serde_json::from_slice(&json).unwrap()
    }

    #[test]
    fn a_sample_has_the_names_of_the_functions_that_run() {
        let engine = engine();
        let module = Module::new(&engine, GUEST.as_bytes()).unwrap();
        let mut store = Store::new(&engine);
        let modules = [("the module".to_string(), module.clone())];
        let profiler = GuestProfiler::new(&engine, "title", Duration::from_millis(1), modules).unwrap();
        let profiler = Arc::new(Mutex::new(Some(profiler)));
        let sampling = profiler.clone();
        store.epoch_deadline_callback(Some(Box::new(move |store| {
            sampling.lock().unwrap().as_mut().unwrap().sample(store, Duration::from_micros(250));
            Ok(UpdateDeadline::Continue(1))
        })));
        store.set_epoch_deadline(1);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let run = instance.get_func(&store, "run").unwrap();
        engine.increment_epoch();
        run.call(&mut store, &[], &mut []).unwrap();
        let profile = profile_of(profiler.lock().unwrap().take().unwrap());
        assert_eq!(profile["meta"]["product"], "title");
        assert_eq!(profile["libs"][0]["name"], "the module");
        let thread = &profile["threads"][0];
        assert_eq!(thread["samples"]["length"], 1);
        assert_eq!(thread["samples"]["threadCPUDelta"][0], 250);
        let names: Vec<_> = thread["funcTable"]["name"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| {
                let strings = profile["shared"]["stringArray"].as_array().or(thread["stringArray"].as_array()).unwrap();
                strings[name.as_u64().unwrap() as usize].as_str().unwrap().to_string()
            })
            .collect();
        assert!(names.contains(&"<wasm function 1>".to_string()), "{names:?}");
    }

    #[test]
    fn a_sample_without_a_guest_has_no_frames() {
        let engine = engine();
        let mut profiler = GuestProfiler::new(&engine, "title", Duration::ZERO, []).unwrap();
        profiler.sample(&Store::new(&engine), Duration::ZERO);
        let profile = profile_of(profiler);
        let samples = &profile["threads"][0]["samples"];
        assert_eq!((&samples["length"], &samples["stack"][0]), (&Value::from(1), &Value::Null));
    }

    #[test]
    fn modules_of_another_engine_are_refused() {
        let other = Module::new(&engine(), b"(module)").unwrap();
        let error = GuestProfiler::new(&engine(), "title", Duration::ZERO, [("m".to_string(), other)]).unwrap_err();
        assert!(error.to_string().contains("another engine"), "{error}");
    }
}
