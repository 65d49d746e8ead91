//! The guest of one container, in the container's first process: loaded when the container is created, run when it is started.

use crate::container::{self, Mount};
use crate::memory::Budget;
use crate::{artifact, signals, start_once};
use ampoule::{Engine, Error, Instance, Module, Snapshot, Store};
use ampoule_component::{Component, ComponentSnapshot};
use ampoule_runner::serve::{Guests, Options, Output, Server};
use ampoule_runner::{base_config, command, component_linker};
use ampoule_wasi::host::http::HttpConfig;
use ampoule_wasi::{DirPerms, FilePerms, Handler, WasiConfig, WasiResources, WasiState};
use anyhow::{Context, Result, bail, ensure};
use containerd_shim_wasm::sandbox::Sandbox;
use containerd_shim_wasm::sandbox::context::{RuntimeContext, Source};
use std::borrow::Cow;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a command may go on after a signal, and a server answer the requests that it has, where the container doesn't say so. Kubernetes waits for
/// half a minute before it kills.
const GRACE: Duration = Duration::from_secs(5);
const GRACE_OF_SERVERS: Duration = Duration::from_secs(25);

/// The variables of a container's environment that are for us.
const GRACE_VARIABLE: &str = "AMPOULE_GRACE_SECONDS";
const PORT_VARIABLE: &str = "PORT";

/// Where a server listens otherwise.
const PORT: u16 = 8080;

/// What a module's entry point is called, unless the container names another function.
const START: &str = "_start";

/// The stack of the thread that a command runs on.
const STACK_BYTES: usize = 8 << 20;

/// A container's guest.
#[derive(Default)]
pub struct Guest {
    loaded: Mutex<Option<Loaded>>,
}

struct Loaded {
    engine: Engine,
    program: Program,
    /// How it is to be started before it is run, where that has not been done.
    calls: Option<String>,
}

/// What an image's entry point is.
pub enum Program {
    /// A module of preview 1.
    Module(Module),
    /// A component that runs to its end.
    Command(Component),
    /// A component that answers HTTP requests.
    Server(Component),
    /// One of these that was started before.
    Started(Started),
}

/// What a guest goes on from.
pub struct Started {
    guest: Kind,
    wasi: Option<WasiState>,
}

enum Kind {
    Module(Snapshot),
    Component(ComponentSnapshot),
}

/// The engine of each container; and of what is compiled for them.
///
/// # Errors
/// Where the machine isn't one that it runs on.
pub fn engine() -> Result<Engine, Error> {
    let mut config = base_config();
    // What lets a signal end a guest, and the guests of a server take turns.
    config.epoch_interruption(true);
    Engine::new(&config)
}

impl Sandbox for Guest {
    async fn can_handle(&self, context: &impl RuntimeContext) -> Result<()> {
        let loaded = Loaded::new(context).inspect_err(report)?;
        if !container::has_output() {
            log::warn!("what the container writes is lost: it has no named pipes, and log URIs are not supported");
        }
        container::wait_for_parent();
        *self.loaded.lock().expect("nothing panics with it") = Some(loaded);
        Ok(())
    }

    async fn run_wasi(&self, context: &impl RuntimeContext) -> Result<i32> {
        let loaded = self.loaded.lock().expect("nothing panics with it").take().context("it runs once")?;
        container::separate_stdin();
        let surroundings = Surroundings::new(context)?;
        // Apart from the thread that polls this: a server has runtimes of its own.
        let thread = std::thread::Builder::new().name("guest".to_owned()).stack_size(STACK_BYTES);
        let running = thread.spawn(move || loaded.run(surroundings))?;
        match running.join() {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => {
                report(&error);
                Ok(1)
            }
            Err(_) => bail!("a thread has panicked"),
        }
    }
}

/// Tells whoever reads what the container writes; containerd knows no reasons.
fn report(error: &anyhow::Error) {
    say(&format!("error: {error:#}"));
}

pub fn say(text: &str) {
    // Names of a guest's choice may be meant for terminals. Its own output goes there, too, but not as ours.
    let text: String = text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect();
    eprintln!("{text}");
}

impl Loaded {
    fn new(context: &impl RuntimeContext) -> Result<Self> {
        let engine = engine()?;
        let source = context.entrypoint().source;
        let (program, calls) = match &source {
            Source::Oci([layer]) => (artifact::load(&engine, layer)?, start_once::wanted(layer)),
            Source::Oci(layers) => bail!("the image has {} layers of WebAssembly; one is run", layers.len()),
            Source::File(path) => {
                let bytes = source.as_bytes().with_context(|| path.display().to_string())?;
                (Program::new(&engine, &bytes).with_context(|| path.display().to_string())?, None)
            }
        };
        let calls = calls.filter(|_| !matches!(program, Program::Started(_))).map(str::to_owned);
        Ok(Self { engine, program, calls })
    }

