//! 0.2 as imports of components: every row of [`FUNCTIONS`] and [`RESOURCES`] in a linker.

use super::call::{Cx, Error, Function};
use super::functions::FUNCTIONS;
use super::http;
use super::resources::{RESOURCES, ResourceType, drop_resource};
use ampoule::Store;
use ampoule_component::Linker;

/// The version whose interfaces these are. Components that import another one of 0.2 get these, too.
pub const VERSION: &str = "0.2.12";

/// Defines all of 0.2 but `wasi:http`. Each store that calls it keeps its [`crate::WasiCtx`] in its slots.
///
/// # Errors
/// A name that is taken, when the linker doesn't allow shadowing.
pub fn add_to_linker(linker: &mut Linker) -> Result<(), ampoule::Error> {
    add(linker, RESOURCES.iter().filter(|resource| !is_http(resource)), FUNCTIONS)
}

/// Defines `wasi:http`. Each store that calls it keeps its [`crate::host::http::HttpCtx`] in its slots, and its [`crate::WasiCtx`], too.
///
/// # Errors
/// A name that is taken, when the linker doesn't allow shadowing.
pub fn add_http_to_linker(linker: &mut Linker) -> Result<(), ampoule::Error> {
    add(linker, RESOURCES.iter().filter(|resource| is_http(resource)), http::FUNCTIONS)
}

fn is_http(resource: &ResourceType) -> bool {
    resource.interface.starts_with("wasi:http/")
}

fn add<'a>(
    linker: &mut Linker,
    resources: impl Iterator<Item = &'a ResourceType>,
    functions: &'static [Function],
) -> Result<(), ampoule::Error> {
    for resource in resources {
        let mut instance = linker.instance(&format!("{}@{VERSION}", resource.interface))?;
        instance.resource(resource.name, resource.ty, |store, rep| {
            let dropped = Cx::new(store).and_then(|mut cx| drop_resource(&mut cx, rep));
            dropped.map_err(|error| end(store, error))
        })?;
    }
    for function in functions {
        let mut instance = linker.instance(&format!("{}@{VERSION}", function.interface))?;
        instance.func_of_bytes(function.name, |store, _, args, results| {
            let answer = Cx::new(store).and_then(|mut cx| (function.call)(&mut cx, args));
            match (answer.map_err(|error| end(store, error))?, results) {
                (Some(answer), [result]) => *result = answer,
                (None, []) => {}
                _ => return Err(ampoule::Error::message("the import has another result than the function")),
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn end(store: &Store, error: Error) -> ampoule::Error {
    match error {
        Error::Trap(error) => error,
        Error::Interrupted => store.interruption(),
        Error::MustWait => unreachable!("what waits is tried again where it waits"),
    }
}
