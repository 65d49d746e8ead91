//! What became of requests: a line for each, where that is wanted, and counters.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Prints a line.
pub type Print = fn(&str);

/// Counts requests.
#[derive(Default)]
pub struct Metrics {
    /// Connections that are open.
    pub connections: AtomicU64,
    /// Requests that are being answered, or wait for that.
    pub running: AtomicU64,
    /// Responses by the first digit of their status.
    by_class: [AtomicU64; 6],
    /// Guests that were stopped: by a trap, or because their time was over.
    pub failed: AtomicU64,
    /// Bytes of bodies that were sent.
    bytes: AtomicU64,
    microseconds: AtomicU64,
}

impl Metrics {
    /// As Prometheus reads them.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, kind: &str, value: u64| {
            writeln!(text, "# TYPE ampoule_{name} {kind}\nampoule_{name} {value}").expect("a string takes anything");
        };
        line("connections", "gauge", self.connections.load(Relaxed));
        line("requests_running", "gauge", self.running.load(Relaxed));
        line("guests_failed_total", "counter", self.failed.load(Relaxed));
        line("response_bytes_total", "counter", self.bytes.load(Relaxed));
        line("request_microseconds_total", "counter", self.microseconds.load(Relaxed));
        text.push_str("# TYPE ampoule_responses_total counter\n");
        for (class, count) in self.by_class.iter().enumerate().skip(1) {
            let count = count.load(Relaxed);
            writeln!(text, "ampoule_responses_total{{class=\"{class}xx\"}} {count}").expect("a string takes anything");
        }
        text
    }
}

/// What is known of a request while it is answered.
pub struct Record {
    /// Method and path, where a line is to be printed, and what prints it.
    pub line: Option<(String, Print)>,
    /// When it came.
    pub start: Instant,
}

impl Record {
    /// The response is over: with this status, and so many bytes of body, of which the last was the end or not.
    pub fn finish(self, metrics: &Metrics, status: u16, bytes: u64, is_whole: bool) {
        let elapsed = self.start.elapsed();
        metrics.by_class[usize::from(status / 100).min(5)].fetch_add(1, Relaxed);
        metrics.bytes.fetch_add(bytes, Relaxed);
        metrics.microseconds.fetch_add(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), Relaxed);
        if let Some((line, print)) = self.line {
            print(&log_line(&line, status, bytes, is_whole, elapsed));
        }
    }
}

fn log_line(request: &str, status: u16, bytes: u64, is_whole: bool, elapsed: Duration) -> String {
    let cut = if is_whole { "" } else { " (cut off)" };
    format!("{request} {status} {bytes}{cut} {:.3}ms", elapsed.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_can_be_read() {
        let metrics = Metrics::default();
        Record { line: None, start: Instant::now() }.finish(&metrics, 200, 7, true);
        Record { line: None, start: Instant::now() }.finish(&metrics, 503, 3, false);
        let text = metrics.text();
        for line in [
            "ampoule_responses_total{class=\"2xx\"} 1",
            "ampoule_responses_total{class=\"5xx\"} 1",
            "ampoule_response_bytes_total 10",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let line = log_line("GET /", 200, 5, false, Duration::from_millis(2));
        assert_eq!(line, "GET / 200 5 (cut off) 2.000ms");
    }
}
