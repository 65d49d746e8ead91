//! Commands: what they get of their containers, how they end, and what bounds them.

use crate::Claim;
use crate::image::{COMPONENT, WASM};
use crate::machine::{Ended, Machine, RUNTIME, end, wait_for};
use ampoule::Module;
use std::fs;
use std::time::{Duration, Instant};

pub const CLAIMS: &[Claim] = &[
    ("a_module_in_an_ordinary_image_says_hello", a_module_in_an_ordinary_image_says_hello),
    ("layers_of_webassembly_say_hello", layers_of_webassembly_say_hello),
    (
        "arguments_environment_and_directory_are_the_container_s",
        arguments_environment_and_directory_are_the_container_s,
    ),
    ("standard_input_reaches_the_guest", standard_input_reaches_the_guest),
    ("statuses_are_the_guest_s", statuses_are_the_guest_s),
    ("what_cannot_run_is_refused_when_it_is_created", what_cannot_run_is_refused_when_it_is_created),
    ("mounts_keep_their_read_only_bits", mounts_keep_their_read_only_bits),
    ("nothing_of_the_machine_is_in_reach", nothing_of_the_machine_is_in_reach),
    ("a_signal_gives_a_command_its_grace_and_then_cancels_it", a_signal_gives_a_command_its_grace_and_then_cancels_it),
    ("growth_beyond_the_container_s_memory_is_refused", growth_beyond_the_container_s_memory_is_refused),
    ("processor_time_is_bounded_and_what_is_used_is_told", processor_time_is_bounded_and_what_is_used_is_told),
    ("a_pod_has_one_shim_and_containers_of_both_kinds", a_pod_has_one_shim_and_containers_of_both_kinds),
    ("what_the_shim_can_t_do_is_told", what_the_shim_can_t_do_is_told),
    ("what_is_killed_in_the_middle_leaves_nothing", what_is_killed_in_the_middle_leaves_nothing),
    ("a_hundred_containers_run_at_once", a_hundred_containers_run_at_once),
];

const HELLO: &str = include_str!("hello.wat");

pub fn binary(text: &str) -> Vec<u8> {
    Module::binary_of_text(text).expect("text of a module or component")
}

fn says(text: &str) -> Ended {
    Ended { status: 0, stdout: text.to_owned(), stderr: String::new() }
}

/// The image of the program that does what it is told.
fn probe(machine: &Machine) -> String {
    machine.import_files(
        "probe",
        &[("/probe.wasm", &binary(include_str!("probe.wat"))), ("/data/file", b"of the image\n")],
    )
}

/// What the probe does in a container with these options.
fn told(machine: &Machine, options: &[&str], args: &[&str]) -> Ended {
    machine.run(options, &probe(machine), &[&["/probe.wasm"], args].concat())
}

fn a_module_in_an_ordinary_image_says_hello(machine: &Machine) {
    let image = machine.import_files("hello", &[("/bin/hello.wasm", &binary(HELLO))]);
    assert_eq!(machine.run(&[], &image, &[]), says("hello\n"));
    // Text is WebAssembly, too.
    let image = machine.import_files("hello-text", &[("/hello.wat", HELLO.as_bytes())]);
    assert_eq!(machine.run(&["--seccomp"], &image, &[]), says("hello\n"));
}

fn layers_of_webassembly_say_hello(machine: &Machine) {
    let options = ["--platform", "wasip1/wasm"];
    let (image, _) = machine.import_wasm("hello-layer", WASM, &binary(HELLO));
    assert_eq!(machine.run(&options, &image, &[]), says("hello\n"));
    let component = binary(include_str!("../../../benches/guests/component_hello.wat"));
    for (name, media_type) in [("component", WASM), ("component-layer", COMPONENT)] {
        let (image, _) = machine.import_wasm(name, media_type, &component);
        assert_eq!(machine.run(&options, &image, &[]), says("hello, world\n"), "{media_type}");
    }
}

