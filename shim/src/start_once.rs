//! Programs that are started once on a node: a layer's annotation says what is to be called, and containers go on from a snapshot.
//!
//! A snapshot has machine code, so none is taken out of an image. The shim makes it, when it compiles the layer, and keeps it with the layer as
//! it keeps compiled code. The guest that is started for it runs in a process of its own, outside of any container: it gets nothing of WASI
//! but clocks and random numbers, and the process has given up whatever it doesn't need, for the case that the guest gets out of its memory. Where
//! no snapshot is to be had, each container starts its guest in the same way, and then goes on.

use crate::guest::{Program, engine, linker, say};
use ampoule::{Engine, Error, Snapshot, Store};
use ampoule_component::{Component, Instance, Val};
use ampoule_runner::snapshot::{take_component, take_module};
use ampoule_wasi::WasiConfig;
use ampoule_wasi::host::http::HttpConfig;
use anyhow::{Context, Result, bail, ensure};
use containerd_shim_wasm::sandbox::context::WasmLayer;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Resource, Rlimit, chdir, chroot, setrlimit};
use rustix::thread::{Gid, Uid, UnshareFlags};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Of a layer's descriptor: the functions to call, or nothing for what tools for pre-initialization call.
const ANNOTATION: &str = "io.ampoule.start-once";

/// The first argument of the process that starts a guest; behind it come the annotation, and how many seconds it has.
pub const COMMAND: &str = "start-once";

/// How long a guest may take to start.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What it may hold; and what its process may have, where the code is compiled and the snapshot is written, too.
const MEMORY: u64 = 512 << 20;
const PROCESS_MEMORY: u64 = 2 << 30;

/// Who owns nothing.
const NOBODY: u32 = 65534;

/// The first byte of what the process writes; the length of the rest ends it.
const MADE: u8 = 1;
const FAILED: u8 = 0;

/// What the image wants to be called of a layer before it is run, if anything.
pub fn wanted(layer: &WasmLayer) -> Option<&str> {
    layer.config.annotations().as_ref()?.get(ANNOTATION).map(String::as_str)
}

/// The snapshot of a program that is started here.
///
/// # Errors
/// Where the guest fails, or has what can't be kept. One that takes too long ends the process.
pub fn start(
    engine: &Engine,
    program: &Program,
    calls: &str,
    patience: Duration,
    limit: impl FnOnce(&mut Store) -> Result<(), Error>,
) -> Result<Snapshot> {
    let (started, is_started) = channel::<()>();
    std::thread::Builder::new().name("patience".to_owned()).spawn(move || {
        if is_started.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            say(&format!("error: the program hasn't started within {} seconds", patience.as_secs()));
            std::process::exit(1);
        }
    })?;
    let mut store = Store::new(engine);
    store.set_epoch_deadline(u64::MAX);
    limit(&mut store)?;
    store.slots_mut().insert(WasiConfig::new().build());
    store.slots_mut().insert(HttpConfig::new().build());
    let calls: Vec<&str> = calls.split_whitespace().collect();
    let snapshot = match program {
        Program::Module(module) => take_module(&mut store, &linker(engine)?, module, &calls),
        Program::Command(component) | Program::Server(component) => {
            take_component(&mut store, component, |store, instance| {
                calls.iter().try_for_each(|path| call(store, component, instance, path))
            })
        }
        Program::Started(_) => bail!("it was started before"),
    };
    drop(started);
    snapshot.context("the program can't be started once")
}

/// Calls a function of a component: `name`, or `interface#name`.
fn call(store: &mut Store, component: &Component, instance: &Instance, path: &str) -> Result<()> {
    let (outer, name) = path.rsplit_once('#').map_or((None, path), |(outer, name)| (Some(outer), name));
    let outer = outer.map(|outer| component.get_export_index(None, outer).context(path.to_owned())).transpose()?;
    let index = component.get_export_index(outer.as_ref(), name);
    let func = index.map(|index| instance.get_func_at(store, &index)).transpose()?.flatten();
    let func = func.with_context(|| format!("exports no function `{path}`"))?;
    let ty = func.ty(store)?;
    ensure!(ty.params().is_empty(), "`{path}` takes arguments");
    let mut results = vec![Val::default(); usize::from(ty.result().is_some())];
    func.call(store, &[], &mut results)?;
    Ok(())
}

