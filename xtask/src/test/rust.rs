//! The tests written in Rust: `cargo nextest`, and the examples in the documentation.

use std::process::Command;

use anyhow::Result;

use super::options::Options;
use super::tally::Tally;
use crate::{process, project, tools};

pub fn run(options: &Options, tally: &mut Tally) {
    let result = match tools::nextest() {
        Ok(folder) => with_nextest(&folder, options, tally),
        Err(error) => {
            println!("cargo-nextest cannot be installed ({error:#}); using cargo test");
            with_cargo_test(options, &["--lib", "--bins", "--tests"], "Rust tests", tally)
        }
    };
    report(result, "Rust tests", tally);
    // nextest does not run these.
    report(with_cargo_test(options, &["--doc"], "documentation tests", tally), "documentation tests", tally);
}

fn report(result: Result<()>, name: &str, tally: &mut Tally) {
    if let Err(error) = result {
        tally.check(name, Err(format!("{error:#}")));
    }
}

fn with_nextest(folder: &std::path::Path, options: &Options, tally: &mut Tally) -> Result<()> {
    let mut path = vec![folder.to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut nextest = process::cargo();
    nextest.env("PATH", std::env::join_paths(path)?);
    nextest.args(["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests=pass", "--color=never"]);
    // Where tests note what they left out: what a test that passes prints is not shown.
    let skipped = project::target().join("skipped-tests.txt");
    std::fs::write(&skipped, "")?;
    nextest.env("AMPOULE_SKIPPED", &skipped);
    let (status, lines) = process::run_and_keep(nextest.args(&options.filters))?;
    tally.skip_those_in(&skipped)?;
    let counted = lines.iter().rev().find_map(|line| nextest_totals(line));
    add(counted, status.success(), "Rust tests", tally);
    Ok(())
}

fn with_cargo_test(options: &Options, kinds: &[&str], name: &str, tally: &mut Tally) -> Result<()> {
    let mut command: Command = process::cargo();
    command.args(["test", "--workspace", "--no-fail-fast", "--color=never"]).args(kinds).arg("--");
    cargo_test(command.args(&options.filters), name, tally)
}

/// Runs a `cargo test`, and counts what it says.
pub fn cargo_test(command: &mut Command, name: &str, tally: &mut Tally) -> Result<()> {
    let (status, lines) = process::run_and_keep(command)?;
    let counted =
        lines.iter().filter_map(|line| cargo_test_totals(line)).reduce(|sum, more| (sum.0 + more.0, sum.1 + more.1));
    add(counted, status.success(), name, tally);
    Ok(())
}

/// A run without totals did not compile; one that failed without a failed test broke in another way. Both are failures.
fn add(counted: Option<(u64, u64)>, success: bool, name: &str, tally: &mut Tally) {
    let (passed, failed) = counted.unwrap_or((0, 0));
    tally.add(passed, failed, name);
    if !success && failed == 0 {
        tally.check(name, Err("the run itself failed, see above".to_owned()));
    }
}

/// Passed and failed of nextest's `Summary [   0.011s] 5 tests run: 4 passed (1 slow), 1 failed, 2 skipped`.
fn nextest_totals(line: &str) -> Option<(u64, u64)> {
    let (_, totals) = line.trim_start().strip_prefix("Summary [")?.split_once("] ")?;
    let (run, outcomes) = totals.split_once(" run: ")?;
    // `4/5 tests run` when some could not be started.
    let run: u64 = run.split([' ', '/']).next()?.parse().ok()?;
    let passed = outcomes.split(", ").find_map(|part| {
        let (count, what) = part.split_once(' ')?;
        what.starts_with("passed").then(|| count.parse::<u64>().ok())?
    });
    let passed = passed.unwrap_or(0);
    Some((passed, run.checked_sub(passed)?))
}

/// Passed and failed of `test result: ok. 3 passed; 1 failed; 0 ignored; …`.
fn cargo_test_totals(line: &str) -> Option<(u64, u64)> {
    let (_, totals) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = totals.split("; ").map(|part| part.split(' ').next()?.parse::<u64>().ok());
    Some((counts.next()??, counts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextest_summaries_are_understood() {
        assert_eq!(nextest_totals("     Summary [   0.011s] 5 tests run: 5 passed, 0 skipped"), Some((5, 0)));
        assert_eq!(
            nextest_totals("     Summary [   9.2s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 7 skipped"),
            Some((3, 2))
        );
        assert_eq!(nextest_totals("     Summary [   0.0s] 1 test run: 0 passed, 1 failed, 0 skipped"), Some((0, 1)));
        assert_eq!(nextest_totals("        PASS [   0.004s] xtask nextest_summaries"), None);
    }

    #[test]
    fn cargo_summaries_are_understood() {
        assert_eq!(
            cargo_test_totals("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out"),
            Some((3, 0))
        );
        assert_eq!(cargo_test_totals("test result: FAILED. 2 passed; 4 failed; 0 ignored"), Some((2, 4)));
        assert_eq!(cargo_test_totals("test some::name ... ok"), None);
    }

    #[test]
    fn a_run_that_fails_without_a_failed_test_is_a_failure() {
        let mut tally = Tally::default();
        add(None, false, "compiles not", &mut tally);
        add(Some((2, 0)), true, "fine", &mut tally);
        assert_eq!((tally.passed, tally.failed), (2, 1));
    }
}
