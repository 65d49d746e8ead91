//! The shim for containerd: its own tests, and containers that it runs. They are compiled only where all tests are run, or some whose names begin with
//! `shim`.

use anyhow::Result;

use super::options::Options;
use super::rust;
use super::tally::Tally;
use crate::{process, project, shim, tools};

pub fn run(options: &Options, tally: &mut Tally) {
    let filters: Vec<&str> = options.filters.iter().filter_map(|filter| filter.strip_prefix("shim")).collect();
    if filters.is_empty() && (options.quick || !options.filters.is_empty()) {
        return;
    }
    if let Err(error) = shim::install_packages() {
        return tally.skip("shim", &format!("{error:#}"));
    }
    // Where these can't be had, the tests say so.
    for (package, program) in [("containerd", "containerd"), ("runc", "runc")] {
        if process::find(program).is_none() {
            let _ = tools::apt_install(package);
        }
    }
    if filters.is_empty() {
        lints(tally);
    }
    if let Err(error) = with_cargo_test(&filters, tally) {
        tally.check("shim", Err(format!("{error:#}")));
    }
}

/// Clippy in the compiler's place, for our own crate alone: `cargo clippy` would check the 300 crates below it once more, which takes minutes, while
/// these are built for the tests anyway.
fn lints(tally: &mut Tally) {
    const CLIPPY: &str = "clippy-driver";
    if process::find(CLIPPY).is_none() {
        return tally.skip("shim: lints", "there is no clippy");
    }
    for target in [["--bin", shim::NAME], ["--test", "containerd"]] {
        let mut rustc = shim::cargo("rustc");
        rustc.env("RUSTC_WORKSPACE_WRAPPER", CLIPPY).args(["--quiet", "--profile", "test"]).args(target);
        let result = process::run(rustc.args(["--", "-D", "warnings"]));
        tally.check(&format!("shim: lints of {}", target[1]), result.map_err(|error| format!("{error:#}")));
    }
}

fn with_cargo_test(filters: &[&str], tally: &mut Tally) -> Result<()> {
    let skipped = project::target().join("skipped-shim-tests.txt");
    std::fs::write(&skipped, "")?;
    let mut test = shim::cargo("test");
    test.env("AMPOULE_SKIPPED", &skipped).args(["--no-fail-fast", "--color=never", "--"]);
    test.args(filters.iter().map(|filter| filter.trim_start_matches('/')).filter(|filter| !filter.is_empty()));
    rust::cargo_test(&mut test, "shim", tally)?;
    tally.skip_those_in(&skipped)
}
