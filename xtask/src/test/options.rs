//! What the command line chooses among the tests.

use std::path::PathBuf;

use clap::Args;

#[derive(Args)]
pub struct Options {
    /// Leave out valgrind and the real programs.
    #[arg(long)]
    pub quick: bool,
    /// Run the C tests and the guests' drivers against another shared library with the same interface, and nothing else.
    #[arg(long, value_name = "LIB")]
    pub against: Option<PathBuf>,
    /// How long the fuzzer of the C API and the stress of threads run together.
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// Run only tests whose name contains one of these.
    pub filters: Vec<String>,
}

impl Options {
    /// Whether the filters let a test of this name through.
    pub fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }
}
