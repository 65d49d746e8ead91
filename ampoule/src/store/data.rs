//! The embedder's value: one box, typed by whoever put it there.

use std::any::Any;

/// One value of the embedder; `()` until one is set.
pub(crate) struct Data(Box<dyn Any + Send + Sync>);

impl Default for Data {
    fn default() -> Self {
        // A box of `()` allocates nothing.
        Data(Box::new(()))
    }
}

impl Data {
    pub(crate) fn get(&self) -> &(dyn Any + Send + Sync) {
        &*self.0
    }

    pub(crate) fn get_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        &mut *self.0
    }

    pub(crate) fn set(&mut self, value: Box<dyn Any + Send + Sync>) {
        self.0 = value;
    }
}
