//! Rows of tables as imports of components: functions and resources in a linker.

use super::call::{Code, Function, Resource};
use super::cx::Cx;
use super::later::Call;
use ampoule::Error;
use ampoule_component::Linker;

/// Defines these interfaces, under the names of one version: the linker's rules let it stand for all others of its track. Each store that calls
/// them keeps its [`crate::WasiCtx`] in its slots.
///
/// # Errors
/// A name that is taken, when the linker doesn't allow shadowing.
pub fn add(
    linker: &mut Linker,
    version: &str,
    resources: &'static [Resource],
    functions: &'static [Function],
) -> Result<(), Error> {
    for resource in resources {
        let mut instance = linker.instance(&format!("{}@{version}", resource.interface))?;
        instance.resource(resource.name, resource.ty, |store, rep| {
            let dropped = Cx::new(store, None).and_then(|mut cx| (resource.dropped)(&mut cx, rep));
            dropped.map_err(|error| error.ending(store))
        })?;
    }
    for function in functions {
        let mut instance = linker.instance(&format!("{}@{version}", function.interface))?;
        match function.code {
            Code::Now(code) => instance.func_of_bytes(function.name, move |store, ty, args, results| {
                let answer = Cx::new(store, Some(ty)).and_then(|mut cx| code(&mut cx, args));
                store.check_budget()?;
                match (answer.map_err(|error| error.ending(store))?, results) {
                    (Some(answer), [result]) => *result = answer,
                    (None, []) => {}
                    _ => return Err(Error::message("the import has another result than the function")),
                }
                Ok(())
            })?,
            Code::Later(code) => {
                instance.func_async(function.name, move |accessor, ty, args| code(Call::new(accessor, ty), args))?;
            }
        }
    }
    Ok(())
}