/// The file of the snapshot of a program that is started in a process of its own.
///
/// # Errors
/// As [`start`]; or where there is no such process.
pub fn make(program: &[u8], calls: &str) -> Result<Vec<u8>> {
    let mut maker = Command::new("/proc/self/exe");
    maker.args([COMMAND, calls, &PATIENCE.as_secs().to_string()]).env_clear().current_dir("/");
    let mut maker = maker.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (stdin, stdout) = (maker.stdin.take(), maker.stdout.take());
    let mut answer = Vec::new();
    let spoken = (|| {
        // It reads all of it before it writes anything. If it has ended, the answer is not whole.
        let _ = stdin.context("piped")?.write_all(program);
        stdout.context("piped")?.take(PROCESS_MEMORY).read_to_end(&mut answer)?;
        anyhow::Ok(())
    })();
    // The shim waits for whatever is its child, and may have been faster.
    let _ = maker.kill();
    let _ = maker.wait();
    spoken?;
    let whole = answer.split_last_chunk().filter(|(rest, len)| u64::from_le_bytes(**len) == rest.len() as u64);
    match whole.and_then(|(rest, _)| rest.split_first()) {
        Some((&MADE, snapshot)) => Ok(snapshot.to_vec()),
        Some((_, error)) => bail!("{}", String::from_utf8_lossy(error)),
        None => bail!("its process has ended; it has {} seconds, and {} MiB", PATIENCE.as_secs(), MEMORY >> 20),
    }
}

/// The process that starts a guest, by the arguments behind [`COMMAND`]: reads a program from standard input, and writes the snapshot's file.
pub fn maker(mut args: impl Iterator<Item = String>) -> ExitCode {
    let (calls, seconds) = (args.next().unwrap_or_default(), args.next().and_then(|seconds| seconds.parse().ok()));
    let mut answer = Vec::new();
    match answer_with(&calls, seconds.map_or(PATIENCE, Duration::from_secs)) {
        Ok(snapshot) => {
            answer.push(MADE);
            answer.extend(snapshot);
        }
        Err(error) => {
            answer.push(FAILED);
            answer.extend(format!("{error:#}").bytes());
        }
    }
    answer.extend((answer.len() as u64).to_le_bytes());
    // Whoever reads it misses what isn't there.
    match std::io::stdout().write_all(&answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer_with(calls: &str, patience: Duration) -> Result<Vec<u8>> {
    give_up_rights().context("cannot give up rights")?;
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let engine = engine()?;
    let program = Program::new(&engine, &bytes)?;
    let limit = |store: &mut Store| {
        store.budget().set_limits(None, Some(MEMORY));
        Ok(())
    };
    Ok(start(&engine, &program, calls, patience, limit)?.to_bytes()?)
}

/// What is left are the three standard streams, memory, and time: no files, no network, nobody's name, no way back.
fn give_up_rights() -> Result<()> {
    let inherited: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&fd| fd > 2)
        .collect();
    for fd in inherited.into_iter().filter(|fd| File::open(format!("/proc/self/fdinfo/{fd}")).is_ok()) {
        // SAFETY: the process has just begun, and has one thread: what is open was inherited, and nobody else closes it.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    let apart = UnshareFlags::NEWNET | UnshareFlags::NEWNS | UnshareFlags::NEWIPC;
    // SAFETY: descriptors stay shared, which is what a thread could not expect.
    unsafe { rustix::thread::unshare_unsafe(apart)? };
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    // An empty directory that nobody else sees.
    mount("none", "/proc", "tmpfs", MountFlags::RDONLY, None)?;
    chroot("/proc")?;
    chdir("/")?;
    let bound = |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    bound(Resource::Data, PROCESS_MEMORY)?;
    // Of several threads.
    bound(Resource::Cpu, 4 * PATIENCE.as_secs())?;
    bound(Resource::Core, 0)?;
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)?;
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}
