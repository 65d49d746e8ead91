//! Why something wasn't done, in the operating system's words.

pub use rustix::io::Errno;

use super::http::ErrorCode;

/// Why something wasn't done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What the operating system says, or would say.
    #[error(transparent)]
    Os(#[from] Errno),
    /// The embedder's permissions forbid it, or the path leads out of its directory.
    #[error("not permitted")]
    NotPermitted,
    /// A message of HTTP, or its body, has failed.
    #[error(transparent)]
    Http(ErrorCode),
    /// The guest is to end: its call was cancelled, a deadline has passed, or the embedder's check says so.
    #[error("interrupted")]
    Interrupted,
    /// The guest is to be suspended until what the waiter tells has happened ([`super::wait::Waiter::take_wait`]); then this is to be tried again.
    #[error("must wait")]
    MustWait,
}

impl Error {
    /// What the operating system would say.
    pub fn errno(self) -> Errno {
        match self {
            Self::Os(errno) => errno,
            Self::NotPermitted => Errno::PERM,
            Self::Http(_) => Errno::IO,
            Self::Interrupted => Errno::INTR,
            Self::MustWait => Errno::AGAIN,
        }
    }
}

impl From<std::io::Error> for Error {
    /// An answer of `std` or of the sandboxed resolver.
    fn from(error: std::io::Error) -> Self {
        if let Some(errno) = Errno::from_io_error(&error) {
            return Self::Os(errno);
        }
        match error.kind() {
            // What the sandboxed resolver answers to a path that leads outside.
            std::io::ErrorKind::PermissionDenied => Self::NotPermitted,
            std::io::ErrorKind::InvalidInput => Self::Os(Errno::INVAL),
            std::io::ErrorKind::NotFound => Self::Os(Errno::NOENT),
            _ => Self::Os(Errno::IO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_outside_is_not_permitted() {
        let escape = std::io::Error::new(std::io::ErrorKind::PermissionDenied, "led outside");
        assert_eq!(Error::from(escape), Error::NotPermitted);
        let denied = std::io::Error::from_raw_os_error(Errno::ACCESS.raw_os_error());
        assert_eq!(Error::from(denied), Error::Os(Errno::ACCESS));
    }
}