fn arguments_environment_and_directory_are_the_container_s(machine: &Machine) {
    let ended = told(machine, &[], &["args", "two words", "", "ünï"]);
    assert_eq!(ended, says("/probe.wasm\nargs\ntwo words\n\nünï\n"));
    let ended = told(machine, &["--env", "A=b=c", "--cwd", "/data"], &["env"]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    for line in ["A=b=c", "PWD=/data"] {
        assert!(lines.contains(&line), "{lines:?}");
    }
    // Nothing of the shim's own environment.
    assert!(!ended.stdout.contains("TTRPC") && !ended.stdout.contains("containerd"), "{lines:?}");
}

fn standard_input_reaches_the_guest(machine: &Machine) {
    let image = probe(machine);
    let input: Vec<u8> = (0..100_000_u32).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    let ended = machine.run_with_input(&[], &image, &["/probe.wasm", "input"], &input);
    assert!(ended.status == 0 && ended.stdout.as_bytes() == input, "{} bytes, {}", ended.stdout.len(), ended.stderr);
}

fn statuses_are_the_guest_s(machine: &Machine) {
    assert_eq!(told(machine, &[], &["x", "0"]).status, 0);
    assert_eq!(told(machine, &[], &["x", "7"]).status, 7);
    let trap = told(machine, &[], &["trap"]);
    assert_eq!(trap.status, 134);
    assert!(trap.stderr.contains("wasm `unreachable`"), "{}", trap.stderr);
}

fn what_cannot_run_is_refused_when_it_is_created(machine: &Machine) {
    let useless = binary("(component)");
    let cases: [(&str, &[u8], &str); 4] = [
        ("invalid", b"\0asm\x01\0\0\0\xff", "/program.wasm: "),
        ("no-wasm", b"plain text", "/program.wasm: "),
        ("useless", &useless, "neither `wasi:cli/run` nor a handler"),
        ("compiled", b"\x7fAMPCMP\x01", "compiled where it runs"),
    ];
    for (name, bytes, why) in cases {
        let image = machine.import_files(name, &[("/program.wasm", bytes)]);
        let ended = machine.run(&[], &image, &[]);
        assert!(ended.status != 0 && ended.stderr.contains(why), "{name}: {ended:?}");
    }
}

fn mounts_keep_their_read_only_bits(machine: &Machine) {
    let folder = machine.folder.path().join("shared");
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join("file"), "of the host\n").expect("written");
    let mount = |options: &str| format!("type=bind,src={},dst=/mnt/shared,options={options}", folder.display());
    let (writable, read_only) = (mount("rbind:rw"), mount("rbind:ro"));
    for mount in [&writable, &read_only] {
        assert_eq!(told(machine, &["--mount", mount], &["read", "/mnt/shared", "file"]), says("of the host\n"));
    }
    const NOT_PERMITTED: i32 = 63;
    assert_eq!(told(machine, &["--mount", &read_only], &["write", "/mnt/shared", "new"]).status, NOT_PERMITTED);
    assert!(!folder.join("new").exists());
    assert_eq!(told(machine, &["--mount", &writable], &["write", "/mnt/shared", "new"]).status, 0);
    assert_eq!(fs::read(folder.join("new")).ok().as_deref(), Some(&b"w"[..]));
    // The root is as it is, too.
    assert_eq!(told(machine, &[], &["read", "/", "data/file"]), says("of the image\n"));
    assert_eq!(told(machine, &[], &["write", "/", "data/new"]).status, 0);
    assert_eq!(told(machine, &["--read-only"], &["write", "/", "data/new"]).status, NOT_PERMITTED);
}

fn nothing_of_the_machine_is_in_reach(machine: &Machine) {
    const NOT_PERMITTED: i32 = 63;
    for path in ["proc/self/mem", "proc/1/environ", "proc/version", "../etc/passwd"] {
        assert_eq!(told(machine, &[], &["read", "/", path]).status, NOT_PERMITTED, "{path}");
    }
    // Nor is there anything under that name.
    assert_eq!(told(machine, &[], &["read", "/proc", "version"]).status, 99);
    assert_eq!(told(machine, &[], &["write", "/", "proc/self/mem"]).status, NOT_PERMITTED);
}

