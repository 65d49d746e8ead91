//! What the container that this process is in has for its guest: directories, memory, an environment.
//!
//! The crate that made the container tells arguments and environment. The rest is asked of the kernel, through directories of the host that
//! were opened before: the container need not have `/proc`, nor see its cgroup.

use anyhow::{Context, Result};
use rustix::fs::{FileType, Mode, OFlags, Stat, fcntl_setfl, fstat, open, openat};
use rustix::stdio::{dup2_stdin, stdin, stdout};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Where no guest has business: what is about the machine, and about the process that runs the guest.
const OF_THE_SYSTEM: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Above this a limit of version 1 of cgroups is none.
const NO_LIMIT: u64 = 1 << 62;

/// Directories of the host, as far as it has them. They are closed where another program is executed.
struct Host {
    proc: Option<OwnedFd>,
    cgroup: Option<OwnedFd>,
}

static HOST: OnceLock<Host> = OnceLock::new();

/// Opens what containers will need to know of the host.
pub fn keep_host() {
    let directory = |path| open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok();
    HOST.get_or_init(|| Host { proc: directory("/proc"), cgroup: directory("/sys/fs/cgroup") });
}

/// How many numbers of processes before our own are looked at for the one that has made us, and how long it is waited for.
const NUMBERS: i32 = 512;
const PATIENCE: Duration = Duration::from_millis(500);

/// Waits until the process is over that has made this one and tells the shim so. Where this one is faster, and says first that it is ready, the
/// shim takes the container for failed: libcontainer has two processes write to one pipe, and expects them in their order.
pub fn wait_for_parent() -> Option<()> {
    let proc = HOST.get()?.proc.as_ref()?;
    let (ours, cgroup) = (of_process("stat")?, of_process("cgroup")?);
    let number: i32 = ours.split(' ').next()?.parse().ok()?;
    // It is in our cgroup, where nobody else is yet. When it is over, it is a zombie: who waits for it does so later.
    let is_there = |other: &i32| {
        let read = |file: &str| read_below(proc, &format!("{other}/{file}"));
        read("cgroup").is_some_and(|of_other| of_other == cgroup)
            && read("stat").is_some_and(|stat| !stat.rsplit(") ").next().is_some_and(|state| state.starts_with('Z')))
    };
    let maker = (number - NUMBERS..number).rev().find(is_there)?;
    let start = Instant::now();
    while is_there(&maker) && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_micros(200));
    }
    Some(())
}

/// Lets the guest see the end of its standard input.
///
/// The named pipe that it comes from was opened for writing, too, when the container was made, so that it would never end as long as this process
/// holds it. Where it can't be opened anew, it stays as it is.
pub fn separate_stdin() -> Option<()> {
    let is_pipe = FileType::from_raw_mode(fstat(stdin()).ok()?.st_mode) == FileType::Fifo;
    let proc = HOST.get()?.proc.as_ref().filter(|_| is_pipe)?;
    // Whoever writes has it open by now; without waiting, in case they are gone again.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let reader = openat(proc, "self/fd/0", flags, Mode::empty()).ok()?;
    fcntl_setfl(&reader, OFlags::empty()).ok()?;
    dup2_stdin(&reader).ok()
}

/// Whether what the guest writes to standard output goes anywhere. The crate that makes the container opens named pipes, and where it is told of
/// something else, it takes what the shim has, which is nothing.
pub fn has_output() -> bool {
    let null = rustix::fs::makedev(1, 3);
    let is_null =
        |stat: Stat| FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == null;
    !fstat(stdout()).is_ok_and(is_null)
}

/// A directory that was mounted into the container.
#[derive(Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub path: PathBuf,
    /// Whether nothing can be written there.
    pub read_only: bool,
}

/// The container's root, and the directories that were mounted into it; not what is of the system.
///
/// # Errors
/// Where the kernel doesn't tell.
pub fn mounts() -> Result<Vec<Mount>> {
    let text = of_process("mountinfo").context("cannot read the container's mounts")?;
    // Of two at one place the later one is seen.
    let mut mounts: Vec<Mount> = Vec::new();
    for mount in text.lines().filter_map(mount) {
        mounts.retain(|before| before.path != mount.path);
        if !OF_THE_SYSTEM.iter().any(|system| mount.path.starts_with(system)) && mount.path.is_dir() {
            mounts.push(mount);
        }
    }
    Ok(mounts)
}

/// One line of `mountinfo`: `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
fn mount(line: &str) -> Option<Mount> {
    let (of_mount, of_system) = line.split_once(" - ")?;
    let mut fields = of_mount.split(' ').skip(4);
    let path = PathBuf::from(unescape(fields.next()?));
    let options = fields.next()?.split(',').chain(of_system.rsplit(' ').next()?.split(','));
    let read_only = options.into_iter().any(|option| option == "ro");
    Some(Mount { path, read_only })
}

