//! The shim under a containerd of its own, as `ctr` and Kubernetes use it. Needs root, cgroups, containerd and runc; where they aren't, the claims are
//! noted as skipped.
//!
//! The claims run one after another on one machine, which is taken down at the end: hence no harness that runs each in a process.

mod image;
mod machine;
mod programs;
mod server;
mod start_once;
mod store;

use machine::Machine;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// What is claimed, and what shows it.
type Claim = (&'static str, fn(&Machine));

fn main() -> ExitCode {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let claims = [programs::CLAIMS, server::CLAIMS, store::CLAIMS, start_once::CLAIMS].concat();
    let claims: Vec<Claim> = claims.into_iter().filter(|(name, _)| wanted(name)).collect();
    if let Some(reason) = machine::obstacle().filter(|_| !claims.is_empty()) {
        note_skipped(&claims, &reason);
        println!("test result: ok. 0 passed; 0 failed; {} ignored", claims.len());
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    if !claims.is_empty() {
        let machine = Machine::start();
        for (name, claim) in &claims {
            let started = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| claim(&machine)));
            let result = if result.is_ok() { "ok" } else { "FAILED" };
            println!("test {name} ... {result} ({:.1} s)", started.elapsed().as_secs_f64());
            failed += usize::from(result == "FAILED");
        }
        if failed > 0 {
            let log = std::fs::read_to_string(machine.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains("level=info")).collect();
            println!("containerd says:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {result}. {} passed; {failed} failed; 0 ignored", claims.len() - failed);
    ExitCode::from(u8::from(failed > 0))
}

/// Where `cargo xtask test` reads what was left out.
fn note_skipped(claims: &[Claim], reason: &str) {
    let file =
        std::env::var_os("AMPOULE_SKIPPED").and_then(|file| std::fs::File::options().append(true).open(file).ok());
    let Some(mut file) = file else { return println!("skipped: {reason}") };
    for (name, _) in claims {
        let _ = writeln!(file, "shim/{name}: {reason}");
    }
}
