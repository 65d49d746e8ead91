//! The heap of a store, as machine code sees it: 4 GiB of addresses from [`super::VmStoreContext::heap_base`] on, and a table before them.

/// Bytes at the start of the heap where nothing is ever mapped: an access to a field of null, less far into the object, faults.
pub const NULL_GUARD: u32 = 64 << 10;

/// log2 of the bytes of the heap for which the card table has one byte. A byte that is not zero says that references were written there: to
/// elements of an array, or to the fields of a struct that begins there.
pub const CARD_LOG2: u32 = 9;

/// Where the card table begins, from the heap's base: it ends there.
pub const CARDS: i32 = -(1 << (32 - CARD_LOG2));
