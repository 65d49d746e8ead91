//! Where the code of a lazily compiled module lies.

use super::{Lazy, ModuleCode, Piece};
use ampoule_core::artifact::{CompiledFunction, FunctionInfo, RelocationTarget};
use ampoule_core::index::DefinedFuncIndex;
use ampoule_machine::arch::jumps::{self, HEAD_LEN, JUMPS_LEN};
use ampoule_machine::code::link;
use ampoule_machine::code::registry;
use ampoule_machine::code::space::{self, Region};
use ampoule_machine::os::mmap::PAGE;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Where the next function goes.
pub(super) struct Place {
    /// Regions added when the first was full; the last one is in use.
    pub more: Vec<Region>,
    /// Offset in the region in use.
    pub end: usize,
    /// What has been placed, by its start.
    pub placed: BTreeMap<usize, Placed>,
}

/// Code of a function that can run.
#[derive(Clone)]
pub(super) struct Placed {
    pub address: usize,
    pub len: usize,
    pub func: DefinedFuncIndex,
    pub info: Arc<FunctionInfo>,
}

/// Whom the calls of a function to itself reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OwnCalls {
    /// This code, which is the function's for good.
    Here,
    /// What is the function's code by then.
    Newest,
}

impl Place {
    /// The code around an address.
    pub fn at(&self, pc: usize) -> Option<&Placed> {
        let (_, placed) = self.placed.range(..=pc).next_back()?;
        (pc - placed.address < placed.len).then_some(placed)
    }
}

impl ModuleCode {
    /// Writes a function's code to where there is room, and tells the watcher.
    pub(super) fn place(
        &self,
        lazy: &Lazy,
        func: DefinedFuncIndex,
        function: CompiledFunction,
        own_calls: OwnCalls,
    ) -> io::Result<Placed> {
        let info = Arc::new(function.info.clone());
        let (placed, bytes) = self.write(lazy, func, &function, &info, own_calls)?;
        if let Some(watcher) = self.watcher.get() {
            watcher.placed(Piece::Func(func), placed.address, &bytes, &|| info.clone());
        }
        Ok(placed)
    }

    /// Answers what is there now, too.
    fn write(
        &self,
        lazy: &Lazy,
        func: DefinedFuncIndex,
        function: &CompiledFunction,
        info: &Arc<FunctionInfo>,
        own_calls: OwnCalls,
    ) -> io::Result<(Placed, Vec<u8>)> {
        let mut place = lazy.place.lock();
        loop {
            let region = place.more.last().unwrap_or(&self.region);
            let start = link::align(place.end.next_multiple_of(space::granularity()), function);
            let address = region.exec_base() + start;
            let code = link::resolve(&function.code, &function.relocations, address, |target| match target {
                RelocationTarget::Builtin(builtin) => region.exec_base() + jumps::builtin_jump(builtin),
                RelocationTarget::Func(index) => match link::defined(index, self.imported) {
                    this if this == func && own_calls == OwnCalls::Here => address,
                    other => self.entry(other).addr(),
                },
            });
            if start + code.len() <= region.len() {
                region.write(start, &code)?;
                region.seal(start..start + code.len())?;
                place.end = start + code.len();
                let placed = Placed { address, len: code.len(), func, info: info.clone() };
                place.placed.insert(address, placed.clone());
                return Ok((placed, code));
            }
            // Room for the worst: every call a far one.
            let needed =
                HEAD_LEN + PAGE + function.alignment as usize + function.code.len() + function.relocations.len() * 24;
            let region = Region::new(needed.max(self.region.len()))?;
            region.write(0, &jumps::head())?;
            region.seal(0..JUMPS_LEN)?;
            registry::register(region.exec_range(), self.this.clone());
            if let Some(watcher) = self.watcher.get() {
                // SAFETY: the jumps were just written, and never are again.
                let jumps = unsafe { region.bytes(0..JUMPS_LEN) };
                watcher.placed(Piece::Jumps, region.exec_base(), jumps, &|| Arc::new(FunctionInfo::default()));
            }
            place.more.push(region);
            place.end = HEAD_LEN;
        }
    }
}
