//! What was found of return addresses in this store's guests: whether exceptions are handled there, and where.
//!
//! A throw looks at a return address for each frame that it passes. To find out what code that is in takes a lock or two; here it takes a
//! comparison. What was found stays true until code is given back: it never moves, and a store keeps the code of everything that runs in it.

use ampoule_core::artifact::{Handler, KeptRegisters};

/// Places, a power of two. One return address takes the place of another.
const PLACES: usize = 256;

/// What is known of some return addresses: zero is none.
#[derive(Default)]
pub(crate) struct HandlerCache(Option<Box<Known>>);

struct Known {
    /// How often the engine had given code back.
    given_back: u64,
    places: [(usize, Place); PLACES],
}

/// What is at a return address.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(crate) struct Place {
    /// The handler, if exceptions are handled there.
    pub handler: Option<Handler>,
    /// Where the function begins.
    pub function: usize,
    /// The registers that the function keeps in its frame.
    pub kept: KeptRegisters,
}

impl HandlerCache {
    /// Forgets everything where code was given back since: other code may be there now.
    pub(crate) fn renew(&mut self, given_back: u64) {
        if self.0.as_ref().is_none_or(|known| known.given_back != given_back) {
            self.0 = Some(Box::new(Known { given_back, places: [Default::default(); PLACES] }));
        }
    }

    /// What is at a return address. `find` tells what isn't known yet. After [`HandlerCache::renew`].
    ///
    /// # Errors
    /// Those of `find`; nothing is kept then.
    pub(crate) fn at<E>(
        &mut self,
        return_address: usize,
        find: impl FnOnce() -> Result<Place, E>,
    ) -> Result<&Place, E> {
        let places = &mut self.0.as_mut().expect("it was renewed").places;
        // Calls are a few bytes long, and functions begin at multiples of sixteen.
        let known = &mut places[(return_address ^ return_address >> 8) % PLACES];
        if known.0 != return_address {
            *known = (return_address, find()?);
        }
        Ok(&known.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn a_place_is_looked_up_once_and_found_again_after_another_took_it() {
        let mut cache = HandlerCache::default();
        cache.renew(0);
        let handler = Some(Handler { landing: 7, frame_size: 32 });
        let (none, some) =
            (Place::default(), Place { handler, function: 0xf00, kept: KeptRegisters::below_frame_pointer(3) });
        let mut asked = 0;
        let mut at = |address: usize, found: Place| {
            let mut is_new = false;
            let answer = cache.at(address, || {
                is_new = true;
                Ok::<_, Infallible>(found)
            });
            asked += usize::from(is_new);
            (*answer.unwrap(), asked)
        };
        assert_eq!(at(0x1000, some), (some, 1));
        assert_eq!(at(0x1000, none), (some, 1));
        assert_eq!(at(0x1234, none), (none, 2));
        assert_eq!(at(0x1234, some), (none, 2));
        // So many that each place was taken by another.
        for address in 0x10000..0x10000 + 16 * PLACES {
            at(address, none);
        }
        assert_eq!(at(0x1000, some).0, some);
        assert_eq!(cache.at(5, || Err("no")), Err("no"));
        assert_eq!(cache.at(5, || Ok::<_, &str>(none)), Ok(&none), "an error is not kept");
    }

    #[test]
    fn nothing_is_known_once_code_was_given_back() {
        let mut cache = HandlerCache::default();
        let (old, new) = (Place::default(), Place { function: 0xf00, ..Place::default() });
        let at = |cache: &mut HandlerCache, found| *cache.at(0x1000, || Ok::<_, Infallible>(found)).unwrap();
        for (given_back, found) in [(0, old), (0, old), (3, new), (3, new)] {
            cache.renew(given_back);
            assert_eq!(at(&mut cache, if given_back == 0 { old } else { new }), found);
        }
        cache.renew(3);
        assert_eq!(at(&mut cache, old), new);
        cache.renew(4);
        assert_eq!(at(&mut cache, old), old);
    }
}
