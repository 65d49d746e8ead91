//! Objects as a whole, for snapshots: what one consists of, and many that are made at once.

use super::object::Refs;
use super::old::{BLOCK, LARGE};
use super::{AllocationError, Bump, Heap, Kind, Owner, reserve_blocks};
use ampoule_core::object_layout::HOST_POSITION;
use ampoule_core::vm::types::TypeWord;

/// An object that is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewObject {
    pub(crate) word: TypeWord,
    /// Its bytes, a multiple of 8.
    pub(crate) size: u32,
}

impl Heap {
    /// The bytes of an object, and where among them are references that are collected. Ends the process where there is none.
    pub(crate) fn object(&self, at: u32) -> (&[u8], Vec<u32>) {
        let object = self.types.object(&self.region, at);
        let refs = match object.refs {
            Refs::None => Vec::new(),
            Refs::Fields(offsets) => offsets.to_vec(),
            Refs::Elements(from, to) => (from - at..to - at).step_by(4).collect(),
        };
        (self.region.bytes(at, object.size).expect("an object is in the heap"), refs)
    }

    /// Makes objects that no collection moves, and tells where they are. The caller writes all of each with [`Heap::initialize`], and sees to it
    /// that the owner tells of what refers to them, before anything else is allocated.
    ///
    /// # Errors
    /// Where there is no room for all of them. Nothing but what was unreachable is gone.
    pub(crate) fn allocate_all(
        &mut self,
        bump: &mut Bump,
        objects: &[NewObject],
        owner: &mut dyn Owner,
    ) -> Result<Vec<u32>, AllocationError> {
        let (mut small, mut large) = (0u64, 0u64);
        for object in objects {
            if object.size > LARGE {
                large += u64::from(object.size.div_ceil(BLOCK));
            } else {
                small += u64::from(object.size);
            }
        }
        let small_bytes = u32::try_from(small).map_err(|_| AllocationError::OutOfMemory)?;
        let blocks = if small > 0 { u64::from(reserve_blocks(small_bytes)) } else { 0 } + large;
        let blocks = u32::try_from(blocks).map_err(|_| AllocationError::OutOfMemory)?;
        let bytes = small + large * u64::from(BLOCK);
        if self.old.allocated() > 0 && self.old.allocated() + bytes > self.next_major {
            self.collect(bump, Kind::Major, owner)?;
        }
        if !self.reserve(self.nursery, blocks, owner)? {
            self.collect(bump, Kind::Major, owner)?;
            if !self.reserve(self.nursery, blocks, owner)? {
                return Err(AllocationError::OutOfMemory);
            }
        }
        // The long ones first, while free blocks are beside each other.
        let mut places = vec![0; objects.len()];
        for (place, object) in places.iter_mut().zip(objects).filter(|(_, object)| object.size > LARGE) {
            *place = self.place_large(object.size, owner)?.ok_or(AllocationError::OutOfMemory)?;
            // Should the next one not fit, these are whole.
            self.region.bytes_mut(*place, object.size).expect("it was just placed").fill(0);
            self.region.write(*place, object.word.0);
        }
        for (place, object) in places.iter_mut().zip(objects).filter(|(_, object)| object.size <= LARGE) {
            *place = self.old.allocate(&mut self.region, self.types, object.size);
            self.region.write(*place, object.word.0);
        }
        self.statistics.allocated_bytes += small;
        Ok(places)
    }

    /// Writes all but the type of an object that was just made, whose references `map` then replaces. They lead to no young object.
    ///
    /// # Panics
    /// Where the bytes are not as many as the object has.
    pub(crate) fn initialize(&mut self, at: u32, bytes: &[u8], map: impl Fn(u32) -> u32) {
        let word = self.region.read(at);
        self.region.bytes_mut(at, bytes.len() as u32).expect("an object is in the heap").copy_from_slice(bytes);
        self.region.write(at, word);
        let types = self.types;
        let object = types.object(&self.region, at);
        assert_eq!(object.size as usize, bytes.len(), "an object is as long as it says");
        let mut replace = |slot: u32| {
            let reference = self.region.read(slot);
            self.region.write(slot, map(reference));
        };
        match object.refs {
            Refs::None => {}
            Refs::Fields(offsets) => offsets.iter().for_each(|offset| replace(at + offset)),
            Refs::Elements(from, to) => (from..to).step_by(4).for_each(replace),
        }
    }

    /// Makes a new object a value of the host, which the owner knows by this position.
    pub(crate) fn initialize_host(&mut self, at: u32, position: u32) {
        self.region.write(at + HOST_POSITION, position);
        self.hosts.add_old(at, position);
    }
}
