//! The core items of a component that is being instantiated: its core instances, and the index spaces.
//!
//! Names of core items are looked up once for a component: what was found is noted with the step that has the name, and holds for each
//! later instance whose modules are the same.

use crate::definition::CoreSort;
use crate::names::IndexMap;
use ampoule::sync::OnceLock;
use ampoule::{Error, Extern, Module, Store};
use ampoule_core::module::Item;

/// The core index spaces of a scope.
#[derive(Default)]
pub(crate) struct CoreItems<'d> {
    pub(crate) instances: Vec<CoreInstance<'d>>,
    pub(crate) funcs: Vec<Extern>,
    pub(crate) tables: Vec<Extern>,
    pub(crate) memories: Vec<Extern>,
    pub(crate) globals: Vec<Extern>,
    pub(crate) tags: Vec<Extern>,
}

pub(crate) enum CoreInstance<'d> {
    Of(ampoule::Instance),
    Items(&'d IndexMap<Box<str>, (CoreSort, u32)>),
}

/// Where an item of a core instance is.
pub(crate) struct Place {
    instance: u32,
    of: PlaceIn,
}

enum PlaceIn {
    /// Of an instance that was made of items: by sort and index.
    Items(CoreSort, u32),
    /// Of an instance of this module.
    Module(Module, Item),
}

/// Where the imports of a module come from, for a step that instantiates one; once they were looked up.
#[derive(Default)]
pub(crate) struct ImportPlaces(OnceLock<(Module, Box<[Place]>)>);

/// Where an alias leads, once it was looked up.
#[derive(Default)]
pub(crate) struct AliasPlace(OnceLock<Place>);

impl CoreItems<'_> {
    /// The index space of a sort.
    pub(crate) fn space(&mut self, sort: CoreSort) -> &mut Vec<Extern> {
        match sort {
            CoreSort::Func => &mut self.funcs,
            CoreSort::Table => &mut self.tables,
            CoreSort::Memory => &mut self.memories,
            CoreSort::Global => &mut self.globals,
            CoreSort::Tag => &mut self.tags,
        }
    }

    /// A function by index.
    pub(crate) fn func(&self, index: u32) -> ampoule::Func {
        match self.funcs[index as usize] {
            Extern::Func(func) => func,
            _ => unreachable!("the space of core functions has functions"),
        }
    }

    /// What the imports of a module are: `args` are instances, by the names that imports give for modules.
    ///
    /// # Errors
    /// Where one is missing: the validator has seen to it that none is.
    pub(crate) fn imports(
        &self,
        store: &Store,
        module: &Module,
        args: &IndexMap<Box<str>, u32>,
        places: &ImportPlaces,
    ) -> Result<Vec<Extern>, Error> {
        if let Some((of, places)) = places.0.get()
            && of.same(module)
            && let Some(found) = places.iter().map(|place| self.at(store, place)).collect()
        {
            return Ok(found);
        }
        let find = |import: &ampoule_core::module::Import| {
            let &instance =
                args.get(&*import.module).ok_or_else(|| missing("instantiation argument", &import.module))?;
            self.find(store, instance, &import.name).ok_or_else(|| missing("core instance", &import.name))
        };
        let found: Box<[Place]> = module.description().imports.iter().map(find).collect::<Result<_, _>>()?;
        let imports = found.iter().map(|place| self.at(store, place).expect("just found")).collect();
        // Of two that find them at a time, one is as good as the other.
        let _ = places.0.set((module.clone(), found));
        Ok(imports)
    }

    /// What an alias of an instance's item is.
    ///
    /// # Errors
    /// As for imports.
    pub(crate) fn alias(&self, store: &Store, instance: u32, name: &str, place: &AliasPlace) -> Result<Extern, Error> {
        if let Some(found) = place.0.get().and_then(|place| self.at(store, place)) {
            return Ok(found);
        }
        let found = self.find(store, instance, name).ok_or_else(|| missing("core instance", name))?;
        let item = self.at(store, &found).expect("just found");
        let _ = place.0.set(found);
        Ok(item)
    }

    fn find(&self, store: &Store, instance: u32, name: &str) -> Option<Place> {
        let of = match &self.instances[instance as usize] {
            CoreInstance::Of(found) => {
                let module = found.module(store).ok()?;
                PlaceIn::Module(module.clone(), module.export_item(name)?)
            }
            CoreInstance::Items(items) => {
                let &(sort, index) = items.get(name)?;
                PlaceIn::Items(sort, index)
            }
        };
        Some(Place { instance, of })
    }

    /// The item at a place; `None` where the place is that of an instance of another module.
    fn at(&self, store: &Store, place: &Place) -> Option<Extern> {
        match (&self.instances[place.instance as usize], &place.of) {
            (CoreInstance::Items(_), &PlaceIn::Items(sort, index)) => {
                let space = match sort {
                    CoreSort::Func => &self.funcs,
                    CoreSort::Table => &self.tables,
                    CoreSort::Memory => &self.memories,
                    CoreSort::Global => &self.globals,
                    CoreSort::Tag => &self.tags,
                };
                space.get(index as usize).cloned()
            }
            (CoreInstance::Of(instance), PlaceIn::Module(module, item)) => {
                instance.module(store).ok()?.same(module).then(|| instance.item(store, *item))
            }
            _ => None,
        }
    }
}

fn missing(of: &str, name: &str) -> Error {
    Error::message(format!("no {of} `{name}` is there"))
}
