//! What passed, what failed, and what could not be run.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::{self, Ending};

#[derive(Default)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    failures: Vec<String>,
    skipped: Vec<String>,
    /// When the current part began.
    begun: Option<Instant>,
}

/// A test program that has been run.
pub struct Ended {
    name: String,
    ending: anyhow::Result<Ending>,
    took: Duration,
    /// What it has printed.
    said: String,
}

impl Ended {
    /// Runs a test program for at most `limit`. What it says goes to a file in `logs`, too.
    pub fn of(name: &str, command: &mut Command, logs: &Path, limit: Duration) -> Self {
        let log = logs.join(format!("{}.log", name.replace(['/', ' '], "-")));
        let started = Instant::now();
        let ending = process::run_logged(command, &log, limit);
        let said = std::fs::read(&log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        Self { name: name.to_owned(), ending, took: started.elapsed(), said }
    }
}

impl Tally {
    /// Begins a part of the run, and tells how long the one before has taken.
    pub fn part(&mut self, title: &str) {
        if let Some(begun) = self.begun.replace(Instant::now()) {
            println!("   ({} s)", begun.elapsed().as_secs());
        }
        println!("\n== {title}");
    }

    /// Counts one test, and shows its name.
    pub fn check(&mut self, name: &str, result: Result<(), String>) {
        match result {
            Ok(()) => {
                println!("ok    {name}");
                self.passed += 1;
            }
            Err(reason) => {
                println!("FAIL  {name}\n      {}", reason.trim_end().replace('\n', "\n      "));
                self.failures.push(name.to_owned());
                self.failed += 1;
            }
        }
    }

    /// Runs a test program for at most `limit`. What it says goes to a file in `logs`, and is shown when it fails.
    pub fn check_program(&mut self, name: &str, command: &mut Command, logs: &Path, limit: Duration) {
        self.add_ended(&Ended::of(name, command, logs, limit));
    }

    /// Counts a test program that was run.
    pub fn add_ended(&mut self, Ended { name, ending, took, said }: &Ended) {
        match ending {
            Ok(Ending::Exited(status)) if status.success() => {
                self.check(&format!("{name} ({:.1} s)", took.as_secs_f64()), Ok(()));
                for (reason, claims) in skipped_claims(said) {
                    self.skip(&format!("{name}: {}", claims.join(", ")), &reason);
                }
            }
            Ok(Ending::Exited(status)) => self.check(name, Err(format!("{status}\n{}", last_lines(said, 60)))),
            Ok(Ending::TimedOut(limit)) => {
                let said = last_lines(said, 60);
                self.check(name, Err(format!("still running after {} s\n{said}", limit.as_secs())));
            }
            Err(error) => self.check(name, Err(format!("{error:#}"))),
        }
    }

    /// Adds what another test runner counted.
    pub fn add(&mut self, passed: u64, failed: u64, name: &str) {
        self.passed += passed;
        self.failed += failed;
        if failed > 0 {
            self.failures.push(format!("{name}: {failed} of them, see above"));
        }
    }

    /// Records what is left out here.
    pub fn skip(&mut self, name: &str, reason: &str) {
        println!("skip  {name}: {reason}");
        self.skipped.push(format!("{name}: {reason}"));
    }

    /// Records what tests have noted in a file: a name and a reason a line.
    pub fn skip_those_in(&mut self, file: &Path) -> anyhow::Result<()> {
        for (name, reason) in std::fs::read_to_string(file)?.lines().filter_map(|line| line.split_once(": ")) {
            self.skip(name, reason);
        }
        Ok(())
    }

    /// The summary; its last line is the totals.
    pub fn print(&self) {
        println!("\n== summary");
        for skipped in &self.skipped {
            println!("skipped: {skipped}");
        }
        for failure in &self.failures {
            println!("failed: {failure}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
    }
}

/// What a program says that it left out, `skipped: CLAIM: REASON`, by reason.
fn skipped_claims(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut skipped = BTreeMap::<String, Vec<String>>::new();
    for (claim, reason) in text.lines().filter_map(|line| line.strip_prefix("skipped: ")?.split_once(": ")) {
        skipped.entry(reason.to_owned()).or_default().push(claim.to_owned());
    }
    skipped
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let hidden = lines.len().saturating_sub(count);
    let mut shown = lines[hidden..].join("\n");
    if hidden > 0 {
        shown.insert_str(0, &format!("({hidden} lines before these)\n"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_text_is_shown() {
        assert_eq!(last_lines("a\nb\nc\n", 3), "a\nb\nc");
        assert_eq!(last_lines("a\nb\nc\n", 2), "(1 lines before these)\nb\nc");
        assert_eq!(last_lines("", 2), "");
    }

    #[test]
    fn what_a_program_leaves_out_is_listed_by_reason() {
        let said = "ok a\nskipped: b: under valgrind\nskipped: c: no gdb: none found\nskipped: d: under valgrind\n";
        let skipped = skipped_claims(said);
        assert_eq!(skipped.keys().collect::<Vec<_>>(), ["no gdb: none found", "under valgrind"]);
        assert_eq!(skipped["under valgrind"], ["b", "d"]);
    }

    #[test]
    fn a_failure_is_counted_and_named() {
        let mut tally = Tally::default();
        tally.check("one", Ok(()));
        tally.check("two", Err("why".to_owned()));
        tally.add(3, 1, "three");
        assert_eq!((tally.passed, tally.failed), (4, 2));
        assert_eq!(tally.failures, ["two", "three: 1 of them, see above"]);
    }
}
