//! The bytes that a module's description points into, as far as they are still needed.

use super::artifact::KeptBytes;
#[cfg(feature = "compiler")]
use super::shared_bytes::SharedBytes;
use crate::engine::thunks::ArtifactThunks;
#[cfg(feature = "compiler")]
use ampoule_core::module::ModuleDescription;
use std::ops::Range;
use std::sync::Arc;

/// The bytes of a module.
#[derive(Clone)]
pub(crate) enum ModuleBytes {
    /// The whole module, up to the end of what is needed of it: its functions may still have to be compiled.
    #[cfg(feature = "compiler")]
    Whole(SharedBytes),
    /// All but the bodies of its functions, which are compiled.
    #[cfg(feature = "compiler")]
    Compiled(Arc<AroundBodies>),
    /// What an artifact keeps of it; and the thunks that came along, for the engine.
    Kept(Arc<KeptBytes>, #[expect(dead_code, reason = "the engine has a weak reference")] Arc<ArtifactThunks>),
}

/// What comes before the first body, and after the last.
#[cfg(feature = "compiler")]
pub(crate) struct AroundBodies {
    before: Box<[u8]>,
    after: Box<[u8]>,
    after_start: usize,
}

impl ModuleBytes {
    /// Those of a module whose functions are all compiled, for good: without their bodies, unless others have the bytes as well.
    #[cfg(feature = "compiler")]
    pub(crate) fn compiled(bytes: SharedBytes, module: &ModuleDescription) -> Self {
        let bodies = &module.bodies;
        if bodies.is_empty() || bytes.is_shared() {
            return ModuleBytes::Whole(bytes);
        }
        // They are in the order of the functions, in one section.
        let (start, end) = (bodies[0].start as usize, bodies[bodies.len() - 1].end as usize);
        let around = AroundBodies { before: bytes[..start].into(), after: bytes[end..].into(), after_start: end };
        ModuleBytes::Compiled(Arc::new(around))
    }

    /// The bytes of a range of the module; empty where they were not kept.
    pub(crate) fn range(&self, range: &Range<u64>) -> &[u8] {
        #[cfg(feature = "compiler")]
        let in_module = range.start as usize..range.end as usize;
        match self {
            #[cfg(feature = "compiler")]
            ModuleBytes::Whole(bytes) => bytes.get(in_module).unwrap_or_default(),
            #[cfg(feature = "compiler")]
            ModuleBytes::Compiled(around) => around.get(in_module).unwrap_or_default(),
            ModuleBytes::Kept(kept, _) => kept.range(range),
        }
    }
}

#[cfg(feature = "compiler")]
impl AroundBodies {
    fn get(&self, range: Range<usize>) -> Option<&[u8]> {
        match range.start.checked_sub(self.after_start) {
            Some(start) => self.after.get(start..range.end.checked_sub(self.after_start)?),
            None => self.before.get(range),
        }
    }
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;

    fn module(bodies: Vec<Range<u64>>) -> ModuleDescription {
        ModuleDescription { bodies: bodies.into(), ..ModuleDescription::default() }
    }

    #[test]
    fn bodies_go_and_what_is_around_them_stays() {
        let bytes = || SharedBytes::from(&b"before, one, two, after"[..]);
        let kept = ModuleBytes::compiled(bytes(), &module(vec![8..11, 13..16]));
        assert!(matches!(kept, ModuleBytes::Compiled(_)));
        let at = |range: Range<u64>| std::str::from_utf8(kept.range(&range)).unwrap();
        assert_eq!((at(0..6), at(0..8), at(18..23), at(16..16)), ("before", "before, ", "after", ""));
        assert_eq!((at(8..11), at(6..9), at(15..20), at(20..24)), ("", "", "", ""), "gone, or never there");
    }

    #[test]
    fn what_others_have_as_well_is_not_copied() {
        let bytes = SharedBytes::from(&b"body"[..]);
        let others = bytes.clone();
        let of_others = ModuleBytes::compiled(others, &module(vec![0..2, 2..4]));
        assert_eq!(of_others.range(&(0..4)), b"body");
        drop(of_others);
        let without_bodies = ModuleBytes::compiled(bytes, &module(vec![]));
        assert_eq!(without_bodies.range(&(0..4)), b"body");
    }
}
