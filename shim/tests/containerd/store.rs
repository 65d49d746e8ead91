//! What containerd keeps of layers: compiled once, and looked at before it is used.

use crate::Claim;
use crate::image::WASM;
use crate::machine::Machine;
use crate::programs::binary;
use std::fs;
use std::path::{Path, PathBuf};

pub const CLAIMS: &[Claim] = &[
    ("a_layer_is_compiled_once", a_layer_is_compiled_once),
    ("a_damaged_artifact_is_a_miss", a_damaged_artifact_is_a_miss),
    ("containers_of_a_layer_that_isn_t_kept_start_at_once", containers_of_a_layer_that_isn_t_kept_start_at_once),
];

/// What precedes the program in what is kept.
const HEADER: usize = 24;

pub const OPTIONS: [&str; 2] = ["--platform", "wasip1/wasm"];

/// A module that says something, so that each test has a layer of its own.
fn module(says: &str) -> Vec<u8> {
    let len = says.len();
    binary(&format!(
        r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\{len:02x}\00\00\00{says}")
  (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 512)))))"#
    ))
}

/// The digest of what is kept of a layer.
pub fn kept(machine: &Machine, layer: &str) -> Option<String> {
    let list = machine.ask(&["content", "list"]);
    let line = list.lines().find(|line| line.starts_with(layer)).expect("the layer is there");
    let labels = line.split_whitespace().last().expect("labels").split(',');
    labels
        .filter_map(|label| label.split_once('='))
        .find_map(|(name, digest)| name.starts_with("runwasi.io/precompiled/ampoule/").then(|| digest.to_owned()))
}

/// The file of something in containerd's store.
pub fn file_of(machine: &Machine, digest: &str) -> PathBuf {
    machine.folder.path().join("root/io.containerd.content.v1.content/blobs").join(digest.replace(':', "/"))
}

pub fn replace(file: &Path, bytes: &[u8]) {
    let _ = fs::remove_file(file);
    fs::write(file, bytes).expect("written");
}

fn a_layer_is_compiled_once(machine: &Machine) {
    let (image, layer) = machine.import_wasm("once", WASM, &module("once"));
    assert_eq!(kept(machine, &layer), None);
    assert_eq!(machine.run(&OPTIONS, &image, &[]).stdout, "once");
    let first = kept(machine, &layer).expect("it was compiled");
    assert_eq!(machine.run(&OPTIONS, &image, &[]).stdout, "once");
    assert_eq!(kept(machine, &layer), Some(first.clone()));
    // It goes with its image.
    forget(machine, &image, &layer);
    assert!(!machine.ask(&["content", "list", "--quiet"]).contains(&first), "it is still there");
}

fn a_damaged_artifact_is_a_miss(machine: &Machine) {
    let (image, layer) = machine.import_wasm("damaged", WASM, &module("damaged"));
    assert_eq!(machine.run(&OPTIONS, &image, &[]).stdout, "damaged");
    let artifact = kept(machine, &layer).expect("it was compiled");
    let file = file_of(machine, &artifact);
    let whole = fs::read(&file).expect("a file of the store");
    let write = |bytes: &[u8]| replace(&file, bytes);
    // Its code, all of what was compiled, and the engine that it was compiled for.
    let program = module("damaged").len();
    let mut cases = vec![whole.clone(); 3];
    *cases[0].last_mut().expect("bytes") ^= 1;
    let code = cases[0].len() - 64;
    cases[0][code] ^= 0xff;
    cases[1].truncate(HEADER + program);
    cases[2][HEADER + program + 80..][..16].fill(0xee);
    for (index, damaged) in cases.iter().enumerate() {
        write(damaged);
        assert_eq!(machine.run(&OPTIONS, &image, &[]).stdout, "damaged", "{index}");
    }
    // What isn't ours, or has lost the program, is told; a new image has it anew.
    write(b"\x7fELF of another");
    let refused = machine.run(&OPTIONS, &image, &[]);
    assert!(refused.status != 0 && refused.stderr.contains("is damaged"), "{refused:?}");
    forget(machine, &image, &layer);
    let (image, _) = machine.import_wasm("damaged", WASM, &module("damaged"));
    assert_eq!(machine.run(&OPTIONS, &image, &[]).stdout, "damaged");
    assert_eq!(fs::read(&file).ok(), Some(whole));
}

fn containers_of_a_layer_that_isn_t_kept_start_at_once(machine: &Machine) {
    let (image, layer) = machine.import_wasm("at-once", WASM, &module("at-once"));
    let ended: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..20).map(|_| scope.spawn(|| machine.run(&OPTIONS, &image, &[]))).collect();
        started.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(ended.iter().all(|ended| ended.stdout == "at-once"), "{ended:?}");
    assert!(kept(machine, &layer).is_some());
}

/// Removes an image, with all that only it has.
pub fn forget(machine: &Machine, image: &str, layer: &str) {
    machine.ask(&["snapshots", "rm", layer]);
    machine.ask(&["images", "rm", "--sync", image]);
}
