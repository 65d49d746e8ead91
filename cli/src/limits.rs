//! What a guest may have, from the options that say so.

use crate::units::parse_bytes;
use ampoule::Store;

/// Limits of what a guest may make the host hold.
#[derive(clap::Args)]
pub struct Limits {
    /// The most bytes that each memory of a guest may have, such as 256MiB.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub max_memory: Option<u64>,
    /// The most bytes that a guest may make the host hold in all: memories, tables, objects, stacks, buffers and bodies, descriptors, and the code
    /// that is compiled while it runs, unless others run it too.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub max_total: Option<u64>,
}

impl Limits {
    /// Sets them for a store.
    pub fn set(&self, store: &mut Store) {
        store.limits_mut().memory_size = self.max_memory;
        if self.max_total.is_some() {
            store.budget().set_limits(None, self.max_total);
        }
    }
}
