//! Names of functions as their source language writes them, in bounded time and length.
//!
//! A mangled name is the guest's choice, and the libraries that read them were made for the names that compilers write:
//!
//! * What they print may be exponentially longer than the name, which can refer to its own parts. They write into a
//!   [`BoundedString`]; where that is full, the mangled name stands, which at least can be searched for.
//! * C++'s reader goes back and tries something else where a part doesn't fit, at each level of nesting: 150 bytes that are no name keep
//!   it busy for years. [`itanium`] reads a name once, without ever going back, and lets only those through whose parts all
//!   fit.
//! * They recurse, so they have a stack of known size.

use super::itanium;
use crate::error::text::{BoundedString, MAX_TEXT, Shortened};
use ampoule_machine::fiber::with_stack;
use std::borrow::Cow;
use std::fmt::Write;

/// The longest mangled name that is read, in bytes.
const MAX_MANGLED: usize = 4 << 10;

/// How many times as long as the mangled name the printed one may be, up to [`MAX_TEXT`]. `Ss` stands for seventy bytes, but no name
/// consists of these.
const MAX_GROWTH: usize = 64;

/// Stack for the libraries, which recurse up to a hundred levels for C++, and five hundred for Rust.
const STACK: usize = 512 << 10;

/// A name as its source language writes it; itself where it isn't mangled, or is too much to read. At most [`MAX_TEXT`] bytes, and
/// a mark where it was cut.
pub(crate) fn demangle(name: &str) -> Cow<'_, str> {
    if name.len() <= MAX_MANGLED
        && is_mangled(name)
        && let Some(demangled) = with_stack(STACK, || demangled(name))
    {
        return Cow::Owned(demangled);
    }
    Shortened(name).text()
}

/// Whether a name may be mangled: `_Z…` by C++ and Rust, `_R…` by Rust; the `_` may be missing or doubled, as some systems have it.
fn is_mangled(name: &str) -> bool {
    let bare = name.trim_start_matches('_');
    bare.starts_with("ZN") || bare.starts_with('R') || (bare.starts_with('Z') && name.starts_with('_'))
}

fn demangled(name: &str) -> Option<String> {
    let mut out = BoundedString::new((MAX_GROWTH * name.len()).min(MAX_TEXT));
    if let Ok(name) = rustc_demangle::try_demangle(name) {
        write!(out, "{name:#}").ok()?;
        return Some(out.text);
    }
    // C++'s reader takes names of types alone as well: to it, a function `a` is `signed char`.
    if !name.starts_with('_') || !itanium::is_function(name) {
        return None;
    }
    let symbol = cpp_demangle::Symbol::new(name).ok()?;
    symbol.structured_demangle(&mut out, &cpp_demangle::DemangleOptions::default()).ok()?;
    Some(out.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn only_mangled_names_are_demangled() {
        assert_eq!(demangle("_ZN4calc4spinEv"), "calc::spin()");
        assert_eq!(demangle("_RNvCs1234_7mycrate3foo"), "mycrate::foo");
        assert_eq!(demangle("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"), "core::fmt::Write::write_fmt");
        for name in ["a", "i", "Z3foov", "_start", "f<int>", "", "Range", "_R", "_Z", "_ZN"] {
            assert_eq!(demangle(name), name);
        }
    }

    /// `_Z1f1A`, then function types with eight parameters, each of the type before.
    fn growing(levels: usize) -> String {
        let types = (0..levels).map(|level| {
            let before = match level.checked_sub(1) {
                None => "S_".to_string(),
                Some(number) if number < 10 => format!("S{number}_"),
                Some(number) => format!("S{}_", char::from(b'A' + number as u8 - 10)),
            };
            format!("Fv{}E", before.repeat(8))
        });
        format!("_Z1f1A{}", types.collect::<String>())
    }

    #[test]
    fn names_that_grow_without_bound_stay_as_they_are() {
        assert!(demangle(&growing(3)).starts_with("f(A, void (A, A, A, A, A, A, A, A), void (void (A,"));
        for levels in [6, 16, 30] {
            assert_eq!(demangle(&growing(levels)), growing(levels));
        }
        assert!(demangle(&growing_rust(3)).starts_with("a::b::<((), ()), (((), ()), ((), ()))"));
        for levels in [16, 60] {
            assert_eq!(demangle(&growing_rust(levels)), growing_rust(levels));
        }
    }

    /// `a::b` with pairs as arguments, each of the pair before.
    fn growing_rust(levels: usize) -> String {
        const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut name = "_RINvC1a1bTuuE".to_string();
        let mut before = "INvC1a1b".len();
        for _ in 1..levels {
            let (high, low) = ((before - 1) / 62, (before - 1) % 62);
            let digits = [high, low].map(|digit| char::from(DIGITS[digit]));
            let digits = digits.into_iter().skip(usize::from(high == 0)).collect::<String>();
            before = name.len() - "_R".len();
            name += &format!("TB{digits}_B{digits}_E");
        }
        name + "E"
    }

    #[test]
    fn names_that_are_tried_again_and_again_stay_as_they_are() {
        let start = Instant::now();
        for part in ["cvT_I", "1aIL", "nwil", "St1aI", "SaI", "U1aIL", "sr1aI", "LZ1a", "UlT_I", "N1aIXcv"] {
            for (levels, before) in [(12, "_Z"), (24, "_Z1f"), (60, "_Z1fIX"), (300, "_ZN")] {
                for end in ["", "E", "v", "_", "1a"] {
                    let name = format!("{before}{}i{}", part.repeat(levels), end.repeat(levels));
                    demangle(&name);
                }
            }
        }
        // The first of them alone took minutes.
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }

    #[test]
    fn long_names_are_cut() {
        let long = "é".repeat(MAX_TEXT);
        let shown = demangle(&long);
        assert!(shown.len() <= MAX_TEXT + '…'.len_utf8() && shown.ends_with("é…"));
        let mangled = format!("_ZN{}4spinEv", "4calc".repeat(MAX_MANGLED));
        assert!(demangle(&mangled).starts_with("_ZN4calc4calc"));
    }

    #[test]
    fn a_small_stack_is_enough() {
        let nested = format!("_RINvC1a1b{}u{}E", "T".repeat(490), "E".repeat(490));
        let small = std::thread::Builder::new().stack_size(64 << 10);
        small.spawn(move || (demangle(&growing(20)).len(), demangle(&nested).len())).unwrap().join().unwrap();
    }
}
