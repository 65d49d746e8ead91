//! The code of an engine's thunks, each of which stays where it was placed.

use super::CodeError;
use super::link;
use super::space::{self, Region};
use crate::arch::jumps::{self, HEAD_LEN};
use crate::os::mmap::PAGE;
use ampoule_core::artifact::{CompiledFunction, RelocationTarget};

/// The thunks of one engine. Dropping it frees them.
pub struct ThunkCode {
    /// New code goes to the last one.
    regions: Vec<Region>,
    end: usize,
}

impl ThunkCode {
    /// Addresses reserved at a time, in bytes.
    const REGION_LEN: usize = 1 << 20;

    /// No thunks yet, and a region reserved for them.
    ///
    /// # Errors
    /// Where code memory has run out.
    pub fn new() -> Result<Self, CodeError> {
        let mut thunks = ThunkCode { regions: Vec::new(), end: 0 };
        thunks.add_region(0)?;
        Ok(thunks)
    }

    /// Makes a thunk ready to run, for as long as this value lives.
    ///
    /// # Errors
    /// Where code memory has run out.
    ///
    /// # Panics
    /// Where the thunk calls a function of a module: a bug of the compiler.
    pub fn place(&mut self, thunk: &CompiledFunction) -> Result<*const u8, CodeError> {
        loop {
            let region = self.regions.last().expect("made with one");
            let start = link::align(self.end.next_multiple_of(space::granularity()), thunk);
            if start + thunk.code.len() <= region.len() {
                let code = link::resolve(&thunk.code, &thunk.relocations, start, |target| match target {
                    RelocationTarget::Builtin(builtin) => jumps::builtin_jump(builtin),
                    RelocationTarget::Func(_) => unreachable!("a thunk calls through the reference it is given"),
                });
                region.write(start, &code).map_err(CodeError::no_memory)?;
                region.seal(start..start + code.len()).map_err(CodeError::no_memory)?;
                self.end = start + code.len();
                return Ok((region.exec_base() + start) as *const u8);
            }
            self.add_region(HEAD_LEN + PAGE + thunk.alignment as usize + thunk.code.len())?;
        }
    }

    /// The code of a thunk that was placed here, `len` bytes.
    ///
    /// # Panics
    /// Where it wasn't.
    pub fn bytes(&self, thunk: *const u8, len: usize) -> &[u8] {
        let region = self.regions.iter().find(|region| region.exec_range().contains(&thunk.addr()));
        let region = region.expect("thunks lie in these regions");
        let start = thunk.addr() - region.exec_base();
        // SAFETY: a thunk is never written again.
        unsafe { region.bytes(start..start + len) }
    }

    fn add_region(&mut self, needed: usize) -> Result<(), CodeError> {
        let region = Region::new(needed.max(Self::REGION_LEN)).map_err(CodeError::no_memory)?;
        region.write(0, &jumps::head()).map_err(CodeError::no_memory)?;
        region.seal(0..jumps::JUMPS_LEN).map_err(CodeError::no_memory)?;
        self.regions.push(region);
        self.end = HEAD_LEN;
        Ok(())
    }
}
