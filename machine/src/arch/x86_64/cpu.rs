//! Whether machine code that was compiled on another machine runs on this one.

/// Refuses code made for `target`: a triple and, after a space, the CPU features it may use, by Cranelift's names and separated by
/// commas. What a compiler's `target` says.
///
/// # Errors
/// What this machine lacks.
pub fn check(target: &str) -> Result<(), String> {
    let (triple, features) = target.split_once(' ').unwrap_or((target, ""));
    if !(triple.starts_with("x86_64-") && triple.contains("linux")) {
        return Err(format!("module was compiled for {target}, which is not this kind of machine"));
    }
    match features.split(',').filter(|feature| !feature.is_empty()).find(|feature| !has(feature)) {
        Some(feature) => Err(format!("module was compiled for a CPU with {feature}, which this one is not")),
        None => Ok(()),
    }
}

/// Whether this CPU has what Cranelift calls `feature`. What isn't known here, it doesn't have.
fn has(feature: &str) -> bool {
    use std::arch::is_x86_feature_detected as has;
    match feature {
        "has_sse3" => has!("sse3"),
        "has_ssse3" => has!("ssse3"),
        "has_cmpxchg16b" => has!("cmpxchg16b"),
        "has_sse41" => has!("sse4.1"),
        "has_sse42" => has!("sse4.2"),
        "has_popcnt" => has!("popcnt"),
        "has_avx" => has!("avx"),
        "has_avx2" => has!("avx2"),
        "has_avx_vnni" => has!("avxvnni"),
        "has_fma" => has!("fma"),
        "has_bmi1" => has!("bmi1"),
        "has_bmi2" => has!("bmi2"),
        "has_lzcnt" => has!("lzcnt"),
        "has_avx512bitalg" => has!("avx512bitalg"),
        "has_avx512dq" => has!("avx512dq"),
        "has_avx512f" => has!("avx512f"),
        "has_avx512vl" => has!("avx512vl"),
        "has_avx512vbmi" => has!("avx512vbmi"),
        "has_avx512vnni" => has!("avx512vnni"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn code_runs_where_everything_it_needs_is() {
        assert!(check("x86_64-unknown-linux-gnu ").is_ok() && check("x86_64-unknown-linux-musl has_sse3").is_ok());
        assert!(check("aarch64-unknown-linux-gnu ").unwrap_err().contains("aarch64"));
        assert!(check("x86_64-pc-windows-msvc ").unwrap_err().contains("windows"));
        assert!(check("x86_64-unknown-linux-gnu has_sse3,has_warp").unwrap_err().contains("has_warp"));
    }
}