fn a_signal_gives_a_command_its_grace_and_then_cancels_it(machine: &Machine) {
    let image = probe(machine);
    // What ends within its grace, ends as it would have; what doesn't, whatever it is doing, is cancelled.
    for (grace, args, status) in [("30", ["sleep", "1"], 7), ("0.2", ["sleep", "60"], 143), ("0.2", ["loop", ""], 143)]
    {
        let grace = format!("AMPOULE_GRACE_SECONDS={grace}");
        let name = machine.start_container(&["--env", &grace], &image, &[&["/probe.wasm"], &args[..]].concat());
        wait_for("the guest to begin", || !machine.output_of(&name).is_empty());
        let started = Instant::now();
        machine.ask(&["tasks", "kill", "--signal", "SIGTERM", &name]);
        assert_eq!(machine.wait(&name), status, "{args:?}: {}", machine.output_of(&name));
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    // A second signal ends the grace.
    let name = machine.start_container(&["--env", "AMPOULE_GRACE_SECONDS=3600"], &image, &["/probe.wasm", "loop"]);
    wait_for("the guest to begin", || !machine.output_of(&name).is_empty());
    machine.ask(&["tasks", "kill", "--signal", "SIGINT", &name]);
    std::thread::sleep(Duration::from_millis(300));
    machine.ask(&["tasks", "kill", "--signal", "SIGTERM", &name]);
    assert_eq!(machine.wait(&name), 130);
}

fn growth_beyond_the_container_s_memory_is_refused(machine: &Machine) {
    for mib in [32_u64, 64] {
        let limit = (mib << 20).to_string();
        let ended = told(machine, &["--memory-limit", &limit], &["grow"]);
        let grown: u64 = ended.stdout.trim().parse().unwrap_or(0);
        // It has seen a refusal, with most of the limit in its hands; the kernel has killed nobody.
        assert!(ended.status == 0 && grown >= mib / 2 && grown < mib, "{mib} MiB: {ended:?}");
    }
}

fn processor_time_is_bounded_and_what_is_used_is_told(machine: &Machine) {
    let options = ["--cpu-quota", "10000", "--cpu-period", "100000", "--memory-limit", "67108864"];
    let name = machine.start_container(&options, &probe(machine), &["/probe.wasm", "loop"]);
    wait_for("the guest to begin", || !machine.output_of(&name).is_empty());
    let process = machine.process_of(&name);
    // Ticks of user and system time, of a hundred a second.
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
        let fields = stat.rsplit(") ").next().expect("behind the name").split(' ').skip(11).take(2);
        fields.map(|field| field.parse::<u64>().expect("a number")).sum::<u64>()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_secs(2));
    let used = ticks() - before;
    assert!((1..=60).contains(&used), "{used} ticks in two seconds of a tenth of a processor");
    let metrics = machine.ask(&["tasks", "metrics", "--format", "json", &name]);
    let usage = metrics.split("\"usage\":{").nth(1).unwrap_or(&metrics);
    assert!(metrics.contains("\"usage\"") && usage.bytes().any(|byte| (b'1'..=b'9').contains(&byte)), "{metrics}");
    machine.ask(&["tasks", "kill", "--signal", "SIGKILL", &name]);
    assert_eq!(machine.wait(&name), 137);
}

fn a_pod_has_one_shim_and_containers_of_both_kinds(machine: &Machine) {
    let source = machine.folder.path().join("native.c");
    fs::write(&source, "#include <unistd.h>\nint main(void) { write(1, \"native\\n\", 7); pause(); }\n")
        .expect("written");
    let native = source.with_extension("");
    let mut cc = std::process::Command::new("cc");
    assert_eq!(end(cc.arg("-static").arg(&source).arg("-o").arg(&native), b"").status, 0);
    let native = machine.import_files("native", &[("/native", &fs::read(&native).expect("compiled"))]);
    let (before, probe) = (machine.shims().len(), probe(machine));
    // As Kubernetes marks the containers of a pod, of which the first is one of the machine's own kind.
    let first = machine.start_container(&["--annotation", "io.kubernetes.cri.sandbox-id=pod"], &native, &[]);
    let second = machine.start_container(
        &["--annotation", "io.kubernetes.cri.sandbox-id=pod"],
        &probe,
        &["/probe.wasm", "loop"],
    );
    for (name, said) in [(&first, "native\n"), (&second, "l")] {
        wait_for("the container to begin", || machine.output_of(name) == said);
    }
    let shims = machine.shims().len() - before;
    // One process for each of the two containers, one that makes them, and the shim.
    let of_processes = |name: &str| machine.process_of(name);
    assert_ne!(of_processes(&first), of_processes(&second));
    assert!(shims >= 1, "{shims} shims");
    for name in [&second, &first] {
        machine.ask(&["tasks", "kill", "--signal", "SIGKILL", name]);
        assert_eq!(machine.wait(name), 137);
    }
    wait_for("the shim to end", || machine.shims().len() == before);
}

