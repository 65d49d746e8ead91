//! Methods, schemes and errors as values.

use crate::component::values::wrong_type;
use crate::component::{Cx, Error, Fail, FromVal, IntoVal};
use crate::host::http::ErrorCode;
use crate::host::http::message::{Scheme, parse_method};
use ampoule_component::{Val, ValRef};
use hyper::Method;

/// `result` of nothing, where there is nothing to say about a failure.
pub type Plain<T> = Result<T, Fail<()>>;

/// `method`
#[derive(Clone, Debug)]
pub struct HttpMethod(pub Method);

/// `method`, which may have a name that none can have.
#[derive(Clone, Debug)]
pub struct GivenMethod(pub Option<Method>);

const METHODS: [(&str, Method); 9] = [
    ("get", Method::GET),
    ("head", Method::HEAD),
    ("post", Method::POST),
    ("put", Method::PUT),
    ("delete", Method::DELETE),
    ("connect", Method::CONNECT),
    ("options", Method::OPTIONS),
    ("trace", Method::TRACE),
    ("patch", Method::PATCH),
];

impl IntoVal for HttpMethod {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        Ok(Some(match METHODS.iter().find(|(_, method)| *method == self.0) {
            Some((case, _)) => Val::variant(case, None),
            None => Val::variant("other", Some(Val::from(self.0.as_str()))),
        }))
    }
}

impl FromVal for GivenMethod {
    fn from_val(cx: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        let ValRef::Variant(case, payload) = val.get() else { return Err(wrong_type("method")) };
        if let Some((_, method)) = METHODS.iter().find(|(name, _)| name.as_bytes() == case) {
            return Ok(Self(Some(method.clone())));
        }
        match (case, payload) {
            (b"other", Some(name)) => Ok(Self(parse_method(&String::from_val(cx, &mut name.clone())?))),
            _ => Err(wrong_type("method")),
        }
    }
}

impl IntoVal for Scheme {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        Ok(Some(match self {
            Self::Http => Val::variant("HTTP", None),
            Self::Https => Val::variant("HTTPS", None),
            Self::Other(name) => Val::variant("other", Some(Val::from(&*name))),
        }))
    }
}

/// `scheme`, which may have a name that none can have.
#[derive(Clone, Debug)]
pub struct GivenScheme(pub Option<Scheme>);

impl FromVal for GivenScheme {
    fn from_val(cx: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        match val.get() {
            ValRef::Variant(b"HTTP", None) => Ok(Self(Some(Scheme::Http))),
            ValRef::Variant(b"HTTPS", None) => Ok(Self(Some(Scheme::Https))),
            ValRef::Variant(b"other", Some(name)) => Ok(Self(Scheme::parse(&String::from_val(cx, &mut name.clone())?))),
            _ => Err(wrong_type("scheme")),
        }
    }
}

fn option<T>(value: Option<T>) -> Val
where
    Val: From<T>,
{
    Val::option(value.map(Val::from))
}

/// `field-size-payload`
fn field_size(size: Option<u32>) -> Val {
    Val::record([("field-name", Val::option(None)), ("field-size", option(size))])
}

impl IntoVal for ErrorCode {
    fn into_val(self, _: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let payload = match self {
            Self::DnsError(error) => {
                Some(Val::record([("rcode", option(error.rcode)), ("info-code", option(error.info_code))]))
            }
            Self::TlsAlertReceived(alert) => Some(Val::record([
                ("alert-id", option(alert.alert_id)),
                ("alert-message", option(alert.alert_message)),
            ])),
            Self::HttpRequestBodySize(size) | Self::HttpResponseBodySize(size) => Some(option(size)),
            Self::HttpRequestHeaderSectionSize(size)
            | Self::HttpRequestTrailerSectionSize(size)
            | Self::HttpResponseHeaderSectionSize(size)
            | Self::HttpResponseTrailerSectionSize(size) => Some(option(size)),
            Self::HttpRequestHeaderSize(size) => Some(Val::option(size.map(field_size))),
            Self::HttpRequestTrailerSize(size)
            | Self::HttpResponseHeaderSize(size)
            | Self::HttpResponseTrailerSize(size) => Some(field_size(size)),
            Self::HttpResponseTransferCoding(text)
            | Self::HttpResponseContentCoding(text)
            | Self::InternalError(text) => Some(option(text)),
            _ => None,
        };
        Ok(Some(Val::variant(self.name(), payload)))
    }
}

/// What the code says besides its name is not kept.
impl FromVal for ErrorCode {
    fn from_val(_: &mut Cx<'_>, val: &mut Val) -> Result<Self, Error> {
        let ValRef::Variant(case, _) = val.get() else { return Err(wrong_type("error-code")) };
        Self::from_name(case).ok_or_else(|| wrong_type("error-code"))
    }
}
