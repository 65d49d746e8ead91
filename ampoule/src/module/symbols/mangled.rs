//! Names of functions in a library that doesn't read mangled ones.

use crate::error::text::Shortened;
use std::borrow::Cow;

/// A name as the module has it, at most [`crate::error::text::MAX_TEXT`] bytes, and a mark where it was cut.
pub(crate) fn demangle(name: &str) -> Cow<'_, str> {
    Shortened(name).text()
}