    /// Runs it to its end, and gives the status to exit with.
    fn run(self, mut surroundings: Surroundings) -> Result<i32> {
        let Self { engine, mut program, calls } = self;
        if let Some(calls) = calls {
            let limit = |store: &mut Store| surroundings.limit(store);
            program = Program::of_snapshot(start_once::start(&engine, &program, &calls, start_once::PATIENCE, limit)?)?;
        }
        match program {
            Program::Module(module) => surroundings.run(&engine, |store, name| {
                let instance = linker(&engine)?.instantiate(store, &module)?;
                if name == START { command::run_module(store, &instance) } else { call(store, &instance, name) }?;
                Ok(true)
            }),
            Program::Command(component) => surroundings
                .run(&engine, |store, _| command::run_component(store, &component_linker(&engine)?, &component)),
            Program::Server(component) => {
                let handler = Handler::new(component_linker(&engine)?, &component)?;
                surroundings.serve(&engine, handler)
            }
            Program::Started(Started { guest, wasi }) => {
                surroundings.wasi = wasi;
                guest.run(&engine, surroundings)
            }
        }
    }
}

impl Kind {
    /// Goes on from a snapshot.
    fn run(self, engine: &Engine, surroundings: Surroundings) -> Result<i32> {
        let snapshot = match self {
            Self::Module(snapshot) => {
                return surroundings.run(engine, |store, name| {
                    let instance = snapshot.instantiate(store, &linker(engine)?, &mut ())?[0];
                    call(store, &instance, name)?;
                    Ok(true)
                });
            }
            Self::Component(snapshot) => snapshot,
        };
        let component = snapshot.component();
        if command::run_of(component).is_none() {
            return surroundings.serve(engine, Handler::of_snapshot(&component_linker(engine)?, &snapshot)?);
        }
        surroundings.run(engine, |store, _| {
            let found = component_linker(engine)?.instantiate_pre(component)?;
            let instance = snapshot.instantiate(store, &found, &mut WasiResources)?;
            command::run_instance(store, component, &instance)
        })
    }
}

