//! Names of types, in the form in which values have them: a vector of C's. A record has a name for each field, so that values of records would
//! be mostly blocks that hold names; instead all values of all types share the same bytes for the same name.
//!
//! 1. The bytes lie in [`ARENA`], are written once, before anybody is told where they are, and stay. A vector whose elements lie there owns
//!    nothing: [`crate::vector`] looks at the address before it frees.
//! 2. The arena is bounded, and types are made by guests: a name that finds no place in it is copied for each value.

use ampoule::sync::Mutex;
use std::cell::UnsafeCell;
use std::collections::HashSet;

/// Bytes of names that are shared, in the whole process.
const ARENA_LEN: usize = 1 << 20;

/// Each name takes a multiple of this, which bounds their number.
const UNIT: usize = 16;

/// Longer names aren't shared.
const MAX_LEN: usize = 256;

struct Arena(UnsafeCell<[u8; ARENA_LEN]>);

// SAFETY: by (1): a part is written by one thread, under the lock, before others learn of it.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena(UnsafeCell::new([0; ARENA_LEN]));

struct Interned {
    used: usize,
    names: Option<HashSet<&'static [u8]>>,
}

static INTERNED: Mutex<Interned> = Mutex::new(Interned { used: 0, names: None });

/// Whether something that is no empty vector's lies in the arena.
#[inline]
pub(crate) fn is_shared<T>(data: *const T) -> bool {
    data.addr().wrapping_sub(ARENA.0.get().addr()) < ARENA_LEN
}

/// A name of a type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedName {
    data: *const u8,
    len: usize,
}

// SAFETY: what it points to never changes, by (1).
unsafe impl Send for SharedName {}
// SAFETY: as above.
unsafe impl Sync for SharedName {}

impl SharedName {
    /// The shared bytes of a name; `None` where they find no place.
    pub(crate) fn of(name: &str) -> Option<SharedName> {
        let name = name.as_bytes();
        if name.is_empty() || name.len() > MAX_LEN {
            return None;
        }
        let mut interned = INTERNED.lock();
        let Interned { used, names } = &mut *interned;
        let names = names.get_or_insert_default();
        if let Some(known) = names.get(name) {
            return Some(SharedName { data: known.as_ptr(), len: known.len() });
        }
        if *used + name.len() > ARENA_LEN {
            return None;
        }
        let at = *used;
        *used += name.len().next_multiple_of(UNIT);
        // SAFETY: the part lies in the arena, as was just compared, and nobody else has it: by (1) it is written once, under the lock.
        let bytes: &'static [u8] = unsafe {
            let data = ARENA.0.get().cast::<u8>().add(at);
            data.copy_from_nonoverlapping(name.as_ptr(), name.len());
            std::slice::from_raw_parts(data, name.len())
        };
        names.insert(bytes);
        Some(SharedName { data: bytes.as_ptr(), len: bytes.len() })
    }

    /// Where its bytes lie, and how many they are: at least one.
    #[inline]
    pub(crate) fn parts(self) -> (*const u8, usize) {
        (self.data, self.len)
    }

    /// Whether a vector is this very name.
    #[inline]
    pub(crate) fn is(self, name: &[u8]) -> bool {
        std::ptr::eq(self.data, name.as_ptr()) && self.len == name.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run in a process of its own, as every test is: it fills the arena.
    #[test]
    fn what_finds_no_place_is_not_shared() {
        let made = (0..ARENA_LEN).find(|number| SharedName::of(&format!("name {number}")).is_none());
        assert!(made.is_some_and(|made| made <= ARENA_LEN / UNIT), "{made:?}");
        assert!(SharedName::of("name 0").is_some());
    }
}
