//! The parts of a message's head as a guest sets them, checked where they are set.

use hyper::Method;
use hyper::http::uri::{Authority, PathAndQuery};
use std::num::ParseIntError;
use std::str::FromStr;

/// The longest method, scheme, authority or path.
pub const MAX_TEXT: usize = 64 << 10;

/// A scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
    /// Another one.
    Other(Box<str>),
}

impl Scheme {
    /// Of this name, where one can have it.
    pub fn parse(name: &str) -> Option<Self> {
        let is_name = name.len() <= MAX_TEXT
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        is_name.then(|| Self::Other(name.into()))
    }
}

/// A method of this name, where one can have it.
pub fn parse_method(name: &str) -> Option<Method> {
    if name.len() > MAX_TEXT {
        return None;
    }
    Method::from_bytes(name.as_bytes()).ok()
}

/// Whether a request may ask for this.
pub fn is_path(path: &str) -> bool {
    path.len() <= MAX_TEXT && PathAndQuery::from_str(path).is_ok()
}

/// Whether this is a host, with a port where there is one.
pub fn is_authority(authority: &str) -> bool {
    authority.len() <= MAX_TEXT && Authority::from_str(authority).is_ok_and(|authority| port(&authority).is_ok())
}

/// The port, where one is written.
///
/// # Errors
/// What is written is none.
pub fn port(authority: &Authority) -> Result<Option<u16>, ParseIntError> {
    // What follows the host, which may itself have colons in brackets; before it, there may be a user.
    let text = authority.as_str();
    let host_and_port = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    let after_host = host_and_port.rsplit_once(']').map_or(host_and_port, |(_, rest)| rest);
    match after_host.split_once(':') {
        None => Ok(None),
        Some((_, port)) => port.parse().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_sent_is_a_part() {
        assert_eq!(Scheme::parse("a+b"), Some(Scheme::Other("a+b".into())));
        for bad in ["", "1a", "a b", "a:"] {
            assert_eq!(Scheme::parse(bad), None, "{bad:?}");
        }
        assert!(parse_method("PURGE").is_some());
        for bad in ["", "A B", "ä", "A\r\nB: c"] {
            assert_eq!(parse_method(bad), None, "{bad:?}");
        }
        assert!(is_path("/a?b=c") && is_path("*"));
        for bad in ["/a b", "/a\nb", "/\u{7f}"] {
            assert!(!is_path(bad), "{bad:?}");
        }
        assert!(is_authority("localhost:80") && is_authority("[::1]") && is_authority("[::1]:8080"));
        for bad in ["", "a b", "a/b", "a:b", "a:65536", "[::1]:x", "a\n"] {
            assert!(!is_authority(bad), "{bad:?}");
        }
    }
}
