//! Errors as values, as 0.3 has them.

use crate::component::http::HeaderErrors;
use crate::component::{Cx, Error, Fail, IntoVal};
use crate::host::http::fields::FieldsError;
use ampoule_component::Val;

/// `header-error`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The WIT text documents each.
pub enum HeaderError {
    InvalidSyntax,
    Forbidden,
    Immutable,
    SizeExceeded,
}

impl IntoVal for HeaderError {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let case = match self {
            Self::InvalidSyntax => "invalid-syntax",
            Self::Forbidden => "forbidden",
            Self::Immutable => "immutable",
            Self::SizeExceeded => "size-exceeded",
        };
        Ok(Some(Val::variant(case, None)))
    }
}

impl HeaderErrors for HeaderError {
    fn immutable() -> Self {
        Self::Immutable
    }

    fn fail(error: FieldsError) -> Fail<Self> {
        Fail::Err(match error {
            FieldsError::InvalidSyntax => Self::InvalidSyntax,
            FieldsError::Forbidden => Self::Forbidden,
            FieldsError::Full => Self::SizeExceeded,
        })
    }
}
