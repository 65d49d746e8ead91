//! Errors as values, as 0.2 has them.

use crate::component::http::HeaderErrors;
use crate::component::http::fields::full;
use crate::component::{Cx, Error, Fail, Handle, IntoVal};
use crate::host;
use crate::host::http::ErrorCode;
use crate::host::http::fields::FieldsError;
use crate::p2::io::IoError;
use ampoule_component::Val;

/// `header-error`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The WIT text documents each.
pub enum HeaderError {
    InvalidSyntax,
    Forbidden,
    Immutable,
}

impl IntoVal for HeaderError {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let case = match self {
            Self::InvalidSyntax => "invalid-syntax",
            Self::Forbidden => "forbidden",
            Self::Immutable => "immutable",
        };
        Ok(Some(Val::variant(case, None)))
    }
}

impl HeaderErrors for HeaderError {
    fn immutable() -> Self {
        Self::Immutable
    }

    fn fail(error: FieldsError) -> Fail<Self> {
        match error {
            FieldsError::InvalidSyntax => Fail::Err(Self::InvalidSyntax),
            FieldsError::Forbidden => Fail::Err(Self::Forbidden),
            // The texts have no error for it.
            FieldsError::Full => Fail::End(full()),
        }
    }
}

/// `http-error-code`
pub fn http_error_code(cx: &mut Cx<'_>, error: Handle<IoError>) -> Result<Option<ErrorCode>, Error> {
    Ok(match cx.entry(error)?.1.error {
        host::Error::Http(code) => Some(code),
        _ => None,
    })
}
