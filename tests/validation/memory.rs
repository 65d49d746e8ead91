//! Memory that nobody has to make: what was never written is what a hash makes of its address.
//!
//! Parts of memory that never overlap (`flags::Region` of the compiler) are apart here whatever their addresses are. Slots of a frame are at
//! addresses of their own, and nobody outside of the function sees them.

use ampoule_core::vm::{VmFuncRef, VmLayout, VmStoreContext};
use cranelift_codegen::ir::{Function, MemFlagsData};
use std::collections::HashMap;
use std::mem::offset_of;

/// The upper bits of addresses of frames.
const FRAMES: u64 = 0x6a7b << 48;

/// Whether an address is one in a frame.
pub fn is_in_frame(address: u64) -> bool {
    address >> 48 == FRAMES >> 48
}

/// The linear memories' part.
const HEAP: u32 = 0;
/// The parts with numbers of guests: objects, and globals from here on.
const OBJECTS: u32 = 5;
const GLOBALS: u32 = 7;
/// Bases and lengths of memories and tables.
const DEFINITIONS: u32 = 1;
/// Elements of tables, which are null where they weren't called before.
const ELEMENTS: u32 = 2;
/// What belongs to no part: contexts, return areas.
const NO_REGION: u32 = u32::MAX;

/// The store's own part.
const STORE: u32 = 4;
/// References to functions.
const FUNC_REFS: u32 = 3;

/// The references that an instance makes to functions of its own: what tables often have, and what code compares callees with.
#[derive(Default)]
pub struct References {
    /// Functions, with the distances of their references from the context, and where their types' records are in the list of those.
    pub list: Vec<Reference>,
    /// The context.
    pub vmctx: u64,
}

pub struct Reference {
    pub func: u32,
    pub offset: u64,
    pub signature: u64,
}

impl References {
    /// The code of a function of the module.
    pub fn code(func: u32) -> u64 {
        hash(&[0, func.into()])
    }

    /// The function whose code is at an address.
    pub fn func_at(&self, code: u64) -> Option<u32> {
        self.list.iter().map(|reference| reference.func).find(|&func| Self::code(func) == code)
    }

    /// The address of one of them.
    pub fn any(&self, random: u64) -> Option<u64> {
        let at = (random % self.list.len().max(1) as u64) as usize;
        self.list.get(at).map(|reference| self.vmctx.wrapping_add(reference.offset))
    }
}

/// How an access of an instruction sees memory.
#[derive(Clone, Copy)]
pub struct Access {
    region: u32,
    is_constant: bool,
    /// The trap that a fault is.
    pub trap: Option<u8>,
}

impl Access {
    pub fn new(func: &Function, flags: MemFlagsData) -> Self {
        let region = flags.alias_region().map_or(NO_REGION, |region| func.dfg.alias_regions[region].user_id);
        Self { region, is_constant: flags.readonly(), trap: flags.trap_code().map(|code| code.as_raw().get()) }
    }
}

/// The memory of a run.
pub struct Memory<'a> {
    seed: u64,
    references: &'a References,
    /// Where the store says which instance calls: a word that only callees outside of the instance ask for.
    caller: u64,
    /// How often all may have changed.
    epoch: u64,
    written: HashMap<(u32, u64), u8>,
    frames: HashMap<u64, u8>,
    frames_made: u64,
    /// Of what was written, without regard to the order.
    digest: u64,
}

impl<'a> Memory<'a> {
    pub fn new(seed: u64, references: &'a References) -> Self {
        let (written, frames) = (HashMap::new(), HashMap::new());
        let mut memory = Self { seed, references, caller: 0, epoch: 0, written, frames, frames_made: 0, digest: 0 };
        let store = memory.constant(references.vmctx.wrapping_add_signed(VmLayout::STORE.into()));
        memory.caller = store.wrapping_add(offset_of!(VmStoreContext, caller) as u64);
        memory
    }

    /// The address of a new frame: 16 MiB that nothing else has.
    pub fn new_frame(&mut self) -> u64 {
        self.frames_made += 1;
        FRAMES | self.frames_made << 24
    }

    /// What was written since all may have changed the last time.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// All may have changed, but what never does, and frames.
    pub fn change(&mut self) {
        self.epoch += 1;
        self.written.clear();
        self.digest = 0;
    }

