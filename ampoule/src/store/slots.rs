//! State of the host's libraries: one value per type. The engine knows none of them; WASI keeps its context here.

use std::any::{Any, TypeId};

/// At most one value of each type. A handful at most, so a list serves.
///
/// 1. What is under the id of a type is a value of that type: `insert` alone adds.
/// 2. There is a first where there are others.
#[derive(Default)]
pub struct Slots {
    /// Most stores have one, if any: it is found without a list.
    first: Option<Slot>,
    others: Vec<Slot>,
}

type Slot = (TypeId, Box<dyn Any + Send + Sync>);

impl Slots {
    /// Puts a value, and gives back the one it replaces.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) -> Option<Box<T>> {
        let old = self.remove::<T>();
        self.add(Box::new(value));
        old
    }

    /// Adds the value of a type that there is none of.
    fn add<T: Any + Send + Sync>(&mut self, value: Box<T>) {
        let slot: Slot = (TypeId::of::<T>(), value);
        match &mut self.first {
            Some(_) => self.others.push(slot),
            first => *first = Some(slot),
        }
    }

    /// The value of this type.
    #[inline]
    pub fn get<T: Any>(&self) -> Option<&T> {
        let found = self.first.iter().chain(&self.others).find(|(id, _)| *id == TypeId::of::<T>())?;
        // SAFETY: by (1).
        Some(unsafe { &*(&raw const *found.1).cast::<T>() })
    }

    /// The value of this type, to change it.
    #[inline]
    pub fn get_mut<T: Any>(&mut self) -> Option<&mut T> {
        let found = self.first.iter_mut().chain(&mut self.others).find(|(id, _)| *id == TypeId::of::<T>())?;
        // SAFETY: by (1).
        Some(unsafe { &mut *(&raw mut *found.1).cast::<T>() })
    }

    /// The value of this type, to change it; made when first asked for.
    #[inline]
    pub fn get_or_default<T: Any + Send + Sync + Default>(&mut self) -> &mut T {
        // Components ask at every call, and have the first slot of most stores.
        if let Some((id, first)) = &mut self.first
            && *id == TypeId::of::<T>()
        {
            let value = &raw mut **first;
            // SAFETY: by (1).
            return unsafe { &mut *value.cast::<T>() };
        }
        self.find_or_add()
    }

    #[inline(never)]
    fn find_or_add<T: Any + Send + Sync + Default>(&mut self) -> &mut T {
        if self.get::<T>().is_none() {
            // Made where it stays.
            self.add(Box::write(Box::new_uninit(), T::default()));
        }
        self.get_mut().expect("just looked at")
    }

    /// Takes the value of this type out.
    pub fn remove<T: Any>(&mut self) -> Option<Box<T>> {
        let is = |(id, _): &Slot| *id == TypeId::of::<T>();
        let slot = if self.first.as_ref().is_some_and(is) {
            std::mem::replace(&mut self.first, self.others.pop())?
        } else {
            self.others.swap_remove(self.others.iter().position(is)?)
        };
        slot.1.downcast().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_per_type() {
        let mut slots = Slots::default();
        assert!(slots.insert(1u8).is_none());
        assert!(slots.insert("text").is_none());
        assert_eq!(slots.insert(2u8).as_deref(), Some(&1));
        assert_eq!(slots.get::<u8>(), Some(&2));
        *slots.get_mut::<u8>().unwrap() = 3;
        assert_eq!(slots.remove::<u8>().as_deref(), Some(&3));
        assert!(slots.get::<u8>().is_none());
        assert_eq!(slots.get::<&str>(), Some(&"text"));
        assert_eq!(*slots.get_or_default::<&str>(), "text");
        assert_eq!(*slots.get_or_default::<u16>(), 0);
        *slots.get_or_default::<u16>() = 4;
        assert_eq!(slots.get::<u16>(), Some(&4));
    }
}
