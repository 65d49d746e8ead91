//! What a cache's TOML file says: one section `[cache]`, whose keys are the fields of [`CacheConfig`] with hyphens.

use crate::error::{Error, ErrorKind};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The settings of a cache. All are optional in the file; this is what they say without it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CacheConfig {
    /// Where the cache is: an absolute path.
    pub directory: Option<PathBuf>,
    /// Modules that wait for being compiled for the cache at most; more are not stored.
    pub worker_event_queue_size: Count,
    /// Accepted, without effect: entries are mapped, so they are not compressed.
    pub baseline_compression_level: i32,
    /// As `baseline_compression_level`.
    pub optimized_compression_level: i32,
    /// As `baseline_compression_level`.
    pub optimized_compression_usage_counter_threshold: Count,
    /// Time between two cleanups.
    pub cleanup_interval: Seconds,
    /// The age from which the unfinished file of a writer is taken for abandoned.
    pub optimizing_compression_task_timeout: Seconds,
    /// Files whose time lies so far in the future are the first to be deleted.
    pub allowed_clock_drift_for_files_from_future: Seconds,
    /// Entries beyond which a cleanup deletes some.
    pub file_count_soft_limit: Count,
    /// Bytes of all entries beyond which a cleanup deletes some.
    pub files_total_size_soft_limit: Bytes,
    /// What is left of the limit of entries then.
    pub file_count_limit_percent_if_deleting: Percent,
    /// What is left of the limit of bytes then.
    pub files_total_size_limit_percent_if_deleting: Percent,
}

/// A number with an optional `K`, `M`, `G`, `T` or `P`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Count(pub u64);

/// As [`Count`], also with the binary `Ki`, `Mi` and so on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Bytes(pub u64);

/// A number with `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Seconds(pub Duration);

/// A number with `%`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Percent(pub u64);

impl Default for CacheConfig {
    fn default() -> Self {
        const HOUR: u64 = 3600;
        let seconds = |seconds| Seconds(Duration::from_secs(seconds));
        Self {
            directory: None,
            worker_event_queue_size: Count(16),
            baseline_compression_level: 3,
            optimized_compression_level: 20,
            optimized_compression_usage_counter_threshold: Count(256),
            cleanup_interval: seconds(HOUR),
            optimizing_compression_task_timeout: seconds(HOUR / 2),
            allowed_clock_drift_for_files_from_future: seconds(24 * HOUR),
            file_count_soft_limit: Count(65536),
            files_total_size_soft_limit: Bytes(512 << 20),
            file_count_limit_percent_if_deleting: Percent(70),
            files_total_size_limit_percent_if_deleting: Percent(70),
        }
    }
}

impl CacheConfig {
    /// What the file at `path` says or, without a path, the file `ampoule/config.toml` in the user's folder for
    /// configurations, which need not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the file can't be read, isn't TOML, or has keys or values that are not understood.
    pub fn from_file(path: Option<&Path>) -> Result<Self, Error> {
        let refused = |what: &str, path: &Path, error: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Config(format!("failed to {what} config file: {}: {error}", path.display())))
        };
        let default = user_folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("config.toml"));
        let Some(file) = path.or(default.as_deref()) else { return Ok(Self::default()) };
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(refused("read", file, &error)),
        };
        Self::from_text(&text).map_err(|error| refused("parse", file, &error))
    }

    fn from_text(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            cache: CacheConfig,
        }
        let File { cache } = toml::from_str(text).map_err(|error| error.to_string())?;
        cache.check().map(|()| cache)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(directory) = self.directory.as_ref().filter(|directory| !directory.is_absolute()) {
            return Err(format!("cache directory path has to be absolute, path: {}", directory.display()));
        }
        let (baseline, optimized) = (self.baseline_compression_level, self.optimized_compression_level);
        for (what, level) in [("baseline", baseline), ("optimized", optimized)] {
            if !(0..=21).contains(&level) {
                return Err(format!("invalid {what} compression level: {level} not in 0..=21"));
            }
        }
        if optimized < baseline {
            return Err(format!(
                "invalid optimized compression level is lower than baseline: {optimized} < {baseline}"
            ));
        }
        let (count, size) =
            (self.file_count_limit_percent_if_deleting, self.files_total_size_limit_percent_if_deleting);
        for (what, Percent(percent)) in [("files count", count), ("files total size", size)] {
            if percent > 100 {
                return Err(format!("invalid {what} limit percent if deleting: {percent} not in range 0-100"));
            }
        }
        Ok(())
    }

    /// Where the cache is: as said, or the folder `ampoule` in the user's folder for caches.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where neither is known.
    pub fn folder(&self) -> Result<PathBuf, Error> {
        self.directory.clone().or_else(|| user_folder("XDG_CACHE_HOME", ".cache")).ok_or_else(|| {
            Error::new(ErrorKind::Config(
                "cache directory not specified, and there is no home to find it in".to_string(),
            ))
        })
    }
}

