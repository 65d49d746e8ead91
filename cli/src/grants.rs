//! What a guest may reach, from the options that say so.

use ampoule_wasi::{DirPerms, FilePerms, WasiConfig};
use anyhow::{Context, Result, anyhow, ensure};
use std::path::Path;

/// What is given to a guest besides standard input and output.
#[derive(clap::Args)]
pub struct Grants {
    /// Let the guest reach the directory HOST under the name GUEST (by default the same). May be repeated.
    #[arg(long, value_name = "HOST::GUEST")]
    dir: Vec<String>,
    /// Set an environment variable of the guest's; `NAME` alone takes the host's value. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Let the guest look up, connect to and send to HOST: a name (`*.` and a name for all below it), an address, or a network such as
    /// `10.0.0.0/8`; at PORT, or from `FIRST-LAST`. IPv6 addresses in front of a port are in brackets. May be repeated.
    #[arg(long, value_name = "HOST[:PORT]")]
    allow_net: Vec<String>,
    /// Let the guest use TCP and UDP sockets without restriction, listen for connections, and look up any name.
    #[arg(long)]
    tcp: bool,
}

impl Grants {
    /// The configuration with all that, and the standard streams of this process. The environment is set where there are variables.
    ///
    /// # Errors
    /// What can't be given; names the option.
    pub fn config(&self) -> Result<WasiConfig> {
        let mut wasi = WasiConfig::new();
        wasi.inherit_stdin();
        wasi.inherit_stdout();
        wasi.inherit_stderr();
        if !self.env.is_empty() {
            wasi.set_env(self.env.iter().map(|text| variable(text)).collect::<Result<Vec<_>>>()?)?;
        }
        for dir in &self.dir {
            let (host, guest) = dir.split_once("::").unwrap_or((dir, dir));
            ensure!(!host.is_empty() && !guest.is_empty(), "--dir {dir}: expected HOST::GUEST");
            let preopened = wasi.preopen_dir(Path::new(host), guest, DirPerms::ALL, FilePerms::ALL);
            preopened.with_context(|| format!("--dir {dir}"))?;
        }
        for rule in &self.allow_net {
            wasi.allow_net(rule).with_context(|| format!("--allow-net {rule}"))?;
        }
        if self.tcp {
            wasi.inherit_network();
            wasi.allow_ip_name_lookup(true);
        }
        Ok(wasi)
    }
}

/// A variable of the environment: `NAME=VALUE`, or `NAME` with the host's value.
///
/// # Errors
/// It is neither; or the host has none of that name.
pub fn variable(text: &str) -> Result<(String, String)> {
    if let Some((name, value)) = text.split_once('=') {
        ensure!(!name.is_empty(), "--env {text}: expected NAME=VALUE");
        return Ok((name.to_string(), value.to_string()));
    }
    let value = std::env::var(text).map_err(|error| anyhow!("--env {text}: {error}"))?;
    Ok((text.to_string(), value))
}
