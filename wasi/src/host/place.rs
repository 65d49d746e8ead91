//! Where something was opened: by which names of the guest's, so that it can be opened again.
//!
//! The guest's own names, and not the host's: what is opened again is found beneath whatever is preopened then, by the same rules as at first.

use std::sync::Arc;

/// The most bytes of a path: what is deeper can't be opened by one path.
const MAX_PATH: usize = 4095;

/// Where something was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    preopen: Arc<str>,
    path: Arc<str>,
}

impl Place {
    /// The preopen that the guest knows by this name.
    pub fn preopen(name: &str) -> Self {
        Self { preopen: name.into(), path: "".into() }
    }

    /// What `path` names here; `None` where that is too deep.
    pub fn join(&self, path: &str) -> Option<Self> {
        if self.path.len() + 1 + path.len() > MAX_PATH {
            return None;
        }
        let path = if self.path.is_empty() { path.into() } else { format!("{}/{path}", self.path).into() };
        Some(Self { preopen: self.preopen.clone(), path })
    }

    /// The guest's name of the preopen.
    pub fn name(&self) -> &str {
        &self.preopen
    }

    /// The path beneath the preopen; empty for the preopen itself.
    pub fn path(&self) -> &str {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_that_the_guest_has_gone() {
        let preopen = Place::preopen("/data");
        assert_eq!((preopen.name(), preopen.path()), ("/data", ""));
        let file = preopen.join("a/b").and_then(|dir| dir.join("./c")).expect("short");
        assert_eq!((file.name(), file.path()), ("/data", "a/b/./c"));
    }

    #[test]
    fn what_is_too_deep_has_no_place() {
        let mut place = Place::preopen("/");
        let mut steps = 0;
        while let Some(next) = place.join(&"x".repeat(99)) {
            place = next;
            steps += 1;
        }
        assert_eq!((steps, place.path().len()), (40, 3999));
    }
}