fn what_the_shim_can_t_do_is_told(machine: &Machine) {
    let image = probe(machine);
    let name = machine.start_container(&[], &image, &["/probe.wasm", "loop"]);
    for (args, why) in [
        (&["exec", "--exec-id", "x", &name, "/probe.wasm"][..], "Exec is not supported"),
        (&["pause", &name], "Pause is not supported"),
        (&["ps", &name], "Pids is not supported"),
    ] {
        let refused = end(&mut machine.ctr(&[&["tasks"], args].concat()), b"");
        assert!(refused.status != 0 && refused.stderr.contains(why), "{args:?}: {refused:?}");
    }
    assert_eq!(machine.task(&name).map(|(_, state)| state).as_deref(), Some("RUNNING"));
    machine.ask(&["tasks", "kill", "--signal", "SIGKILL", &name]);
    assert_eq!(machine.wait(&name), 137);
    // Where `ctr` has a terminal.
    let run = machine.ctr(&["run", "--rm", "--tty", "--runtime", RUNTIME, &image, "terminal", "/probe.wasm", "args"]);
    let words = std::iter::once(run.get_program()).chain(run.get_args()).map(|word| word.to_str().expect("text"));
    let line = words.collect::<Vec<_>>().join(" ");
    let refused = end(std::process::Command::new("script").args(["-qec", &line, "/dev/null"]), b"");
    assert!(refused.status != 0 && refused.stdout.contains("terminal is not supported"), "{refused:?}");
    let log = machine.folder.path().join("output");
    let ended = machine.run(&["--log-uri", &format!("file://{}", log.display())], &image, &["/probe.wasm", "args"]);
    assert_eq!((ended.status, log.exists()), (0, false), "{ended:?}");
    let told = fs::read_to_string(machine.folder.path().join("log")).expect("containerd's log");
    assert!(told.contains("log URIs are not supported"), "{told}");
}

fn what_is_killed_in_the_middle_leaves_nothing(machine: &Machine) {
    let image = probe(machine);
    let (dead, alive) = (
        machine.start_container(&[], &image, &["/probe.wasm", "loop"]),
        machine.start_container(&[], &image, &["/probe.wasm", "loop"]),
    );
    let process = machine.process_of(&dead);
    let killed = std::process::Command::new("kill").args(["-9", &process.to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    assert_eq!(machine.wait(&dead), 137);
    wait_for("its cgroup to go", || {
        !fs::read_to_string("/proc/self/mounts").is_ok_and(|mounts| mounts.contains(&format!("/{dead}/rootfs")))
    });
    assert_eq!(machine.task(&alive).map(|(_, state)| state).as_deref(), Some("RUNNING"));
    machine.ask(&["tasks", "kill", "--signal", "SIGKILL", &alive]);
    assert_eq!(machine.wait(&alive), 137);
    wait_for("the shims to end", || machine.shims().is_empty());
}

fn a_hundred_containers_run_at_once(machine: &Machine) {
    let image = probe(machine);
    let failed: Vec<Ended> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..100)
            .map(|index| {
                let image = &image;
                scope.spawn(move || {
                    let word = format!("number {index}");
                    let ended = machine.run(&[], image, &["/probe.wasm", "args", &word]);
                    (ended.stdout != format!("/probe.wasm\nargs\n{word}\n")).then_some(ended)
                })
            })
            .collect();
        started.into_iter().filter_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(failed.is_empty(), "{} of them: {:?}", failed.len(), failed[0]);
}
