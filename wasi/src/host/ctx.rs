//! What a guest gets: the configuration, and the context made of it.

use super::clocks::{ClockSource, Clocks};
use super::dir::{DirPerms, OpenDir};
use super::file::FilePerms;
use super::http::signal::Signal;
use super::net::filter::InvalidRule;
use super::net::{Network, NetworkProvider};
use super::output::Pending;
use super::random::{Random, RandomSource};
use super::stdio::{HostStream, Input, Output, OutputCallback, Stdin};
use super::volume::{NodeId, Volume};
use super::wait::{InterruptCheck, Waiter};
use ampoule::store::slots::Slots;
use ampoule::{Budget, Store};
use std::any::Any;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// What a call answers in a store that was never given a [`WasiCtx`].
pub const MISSING_CONTEXT: &str = "the store has no WASI configuration";

/// How many descriptors a guest may have open, standard streams and preopens included, unless configured.
pub const DEFAULT_MAX_FDS: usize = 512;

/// Why a configuration was refused. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A guest couldn't tell where this text ends.
    #[error("`{text}` has a NUL byte inside")]
    Nul {
        /// The text.
        text: String,
    },
    /// The guest's pointers couldn't reach all of it.
    #[error("{what} together are longer than 4 GiB")]
    TooLong {
        /// Arguments or environment variables.
        what: &'static str,
    },
    /// The host couldn't open or create this.
    #[error("cannot open `{path}`: {source}")]
    Open {
        /// The host's path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// This is no part of the network.
    #[error(transparent)]
    Net(#[from] InvalidRule),
}

/// Refuses strings that a guest couldn't have: with a NUL inside, or too long together for 32-bit pointers, each with a
/// NUL after it.
fn check_strings<'a>(what: &'static str, texts: impl IntoIterator<Item = &'a str>) -> Result<(), ConfigError> {
    let (mut count, mut byte_len) = (0, 0);
    for text in texts {
        if text.contains('\0') {
            return Err(ConfigError::Nul { text: text.to_owned() });
        }
        count += 1;
        byte_len += text.len() + 1;
    }
    let fits = u32::try_from(byte_len.max(count)).is_ok();
    if fits { Ok(()) } else { Err(ConfigError::TooLong { what }) }
}

/// What a guest will get. Everything that can fail (opening files and directories) fails here, not in
/// [`WasiConfig::build`].
#[derive(Default)]
pub struct WasiConfig {
    args: Option<Vec<String>>,
    env: Option<Vec<(String, String)>>,
    initial_cwd: Option<String>,
    stdin: Stdin,
    stdout: Output,
    stderr: Output,
    preopens: Vec<OpenDir>,
    max_fds: Option<usize>,
    interrupt: Option<InterruptCheck>,
    network: Network,
    clocks: Option<Box<dyn ClockSource>>,
    random: Option<RandomSource>,
}

impl WasiConfig {
    /// A configuration that gives nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the arguments; the first is the program's name.
    ///
    /// # Errors
    /// [`ConfigError::Nul`], [`ConfigError::TooLong`].
    pub fn set_args(&mut self, args: impl IntoIterator<Item = String>) -> Result<(), ConfigError> {
        let args: Vec<String> = args.into_iter().collect();
        check_strings("arguments", args.iter().map(String::as_str))?;
        self.args = Some(args);
        Ok(())
    }

