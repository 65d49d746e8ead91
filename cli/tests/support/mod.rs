//! A folder to run the command in, and what its output is compared with.

#![allow(dead_code)] // Each test file uses its part.

use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder with files, in which commands run.
pub struct Folder(TempDir);

impl Folder {
    pub fn with(files: &[(&str, &str)]) -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        for (name, content) in files {
            std::fs::write(folder.path(name), content).unwrap();
        }
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn ampoule(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ampoule"));
        command.current_dir(self.0.path()).args(args).env("FROM_HOST", "host value").output().unwrap()
    }

    /// Runs a command that succeeds; answers what it printed.
    pub fn succeeds(&self, args: &[&str]) -> String {
        let output = self.ampoule(args);
        assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()), "{args:?}: {}", out(&output));
        out(&output)
    }

    /// Runs a command that ends with this status; answers what it printed to standard error.
    pub fn fails(&self, status: i32, args: &[&str]) -> String {
        let output = self.ampoule(args);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}{}", out(&output), err(&output));
        err(&output)
    }
}

pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

/// Prints its arguments and environment, a line each.
pub const ECHO: &str = r#"(module $echo
    (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func $print (local $at i32) (local $end i32)
        (local.set $end (i32.add (i32.const 4096) (i32.load (i32.const 4))))
        (local.set $at (i32.const 4096))
        (loop $next
            (if (i32.lt_u (local.get $at) (local.get $end)) (then
                (if (i32.eqz (i32.load8_u (local.get $at))) (then (i32.store8 (local.get $at) (i32.const 10))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br $next))))
        (i32.store (i32.const 8) (i32.const 4096))
        (i32.store (i32.const 12) (i32.load (i32.const 4)))
        (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16))))
    (func (export "_start")
        (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
        (drop (call $args_get (i32.const 32) (i32.const 4096)))
        (call $print)
        (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
        (drop (call $environ_get (i32.const 32) (i32.const 4096)))
        (call $print)))"#;
