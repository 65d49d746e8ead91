//! What the operating system offers: mappings, signals, threads, barriers, forks, sleeping and waking.
//!
//! What is deliberately not here: anything that knows machine code, except that [`signals`] tells its faults from everyone else's.

pub mod barrier;
pub mod fork;
pub mod futex;
pub mod mmap;
pub mod pagemap;
pub mod pins;
pub mod reservation;
pub mod signals;
pub mod sleeper;
pub mod sync;
pub mod thread;
pub mod wake;