    /// Replaces the arguments by those of the host process. What isn't UTF-8 in them is replaced by U+FFFD.
    ///
    /// # Errors
    /// [`ConfigError::TooLong`].
    pub fn inherit_args(&mut self) -> Result<(), ConfigError> {
        self.set_args(std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()))
    }

    /// Replaces the environment by these names and values.
    ///
    /// # Errors
    /// [`ConfigError::Nul`], [`ConfigError::TooLong`].
    pub fn set_env(&mut self, variables: impl IntoIterator<Item = (String, String)>) -> Result<(), ConfigError> {
        let env: Vec<(String, String)> = variables.into_iter().collect();
        // Each with the name's "=" or the NUL after it.
        check_strings("environment variables", env.iter().flat_map(|(name, value)| [name.as_str(), value]))?;
        self.env = Some(env);
        Ok(())
    }

    /// Replaces the environment by that of the host process. What isn't UTF-8 in it is replaced by U+FFFD.
    ///
    /// # Errors
    /// [`ConfigError::TooLong`].
    pub fn inherit_env(&mut self) -> Result<(), ConfigError> {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        self.set_env(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    /// Takes arguments and environment from here, where none were set.
    ///
    /// # Errors
    /// As [`WasiConfig::set_args`].
    pub(super) fn or_strings(&mut self, args: &[String], env: &[(String, String)]) -> Result<(), ConfigError> {
        if self.args.is_none() {
            self.set_args(args.iter().cloned())?;
        }
        if self.env.is_none() {
            self.set_env(env.iter().cloned())?;
        }
        Ok(())
    }

    /// Tells a component which of its directories it begins in; what that means is up to the component. Otherwise there is none.
    ///
    /// # Errors
    /// [`ConfigError::Nul`].
    pub fn set_initial_cwd(&mut self, path: String) -> Result<(), ConfigError> {
        check_strings("working directory", [path.as_str()])?;
        self.initial_cwd = Some(path);
        Ok(())
    }

    /// Reads standard input from a file.
    ///
    /// # Errors
    /// [`ConfigError::Open`] when it can't be opened for reading.
    pub fn stdin_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let file = File::open(path).map_err(|source| open_error(path, source))?;
        self.stdin = Stdin::Host(HostStream::file(file));
        Ok(())
    }

    /// Reads standard input from these bytes.
    pub fn stdin_bytes(&mut self, bytes: Vec<u8>) {
        self.stdin = Stdin::Bytes { bytes, position: 0 };
    }

    /// Reads standard input from the host process's own.
    pub fn inherit_stdin(&mut self) {
        self.stdin = Stdin::Host(HostStream::stdin());
    }

    /// Reads standard input from what the embedder provides.
    pub fn stdin_input(&mut self, input: impl Input + 'static) {
        self.stdin = Stdin::provided(input);
    }

    /// Writes standard output to a file, which is created or emptied now.
    ///
    /// # Errors
    /// [`ConfigError::Open`] when it can't be created.
    pub fn stdout_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        self.stdout = create(path)?;
        Ok(())
    }

    /// Writes standard output to the host process's own.
    pub fn inherit_stdout(&mut self) {
        self.stdout = Output::Host(HostStream::stdout());
    }

    /// Gives standard output to a function.
    pub fn stdout_callback(&mut self, callback: OutputCallback) {
        self.stdout = Output::Callback(callback);
    }

    /// Writes standard error to a file, which is created or emptied now.
    ///
    /// # Errors
    /// [`ConfigError::Open`] when it can't be created.
    pub fn stderr_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        self.stderr = create(path)?;
        Ok(())
    }

    /// Writes standard error to the host process's own.
    pub fn inherit_stderr(&mut self) {
        self.stderr = Output::Host(HostStream::stderr());
    }

    /// Gives standard error to a function.
    pub fn stderr_callback(&mut self, callback: OutputCallback) {
        self.stderr = Output::Callback(callback);
    }

    /// Lets the guest reach the directory at `host` of the host, under the name `guest`, within these permissions.
    ///
    /// # Errors
    /// [`ConfigError::Nul`]; [`ConfigError::Open`] when it can't be opened as a directory.
    pub fn preopen_dir(
        &mut self,
        host: &Path,
        guest: &str,
        dir_perms: DirPerms,
        file_perms: FilePerms,
    ) -> Result<(), ConfigError> {
        if guest.contains('\0') {
            return Err(ConfigError::Nul { text: guest.to_owned() });
        }
        let dir = OpenDir::preopen(host, guest, dir_perms, file_perms);
        self.preopens.push(dir.map_err(|source| open_error(host, source))?);
        Ok(())
    }

    /// Lets the guest reach the directory `node` of an embedder's file system, under the name `guest`, within these
    /// permissions.
    ///
    /// # Errors
    /// [`ConfigError::Nul`].
    pub fn preopen_virtual_dir(
        &mut self,
        volume: Arc<Volume>,
        node: NodeId,
        guest: &str,
        dir_perms: DirPerms,
        file_perms: FilePerms,
    ) -> Result<(), ConfigError> {
        if guest.contains('\0') {
            return Err(ConfigError::Nul { text: guest.to_owned() });
        }
        self.preopens.push(OpenDir::preopen_virtual(volume, node, guest, dir_perms, file_perms));
        Ok(())
    }

    /// Shows the guest other clocks than the system's.
    pub fn clocks(&mut self, clocks: impl ClockSource + 'static) {
        self.clocks = Some(Box::new(clocks));
    }

    /// Gives the guest other random bytes than the system's.
    pub fn random(&mut self, source: RandomSource) {
        self.random = Some(source);
    }

    /// Lets the guest open sockets in the host's network; at first it may not.
    pub fn inherit_network(&mut self) {
        self.network.sockets = true;
    }

    /// Says whether the guest may look up addresses of host names; at first it may not.
    pub fn allow_ip_name_lookup(&mut self, allow: bool) {
        self.network.name_lookup = allow;
    }

    /// Lets the guest look up, connect to, and send to what `rule` says: `HOST`, `HOST:PORT` or `HOST:FIRST-LAST`, with a host name (or
    /// `*.` and one), an address, or a network such as `10.0.0.0/8`; IPv6 addresses in front of a port are in brackets. May be called again.
    /// Where [`WasiConfig::inherit_network`] is called, too, nothing is denied.
    ///
    /// A name stands for the addresses that the host's resolver gives when the guest looks it up, but for those of the host itself and of
    /// its link. The guest's sockets have ports that the system chooses, and listen to nobody.
    ///
    /// # Errors
    /// [`ConfigError::Net`] for any other text.
    pub fn allow_net(&mut self, rule: &str) -> Result<(), ConfigError> {
        self.network.filter = self.network.filter.with(rule.parse()?);
        Ok(())
    }

    /// Gives the guest a network of the embedder's in place of the host's, with all that it can do.
    pub fn network(&mut self, provider: impl NetworkProvider + 'static) {
        self.network.provider = Some(Arc::new(provider));
    }

    /// Sets the budget of open descriptors. Standard streams and preopens count, and are always opened.
    pub fn max_fds(&mut self, max_fds: usize) {
        self.max_fds = Some(max_fds);
    }

    /// Sets the check that is made while a call of WASI's sleeps; `true` ends the guest. What a store asks whenever it waits is
    /// [`ampoule::Store::set_interrupt_check`].
    pub fn interrupt_check(&mut self, check: InterruptCheck) {
        self.interrupt = Some(check);
    }

    /// The context for one store.
    pub fn build(self) -> WasiCtx {
        let mut waiter = Waiter::default();
        waiter.set_check(self.interrupt);
        let host = Host {
            args: self.args.unwrap_or_default(),
            env: self.env.unwrap_or_default(),
            initial_cwd: self.initial_cwd,
            max_fds: self.max_fds.unwrap_or(DEFAULT_MAX_FDS),
            preopens: self.preopens,
            stdin: self.stdin,
            stdout: self.stdout,
            stderr: self.stderr,
            unwritten: [Pending::default(), Pending::default()],
            clocks: Clocks::of(self.clocks),
            random: Random::of(self.random),
            waiter,
            network: self.network,
            signal: Arc::default(),
            budget: None,
        };
        WasiCtx { host, states: Slots::default(), uncounted: Vec::new() }
    }
}