    /// Whether an access faults: one page in a hundred can't be accessed.
    pub fn faults(&self, address: u64, len: usize) -> bool {
        let page_faults = |page: u64| hash(&[self.seed, 1, page]).is_multiple_of(100);
        let (first, last) = (address >> 12, address.wrapping_add(len as u64 - 1) >> 12);
        !is_in_frame(address) && (page_faults(first) || page_faults(last))
    }

    pub fn read(&self, access: Access, address: u64, bytes: &mut [u8]) {
        for (offset, byte) in bytes.iter_mut().enumerate() {
            let at = address.wrapping_add(offset as u64);
            *byte = match is_in_frame(at) {
                true => self.frames.get(&at).copied().unwrap_or_default(),
                false => self.written.get(&(access.region, at)).copied().unwrap_or_else(|| self.unwritten(access, at)),
            };
        }
    }

    pub fn write(&mut self, access: Access, address: u64, bytes: &[u8]) {
        for (offset, &byte) in bytes.iter().enumerate() {
            let at = address.wrapping_add(offset as u64);
            if is_in_frame(at) {
                self.frames.insert(at, byte);
                continue;
            }
            // What is as it was isn't noted, so that it doesn't matter whether it was written.
            let unwritten = self.unwritten(access, at);
            let is_seen = |byte: u8| byte != unwritten && !self.is_caller(at);
            let of = |byte: u8| if is_seen(byte) { hash(&[u64::from(access.region), at, byte.into()]) } else { 0 };
            let before = self.written.get(&(access.region, at)).copied().unwrap_or(unwritten);
            self.digest ^= of(before) ^ of(byte);
            self.written.insert((access.region, at), byte);
        }
    }

    /// What a byte is that has not been written. Guests' memory has small numbers and zeros as well as others, so that loops end.
    fn unwritten(&self, access: Access, address: u64) -> u8 {
        let epoch = if access.is_constant { 0 } else { self.epoch };
        let word = hash(&[self.seed, epoch, access.region.into(), address >> 3]);
        let kind = word >> 60;
        let is_guests = matches!(access.region, HEAP | OBJECTS) || (GLOBALS..NO_REGION).contains(&access.region);
        let word = match access.region {
            ELEMENTS if kind == 0 => 0,
            ELEMENTS if kind < 12 => self.references.any(word).unwrap_or(word),
            // No memory is longer than all of its addresses, which compiled code may count on.
            DEFINITIONS => (word % 0x1_0001) << 16,
            FUNC_REFS => self.reference_word(address & !7).unwrap_or(word),
            _ if is_guests && kind < 4 => 0,
            _ if is_guests && kind < 10 => word & 0xf | (word & 0xf0) << 28,
            _ => word,
        };
        word.to_le_bytes()[address as usize & 7]
    }
}

impl Memory<'_> {
    /// A word of one of the instance's references.
    fn reference_word(&self, address: u64) -> Option<u64> {
        let References { list, vmctx } = self.references;
        let distance = address.wrapping_sub(*vmctx);
        let size = size_of::<VmFuncRef>() as u64;
        let of = list.iter().find(|reference| (reference.offset..reference.offset + size).contains(&distance))?;
        Some(match (distance - of.offset) as usize {
            at if at == offset_of!(VmFuncRef, code) => References::code(of.func),
            at if at == offset_of!(VmFuncRef, vmctx) => *vmctx,
            _ => {
                let records = self.constant(vmctx.wrapping_add_signed(VmLayout::SIGNATURES.into()));
                self.constant(records.wrapping_add(of.signature))
            }
        })
    }

    fn is_caller(&self, address: u64) -> bool {
        address.wrapping_sub(self.caller) < 8
    }

    /// What a callee outside of the instance sees.
    pub fn seen_from_outside(&self) -> u64 {
        let mut caller = [0; 8];
        self.read(Access { region: STORE, is_constant: false, trap: None }, self.caller, &mut caller);
        hash(&[self.digest, u64::from_le_bytes(caller)])
    }

    /// A word that never changes.
    fn constant(&self, address: u64) -> u64 {
        let access = Access { region: NO_REGION, is_constant: true, trap: None };
        let mut bytes = [0; 8];
        self.read(access, address, &mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// A number that looks random and is the same for the same words.
pub fn hash(words: &[u64]) -> u64 {
    words.iter().fold(0x9e37_79b9_7f4a_7c15, |state, &word| {
        let mixed = (state ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 29).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 32
    })
}
