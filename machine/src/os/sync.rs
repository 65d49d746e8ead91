//! The locks of the engine: those of `std::sync`, held in a [`Section`], so that a forked child never finds one taken. Nothing in the
//! engine, in WASI, in components or in the C interface uses the others, nor channels, which wait for who is in the middle of sending.
//!
//! A thread that was cut off by a panic leaves a lock as it is: what is locked is changed in steps that each leave it whole.

use super::fork::Section;
use std::ops::{Deref, DerefMut};
use std::sync::{self, PoisonError};

/// A value that one thread at a time may use.
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized>(sync::Mutex<T>);

/// The right to use the value in a [`Mutex`].
pub struct MutexGuard<'a, T: ?Sized> {
    // Before the section: it ends first.
    value: sync::MutexGuard<'a, T>,
    _section: Section,
}

impl<T> Mutex<T> {
    /// A mutex that nobody holds.
    pub const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until nobody else has the value.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let _section = Section::enter();
        MutexGuard { value: self.0.lock().unwrap_or_else(PoisonError::into_inner), _section }
    }

    /// The value, which nobody else can have.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// A value that one thread at a time may change, and any number may read meanwhile.
#[derive(Debug, Default)]
pub struct RwLock<T>(sync::RwLock<T>);

/// The right to use the value in an [`RwLock`]: `G` says how.
pub struct RwGuard<G> {
    // Before the section: it ends first.
    value: G,
    _section: Section,
}

impl<T> RwLock<T> {
    /// A lock that nobody holds.
    pub const fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
    }

    /// Waits until nobody changes the value.
    #[inline]
    pub fn read(&self) -> RwGuard<sync::RwLockReadGuard<'_, T>> {
        let _section = Section::enter();
        RwGuard { value: self.0.read().unwrap_or_else(PoisonError::into_inner), _section }
    }

    /// Waits until nobody else has the value.
    #[inline]
    pub fn write(&self) -> RwGuard<sync::RwLockWriteGuard<'_, T>> {
        let _section = Section::enter();
        RwGuard { value: self.0.write().unwrap_or_else(PoisonError::into_inner), _section }
    }
}

impl<G: Deref> Deref for RwGuard<G> {
    type Target = G::Target;

    #[inline]
    fn deref(&self) -> &G::Target {
        &self.value
    }
}

impl<G: DerefMut> DerefMut for RwGuard<G> {
    #[inline]
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.value
    }
}

/// A value that is made once, when it is first needed; others that need it wait for who makes it.
#[derive(Debug)]
pub struct OnceLock<T>(sync::OnceLock<T>);

impl<T> OnceLock<T> {
    /// Without a value.
    pub const fn new() -> Self {
        Self(sync::OnceLock::new())
    }

    /// The value, if it was made.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.0.get()
    }

    /// The value, made now if there is none.
    #[inline]
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        match self.0.get() {
            Some(value) => value,
            None => {
                let _section = Section::enter();
                self.0.get_or_init(make)
            }
        }
    }

    /// Makes it this value.
    ///
    /// # Errors
    /// The value, where there is one already.
    pub fn set(&self, value: T) -> Result<(), T> {
        let _section = Section::enter();
        self.0.set(value)
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        Self(sync::OnceLock::from(value))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{fs, io};

    /// Every lock that a fork could leave taken: lines of the sources that name one of `std::sync`, outside of tests.
    fn others(folder: &Path, found: &mut Vec<String>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                others(&path, found)?;
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !["sync.rs", "fork.rs", "tests.rs"].iter().any(|name| path.ends_with(name))
            {
                let text = fs::read_to_string(&path)?;
                let code = text.split("\nmod tests {").next().unwrap_or_default();
                let locks = ["Mutex", "RwLock", "Condvar", "OnceLock", "LazyLock", "Once", "Barrier", "mpsc"];
                let names = |line: &&str| {
                    let words =
                        |line: &str| line.split(|c: char| !c.is_alphanumeric()).any(|word| locks.contains(&word));
                    line.contains("std::sync::") && words(line)
                };
                found.extend(code.lines().filter(names).map(|line| format!("{}: {line}", path.display())));
            }
        }
        Ok(())
    }

    #[test]
    fn nothing_is_locked_past_forks() {
        let mut found = Vec::new();
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for name in ["machine", "ampoule", "component", "wasi", "c-api"] {
            others(&crates.join(name).join("src"), &mut found).unwrap();
        }
        assert_eq!(found, [""; 0], "use `os::sync` instead");
    }
}