fn open_error(path: &Path, source: std::io::Error) -> ConfigError {
    ConfigError::Open { path: path.display().to_string(), source }
}

fn create(path: &Path) -> Result<Output, ConfigError> {
    let file = File::create(path).map_err(|source| open_error(path, source))?;
    Ok(Output::Host(HostStream::file(file)))
}

/// What one store's guest has: of the host, and of each interface that it uses.
pub struct WasiCtx {
    /// The host's part, which all interfaces share.
    pub host: Host,
    states: Slots,
    /// What has states that were there before the store's budget was known count in it.
    uncounted: Vec<fn(&mut Slots, &Budget)>,
}

/// The state of an interface, which counts in the store's budget.
pub(crate) trait Counted: Any + Send + Sync {
    /// Has what is there count, whatever the limits say, and what is made.
    fn count_in(&mut self, budget: &Budget);
}

impl WasiCtx {
    /// The context of a store. What it holds for the guest counts in the store's budget from the first call on.
    #[inline]
    pub fn of(store: &mut Store) -> Option<&mut WasiCtx> {
        if store.slots().get::<WasiCtx>()?.host.budget.is_none() {
            let budget = store.budget();
            let ctx = store.slots_mut().get_mut::<WasiCtx>()?;
            ctx.uncounted.drain(..).for_each(|count| count(&mut ctx.states, &budget));
            ctx.host.budget = Some(budget);
        }
        store.slots_mut().get_mut()
    }

    /// The state that one interface keeps for the guest, where it has been used.
    pub fn state<T: Any>(&self) -> Option<&T> {
        self.states.get()
    }

    /// Sets that state, of a context that no store has yet.
    pub(crate) fn set_state<T: Counted>(&mut self, state: T) {
        self.states.insert(state);
        self.uncounted.push(|states, budget| {
            if let Some(state) = states.get_mut::<T>() {
                state.count_in(budget);
            }
        });
    }