/// A path as the kernel writes it: with `\040` for a space.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                path.push(char::from(byte));
                path.push_str(&part[3..]);
            }
            None => path.push_str(part),
        }
    }
    path
}

/// What the container's memory is limited to, and what of it is used.
pub struct Memory {
    /// The least limit of its cgroup and of those above.
    pub limit: u64,
    /// So many bytes.
    pub used: u64,
}

/// Of this container, where it has a limit.
pub fn memory() -> Option<Memory> {
    let cgroups = of_process("cgroup")?;
    let host = HOST.get().and_then(|host| host.cgroup.as_ref());
    // In a namespace of its own the cgroup is `/`, and the container has it mounted, if anything.
    let own = open("/sys/fs/cgroup", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok();
    [host, own.as_ref()].into_iter().flatten().find_map(|root| memory_below(root, &cgroups))
}

/// By the cgroups of a process, which are mounted below a directory.
fn memory_below(root: &OwnedFd, cgroups: &str) -> Option<Memory> {
    let read = |path: &str| read_below(root, path);
    let of_first = cgroups.lines().find_map(|line| line.split_once(":memory:").map(|(_, path)| path));
    if let Some(path) = of_first {
        let at = |file: &str| read(&format!("memory{path}/{file}"));
        let stat = at("memory.stat")?;
        let limit = stat.lines().find_map(|line| line.strip_prefix("hierarchical_memory_limit "))?;
        let limit = limit.parse().ok().filter(|&limit| limit < NO_LIMIT)?;
        return Some(Memory { limit, used: at("memory.usage_in_bytes")?.trim().parse().ok()? });
    }
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let levels = Path::new(path).ancestors().filter_map(|path| {
        let path = path.to_str()?.trim_start_matches('/');
        read(&format!("./{path}/memory.max"))?.trim().parse::<u64>().ok()
    });
    let limit = levels.min()?;
    Some(Memory { limit, used: read(&format!("./{path}/memory.current"))?.trim().parse().ok()? })
}

/// A file of the kernel's about this process.
fn of_process(name: &str) -> Option<String> {
    let proc = HOST.get()?.proc.as_ref()?;
    read_below(proc, &format!("self/{name}"))
}

fn read_below(directory: impl AsFd, path: &str) -> Option<String> {
    let mut text = String::new();
    let file = openat(directory, path.trim_start_matches('/'), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    File::from(file).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_read_only_by_itself_or_by_its_file_system() {
        let line =
            |options: &str, of_system: &str| format!("36 35 98:0 / /a\\040b {options} master:1 - ext3 /d {of_system}");
        for (options, of_system, read_only) in [
            ("rw,noatime", "rw,errors=ro", false),
            ("ro,noatime", "rw", true),
            ("rw", "ro", true),
            ("rw", "rw,rota", false),
        ] {
            let expected = Mount { path: PathBuf::from("/a b"), read_only };
            assert_eq!(mount(&line(options, of_system)), Some(expected), "{options} {of_system}");
        }
        assert_eq!(mount("36 35"), None);
        assert_eq!(unescape("/a\\134b\\x\\"), "/a\\bx");
    }

    #[test]
    fn the_least_limit_above_a_cgroup_counts() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("below the root")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write("memory/pod/one/memory.stat", "cache 0\nhierarchical_memory_limit 4096\n");
        write("memory/pod/one/memory.usage_in_bytes", "100\n");
        write("memory/none/memory.stat", "hierarchical_memory_limit 9223372036854771712\n");
        write("unified/one/memory.max", "max\n");
        write("unified/memory.max", "8192\n");
        write("unified/one/memory.current", "7\n");
        let directory = |path: &Path| {
            open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).expect("opened")
        };
        let found =
            |cgroups: &str| memory_below(&directory(root.path()), cgroups).map(|memory| (memory.limit, memory.used));
        assert_eq!(found("5:memory:/pod/one\n1:cpu:/\n0::/"), Some((4096, 100)));
        assert_eq!(found("5:memory:/none"), None);
        assert_eq!(found("0::/unified/one"), Some((8192, 7)));
        assert_eq!(found("0::/"), None);
    }

    #[test]
    fn mounts_of_this_process_are_found() {
        keep_host();
        let mounts = mounts().expect("told");
        assert!(mounts.iter().any(|mount| mount.path == Path::new("/")));
        assert!(!mounts.iter().any(|mount| mount.path.starts_with("/proc")));
    }
}