/// What modules import.
///
/// # Errors
/// Where a definition is refused.
pub fn linker(engine: &Engine) -> Result<ampoule::Linker> {
    let mut linker = ampoule::Linker::new(engine);
    ampoule_wasi::p1::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Calls the function that the entry point names behind a `#`, or [`START`].
fn call(store: &mut Store, instance: &Instance, name: &str) -> Result<()> {
    let func = instance.get_func(store, name).with_context(|| format!("the module exports no function `{name}`"))?;
    let ty = func.ty(store)?;
    ensure!(ty.params().is_empty() && ty.results().is_empty(), "`{name}` has parameters or results");
    func.call(store, &[], &mut [])?;
    Ok(())
}

impl Program {
    /// From the bytes of a module or component, or their text.
    ///
    /// # Errors
    /// Where they are neither, or can't be run.
    pub fn new(engine: &Engine, bytes: &[u8]) -> Result<Self> {
        // Compiled code is trusted, and an image is not.
        let is_compiled =
            ampoule::module::artifact::is_artifact(bytes) || ampoule_component::artifact::is_artifact(bytes);
        ensure!(!is_compiled, "images hold WebAssembly; it is compiled where it runs");
        ensure!(!ampoule::snapshot::is_snapshot(bytes), "images hold no snapshots; a layer's annotation has them made");
        let binary = if bytes.starts_with(b"\0asm") {
            Cow::Borrowed(bytes)
        } else {
            let text = std::str::from_utf8(bytes).context("it is no WebAssembly")?;
            Cow::Owned(Module::binary_of_text(text)?)
        };
        // The layer, behind the version.
        if binary.get(6) == Some(&1) {
            return Self::of_component(Component::new(engine, &binary)?);
        }
        Ok(Self::Module(Module::from_binary(engine, &binary)?))
    }

    /// Of a program that was started.
    ///
    /// # Errors
    /// Where the snapshot is no program's.
    pub fn of_snapshot(snapshot: Snapshot) -> Result<Self> {
        let wasi = WasiState::of_snapshot(&snapshot)?;
        let guest = match ComponentSnapshot::of(snapshot.clone())? {
            Some(snapshot) => Kind::Component(snapshot),
            None => Kind::Module(snapshot),
        };
        Ok(Self::Started(Started { guest, wasi }))
    }

    /// By what it exports.
    ///
    /// # Errors
    /// Where that is nothing that can be run.
    pub fn of_component(component: Component) -> Result<Self> {
        if command::run_of(&component).is_some() {
            return Ok(Self::Command(component));
        }
        let exports = |name| component.get_export_index(None, name).is_some();
        ensure!(
            exports("wasi:http/incoming-handler@0.2.0") || exports("wasi:http/handler@0.3.0"),
            "the component exports neither `wasi:cli/run` nor a handler of `wasi:http`"
        );
        Ok(Self::Server(component))
    }
}

/// What a guest gets of its container.
struct Surroundings {
    args: Vec<String>,
    env: Vec<(String, String)>,
    function: String,
    mounts: Vec<Mount>,
    directory: Option<String>,
    budget: Option<Budget>,
    /// What the guest has of WASI already, where it goes on from a snapshot.
    wasi: Option<WasiState>,
}

impl Surroundings {
    fn new(context: &impl RuntimeContext) -> Result<Self> {
        let split =
            |variable: &String| variable.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut env: Vec<(String, String)> = context.envs().iter().filter_map(split).collect();
        let directory = std::env::current_dir().ok().and_then(|path| path.into_os_string().into_string().ok());
        // Preview 1 has no working directory; there are programs that look here.
        if let Some(directory) = &directory
            && !env.iter().any(|(name, _)| name == "PWD")
        {
            env.push(("PWD".to_owned(), directory.clone()));
        }
        Ok(Self {
            args: context.args().to_vec(),
            env,
            function: context.entrypoint().func,
            mounts: container::mounts()?,
            directory,
            budget: container::memory().map(|memory| Budget::new(memory.limit, memory.used)),
            wasi: None,
        })
    }

    /// Runs a command; false is that it says that it failed.
    fn run(self, engine: &Engine, run: impl FnOnce(&mut Store, &str) -> Result<bool>) -> Result<i32> {
        let mut store = Store::new(engine);
        store.set_epoch_deadline(u64::MAX);
        self.set_up(&mut store)?;
        signals::cancel_by(store.cancel_token()?, self.seconds(GRACE_VARIABLE, GRACE)?)?;
        let name = self.args.first().map_or("", String::as_str);
        match run(&mut store, &self.function) {
            Ok(succeeded) => Ok(i32::from(!succeeded)),
            Err(error) => match signals::status().filter(|_| is_cancellation(&error)) {
                Some(status) => Ok(status),
                None => Ok(command::status_of(name, error, say)?.into()),
            },
        }
    }

    /// Serves until a signal comes.
    fn serve(self, engine: &Engine, handler: Handler) -> Result<i32> {
        let port = match self.variable(PORT_VARIABLE) {
            Some(text) => text.parse().with_context(|| format!("{PORT_VARIABLE}={text}: no port"))?,
            None => PORT,
        };
        let options = Options { grace: self.seconds(GRACE_VARIABLE, GRACE_OF_SERVERS)?, ..Options::default() };
        // For both versions of IP, where the container has both.
        let listener = TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)));
        let listener = listener.with_context(|| format!("cannot listen on port {port}"))?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let surroundings = Arc::new(self);
        let mut guests = Guests::new(engine, handler);
        guests.set_up = Some(Box::new(move |store| {
            surroundings.set_up(store).map_err(|error| Error::message(format!("{error:#}")))
        }));
        Server::new(guests, Output { message: say, access: None }, options).run(listener, threads)?;
        Ok(0)
    }

    /// Keeps a store's guests within the container's memory.
    fn limit(&self, store: &mut Store) -> Result<(), Error> {
        match &self.budget {
            Some(budget) => store.set_limiter(Some(budget.limiter())).map(drop),
            None => Ok(()),
        }
    }

    /// Gives a store what its guest has, and its limit.
    fn set_up(&self, store: &mut Store) -> Result<()> {
        self.limit(store)?;
        let mut wasi = WasiConfig::new();
        wasi.inherit_stdin();
        wasi.inherit_stdout();
        wasi.inherit_stderr();
        wasi.set_args(self.args.iter().cloned())?;
        wasi.set_env(self.env.iter().cloned())?;
        if let Some(directory) = &self.directory {
            wasi.set_initial_cwd(directory.clone())?;
        }
        for Mount { path, read_only } in &self.mounts {
            let (dirs, files) =
                if *read_only { (DirPerms::READ, FilePerms::READ) } else { (DirPerms::ALL, FilePerms::ALL) };
            let Some(guest) = path.to_str() else { continue };
            if let Err(error) = wasi.preopen_dir(path, guest, dirs, files) {
                log::warn!("a guest does without a directory: {error}");
            }
        }
        // What the container may reach its network says.
        wasi.inherit_network();
        wasi.allow_ip_name_lookup(true);
        store.slots_mut().insert(match &self.wasi {
            Some(state) => wasi.build_from(state)?,
            None => wasi.build(),
        });
        let mut http = HttpConfig::new();
        http.allow_outgoing(true);
        store.slots_mut().insert(http.build());
        Ok(())
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find_map(|(found, value)| (found == name).then_some(value.as_str()))
    }

    fn seconds(&self, name: &str, default: Duration) -> Result<Duration> {
        let Some(text) = self.variable(name) else { return Ok(default) };
        let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        seconds.with_context(|| format!("{name}={text}: no number of seconds"))
    }
}

fn is_cancellation(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<Error>().map(Error::kind);
    matches!(kind, Some(ampoule::error::ErrorKind::Cancelled(_)))
}
