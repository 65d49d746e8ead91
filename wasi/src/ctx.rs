//! What a guest gets: the configuration, and the context made of it.

use crate::clocks::Clocks;
use crate::files::{DirPerms, FilePerms, OpenDir};
use crate::p1::types::Rights;
use crate::stdio::{HostStream, Output, OutputCallback, Stdin};
use crate::table::{Descriptor, FdTable, Kind};
use crate::wait::{InterruptCheck, Waiter};
use std::fs::File;
use std::path::Path;

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
}

/// Strings as preview 1 hands them out: back to back, each ended by a NUL.
#[derive(Clone, Debug, Default)]
pub struct Strings {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Strings {
    fn new(what: &'static str, texts: impl IntoIterator<Item = String>) -> Result<Self, ConfigError> {
        let mut strings = Self::default();
        for text in texts {
            if text.contains('\0') {
                return Err(ConfigError::Nul { text });
            }
            // The start must fit, and so must the end: see `byte_len`.
            let start = u32::try_from(strings.bytes.len()).map_err(|_| ConfigError::TooLong { what })?;
            u32::try_from(strings.bytes.len() + text.len() + 1).map_err(|_| ConfigError::TooLong { what })?;
            strings.starts.push(start);
            strings.bytes.extend_from_slice(text.as_bytes());
            strings.bytes.push(0);
        }
        u32::try_from(strings.starts.len()).map_err(|_| ConfigError::TooLong { what })?;
        Ok(strings)
    }

    /// All bytes, NULs included.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where in the bytes each string starts.
    pub fn starts(&self) -> &[u32] {
        &self.starts
    }
}

/// What a guest will get. Everything that can fail (opening files and directories) fails here, not in
/// [`WasiConfig::build`].
#[derive(Default)]
pub struct WasiConfig {
    args: Strings,
    env: Strings,
    stdin: Stdin,
    stdout: Output,
    stderr: Output,
    preopens: Vec<OpenDir>,
    max_fds: Option<usize>,
    interrupt: Option<InterruptCheck>,
    network: Network,
}

/// What a guest may do with the host's network. Preview 1 has no calls that need it; it is kept for those that do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Network {
    /// Whether sockets may be opened.
    pub sockets: bool,
    /// Whether addresses of host names may be looked up.
    pub name_lookup: bool,
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
        self.args = Strings::new("arguments", args)?;
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
        let texts = variables.into_iter().map(|(name, value)| format!("{name}={value}"));
        self.env = Strings::new("environment variables", texts)?;
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
        let dir = OpenDir::preopen(host, guest.to_owned(), dir_perms, file_perms);
        self.preopens.push(dir.map_err(|source| open_error(host, source))?);
        Ok(())
    }

    /// Lets the guest open sockets in the host's network; at first it may not.
    pub fn inherit_network(&mut self) {
        self.network.sockets = true;
    }

    /// Says whether the guest may look up addresses of host names; at first it may not.
    pub fn allow_ip_name_lookup(&mut self, allow: bool) {
        self.network.name_lookup = allow;
    }

    /// Sets the budget of open descriptors. Standard streams and preopens count, and are always opened.
    pub fn max_fds(&mut self, max_fds: usize) {
        self.max_fds = Some(max_fds);
    }

    /// Sets the check that is asked while a call of the guest's sleeps, and ends the guest by saying `true`.
    pub fn interrupt_check(&mut self, check: InterruptCheck) {
        self.interrupt = Some(check);
    }

    /// The context for one store.
    pub fn build(self) -> WasiCtx {
        let limit = self.max_fds.unwrap_or(DEFAULT_MAX_FDS);
        let mut waiter = Waiter::default();
        waiter.set_check(self.interrupt);
        WasiCtx {
            args: self.args,
            env: self.env,
            table: first_descriptors(self.preopens, limit),
            stdin: self.stdin,
            stdout: self.stdout,
            stderr: self.stderr,
            clocks: Clocks::new(),
            waiter,
            network: self.network,
        }
    }
}

fn open_error(path: &Path, source: std::io::Error) -> ConfigError {
    ConfigError::Open { path: path.display().to_string(), source }
}

fn create(path: &Path) -> Result<Output, ConfigError> {
    let file = File::create(path).map_err(|source| open_error(path, source))?;
    Ok(Output::Host(HostStream::file(file)))
}

/// Standard streams as 0, 1 and 2; then the preopens.
fn first_descriptors(preopens: Vec<OpenDir>, limit: usize) -> FdTable {
    let mut table = FdTable::new(limit.max(3 + preopens.len()));
    let streams =
        [(Kind::Stdin, Rights::OF_STDIN), (Kind::Stdout, Rights::OF_OUTPUT), (Kind::Stderr, Rights::OF_OUTPUT)];
    let streams = streams.map(|(kind, rights)| Descriptor { kind, rights, inheriting: Rights::NONE });
    let dirs = preopens.into_iter().map(|dir| Descriptor {
        kind: Kind::Dir(dir),
        rights: Rights::OF_DIRECTORIES,
        // Everything: what a preopen forbids is `perm`, by its permissions, so that a program which opens a file for
        // writing in a read-only directory is told so, instead of quietly getting a read-only file.
        inheriting: Rights::ALL,
    });
    for descriptor in streams.into_iter().chain(dirs) {
        let inserted = table.insert(descriptor);
        debug_assert!(inserted.is_ok(), "the limit leaves room for these");
    }
    table
}

/// What one store's guest has: one field, one concern.
pub struct WasiCtx {
    /// Its arguments.
    pub args: Strings,
    /// Its environment, as `name=value`.
    pub env: Strings,
    /// Its descriptors.
    pub table: FdTable,
    /// Its standard input.
    pub stdin: Stdin,
    /// Its standard output.
    pub stdout: Output,
    /// Its standard error.
    pub stderr: Output,
    /// Its clocks.
    pub clocks: Clocks,
    /// How its calls sleep.
    pub waiter: Waiter,
    /// What it may do with the network.
    pub network: Network,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_there_is_nothing() {
        let ctx = WasiConfig::new().build();
        assert!(ctx.args.bytes().is_empty() && ctx.env.bytes().is_empty());
        assert!(ctx.table.get(2).is_ok());
        assert!(ctx.table.get(3).is_err());
        assert_eq!(ctx.network, Network { sockets: false, name_lookup: false });
    }

    #[test]
    fn the_network_is_allowed_part_by_part() {
        let mut config = WasiConfig::new();
        config.allow_ip_name_lookup(true);
        config.inherit_network();
        config.allow_ip_name_lookup(false);
        assert_eq!(config.build().network, Network { sockets: true, name_lookup: false });
    }

    #[test]
    fn strings_lie_back_to_back() {
        let mut config = WasiConfig::new();
        assert!(config.set_args(["a".to_owned(), String::new(), "bé".to_owned()]).is_ok());
        assert!(config.set_env([("N".to_owned(), "v".to_owned())]).is_ok());
        let ctx = config.build();
        assert_eq!(ctx.args.bytes(), "a\0\0bé\0".as_bytes());
        assert_eq!(ctx.args.starts(), [0, 2, 3]);
        assert_eq!(ctx.env.bytes(), b"N=v\0");
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
        assert_eq!(config.build().args.bytes(), b"kept\0");
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
        let ctx = config.build();
        assert_eq!(ctx.args.starts().len(), std::env::args_os().count());
        assert_eq!(ctx.env.starts().len(), std::env::vars_os().count());
    }
}
