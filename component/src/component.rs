//! Components: what was read and may be instantiated in any store of its engine.

use crate::decode::decode;
use crate::definition::Definition;
use crate::names;
use crate::types::item::Items;
use crate::types::{ComponentType, ItemType};
use ampoule::error::ErrorKind;
use ampoule::{Engine, Error, Module, SharedBytes};
use std::fmt;
use std::sync::Arc;

/// A component. Cheap to clone; threads and stores may share it.
#[derive(Clone)]
pub struct Component {
    engine: Engine,
    pub(crate) definition: Arc<Definition>,
    /// For serialization, which keeps them; its modules have theirs in them.
    bytes: SharedBytes,
}

/// The place of an export, for looking it up without its name in any instance of the component.
#[derive(Clone, Debug)]
pub struct ExportIndex {
    /// The component's.
    pub(crate) scope: u64,
    /// From the outermost instance inwards: the names, and their places in the types.
    pub(crate) path: Vec<(Box<str>, usize)>,
    ty: ItemType,
}

impl ExportIndex {
    /// The type of the export.
    pub fn ty(&self) -> &ItemType {
        &self.ty
    }
}

impl Component {
    /// Reads a component in binary or text form. Its functions are compiled as those of modules are.
    ///
    /// # Errors
    /// [`ampoule::error::ErrorKind::Decode`] or [`ampoule::error::ErrorKind::Text`] with the place and the reason.
    pub fn new(engine: &Engine, bytes: &[u8]) -> Result<Component, Error> {
        let from_text;
        let bytes = if bytes.starts_with(b"\0asm") {
            bytes
        } else {
            let text = std::str::from_utf8(bytes)
                .map_err(|_| Error::new(ErrorKind::Text("input bytes aren't valid utf-8".to_string())))?;
            from_text = Module::binary_of_text(text)?;
            &from_text
        };
        let bytes = SharedBytes::from(bytes);
        let definition = decode(engine, &bytes, &mut |module| Module::from_shared(engine, module))?;
        Ok(Component::of(engine, definition, bytes))
    }

    pub(crate) fn of(engine: &Engine, definition: Arc<Definition>, bytes: SharedBytes) -> Component {
        Component { engine: engine.clone(), definition, bytes }
    }

    /// The component's bytes in binary form.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What it imports and exports.
    pub fn ty(&self) -> &Arc<ComponentType> {
        &self.definition.ty
    }

    /// The place of an export, by name, in an instance at another place where one is given. `None` where there is none. A name with a
    /// version is found by its track, as imports are.
    pub fn get_export_index(&self, within: Option<&ExportIndex>, name: &str) -> Option<ExportIndex> {
        Self::export_index_of(&self.definition, within, name)
    }

    pub(crate) fn export_index_of(
        definition: &Definition,
        within: Option<&ExportIndex>,
        name: &str,
    ) -> Option<ExportIndex> {
        let (items, mut path): (&Items, _) = match within {
            None => (&definition.ty.exports, Vec::new()),
            Some(within) if within.scope != definition.scope => return None,
            Some(ExportIndex { ty: ItemType::Instance(instance), path, .. }) => (&instance.exports, path.clone()),
            Some(_) => return None,
        };
        let (index, ty) = names::find(items, name)?;
        let (name, _) = items.get_index(index)?;
        path.push((name.clone(), index));
        Some(ExportIndex { scope: definition.scope, path, ty: ty.clone() })
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component").field("ty", self.ty()).finish_non_exhaustive()
    }
}
