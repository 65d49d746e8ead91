//! What was found of return addresses in this store's guests: whether exceptions are handled there, and where.
//!
//! A throw looks at a return address for each frame that it passes. To find out what code that is in takes a lock or two; here it takes a
//! comparison. What was found stays true: code never moves, and a store keeps the code of everything that runs in it.

use ampoule_core::artifact::Handler;

/// Places, a power of two. One return address takes the place of another.
const PLACES: usize = 256;

/// What is known of some return addresses.
#[derive(Default)]
pub(crate) struct HandlerCache(Option<Box<[Place; PLACES]>>);

#[derive(Clone, Copy, Default)]
struct Place {
    /// Zero: nothing is known.
    return_address: usize,
    handler: Option<Handler>,
    /// Where the function begins that the handler is in.
    function: usize,
}

impl HandlerCache {
    /// What is at a return address: the function's start and the handler, if there is one. `find` tells what isn't known yet.
    ///
    /// # Errors
    /// Those of `find`; nothing is kept then.
    pub(crate) fn at<E>(
        &mut self,
        return_address: usize,
        find: impl FnOnce() -> Result<Option<(usize, Handler)>, E>,
    ) -> Result<Option<(usize, Handler)>, E> {
        let places = self.0.get_or_insert_with(|| Box::new([Place::default(); PLACES]));
        // Calls are a few bytes long, and functions begin at multiples of sixteen.
        let place = &mut places[(return_address ^ return_address >> 8) % PLACES];
        if place.return_address != return_address {
            let found = find()?;
            let function = found.map_or(0, |(function, _)| function);
            *place = Place { return_address, handler: found.map(|(_, handler)| handler), function };
        }
        Ok(place.handler.map(|handler| (place.function, handler)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn a_place_is_looked_up_once_and_found_again_after_another_took_it() {
        let mut cache = HandlerCache::default();
        let handler = Handler { landing: 7, frame_size: 32 };
        let mut asked = 0;
        let mut at = |address: usize, found: Option<(usize, Handler)>| {
            let mut is_new = false;
            let answer = cache.at(address, || {
                is_new = true;
                Ok::<_, Infallible>(found)
            });
            asked += usize::from(is_new);
            (answer.unwrap(), asked)
        };
        assert_eq!(at(0x1000, Some((0xf00, handler))), (Some((0xf00, handler)), 1));
        assert_eq!(at(0x1000, None), (Some((0xf00, handler)), 1));
        assert_eq!(at(0x1234, None), (None, 2));
        assert_eq!(at(0x1234, Some((0xf00, handler))), (None, 2));
        // So many that each place was taken by another.
        for address in 0x10000..0x10000 + 16 * PLACES {
            at(address, None);
        }
        assert_eq!(at(0x1000, Some((0xf00, handler))).0, Some((0xf00, handler)));
        assert_eq!(cache.at(5, || Err("no")), Err("no"));
        assert_eq!(cache.at(5, || Ok::<_, &str>(None)), Ok(None), "an error is not kept");
    }
}
