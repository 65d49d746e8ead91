//! The declared types that a type of C's names: it keeps them, so that it means the same however long C has it.

use ampoule::{Engine, Error, Type, TypeId, ValType};

/// Declared types of one engine, and those that they name.
#[derive(Clone, Default)]
pub(crate) struct Named(Vec<Type>);

impl Named {
    /// Those that these types of the engine's name.
    pub(crate) fn by(engine: &Engine, types: impl IntoIterator<Item = ValType>) -> Self {
        let mut named = Self::default();
        for id in types.into_iter().filter_map(ValType::concrete) {
            if named.0.iter().all(|ty| ty.id() != id) {
                named.0.extend(engine.find_type(id));
            }
        }
        named
    }

    /// The one with this number.
    pub(crate) fn find(&self, id: TypeId) -> Option<Type> {
        self.0.iter().find(|ty| ty.id() == id).cloned().or_else(|| self.0.iter().find_map(|ty| ty.named(id)))
    }

    /// Adds those of another type.
    pub(crate) fn add(&mut self, ty: Type) {
        if !self.0.contains(&ty) {
            self.0.push(ty);
        }
    }

    /// Refuses an engine that isn't theirs.
    pub(crate) fn check(&self, engine: &Engine) -> Result<(), Error> {
        if self.0.iter().all(|ty| engine.has_type(ty)) { Ok(()) } else { Err(of_another_engine()) }
    }
}

impl From<Type> for Named {
    fn from(ty: Type) -> Self {
        Self(vec![ty])
    }
}

/// The error of using a type with an engine that it is not of.
pub(crate) fn of_another_engine() -> Error {
    Error::message("the type is of another engine")
}
