//! `ampoule serve`: answers HTTP requests by a component, with the server of [`ampoule_runner::serve`].

use crate::grants::variable;
use crate::limits::Limits;
use crate::module_file::{Compilation, ModuleFile};
use crate::terminal::{print_lines, report};
use crate::units::parse_duration;
use ampoule::Engine;
use ampoule_component::ComponentSnapshot;
use ampoule_runner::serve::{Guests, Options, Output, Server, pool_for};
use ampoule_runner::{base_config, component_linker};
use ampoule_wasi::host::http::{HttpConfig, HttpPool};
use ampoule_wasi::{Handler, WasiState};
use anyhow::{Context, Result, ensure};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How long a connection of a guest's request is kept.
const KEEP_TIME: Duration = Duration::from_secs(90);

/// Serves HTTP by a component that exports `wasi:http/incoming-handler` (0.2) or `wasi:http/handler` (0.3): HTTP/1.1 and HTTP/2, an instance for
/// each request.
///
/// Ends on SIGTERM or SIGINT, when the requests that are being answered are over.
#[derive(clap::Args)]
pub struct Args {
    /// Where to listen; port 0 is any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// How many requests are answered at once; further ones wait.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    max_concurrent: u32,
    /// How long a guest may take for a request, such as 500ms, 2s or 1m; a client that takes nothing of its response for as long is cut off.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "1m")]
    timeout: Duration,
    #[command(flatten)]
    limits: Limits,
    /// Let guests send HTTP requests of their own.
    #[arg(long)]
    http: bool,
    /// How many connections of guests' requests are kept for further requests to the same host.
    #[arg(long, value_name = "COUNT", default_value_t = 0, requires = "http", hide_default_value = true)]
    http_keep: usize,
    /// Set an environment variable of the guests'. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// How many threads run guests; by default as many as there are processors.
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Make each instance anew instead of taking it from a pool.
    #[arg(long)]
    no_pool: bool,
    #[command(flatten)]
    compilation: Compilation,
    /// Print a line to standard output for each request.
    #[arg(long)]
    access_log: bool,
    /// Answer requests for this path with counters, in the text format of Prometheus.
    #[arg(long, value_name = "PATH")]
    metrics: Option<String>,
    /// A component as wasm or wat, or one that `ampoule compile` or, with `--timeout`, `ampoule snapshot` made.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Args {
    /// Serves until the process is told to end.
    ///
    /// # Errors
    /// Where the component can't be had, or the address.
    pub fn run(self) -> Result<ExitCode> {
        ensure!(self.max_concurrent > 0, "--max-concurrent: one at least");
        ensure!(self.threads != Some(0), "--threads: one at least");
        let mut config = base_config();
        // What lets others have their turn.
        config.epoch_interruption(true);
        self.compilation.choose(&mut config);
        if !self.no_pool {
            config.pool = Some(pool_for(self.max_concurrent));
        }
        let engine = Engine::new(&config)?;
        let file = ModuleFile::read(&self.file)?;
        let (handler, state) = self.handler(&file, &engine)?;
        let mut http = HttpConfig::new();
        http.allow_outgoing(self.http);
        if self.http_keep > 0 {
            http.pool(HttpPool::new(self.http_keep, KEEP_TIME));
        }
        let mut guests = Guests::new(&engine, handler);
        guests.state = state;
        guests.http = http;
        guests.env = self.env.iter().map(|text| variable(text)).collect::<Result<_>>()?;
        guests.max_memory = self.limits.max_memory;
        guests.max_total = self.limits.max_total;
        guests.timeout = self.timeout;
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
        // A line that can't be printed is none.
        let print: fn(&str) = |line| _ = print_lines([line]);
        let output = Output { message: report, access: self.access_log.then_some(print) };
        let options = Options { max_concurrent: self.max_concurrent, metrics_path: self.metrics, ..Options::default() };
        let server = Server::new(guests, output, options);
        let listener = TcpListener::bind(self.addr).with_context(|| format!("--addr {}", self.addr))?;
        server.run(listener, threads)?;
        Ok(ExitCode::SUCCESS)
    }

    /// What answers requests, and where it goes on from a snapshot, what its guest had of WASI.
    fn handler(&self, file: &ModuleFile, engine: &Engine) -> Result<(Handler, Option<WasiState>)> {
        let linker = component_linker(engine)?;
        let Some(snapshot) = file.snapshot(engine)? else {
            let component = file.component(engine)?;
            let component =
                component.with_context(|| format!("{}: is a module, not a component", self.file.display()))?;
            return Ok((file.named(Handler::new(linker, &component))?, None));
        };
        let state = file.named(WasiState::of_snapshot(&snapshot))?;
        let snapshot = file.named(ComponentSnapshot::of(snapshot))?;
        let snapshot = snapshot.with_context(|| format!("{}: is of a module, not a component", self.file.display()))?;
        Ok((file.named(Handler::of_snapshot(&linker, &snapshot))?, state))
    }
}
