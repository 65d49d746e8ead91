//! What is known of the functions of a module that was linked as a whole: there from the start, or read from an artifact, each where it is asked
//! for.

use super::ReadInfoFn;
use ampoule_core::artifact::FunctionInfo;
use ampoule_core::index::DefinedFuncIndex;
use ampoule_machine::os::sync::OnceLock;
use std::sync::Arc;

/// Places that are made at once: a module of a hundred thousand functions, of which few are asked for, takes no megabytes.
const PORTION: usize = 128;

/// `None` where the artifact is damaged there.
type Info = Option<Arc<FunctionInfo>>;

/// See the module.
pub(super) enum Infos {
    Known(Box<[Info]>),
    Read { read: Box<ReadInfoFn>, len: usize, portions: Box<[OnceLock<Portion>]> },
}

type Portion = Box<[OnceLock<Info>]>;

impl Infos {
    pub(super) fn known(infos: Vec<FunctionInfo>) -> Self {
        Infos::Known(infos.into_iter().map(|info| Some(Arc::new(info))).collect())
    }

    /// Of so many functions.
    pub(super) fn read_by(read: Box<ReadInfoFn>, len: usize) -> Self {
        let portions = std::iter::repeat_with(OnceLock::new).take(len.div_ceil(PORTION));
        Infos::Read { read, len, portions: portions.collect() }
    }

    pub(super) fn get(&self, func: DefinedFuncIndex) -> Option<&Arc<FunctionInfo>> {
        let (read, len, portions) = match self {
            Infos::Known(infos) => return infos[func.index()].as_ref(),
            Infos::Read { read, len, portions } => (read, *len, portions),
        };
        let (number, place) = (func.index() / PORTION, func.index() % PORTION);
        let in_portion = PORTION.min(len - number * PORTION);
        let portion = portions[number].get_or_init(|| std::iter::repeat_with(OnceLock::new).take(in_portion).collect());
        portion[place].get_or_init(|| read(func).map(Arc::new)).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn each_is_read_once() {
        static READ: AtomicUsize = AtomicUsize::new(0);
        let read = |func: DefinedFuncIndex| {
            READ.fetch_add(1, Ordering::Relaxed);
            let traps = vec![(func.0, 0)];
            (func.index() != PORTION).then(|| FunctionInfo { traps, ..Default::default() })
        };
        let len = 2 * PORTION + 1;
        let infos = Infos::read_by(Box::new(read), len);
        for _ in 0..2 {
            for func in [0, 1, PORTION - 1, PORTION, 2 * PORTION] {
                let info = infos.get(DefinedFuncIndex(func as u32));
                let expected = (func != PORTION).then_some(func as u32);
                assert_eq!(info.map(|info| info.traps[0].0), expected);
            }
        }
        assert_eq!(READ.load(Ordering::Relaxed), 5);
    }
}
