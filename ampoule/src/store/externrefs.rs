//! The host values behind the `externref`s of a store: a raw reference is a position in this table, plus one.

use crate::error::{Error, ErrorKind};
use std::any::Any;

/// The host values of one store.
#[derive(Default)]
pub(crate) struct ExternRefs {
    slots: Vec<Slot>,
    /// Free positions.
    free: Vec<u32>,
    pub(crate) collect_at: usize,
}

enum Slot {
    Free,
    Used { value: Box<dyn Any + Send + Sync>, marked: bool },
}

/// Values below which a store is not collected by itself.
const COLLECT_FROM: usize = 4096;

impl ExternRefs {
    pub(crate) fn live(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn wants_collection(&self) -> bool {
        self.live() >= self.collect_at.max(COLLECT_FROM)
    }

    pub(crate) fn insert(&mut self, value: Box<dyn Any + Send + Sync>) -> Result<u32, Error> {
        let slot = Slot::Used { value, marked: false };
        if let Some(position) = self.free.pop() {
            self.slots[position as usize] = slot;
            return Ok(position + 1);
        }
        let raw = u32::try_from(self.slots.len() + 1)
            .map_err(|_| Error::new(ErrorKind::Limit("too many externref values in a store".to_string())))?;
        self.slots.push(slot);
        Ok(raw)
    }

    pub(crate) fn get(&self, raw: u32) -> Option<&(dyn Any + Send + Sync)> {
        match self.slots.get(raw.checked_sub(1)? as usize)? {
            Slot::Used { value, .. } => Some(&**value),
            Slot::Free => None,
        }
    }

    pub(crate) fn mark(&mut self, raw: u32) {
        let Some(position) = raw.checked_sub(1) else { return };
        if let Some(Slot::Used { marked, .. }) = self.slots.get_mut(position as usize) {
            *marked = true;
        }
    }

    /// Takes out what is not marked.
    pub(crate) fn sweep(&mut self) -> Vec<Box<dyn Any + Send + Sync>> {
        let mut dead = Vec::new();
        for (position, slot) in self.slots.iter_mut().enumerate() {
            match slot {
                Slot::Used { marked, .. } if *marked => *marked = false,
                Slot::Used { .. } => {
                    let Slot::Used { value, .. } = std::mem::replace(slot, Slot::Free) else {
                        unreachable!("just matched")
                    };
                    dead.push(value);
                    self.free.push(position as u32);
                }
                Slot::Free => {}
            }
        }
        self.collect_at = self.live() * 2;
        dead
    }
}
