//! What can go wrong with HTTP. All versions of `wasi:http` have the same list, under the same names.

use std::ffi::CStr;
use std::fmt;

/// How the name server has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DnsError {
    /// Its code, in words.
    pub rcode: Option<&'static str>,
    /// What it says besides.
    pub info_code: Option<u16>,
}

/// The alert that the other side has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TlsAlert {
    /// Its number.
    pub alert_id: Option<u8>,
    /// Its name.
    pub alert_message: Option<&'static str>,
}

/// Declares the codes: each with its name, and what it says besides.
macro_rules! codes {
    ($($case:ident $(($payload:ty))? = $name:literal,)*) => {
        /// Why there is no message, or not all of it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // The WIT texts document each.
        pub enum ErrorCode {
            $($case $(($payload))?,)*
        }

        impl ErrorCode {
            /// The name.
            pub fn name(self) -> &'static str {
                match self {
                    $(codes!(@pattern $case $(($payload))?) => $name,)*
                }
            }

            /// The name, for C.
            pub fn c_name(self) -> &'static CStr {
                match self {
                    $(codes!(@pattern $case $(($payload))?) => {
                        const NAME: &CStr = match CStr::from_bytes_with_nul(concat!($name, "\0").as_bytes()) {
                            Ok(name) => name,
                            Err(_) => panic!("it ends in the only NUL"),
                        };
                        NAME
                    })*
                }
            }

            /// The code of this name, without anything besides.
            pub fn from_name(name: &[u8]) -> Option<Self> {
                $(if name == $name.as_bytes() {
                    return Some(codes!(@value $case $(($payload))?));
                })*
                None
            }
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$($name),*];
    };
    (@pattern $case:ident) => { Self::$case };
    (@pattern $case:ident ($payload:ty)) => { Self::$case(_) };
    (@value $case:ident) => { Self::$case };
    (@value $case:ident ($payload:ty)) => { Self::$case(<$payload>::default()) };
}

codes! {
    DnsTimeout = "DNS-timeout",
    DnsError(DnsError) = "DNS-error",
    DestinationNotFound = "destination-not-found",
    DestinationUnavailable = "destination-unavailable",
    DestinationIpProhibited = "destination-IP-prohibited",
    DestinationIpUnroutable = "destination-IP-unroutable",
    ConnectionRefused = "connection-refused",
    ConnectionTerminated = "connection-terminated",
    ConnectionTimeout = "connection-timeout",
    ConnectionReadTimeout = "connection-read-timeout",
    ConnectionWriteTimeout = "connection-write-timeout",
    ConnectionLimitReached = "connection-limit-reached",
    TlsProtocolError = "TLS-protocol-error",
    TlsCertificateError = "TLS-certificate-error",
    TlsAlertReceived(TlsAlert) = "TLS-alert-received",
    HttpRequestDenied = "HTTP-request-denied",
    HttpRequestLengthRequired = "HTTP-request-length-required",
    HttpRequestBodySize(Option<u64>) = "HTTP-request-body-size",
    HttpRequestMethodInvalid = "HTTP-request-method-invalid",
    HttpRequestUriInvalid = "HTTP-request-URI-invalid",
    HttpRequestUriTooLong = "HTTP-request-URI-too-long",
    HttpRequestHeaderSectionSize(Option<u32>) = "HTTP-request-header-section-size",
    HttpRequestHeaderSize(Option<Option<u32>>) = "HTTP-request-header-size",
    HttpRequestTrailerSectionSize(Option<u32>) = "HTTP-request-trailer-section-size",
    HttpRequestTrailerSize(Option<u32>) = "HTTP-request-trailer-size",
    HttpResponseIncomplete = "HTTP-response-incomplete",
    HttpResponseHeaderSectionSize(Option<u32>) = "HTTP-response-header-section-size",
    HttpResponseHeaderSize(Option<u32>) = "HTTP-response-header-size",
    HttpResponseBodySize(Option<u64>) = "HTTP-response-body-size",
    HttpResponseTrailerSectionSize(Option<u32>) = "HTTP-response-trailer-section-size",
    HttpResponseTrailerSize(Option<u32>) = "HTTP-response-trailer-size",
    HttpResponseTransferCoding(Option<&'static str>) = "HTTP-response-transfer-coding",
    HttpResponseContentCoding(Option<&'static str>) = "HTTP-response-content-coding",
    HttpResponseTimeout = "HTTP-response-timeout",
    HttpUpgradeFailed = "HTTP-upgrade-failed",
    HttpProtocolError = "HTTP-protocol-error",
    LoopDetected = "loop-detected",
    ConfigurationError = "configuration-error",
    InternalError(Option<&'static str>) = "internal-error",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::InternalError(Some(text)) => write!(f, ": {text}"),
            Self::DnsError(DnsError { rcode: Some(rcode), .. }) => write!(f, ": {rcode}"),
            Self::HttpRequestBodySize(Some(size)) | Self::HttpResponseBodySize(Some(size)) => {
                write!(f, ": {size} bytes")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for ErrorCode {}

/// Whose messages are meant, where both have a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request,
    /// A response.
    Response,
}

impl Message {
    /// A body is not as long as its head has said.
    pub fn body_size(self, size: u64) -> ErrorCode {
        match self {
            Self::Request => ErrorCode::HttpRequestBodySize(Some(size)),
            Self::Response => ErrorCode::HttpResponseBodySize(Some(size)),
        }
    }

    /// Its headers are too large.
    pub fn header_section_size(self) -> ErrorCode {
        match self {
            Self::Request => ErrorCode::HttpRequestHeaderSectionSize(None),
            Self::Response => ErrorCode::HttpResponseHeaderSectionSize(None),
        }
    }

    /// Its trailers are too large.
    pub fn trailer_section_size(self) -> ErrorCode {
        match self {
            Self::Request => ErrorCode::HttpRequestTrailerSectionSize(None),
            Self::Response => ErrorCode::HttpResponseTrailerSectionSize(None),
        }
    }
}

/// What `hyper` says about a connection, of which no more is expected than this message.
pub fn of_hyper(error: &hyper::Error, message: Message) -> ErrorCode {
    if let Some(code) = source(error) {
        return code;
    }
    if error.is_parse_too_large() {
        message.header_section_size()
    } else if error.is_parse() || error.is_user() {
        ErrorCode::HttpProtocolError
    } else if error.is_timeout() {
        ErrorCode::ConnectionReadTimeout
    } else {
        // Closed, reset, or cut off in a message.
        ErrorCode::ConnectionTerminated
    }
}

/// A code of ours that an error has come from.
fn source(error: &(dyn std::error::Error + 'static)) -> Option<ErrorCode> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(code) = error.downcast_ref::<ErrorCode>() {
            return Some(*code);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_their_codes() {
        for name in NAMES {
            let code = ErrorCode::from_name(name.as_bytes()).expect("its name");
            assert_eq!((code.name(), code.c_name().to_bytes()), (*name, name.as_bytes()));
        }
        assert_eq!(NAMES.len(), 39);
        assert_eq!(ErrorCode::from_name(b"dns-timeout"), None);
    }
}
