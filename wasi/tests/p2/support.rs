//! A guest for tests of 0.2, which passes on what a test calls.

use crate::in_task::in_task;
use crate::pass_through;
use ampoule::{Engine, Error, Store};
use ampoule_component::{Component, Instance, Linker, Val, ValRef};
use ampoule_wasi::host::http::{HttpConfig, HttpCtx};
use ampoule_wasi::p2::{add_http_to_linker, add_to_linker};
use ampoule_wasi::{WasiConfig, WasiCtx};
use std::cell::Cell;
use std::sync::OnceLock;

const INTERFACES: &str = include_str!("interfaces.txt");

/// The names of all functions that the tests know, with those of their interfaces.
pub fn all_functions() -> Vec<(String, String)> {
    pass_through::all_functions(INTERFACES)
}

/// The component's text.
fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| pass_through::component(INTERFACES, "0.2.12"))
}

pub struct Guest {
    pub store: Box<Store>,
    instance: Instance,
    functions: Vec<(String, String)>,
}

thread_local! {
    /// Whether guests of this thread are called in tasks, which can be suspended.
    static IN_TASKS: Cell<bool> = const { Cell::new(false) };
}

/// Makes claims about guests that are called in tasks, and about others.
pub fn each_way(claims: impl Fn()) {
    for in_tasks in [false, true] {
        IN_TASKS.set(in_tasks);
        claims();
    }
    IN_TASKS.set(false);
}

impl Guest {
    pub fn new(config: WasiConfig) -> Self {
        Self::in_engine(&Engine::default(), Some(config))
    }

    /// With this of HTTP, too.
    pub fn with_http(config: &HttpConfig) -> Self {
        Self::with_http_and(config, WasiConfig::new())
    }

    /// With both.
    pub fn with_http_and(config: &HttpConfig, wasi: WasiConfig) -> Self {
        let mut guest = Self::new(wasi);
        guest.store.slots_mut().insert::<HttpCtx>(config.build());
        guest
    }

    /// In a store of this engine, one tick from its epoch deadline; without a configuration where there is none.
    pub fn in_engine(engine: &Engine, config: Option<WasiConfig>) -> Self {
        let component = match Component::new(engine, text().as_bytes()) {
            Ok(component) => component,
            Err(error) => panic!("{error}\n{}", text()),
        };
        let mut linker = Linker::new(engine);
        add_http_to_linker(&mut linker).expect("nothing is defined yet");
        add_to_linker(&mut linker).expect("they have no name in common");
        let mut store = Store::new(engine);
        store.set_epoch_deadline(1);
        if let Some(config) = config {
            store.slots_mut().insert::<WasiCtx>(config.build());
        }
        let instance = linker.instantiate(&mut store, &component).expect("all imports are there");
        Self { store, instance, functions: all_functions() }
    }

    /// Calls a function by the end of its name, `interface#function`, whatever comes of it. Functions without result answer `false`.
    pub fn try_call(&mut self, name: &str, args: &[Val]) -> Result<Val, Error> {
        let (interface, function) = name.split_once('#').expect("interface#function");
        let of_name = |(of, name): &(String, String)| {
            let bare = name.split_once(']').map_or(&**name, |(_, name)| name);
            of.ends_with(interface) && (name == function || bare == function)
        };
        let index = self.functions.iter().position(of_name).unwrap_or_else(|| panic!("no function {name}"));
        let func = self.instance.get_func(&mut self.store, &[&format!("f{index}")])?.expect("exported");
        let has_result = func.ty(&mut self.store)?.result().is_some();
        let mut results = [Val::default()];
        if IN_TASKS.get() {
            let args = args.to_vec();
            return in_task(&mut self.store, move |store| {
                func.call(store, &args, &mut results[..usize::from(has_result)])?;
                let [result] = results;
                Ok(result)
            })
            .0;
        }
        func.call(&mut self.store, args, &mut results[..usize::from(has_result)])?;
        let [result] = results;
        Ok(result)
    }

    /// Calls a function that doesn't end the guest.
    pub fn call(&mut self, name: &str, args: &[Val]) -> Val {
        self.try_call(name, args).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The same of a function that answers success or failure.
    pub fn result(&mut self, name: &str, args: &[Val]) -> Result<Option<Val>, Option<Val>> {
        match self.call(name, args).get() {
            ValRef::Ok(value) => Ok(value.cloned()),
            ValRef::Err(value) => Err(value.cloned()),
            other => panic!("{name} answers {other:?}"),
        }
    }

    /// What a function answers that succeeds with a value.
    pub fn ok(&mut self, name: &str, args: &[Val]) -> Val {
        self.result(name, args).unwrap_or_else(|error| panic!("{name}: {error:?}")).unwrap_or_default()
    }

    /// The name of the error that a function answers.
    pub fn err(&mut self, name: &str, args: &[Val]) -> String {
        let error = self.result(name, args).err().flatten();
        match error.as_ref().map(Val::get) {
            Some(ValRef::Enum(name) | ValRef::Variant(name, _)) => String::from_utf8_lossy(name).into_owned(),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Drops a resource that the test has.
    pub fn drop(&mut self, val: Val) -> Result<(), Error> {
        let ValRef::Resource(Some(resource)) = val.get() else { panic!("not a resource: {val:?}") };
        resource.drop(&mut self.store)
    }
}

/// The bytes of a `list<u8>`.
pub fn bytes_of(val: &Val) -> Vec<u8> {
    let ValRef::List(elements) = val.get() else { panic!("not a list: {val:?}") };
    elements
        .iter()
        .map(|element| if let ValRef::U8(byte) = element.get() { byte } else { panic!("not a byte") })
        .collect()
}

/// A `list<u8>` of these bytes.
pub fn list_of(bytes: &[u8]) -> Val {
    Val::list(bytes.iter().map(|&byte| Val::from(byte)).collect::<Vec<_>>())
}
