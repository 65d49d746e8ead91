//! Programs that are started once on a node, and whose containers go on from there.

use crate::Claim;
use crate::machine::{Machine, wait_for};
use crate::programs::binary;
use crate::store::{OPTIONS, file_of, kept, replace};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub const CLAIMS: &[Claim] = &[
    ("several_containers_go_on_from_one_start", several_containers_go_on_from_one_start),
    ("a_damaged_or_foreign_snapshot_is_a_miss", a_damaged_or_foreign_snapshot_is_a_miss),
    ("images_that_share_a_layer_may_start_it_otherwise", images_that_share_a_layer_may_start_it_otherwise),
    ("a_component_is_started_once", a_component_is_started_once),
    ("a_start_that_fails_is_the_container_s_error", a_start_that_fails_is_the_container_s_error),
    ("an_image_brings_no_snapshot", an_image_brings_no_snapshot),
    ("a_start_is_bounded_and_reaches_nothing", a_start_is_bounded_and_reaches_nothing),
];

/// The probe, with a number that makes it a layer of its own.
fn probe(number: u32) -> Vec<u8> {
    let text = include_str!("probe.wat");
    let at = text.rfind(')').expect("a module");
    binary(&format!("{} (global i32 (i32.const {number})))", &text[..at]))
}

/// How often the guest of a container was started, and a number that was drawn then.
fn starts(machine: &Machine, image: &str) -> (u32, String) {
    let ended = machine.run(&OPTIONS, image, &["probe", "once"]);
    let (count, number) = ended.stdout.split_once('\n').unwrap_or_else(|| panic!("{ended:?}"));
    (count.parse().expect("a number"), number.to_owned())
}

fn several_containers_go_on_from_one_start(machine: &Machine) {
    let (image, _) = machine.import_started("started", &probe(1), "");
    let first = starts(machine, &image);
    assert_eq!(first.0, 1);
    for _ in 0..2 {
        assert_eq!(starts(machine, &image), first);
    }
    // All that a container gives, its guest has.
    let run = |options: &[&str], args: &[&str]| machine.run(&[&OPTIONS, options].concat(), &image, args);
    assert_eq!(run(&[], &["probe", "args", "two words"]).stdout, "probe\nargs\ntwo words\n");
    let env = run(&["--env", "A=b", "--cwd", "/"], &["probe", "env"]);
    assert!(env.stdout.lines().any(|line| line == "A=b"), "{env:?}");
    let folder = machine.folder.path().join("of-started");
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join("file"), "of the host\n").expect("written");
    let mount = format!("type=bind,src={},dst=/mnt,options=rbind:ro", folder.display());
    assert_eq!(run(&["--mount", &mount], &["probe", "read", "/mnt", "file"]).stdout, "of the host\n");
    assert_eq!(run(&["--mount", &mount], &["probe", "write", "/mnt", "file"]).status, 63, "it is read-only");
    assert_eq!(run(&[], &["probe", "x", "7"]).status, 7);
    // Whoever doesn't ask for it gets none of it.
    let (image, _) = machine.import_wasm("not-started", crate::image::WASM, &probe(2));
    assert_eq!(starts(machine, &image).0, 0);
}

fn a_damaged_or_foreign_snapshot_is_a_miss(machine: &Machine) {
    let program = probe(3);
    let (image, layer) = machine.import_started("damaged-start", &program, "wizer.initialize");
    let first = starts(machine, &image);
    let file = file_of(machine, &kept(machine, &layer).expect("it was started"));
    let whole = fs::read(&file).expect("a file of the store");
    // The lengths, the program, and the calls.
    let made = 24 + program.len() + "wizer.initialize".len();
    let mut cases = vec![whole.clone(); 5];
    *cases[0].last_mut().expect("bytes") ^= 1;
    cases[1][made + 100] ^= 1;
    cases[2].truncate(made + 1000);
    cases[3].truncate(made);
    // Started otherwise.
    cases[4][made - 1] ^= 1;
    for (index, damaged) in cases.iter().enumerate() {
        replace(&file, damaged);
        let (count, number) = starts(machine, &image);
        assert!(count == 1 && number != first.1, "{index}: it was started in the container");
    }
    replace(&file, &whole);
    assert_eq!(starts(machine, &image), first);
}

fn images_that_share_a_layer_may_start_it_otherwise(machine: &Machine) {
    let (once, _) = machine.import_started("start-one", &probe(4), "wizer.initialize");
    let first = starts(machine, &once);
    let (twice, _) = machine.import_started("start-two", &probe(4), "wizer.initialize wizer.initialize");
    let second = starts(machine, &twice);
    assert_eq!((first.0, second.0), (1, 2));
    assert_eq!(starts(machine, &twice), second);
    // One of them has its snapshot kept.
    assert_eq!(starts(machine, &once).0, 1);
}

