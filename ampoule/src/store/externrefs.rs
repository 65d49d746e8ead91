//! The host values behind the `externref`s of a store. An object of the heap stands for each, and knows its position here.

use super::foreign::Foreign;
use crate::error::{Error, ErrorKind};
use std::any::Any;

/// A value of the host.
pub(crate) enum HostValue {
    Any(Box<dyn Any + Send + Sync>),
    /// What C hands over, without an allocation for it.
    Foreign(Foreign),
}

impl HostValue {
    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        match self {
            HostValue::Any(value) => &**value,
            HostValue::Foreign(value) => value,
        }
    }
}

/// The host values of one store.
#[derive(Default)]
pub(crate) struct ExternRefs {
    values: Vec<Option<HostValue>>,
    /// Free positions.
    free: Vec<u32>,
}

impl ExternRefs {
    /// Gives the value a position.
    #[inline]
    pub(crate) fn insert(&mut self, value: HostValue) -> Result<u32, Error> {
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
        self.values.get(position as usize)?.as_ref().map(HostValue::as_any)
    }

    /// Takes a value out; its position is free.
    pub(crate) fn take(&mut self, position: u32) -> Option<HostValue> {
        let value = self.values.get_mut(position as usize)?.take()?;
        self.free.push(position);
        Some(value)
    }
}
