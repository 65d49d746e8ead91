//! A containerd of the tests' own, with all that it has in one folder, and what they ask of it.

use rustix::fs::{FlockOperation, flock};
use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take that the tests wait for.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// What the shim is called by `ctr`.
pub const RUNTIME: &str = "io.containerd.ampoule.v1";

/// A containerd that runs. It ends with the value, with all of its containers.
pub struct Machine {
    pub folder: TempDir,
    daemon: Child,
    namespace: String,
    /// A `ctr run` for each container that runs beside the test, by its name.
    running: Mutex<HashMap<String, Child>>,
}

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// As a shell has it.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Why no containers can run here, if so.
pub fn obstacle() -> Option<String> {
    let is_root = rustix::process::geteuid().is_root();
    let find = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    if !is_root {
        return Some("containers need root".to_owned());
    }
    if let Some(missing) = ["containerd", "ctr", "runc"].into_iter().find(|program| !find(program)) {
        return Some(format!("there is no {missing}"));
    }
    let has_cgroups =
        Path::new("/sys/fs/cgroup/memory").is_dir() || Path::new("/sys/fs/cgroup/cgroup.controllers").is_file();
    (!has_cgroups).then(|| "no cgroups are mounted".to_owned())
}

impl Machine {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
            at("root"),
            at("state"),
            at("socket")
        );
        fs::write(folder.path().join("config.toml"), config).expect("written");
        let log = fs::File::create(folder.path().join("log")).expect("created");
        let shim = Path::new(env!("CARGO_BIN_EXE_containerd-shim-ampoule-v1")).parent().expect("a folder");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(shim.to_owned()).chain(std::env::split_paths(&path));
        let daemon = Command::new("containerd")
            .args(["-c", &at("config.toml")])
            .env("PATH", std::env::join_paths(path).expect("paths"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("containerd starts");
        let namespace = format!("ampoule-{}", std::process::id());
        let machine = Self { folder, daemon, namespace, running: Mutex::default() };
        wait_for("containerd to answer", || {
            machine.ctr(&["version"]).output().is_ok_and(|output| output.status.success())
        });
        machine
    }

    /// `ctr`, with these arguments.
    pub fn ctr(&self, args: &[&str]) -> Command {
        let mut ctr = Command::new("ctr");
        ctr.arg("--address").arg(self.folder.path().join("socket")).args(["--namespace", &self.namespace]).args(args);
        ctr
    }

    /// What it says, if it does as it is told.
    #[track_caller]
    pub fn ask(&self, args: &[&str]) -> String {
        let ended = end(&mut self.ctr(args), b"");
        assert_eq!(ended.status, 0, "ctr {args:?}: {}{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    /// Runs a container to its end: `options` are those of `ctr run`, then come the image and, behind the container's name, the arguments.
    pub fn run(&self, options: &[&str], image: &str, args: &[&str]) -> Ended {
        self.run_with_input(options, image, args, b"")
    }

    pub fn run_with_input(&self, options: &[&str], image: &str, args: &[&str], input: &[u8]) -> Ended {
        end(&mut self.ctr(&[&["run", "--rm", "--runtime", RUNTIME], options, &[image, &name()], args].concat()), input)
    }

    /// Starts a container that runs beside the test, and gives its name.
    #[track_caller]
    pub fn start_container(&self, options: &[&str], image: &str, args: &[&str]) -> String {
        let name = name();
        let mut ctr = self.ctr(&[&["run", "--rm", "--runtime", RUNTIME], options, &[image, &name], args].concat());
        let log = fs::File::create(self.log_of(&name)).expect("created");
        let errors = log.try_clone().expect("a descriptor");
        let mut child = ctr.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("started");
        wait_for("a container to run", || {
            let ended = child.try_wait().expect("waited for");
            assert!(ended.is_none(), "it has ended: {}", self.output_of(&name));
            self.task(&name).is_some_and(|(_, state)| state == "RUNNING")
        });
        self.running.lock().expect("no panic").insert(name.clone(), child);
        name
    }

    /// What a container has written that runs beside the test.
    pub fn output_of(&self, name: &str) -> String {
        fs::read_to_string(self.log_of(name)).unwrap_or_default()
    }

    fn log_of(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The first process of a container, as this machine numbers it.
    #[track_caller]
    pub fn process_of(&self, name: &str) -> i32 {
        self.task(name).expect("it is there").0
    }

    /// The process of a container, and what it is doing.
    pub fn task(&self, name: &str) -> Option<(i32, String)> {
        let list = self.ask(&["tasks", "list"]);
        let mut words = list.lines().find(|line| line.split(' ').next() == Some(name))?.split_whitespace().skip(1);
        Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
    }

    /// Waits until a container has ended and is removed, and gives its status.
    #[track_caller]
    pub fn wait(&self, name: &str) -> i32 {
        let mut child = self.running.lock().expect("no panic").remove(name).expect("it runs");
        let mut status = None;
        wait_for("a container to end", || {
            status = child.try_wait().expect("waited for");
            status.is_some()
        });
        status.and_then(|status| status.code()).expect("ctr tells the status")
    }

    /// Waits until no shim compiles: a container that starts while another's does runs its layer as it is, and nothing of it is kept. The shim
    /// of a container that has ended may go on for some seconds.
    pub fn await_compilers(&self) {
        // Where they can't have it either, they don't wait for each other.
        let Ok(turn) = fs::File::create("/run/containerd/ampoule-compiles") else { return };
        wait_for("shims to compile", || flock(&turn, FlockOperation::NonBlockingLockExclusive).is_ok());
    }

    /// The shims that run for this containerd.
    pub fn shims(&self) -> Vec<i32> {
        let ours = self.folder.path().display().to_string();
        let processes = fs::read_dir("/proc").expect("listed").flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        numbers
            .filter(|process| {
                let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                line.contains("containerd-shim-") && line.contains(&ours)
            })
            .collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A test that failed may have left anything; there is nobody to tell what can't be removed.
        for child in self.running.get_mut().expect("no panic").values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for process in self.shims() {
            let _ = Command::new("kill").args(["-9", &process.to_string()]).status();
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let ours = self.folder.path().display().to_string();
        for place in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|place| place.starts_with(&ours)) {
            let _ = Command::new("umount").args(["--lazy", place]).status();
        }
        let _ = fs::remove_dir_all(Path::new("/run/containerd/ampoule").join(&self.namespace));
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            remove_cgroups(&hierarchy.path().join(&self.namespace));
        }
    }
}

/// Removes a cgroup and those below it, whose processes are gone.
fn remove_cgroups(folder: &Path) {
    for below in fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        remove_cgroups(&below.path());
    }
    let _ = fs::remove_dir(folder);
}

/// A name for a container.
fn name() -> String {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("c{}", COUNT.fetch_add(1, Relaxed))
}

/// Runs a program to its end, which it reaches in time.
#[track_caller]
pub fn end(command: &mut Command, input: &[u8]) -> Ended {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("started");
    let (mut stdin, input) = (child.stdin.take().expect("piped"), input.to_vec());
    std::thread::spawn(move || {
        // It may not be read.
        let _ = stdin.write_all(&input);
    });
    let text = |mut stream: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = text(Box::new(child.stdout.take().expect("piped")));
    let stderr = text(Box::new(child.stderr.take().expect("piped")));
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("waited for") {
            break status;
        }
        if started.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("{command:?} takes too long");
        }
        sleep(Duration::from_millis(2));
    };
    let status = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).expect("one of the two");
    let text = |reader: std::thread::JoinHandle<String>| reader.join().expect("no panic");
    Ended { status, stdout: text(stdout), stderr: text(stderr) }
}

/// Waits until something is so.
#[track_caller]
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(5));
    }
}