fn a_component_is_started_once(machine: &Machine) {
    let component = binary(include_str!("../../../benches/guests/component_hello.wat"));
    let (image, layer) = machine.import_started("started-component", &component, "");
    for _ in 0..2 {
        let ended = machine.run(&OPTIONS, &image, &[]);
        assert_eq!((ended.stdout.as_str(), ended.status), ("hello, world\n", 0), "{ended:?}");
    }
    let whole = fs::read(file_of(machine, &kept(machine, &layer).expect("it was started"))).expect("a file");
    assert!(ampoule::snapshot::is_snapshot(&whole[24 + component.len()..]));
}

fn a_start_that_fails_is_the_container_s_error(machine: &Machine) {
    for (name, calls, why) in
        [("fails", "fail", "`unreachable`"), ("unknown", "nothing", "exports no function `nothing`")]
    {
        let (image, _) = machine.import_started(name, &probe(5), calls);
        for _ in 0..2 {
            let ended = machine.run(&OPTIONS, &image, &["probe", "once"]);
            assert!(ended.status == 1 && ended.stderr.contains(why), "{calls}: {ended:?}");
        }
    }
}

fn an_image_brings_no_snapshot(machine: &Machine) {
    // One of the node's own, which is as good as any.
    let made = maker(&probe(6), "", "30").expect("it starts");
    assert!(ampoule::snapshot::is_snapshot(&made));
    let layer = machine.import_wasm("snapshot-layer", crate::image::WASM, &made).0;
    let file = machine.import_files("snapshot-file", &[("/program.wasm", &made)]);
    for ended in [machine.run(&OPTIONS, &layer, &["x", "once"]), machine.run(&[], &file, &["/program.wasm", "once"])] {
        assert!(ended.status != 0 && ended.stderr.contains("images hold no snapshots"), "{ended:?}");
    }
}

fn a_start_is_bounded_and_reaches_nothing(_: &Machine) {
    let grows = r#"(module (memory (export "memory") 1)
        (func (export "wizer.initialize") (loop (br_if 0 (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0))))
            (if (i32.gt_u (memory.size) (i32.const 8192)) (then unreachable))))"#;
    assert!(maker(&binary(grows), "", "30").is_some(), "it is refused more than 512 MiB");
    let program = binary("(module (func (export \"wizer.initialize\") (loop (br 0))))");
    let shim = env!("CARGO_BIN_EXE_containerd-shim-ampoule-v1");
    let mut looping = Command::new(shim);
    let looping = looping.args(["start-once", "", "3"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    // Whatever the shim has open stays with it.
    let inherited = fs::File::open("/").expect("opened");
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).expect("set");
    let started = Instant::now();
    let mut looping = looping.spawn().expect("started");
    std::io::Write::write_all(&mut looping.stdin.take().expect("piped"), &program).expect("written");
    let of_process = |file: &str| format!("/proc/{}/{file}", looping.id());
    wait_for("it to give up its rights", || {
        fs::read_to_string(of_process("status")).is_ok_and(|status| status.contains("NoNewPrivs:\t1"))
    });
    let status = fs::read_to_string(of_process("status")).expect("it runs");
    for line in ["Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534", "CapEff:\t0000000000000000"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let net = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).expect("it runs");
    assert_ne!(net(&looping.id().to_string()), net("self"));
    assert_eq!(fs::read_dir(of_process("root/")).expect("it runs").count(), 0);
    assert!(
        !fs::read_dir(of_process("fd"))
            .expect("it runs")
            .flatten()
            .any(|fd| { fs::read_link(fd.path()).is_ok_and(|path| path == std::path::Path::new("/")) })
    );
    let status = looping.wait().expect("waited for");
    assert!(!status.success() && started.elapsed() < Duration::from_secs(20), "{status:?}");
}

/// The snapshot that the shim makes of a program, if it makes one.
fn maker(program: &[u8], calls: &str, seconds: &str) -> Option<Vec<u8>> {
    let shim = env!("CARGO_BIN_EXE_containerd-shim-ampoule-v1");
    let mut maker = Command::new(shim);
    let output = maker.args(["start-once", calls, seconds]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = output.spawn().expect("started");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), program).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let (rest, _) = output.stdout.split_last_chunk::<8>()?;
    let (kind, snapshot) = rest.split_first()?;
    assert!(*kind == 1, "{}", String::from_utf8_lossy(snapshot));
    Some(snapshot.to_vec())
}
