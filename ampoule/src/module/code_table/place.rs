//! Where the code of a lazily compiled module lies.

use super::{Lazy, ModuleCode, Piece};
use ampoule_core::artifact::{CompiledFunction, FunctionInfo, RelocationTarget};
use ampoule_core::index::DefinedFuncIndex;
use ampoule_machine::arch::jumps::{self, HEAD_LEN, JUMPS_LEN};
use ampoule_machine::code::CodeError;
use ampoule_machine::code::free_ranges::FreeRanges;
use ampoule_machine::code::link;
use ampoule_machine::code::registry;
use ampoule_machine::code::space::{self, Region};
use ampoule_machine::os::barrier;
use ampoule_machine::os::mmap::PAGE;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Where pieces of code are, and where there is room for the next. What a function keeps lies apart from what is replaced: it is used for longer, and
/// calls itself directly.
pub(super) struct Place {
    /// Where code goes that may be given back; the first of its regions is the module's first. All code, where none may.
    replaceable: Stream,
    kept: Stream,
    /// What has been placed, by its start.
    placed: BTreeMap<usize, Placed>,
}

/// Regions that are filled one after another.
#[derive(Default)]
struct Stream {
    /// Those that were added. The last one is in use.
    more: Vec<Region>,
    /// Offset in the region in use.
    end: usize,
    /// What was given back, by region; offsets.
    free: Vec<FreeRanges>,
}

/// Code of a function that can run.
#[derive(Clone)]
pub(super) struct Placed {
    pub address: usize,
    pub len: usize,
    pub func: DefinedFuncIndex,
    pub info: Arc<FunctionInfo>,
    pub use_: Use,
    /// What the function's counter was when it was looked at last. Of code that counts.
    pub counted: Option<i32>,
}

/// What code of a function is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    /// The function keeps it.
    Kept,
    /// Until there is better.
    First,
    /// It goes on from a loop of the first.
    FromLoop,
}

impl Place {
    /// Pieces follow at `end` of the module's first region.
    pub fn new(end: usize) -> Self {
        let replaceable = Stream { end, ..Stream::default() };
        Place { replaceable, kept: Stream::default(), placed: BTreeMap::new() }
    }

    /// The code around an address.
    pub fn at(&self, pc: usize) -> Option<&Placed> {
        let (_, placed) = self.placed.range(..=pc).next_back()?;
        (pc - placed.address < placed.len).then_some(placed)
    }

    /// The code that begins at an address.
    pub fn starting_at(&mut self, start: usize) -> Option<&mut Placed> {
        self.placed.get_mut(&start)
    }

    /// The regions beside the first.
    pub fn more(&self) -> impl Iterator<Item = &Region> {
        self.replaceable.more.iter().chain(&self.kept.more)
    }

    /// All pieces.
    pub fn pieces(&self) -> impl Iterator<Item = &Placed> {
        self.placed.values()
    }
}

impl Stream {
    /// One of its regions; `first` comes before those that were added.
    fn region<'a>(&'a self, first: Option<&'a Region>, number: usize) -> &'a Region {
        first.into_iter().chain(&self.more).nth(number).expect("numbers are those of regions")
    }

    /// The region in use, if there is one.
    fn current<'a>(&'a self, first: Option<&'a Region>) -> Option<&'a Region> {
        self.more.last().or(first)
    }

    /// Takes room that was given back. Answers the number of the region, and the offset.
    fn take_free(&mut self, function: &CompiledFunction) -> Option<(usize, usize)> {
        let align = |at| link::align(at, function);
        self.free
            .iter_mut()
            .enumerate()
            .find_map(|(number, free)| Some((number, free.take_first(function.code.len(), align)?)))
    }

    /// Gives room back.
    fn give_back(&mut self, number: usize, range: Range<usize>) -> Range<usize> {
        if self.free.len() <= number {
            self.free.resize_with(number + 1, FreeRanges::default);
        }
        self.free[number].give_back(range)
    }
}

