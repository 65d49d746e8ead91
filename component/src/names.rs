//! Versions in names of interfaces: `wasi:cli/run@0.2.6` serves who asks for `wasi:cli/run@0.2.0`, or for any of `wasi:cli/run@0.2`.

use hashbrown::{DefaultHashBuilder, HashMap};

/// Items by name, in the order in which they were put. Instantiation looks up a name for every import of every module: hashes are the
/// quick ones of all our maps, seeded at random too.
pub(crate) type IndexMap<K, V> = indexmap::IndexMap<K, V, DefaultHashBuilder>;

/// Names in order, likewise.
pub(crate) type IndexSet<T> = indexmap::IndexSet<T, DefaultHashBuilder>;

/// What a versioned name has in common with all that may stand for it: the name without version, and the major version, or the minor one
/// below 1.0, or the patch below 0.1. Pre-releases stand for themselves only; what follows `+` doesn't count.
pub(crate) fn track(name: &str) -> Option<(&str, [u64; 3], [u64; 3])> {
    let (base, version) = name.rsplit_once('@')?;
    let version = version.split_once('+').map_or(version, |(version, _)| version);
    let parts = version.split('.').map(|part| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if digits { part.parse::<u64>().ok() } else { None }
    });
    let version = match parts.collect::<Option<Vec<_>>>()?[..] {
        [major, minor, patch] => [major, minor, patch],
        // A name may have only as much of a version as decides what it is compatible with (Component Model, `canonversion`).
        [0, minor] if minor > 0 => [0, minor, 0],
        [major] if major > 0 => [major, 0, 0],
        _ => return None,
    };
    let track = match version {
        [0, 0, patch] => [0, 0, patch],
        [0, minor, _] => [0, minor, 0],
        [major, ..] => [major, 0, 0],
    };
    Some((base, track, version))
}

/// The item of this name, or else the newest one of the same track. Looks at all items; see [`NameMap`] for many look-ups.
pub(crate) fn find<'a, T>(items: &'a IndexMap<Box<str>, T>, name: &str) -> Option<(usize, &'a T)> {
    if let Some((index, _, item)) = items.get_full(name) {
        return Some((index, item));
    }
    let (base, wanted, _) = track(name)?;
    let same_track = items.iter().enumerate().filter_map(|(index, (have, item))| {
        let (have_base, have_track, version) = track(have)?;
        (have_base == base && have_track == wanted).then_some((version, index, item))
    });
    same_track.max_by_key(|&(version, ..)| version).map(|(_, index, item)| (index, item))
}

type Version = [u64; 3];

/// A name without its version, and what versions that stand in for each other have in common.
type Track = (Box<str>, Version);

/// Items by name, found as [`find`] does, in one look-up however many there are.
#[derive(Clone)]
pub(crate) struct NameMap<T> {
    items: IndexMap<Box<str>, T>,
    /// The newest version of each track, and its item.
    newest: HashMap<Track, (Version, usize)>,
}

impl<T> Default for NameMap<T> {
    fn default() -> Self {
        Self { items: IndexMap::default(), newest: HashMap::new() }
    }
}

impl<T> NameMap<T> {
    /// Puts an item, in place of the one that has the name.
    pub(crate) fn insert(&mut self, name: &str, item: T) {
        let (index, _) = self.items.insert_full(name.into(), item);
        if let Some((base, track, version)) = track(name) {
            let newest = self.newest.entry((base.into(), track)).or_insert((version, index));
            if version > newest.0 {
                *newest = (version, index);
            }
        }
    }

    /// The item of this very name.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.items.get_mut(name)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.items.contains_key(name)
    }

    /// As [`NameMap::find`], to change it.
    pub(crate) fn find_mut(&mut self, name: &str) -> Option<&mut T> {
        let index = self.items.get_index_of(name).or_else(|| {
            let (base, track, _) = track(name)?;
            self.newest.get(&(base.into(), track)).map(|&(_, index)| index)
        })?;
        self.items.get_index_mut(index).map(|(_, item)| item)
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The item of this name, or else the newest one of the same track.
    pub(crate) fn find(&self, name: &str) -> Option<&T> {
        self.items.get(name).or_else(|| {
            let (base, track, _) = track(name)?;
            let (_, index) = self.newest.get(&(base.into(), track))?;
            self.items.get_index(*index).map(|(_, item)| item)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(have: &[&str], name: &str) -> Option<usize> {
        let items: IndexMap<Box<str>, usize> =
            have.iter().enumerate().map(|(index, &name)| (name.into(), index)).collect();
        let mut map = NameMap::default();
        items.iter().for_each(|(name, &index)| map.insert(name, index));
        let found = find(&items, name).map(|(index, _)| index);
        assert_eq!(found, map.find(name).copied());
        found
    }

    #[test]
    fn the_newest_of_the_same_track_stands_in() {
        assert_eq!(finds(&["a:b/c@0.2.0", "a:b/c@0.2.6", "a:b/c@0.2.3"], "a:b/c@0.2.9"), Some(1));
        assert_eq!(finds(&["a:b/c@0.2.6"], "a:b/c@0.2.0"), Some(0));
        assert_eq!(finds(&["a:b/c@1.2.3"], "a:b/c@1.0.0"), Some(0));
        assert_eq!(finds(&["a:b/c@0.2.0", "a:b/c@0.2.6"], "a:b/c@0.2.0"), Some(0));
    }

    #[test]
    fn a_canonical_version_is_that_of_a_track() {
        assert_eq!(finds(&["a:b/c@0.2.0", "a:b/c@0.2.6"], "a:b/c@0.2"), Some(1));
        assert_eq!(finds(&["a:b/c@1"], "a:b/c@1.2.3"), Some(0));
        assert_eq!(finds(&["a:b/c@0.2.0", "a:b/c@1.2.0"], "a:b/c@1"), Some(1));
        assert_eq!(finds(&["a:b/c@1.2.0"], "a:b/c@1.2"), None);
        assert_eq!(finds(&["a:b/c@0.0.1"], "a:b/c@0"), None);
    }

    #[test]
    fn other_tracks_other_names_and_pre_releases_do_not() {
        assert_eq!(finds(&["a:b/c@0.2.6"], "a:b/c@0.3.0"), None);
        assert_eq!(finds(&["a:b/c@0.0.1"], "a:b/c@0.0.2"), None);
        assert_eq!(finds(&["a:b/d@0.2.6"], "a:b/c@0.2.6"), None);
        assert_eq!(finds(&["a:b/c@0.2.0-rc.1"], "a:b/c@0.2.0"), None);
        assert_eq!(finds(&["a:b/c"], "a:b/c@0.2.0"), None);
        assert_eq!(finds(&["a:b/c@0.2.1+build"], "a:b/c@0.2.0"), Some(0));
    }
}
