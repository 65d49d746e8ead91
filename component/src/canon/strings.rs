//! Strings: UTF-8, UTF-16, and Latin-1 or UTF-16 (Canonical ABI, "Loading" and "Storing" of strings).

use crate::canon::is_aligned;
use crate::canon::options::{Encoding, MAX_BYTES};
use ampoule::Error;
use std::borrow::Cow;
use std::str::Utf8Error;

/// In the length of a string in [`Encoding::Latin1OrUtf16`]: it is in UTF-16.
const UTF16_TAG: u32 = 1 << 31;

/// Why a string can't be read.
#[derive(Debug)]
pub(crate) enum Broken {
    Misaligned,
    OutOfBounds,
    /// With the reason.
    Encoding(String),
}

impl From<Broken> for Error {
    #[cold]
    fn from(broken: Broken) -> Error {
        match broken {
            Broken::Misaligned => Error::message("string pointer not aligned to 2"),
            Broken::OutOfBounds => Error::message("string pointer/length out of bounds of memory"),
            Broken::Encoding(reason) => Error::message(reason),
        }
    }
}

/// Where a string's bytes are in memory.
#[inline]
fn bytes_at(memory: &[u8], at: u32, byte_len: usize, align: u32) -> Result<&[u8], Broken> {
    if !is_aligned(at, align) {
        return Err(Broken::Misaligned);
    }
    let start = at as usize;
    let bytes = start.checked_add(byte_len).and_then(|end| memory.get(start..end));
    bytes.filter(|_| byte_len <= MAX_BYTES).ok_or(Broken::OutOfBounds)
}

/// Reads a string in UTF-8, the most frequent: what is answered fits into registers.
///
/// # Errors
/// Where it is out of bounds or broken.
#[inline]
pub(crate) fn load_utf8(memory: &[u8], at: u32, len: u32) -> Result<&str, Error> {
    utf8(bytes_at(memory, at, len as usize, 1)?)
}

/// Bytes as a text in UTF-8. Most are ASCII, of which that is seen sooner.
///
/// # Errors
/// Where they are none.
#[inline]
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Error> {
    if bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8.
        return Ok(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    std::str::from_utf8(bytes).map_err(not_utf8)
}

#[cold]
fn not_utf8(error: Utf8Error) -> Error {
    Error::message(error.to_string())
}

/// Reads a string; it is copied only where it isn't UTF-8.
///
/// # Errors
/// Where it is out of bounds or broken.
pub(crate) fn load(memory: &[u8], encoding: Encoding, at: u32, len: u32) -> Result<Cow<'_, str>, Broken> {
    let utf16 = |units: u32| {
        let bytes = bytes_at(memory, at, units as usize * 2, 2)?;
        let units = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        text.map(Cow::Owned).map_err(|error| Broken::Encoding(error.to_string()))
    };
    match encoding {
        Encoding::Utf8 => {
            let bytes = bytes_at(memory, at, len as usize, 1)?;
            std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| Broken::Encoding(error.to_string()))
        }
        Encoding::Utf16 => utf16(len),
        Encoding::Latin1OrUtf16 if len & UTF16_TAG != 0 => utf16(len ^ UTF16_TAG),
        Encoding::Latin1OrUtf16 => {
            let bytes = bytes_at(memory, at, len as usize, 2)?;
            Ok(bytes.iter().map(|&byte| char::from(byte)).collect())
        }
    }
}

/// How a text is to be stored.
pub(crate) struct Stored {
    pub(crate) byte_len: usize,
    pub(crate) align: u32,
    /// What the length is given as.
    pub(crate) len: u32,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    Utf8,
    Utf16,
    Latin1,
}

impl Stored {
    /// How long a text will be.
    ///
    /// # Errors
    /// Where it will be too long.
    pub(crate) fn of(text: &str, encoding: Encoding) -> Result<Stored, Error> {
        // No form takes more than two bytes for one of UTF-8.
        if text.len() > MAX_BYTES {
            return Err(Error::message("string is too long to be passed"));
        }
        let utf16 = |tag| {
            let units = text.encode_utf16().count();
            Stored { byte_len: units * 2, align: 2, len: units as u32 | tag, form: Form::Utf16 }
        };
        let stored = match encoding {
            Encoding::Utf8 => Stored { byte_len: text.len(), align: 1, len: text.len() as u32, form: Form::Utf8 },
            Encoding::Utf16 => utf16(0),
            Encoding::Latin1OrUtf16 if text.chars().all(|c| u32::from(c) <= 0xff) => {
                let count = text.chars().count();
                Stored { byte_len: count, align: 2, len: count as u32, form: Form::Latin1 }
            }
            Encoding::Latin1OrUtf16 => utf16(UTF16_TAG),
        };
        if stored.byte_len > MAX_BYTES {
            return Err(Error::message("string is too long to be passed"));
        }
        Ok(stored)
    }

    /// Writes the text that this is of.
    pub(crate) fn write(&self, text: &str, into: &mut [u8]) {
        match self.form {
            Form::Utf8 => into.copy_from_slice(text.as_bytes()),
            Form::Utf16 => {
                let units = into.as_chunks_mut::<2>().0;
                units.iter_mut().zip(text.encode_utf16()).for_each(|(place, unit)| *place = unit.to_le_bytes());
            }
            Form::Latin1 => into.iter_mut().zip(text.chars()).for_each(|(place, c)| *place = u32::from(c) as u8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str, encoding: Encoding) -> (u32, usize) {
        let stored = Stored::of(text, encoding).unwrap();
        let mut memory = vec![0xaa; 2 + stored.byte_len];
        stored.write(text, &mut memory[2..]);
        assert_eq!(load(&memory, encoding, 2, stored.len).unwrap(), text);
        (stored.len, stored.byte_len)
    }

    #[test]
    fn every_encoding_gives_back_what_was_put() {
        for text in ["", "a", "é", "日本語", "𝄞a", "\u{ff}\u{100}"] {
            for encoding in [Encoding::Utf8, Encoding::Utf16, Encoding::Latin1OrUtf16] {
                round(text, encoding);
            }
        }
        assert_eq!(round("é", Encoding::Latin1OrUtf16), (1, 1));
        assert_eq!(round("日", Encoding::Latin1OrUtf16), (1 | UTF16_TAG, 2));
    }

    #[test]
    fn broken_strings_are_refused() {
        let says =
            |encoding, bytes: &[u8], at, len| Error::from(load(bytes, encoding, at, len).unwrap_err()).to_string();
        assert_eq!(says(Encoding::Utf8, b"\xff", 0, 1), "invalid utf-8 sequence of 1 bytes from index 0");
        assert_eq!(says(Encoding::Utf16, &[0, 0xd8], 0, 1), "unpaired surrogate found: d800");
        assert_eq!(says(Encoding::Utf16, &[0; 8], 1, 1), "string pointer not aligned to 2");
        for encoding in [Encoding::Utf8, Encoding::Utf16, Encoding::Latin1OrUtf16] {
            for (at, len) in [(0, 9), (8, 2), (u32::MAX - 1, 1), (0, u32::MAX)] {
                assert_eq!(says(encoding, &[0; 8], at, len), "string pointer/length out of bounds of memory");
            }
        }
    }
}
