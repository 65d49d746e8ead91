//! The host values behind the `externref`s of a store. An object of the heap stands for each, and knows its position here.

use crate::error::{Error, ErrorKind};
use std::any::Any;

/// The host values of one store.
#[derive(Default)]
pub(crate) struct ExternRefs {
    values: Vec<Option<Box<dyn Any + Send + Sync>>>,
    /// Free positions.
    free: Vec<u32>,
}

impl ExternRefs {
    /// Gives the value a position.
    pub(crate) fn insert(&mut self, value: Box<dyn Any + Send + Sync>) -> Result<u32, Error> {
        if let Some(position) = self.free.pop() {
            self.values[position as usize] = Some(value);
            return Ok(position);
        }
        let position = u32::try_from(self.values.len())
            .map_err(|_| Error::new(ErrorKind::Limit("too many externref values in a store".to_string())))?;
        self.values.push(Some(value));
        Ok(position)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len() - self.free.len()
    }

    pub(crate) fn get(&self, position: u32) -> Option<&(dyn Any + Send + Sync)> {
        self.values.get(position as usize)?.as_deref()
    }

    /// Takes a value out; its position is free.
    pub(crate) fn take(&mut self, position: u32) -> Option<Box<dyn Any + Send + Sync>> {
        let value = self.values.get_mut(position as usize)?.take()?;
        self.free.push(position);
        Some(value)
    }
}
