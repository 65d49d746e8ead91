//! Sizes and durations as people write them.

use std::time::Duration;

/// Bytes: a number, or one with `KiB`, `MiB`, `GiB`, or the decimal `kB`, `MB`, `GB`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 8] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit));
    let (number, factor) = unit.map_or((text, 1), |(unit, factor)| (&text[..text.len() - unit.len()], *factor));
    let number: u64 =
        number.trim().parse().map_err(|_| "expected a size such as 65536, 64KiB or 256MiB".to_string())?;
    number.checked_mul(factor).ok_or_else(|| "the size is too large".to_string())
}

/// A duration: a number with `ms`, `s`, `m` or `h`; it may have a fraction.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let wrong = || "expected a duration such as 500ms, 2s or 1m".to_string();
    let (unit, factor) = UNITS.iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(wrong)?;
    let number: f64 = text[..text.len() - unit.len()].parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| wrong())
}

/// Bytes for people: the largest binary unit in which the number is at least one.
pub fn show_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (bytes.max(1).ilog2() / 10).min(4);
    match unit {
        0 => format!("{bytes} B"),
        unit => format!("{:.1} {}", bytes as f64 / f64::from(1u32 << 10).powi(unit as i32), UNITS[unit as usize]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in
            [("0", 0), ("7", 7), ("7B", 7), ("64KiB", 65536), ("256 MiB", 256 << 20), ("2GB", 2_000_000_000)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5MiB", "1XiB", "99999999999GiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_units() {
        for (text, ms) in [("500ms", 500), ("2s", 2000), ("1.5s", 1500), ("1m", 60_000), ("0s", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "2", "-1s", "1d", "1e400s", "nans"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shown_sizes_are_short() {
        let shown = [0, 1023, 1024, 65536, 1 << 20, 5 << 29].map(show_bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "64.0 KiB", "1.0 MiB", "2.5 GiB"]);
    }
}