impl ModuleCode {
    /// Writes a function's code to where there is room, and tells the watcher.
    ///
    /// # Errors
    /// Where code memory has run out, or the budget of the store that owns the module.
    pub(super) fn place(
        &self,
        lazy: &Lazy,
        func: DefinedFuncIndex,
        mut function: CompiledFunction,
        use_: Use,
    ) -> Result<Placed, CodeError> {
        let info = Arc::new(std::mem::take(&mut function.info));
        let asked = function.code.len();
        self.used_by.add(asked).map_err(|refused| CodeError::Limit(refused.to_string()))?;
        let (placed, bytes) = self.write(lazy, func, &function, &info, use_).map_err(|error| {
            self.used_by.subtract(asked);
            CodeError::no_memory(error)
        })?;
        // Jumps to what is far away.
        self.used_by.add_held(placed.len - asked);
        self.memory.add(placed.len, use_ == Use::Kept);
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
        use_: Use,
    ) -> io::Result<(Placed, Vec<u8>)> {
        let mut place = lazy.place.lock();
        let Place { replaceable, kept, placed: pieces } = &mut *place;
        let (stream, first) =
            if use_ == Use::Kept && lazy.tiering.is_some() { (kept, None) } else { (replaceable, Some(&self.region)) };
        let code_at = |region: &Region, start: usize| {
            let address = region.exec_base() + start;
            link::resolve(&function.code, &function.relocations, address, |target| match target {
                RelocationTarget::Builtin(builtin) => region.exec_base() + jumps::builtin_jump(builtin),
                RelocationTarget::Func(index) => match link::defined(index, self.imported) {
                    this if this == func && use_ == Use::Kept => address,
                    other => self.entry(other).addr(),
                },
            })
        };
        let mut note = |address: usize, code: Vec<u8>| {
            let placed = Placed { address, len: code.len(), func, info: info.clone(), use_, counted: None };
            pieces.insert(address, placed.clone());
            (placed, code)
        };
        if let Some((number, start)) = stream.take_free(function) {
            let (region, len) = (stream.region(first, number), function.code.len());
            let code = code_at(region, start);
            // Nobody runs what was there before, but a processor may have fetched it.
            if code.len() == len && region.write(start, &code).is_ok() && barrier::in_all_threads() {
                return Ok(note(region.exec_base() + start, code));
            }
            stream.give_back(number, start..start + len);
        }
        loop {
            if let Some(region) = stream.current(first) {
                let start = link::align(stream.end.next_multiple_of(space::granularity()), function);
                let code = code_at(region, start);
                if start + code.len() <= region.len() {
                    region.write(start, &code)?;
                    region.seal(start..start + code.len())?;
                    let address = region.exec_base() + start;
                    stream.end = start + code.len();
                    return Ok(note(address, code));
                }
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
            stream.more.push(region);
            stream.end = HEAD_LEN;
        }
    }

    /// Gives back the room of a piece that may be given back. Answers what it was.
    ///
    /// # Safety
    /// No thread is in it or will return to it.
    pub(super) unsafe fn give_back(&self, lazy: &Lazy, start: usize) -> Option<Placed> {
        let mut place = lazy.place.lock();
        let placed = place.placed.remove(&start)?;
        self.memory.remove(placed.len, placed.use_ == Use::Kept);
        self.used_by.subtract(placed.len);
        let stream = &mut place.replaceable;
        let mut regions = std::iter::once(&self.region).chain(&stream.more);
        let number = regions.position(|region| region.exec_range().contains(&start)).expect("pieces are in regions");
        let offset = start - stream.region(Some(&self.region), number).exec_base();
        let end = offset + placed.len;
        let around = stream.give_back(number, offset..end);
        // The pages that are free now and were not before.
        let pages = (offset / PAGE * PAGE).max(around.start)..end.next_multiple_of(PAGE).min(around.end);
        // SAFETY: what is free is not run, by the caller, until it is taken, which takes the lock.
        unsafe { stream.region(Some(&self.region), number).release(pages) };
        Some(placed)
    }
}