/// The folder `ampoule` in the one that a variable names, or in a folder of the user's home.
fn user_folder(variable: &str, in_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute(variable).or_else(|| Some(absolute("HOME")?.join(in_home)))?;
    Some(folder.join("ampoule"))
}

const DECIMAL: [(&str, u64); 6] = [
    ("", 1),
    ("K", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
];
const BINARY: [(&str, u64); 5] = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40), ("Pi", 1 << 50)];
const TIMES: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 24 * 3600)];
const PERCENT: [(&str, u64); 1] = [("%", 1)];

/// A number with one of these units behind.
fn with_unit(text: &str, units: impl IntoIterator<Item = (&'static str, u64)>) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (text[..digits].parse::<u64>().ok()?, text[digits..].trim_start());
    let (_, factor) = units.into_iter().find(|&(name, _)| name == unit)?;
    number.checked_mul(factor)
}

impl TryFrom<String> for Count {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let count = with_unit(&text, DECIMAL).map(Count);
        count.ok_or_else(|| format!("invalid value `{text}`: not a number with an optional K, M, G, T or P"))
    }
}

impl TryFrom<String> for Bytes {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let bytes = with_unit(&text, DECIMAL.into_iter().chain(BINARY)).map(Bytes);
        bytes.ok_or_else(|| format!("invalid value `{text}`: not a number with an optional K, Ki, M, Mi, … P or Pi"))
    }
}

impl TryFrom<String> for Seconds {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let seconds = with_unit(&text, TIMES).map(|seconds| Seconds(Duration::from_secs(seconds)));
        seconds.ok_or_else(|| format!("invalid value `{text}`: not a number with s, m, h or d"))
    }
}

impl TryFrom<String> for Percent {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        with_unit(&text, PERCENT).map(Percent).ok_or_else(|| format!("invalid value `{text}`: not a number with %"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_section_means_the_defaults() {
        assert_eq!(CacheConfig::from_text("[cache]"), Ok(CacheConfig::default()));
    }

    #[test]
    fn every_key_is_understood() {
        let config = CacheConfig::from_text(
            r#"[cache]
            directory = "/a/b"
            worker-event-queue-size = "1K"
            baseline-compression-level = 0
            optimized-compression-level = 21
            optimized-compression-usage-counter-threshold = " 2 M "
            cleanup-interval = "30m"
            optimizing-compression-task-timeout = "5s"
            allowed-clock-drift-for-files-from-future = "2d"
            file-count-soft-limit = "7P"
            files-total-size-soft-limit = "1Gi"
            file-count-limit-percent-if-deleting = "0%"
            files-total-size-limit-percent-if-deleting = "100 %""#,
        )
        .unwrap();
        let expected = CacheConfig {
            directory: Some("/a/b".into()),
            worker_event_queue_size: Count(1000),
            baseline_compression_level: 0,
            optimized_compression_level: 21,
            optimized_compression_usage_counter_threshold: Count(2_000_000),
            cleanup_interval: Seconds(Duration::from_secs(1800)),
            optimizing_compression_task_timeout: Seconds(Duration::from_secs(5)),
            allowed_clock_drift_for_files_from_future: Seconds(Duration::from_secs(172_800)),
            file_count_soft_limit: Count(7_000_000_000_000_000),
            files_total_size_soft_limit: Bytes(1 << 30),
            file_count_limit_percent_if_deleting: Percent(0),
            files_total_size_limit_percent_if_deleting: Percent(100),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in ["", "[other]", "x = 1\n[cache]", "[cache", "[cache]\nenabled = true"] {
            assert!(CacheConfig::from_text(text).is_err(), "{text}");
        }
        let values = [
            r#"directory = "relative""#,
            "directory = 5",
            "worker-event-queue-size = 16",
            r#"worker-event-queue-size = "1Ki""#,
            r#"worker-event-queue-size = "-1""#,
            r#"worker-event-queue-size = """#,
            r#"worker-event-queue-size = "K""#,
            r#"worker-event-queue-size = "99999999999999999999""#,
            r#"worker-event-queue-size = "18446744073709551615K""#,
            r#"baseline-compression-level = "3""#,
            "baseline-compression-level = -7",
            "baseline-compression-level = 21",
            "optimized-compression-level = 1",
            "optimized-compression-level = 22",
            r#"cleanup-interval = "30""#,
            r#"cleanup-interval = "1w""#,
            r#"cleanup-interval = "1h30m""#,
            r#"file-count-soft-limit = "3E""#,
            r#"files-total-size-soft-limit = "1GiB""#,
            r#"file-count-limit-percent-if-deleting = "70""#,
            r#"file-count-limit-percent-if-deleting = "101%""#,
            r#"files-total-size-limit-percent-if-deleting = "7.5%""#,
        ];
        for value in values {
            assert!(CacheConfig::from_text(&format!("[cache]\n{value}")).is_err(), "{value}");
        }
    }
}
