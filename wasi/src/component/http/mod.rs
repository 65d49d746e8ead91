//! `wasi:http`, as far as versions agree: [`fields`], and the [`values`] of methods, schemes and errors.

pub mod fields;
pub mod values;

pub use fields::{FieldsEntry, HeaderErrors};
pub use values::{GivenMethod, GivenScheme, HttpMethod, Plain};