    /// The host, and beside it the state that one interface keeps for the guest, which `new` makes at the first use.
    #[inline]
    pub fn with_state<T: Any + Send + Sync>(&mut self, new: impl FnOnce(&Host) -> T) -> (&mut Host, &mut T) {
        if self.states.get::<T>().is_none() {
            self.states.insert(new(&self.host));
        }
        (&mut self.host, self.states.get_mut().expect("it is there, or was just made"))
    }
}

/// What the host gives one store's guest: one field, one concern.
pub struct Host {
    /// Its arguments; the first is the program's name.
    pub args: Vec<String>,
    /// Its environment: names and values.
    pub env: Vec<(String, String)>,
    /// The directory that it begins in, where it is to know one.
    pub initial_cwd: Option<String>,
    /// How many descriptors each of its interfaces may have open.
    pub max_fds: usize,
    /// The directories it begins with.
    pub preopens: Vec<OpenDir>,
    /// Its standard input.
    pub stdin: Stdin,
    /// Its standard output.
    pub stdout: Output,
    /// Its standard error.
    pub stderr: Output,
    /// What its streams of standard output and error have taken and the host hasn't yet.
    pub unwritten: [Pending; 2],
    /// Its clocks.
    pub clocks: Clocks,
    /// Its randomness.
    pub random: Random,
    /// How its calls sleep.
    pub waiter: Waiter,
    /// What it may do with the network.
    pub network: Network,
    /// Tells it what other threads have done for it.
    pub signal: Arc<Signal>,
    /// What it holds counts here, from its first call on.
    pub budget: Option<Budget>,
}

impl Host {
    /// Lends how calls sleep, beside all of the rest.
    pub fn with_waiter<T>(&mut self, run: impl FnOnce(&mut Host, &mut Waiter) -> T) -> T {
        let mut waiter = std::mem::take(&mut self.waiter);
        let result = run(self, &mut waiter);
        self.waiter = waiter;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_there_is_nothing() {
        let host = WasiConfig::new().build().host;
        assert!(host.args.is_empty() && host.env.is_empty() && host.preopens.is_empty());
        assert!(!host.network.sockets && !host.network.name_lookup && host.network.provider.is_none());
        assert!(host.network.filter.is_empty());
    }

    #[test]
    fn the_network_is_allowed_part_by_part() {
        let mut config = WasiConfig::new();
        config.allow_ip_name_lookup(true);
        config.inherit_network();
        config.allow_ip_name_lookup(false);
        let network = config.build().host.network;
        assert!(network.sockets && !network.name_lookup);
    }

    #[test]
    fn the_state_of_an_interface_is_made_once() {
        let mut ctx = WasiConfig::new().build();
        for expected in [1, 2, 3] {
            let (_, count) = ctx.with_state(|_| 0_u8);
            *count += 1;
            assert_eq!(*count, expected);
        }
        assert_eq!(ctx.with_state(|_| 0_u16).1, &0);
    }

    #[test]
    fn a_nul_is_refused_and_changes_nothing() {
        let mut config = WasiConfig::new();
        assert!(config.set_args(["kept".to_owned()]).is_ok());
        assert!(matches!(config.set_args(["a\0b".to_owned()]), Err(ConfigError::Nul { .. })));
        assert!(matches!(config.set_env([("a".into(), "\0".into())]), Err(ConfigError::Nul { .. })));
        let dir = std::env::temp_dir();
        let preopened = config.preopen_dir(&dir, "a\0", DirPerms::ALL, FilePerms::ALL);
        assert!(matches!(preopened, Err(ConfigError::Nul { .. })));
        assert_eq!(config.build().host.args, ["kept"]);
    }

    #[test]
    fn what_cannot_be_opened_is_refused() {
        let mut config = WasiConfig::new();
        let nowhere = Path::new("/nonexistent/file");
        assert!(matches!(config.stdin_file(nowhere), Err(ConfigError::Open { .. })));
        assert!(matches!(config.stdout_file(nowhere), Err(ConfigError::Open { .. })));
        assert!(matches!(config.stderr_file(nowhere), Err(ConfigError::Open { .. })));
        let preopened = config.preopen_dir(Path::new("/etc/passwd"), "d", DirPerms::ALL, FilePerms::ALL);
        assert!(matches!(preopened, Err(ConfigError::Open { .. })));
    }

    #[test]
    fn the_host_process_can_be_inherited() {
        let mut config = WasiConfig::new();
        assert!(config.inherit_args().is_ok() && config.inherit_env().is_ok());
        let host = config.build().host;
        assert_eq!(host.args.len(), std::env::args_os().count());
        assert_eq!(host.env.len(), std::env::vars_os().count());
    }
}
