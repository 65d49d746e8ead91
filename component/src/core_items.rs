//! Core items of a component: what a component has of core instances, and how their items are found.
//!
//! While a component is read, nearly all is known: which module an instance is of, and so where its exports are; which item is behind each
//! name of an instance that is made of items. Names are left to instantiation only where a module is an import.

use crate::names::IndexMap;
use ampoule::{Error, Extern, Instance, Module, Store};
use ampoule_core::module::Item;
use smallvec::SmallVec;

/// What the steps of a component add to the core list of its scope.
#[derive(Clone)]
pub(crate) enum CoreItem {
    Instance(Instance),
    Item(Extern),
}

/// The core list of a scope.
pub(crate) struct CoreItems(SmallVec<[CoreItem; 4]>);

/// An export of an instance.
pub(crate) enum CoreExport {
    /// Of a module that is known.
    Item(Item),
    Named(Box<str>),
}

/// Where an import of a module comes from.
pub(crate) enum CoreImport {
    /// From this place in the scope's core list.
    Item(u32),
    /// From the instance in this place.
    Export(u32, CoreExport),
}

/// Where the imports of a module come from.
pub(crate) enum CoreImports {
    /// In the module's order.
    Known(Box<[CoreImport]>),
    /// By the names that a module which is not known yet has for them.
    Named(IndexMap<Box<str>, CoreInstanceRef>),
}

/// A core instance, as it is known while its component is read.
#[derive(Clone)]
pub(crate) enum CoreInstanceRef {
    /// By its place in the scope's core list; with its module, where that is known.
    Of(u32, Option<Module>),
    /// Made of items, which are in these places.
    Items(IndexMap<Box<str>, u32>),
}

impl CoreInstanceRef {
    /// An item by name.
    ///
    /// # Errors
    /// Where there is none: the validator has seen to it that there is.
    pub(crate) fn export(&self, name: &str) -> Result<CoreImport, Error> {
        let missing = || missing("core instance", name);
        Ok(match self {
            CoreInstanceRef::Of(instance, Some(module)) => {
                CoreImport::Export(*instance, CoreExport::Item(module.export_item(name).ok_or_else(missing)?))
            }
            CoreInstanceRef::Of(instance, None) => CoreImport::Export(*instance, CoreExport::Named(name.into())),
            CoreInstanceRef::Items(items) => CoreImport::Item(*items.get(name).ok_or_else(missing)?),
        })
    }
}

impl CoreImports {
    /// Those of a module that is known, where `args` are instances by the names that its imports give for modules.
    ///
    /// # Errors
    /// Where one is missing: the validator has seen to it that none is.
    pub(crate) fn of(module: &Module, args: &IndexMap<Box<str>, CoreInstanceRef>) -> Result<CoreImports, Error> {
        let imports = module.description().imports.iter().map(|import| {
            let instance = args.get(&*import.module).ok_or_else(|| missing_arg(&import.module))?;
            instance.export(&import.name)
        });
        Ok(CoreImports::Known(imports.collect::<Result<_, Error>>()?))
    }
}

impl CoreItems {
    /// An empty list, which so many will be added to.
    pub(crate) fn with_capacity(count: u32) -> CoreItems {
        CoreItems(SmallVec::with_capacity(count as usize))
    }

    pub(crate) fn push(&mut self, item: CoreItem) {
        self.0.push(item);
    }

    /// The item in a place.
    #[inline]
    pub(crate) fn item(&self, at: u32) -> &Extern {
        match &self.0[at as usize] {
            CoreItem::Item(item) => item,
            CoreItem::Instance(_) => unreachable!("the steps that add items know their places"),
        }
    }

    /// The function in a place.
    #[inline]
    pub(crate) fn func(&self, at: u32) -> ampoule::Func {
        match self.item(at) {
            Extern::Func(func) => *func,
            _ => unreachable!("the validator has seen that it is a function"),
        }
    }

    fn instance(&self, at: u32) -> &Instance {
        match &self.0[at as usize] {
            CoreItem::Instance(instance) => instance,
            CoreItem::Item(_) => unreachable!("the steps that add instances know their places"),
        }
    }

    /// Adds an export of the instance in a place.
    ///
    /// # Errors
    /// Where there is none of the name: the validator has seen to it that there is.
    #[inline]
    pub(crate) fn push_export(&mut self, store: &Store, instance: u32, export: &CoreExport) -> Result<(), Error> {
        let instance = self.instance(instance);
        let item = match export {
            // Most are functions. A value that is moved right after it was made waits for the memory that it was written to.
            CoreExport::Item(Item::Func(index)) => {
                let func = instance.func_item(store, *index);
                self.0.push(CoreItem::Item(Extern::Func(func)));
                return Ok(());
            }
            export => export_of(store, instance, export)?,
        };
        self.0.push(CoreItem::Item(item));
        Ok(())
    }

    /// Adds an import to those that were found.
    #[inline]
    fn import(&self, store: &Store, import: &CoreImport, found: &mut Vec<Extern>) -> Result<(), Error> {
        match import {
            CoreImport::Item(at) => match self.item(*at) {
                Extern::Func(func) => found.push(Extern::Func(*func)),
                item => found.push(item.clone()),
            },
            CoreImport::Export(instance, CoreExport::Item(Item::Func(index))) => {
                let func = self.instance(*instance).func_item(store, *index);
                found.push(Extern::Func(func));
            }
            CoreImport::Export(instance, export) => found.push(export_of(store, self.instance(*instance), export)?),
        }
        Ok(())
    }

    /// Adds what the imports of a module are.
    ///
    /// # Errors
    /// As for exports.
    pub(crate) fn imports(
        &self,
        store: &Store,
        module: &Module,
        imports: &CoreImports,
        found: &mut Vec<Extern>,
    ) -> Result<(), Error> {
        match imports {
            CoreImports::Known(imports) => {
                found.reserve(imports.len());
                for import in imports {
                    self.import(store, import, found)?;
                }
            }
            CoreImports::Named(args) => {
                for import in &module.description().imports {
                    let instance = args.get(&*import.module).ok_or_else(|| missing_arg(&import.module))?;
                    self.import(store, &instance.export(&import.name)?, found)?;
                }
            }
        }
        Ok(())
    }
}

fn export_of(store: &Store, instance: &Instance, export: &CoreExport) -> Result<Extern, Error> {
    match export {
        CoreExport::Item(item) => Ok(instance.item(store, *item)),
        CoreExport::Named(name) => instance.get_export(store, name).ok_or_else(|| missing("core instance", name)),
    }
}

fn missing_arg(name: &str) -> Error {
    missing("instantiation argument", name)
}

fn missing(of: &str, name: &str) -> Error {
    Error::message(format!("no {of} `{name}` is there"))
}
