//! A guest for tests of 0.3, which passes on what a test calls; and what tests do with ends of streams.

use crate::pass_through;
use ampoule::{Engine, Error, Store};
use ampoule_component::streams::{FutureReader, StreamReader, StreamWriter, stream};
use ampoule_component::types::ValType;
use ampoule_component::{Component, Func, Instance, Linker, Val, ValRef, run_tasks};
use ampoule_wasi::host::http::{HttpConfig, HttpCtx};
use ampoule_wasi::p3::{add_http_to_linker, add_to_linker};
use ampoule_wasi::{WasiConfig, WasiCtx};
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const INTERFACES: &str = include_str!("interfaces.txt");

/// The names of all functions that the tests know, with those of their interfaces.
pub fn all_functions() -> Vec<(String, String)> {
    pass_through::all_functions(INTERFACES)
}

fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| pass_through::component(INTERFACES, "0.3.0"))
}

/// A store with this configuration, and an instance of a component in it that imports 0.3, or 0.2.
pub fn instantiate(engine: &Engine, text: &str, config: Option<WasiConfig>) -> (Box<Store>, Instance) {
    let component = match Component::new(engine, text.as_bytes()) {
        Ok(component) => component,
        Err(error) => panic!("{error}\n{text}"),
    };
    let mut linker = Linker::new(engine);
    add_to_linker(&mut linker).expect("nothing is defined yet");
    add_http_to_linker(&mut linker).expect("nor of HTTP");
    ampoule_wasi::p2::add_to_linker(&mut linker).expect("versions have no name in common");
    let mut store = Store::new(engine);
    store.set_epoch_deadline(1);
    if let Some(config) = config {
        store.slots_mut().insert::<WasiCtx>(config.build());
        store.slots_mut().insert::<HttpCtx>(HttpConfig::new().build());
    }
    let instance = linker.instantiate(&mut store, &component).expect("all imports are there");
    (store, instance)
}

pub struct Guest {
    pub store: Box<Store>,
    instance: Instance,
    functions: Vec<(String, String)>,
}

impl Guest {
    pub fn new(config: WasiConfig) -> Self {
        Self::in_engine(&Engine::default(), Some(config))
    }

    /// In a store of this engine; without a configuration where there is none.
    pub fn in_engine(engine: &Engine, config: Option<WasiConfig>) -> Self {
        let (store, instance) = instantiate(engine, text(), config);
        Self { store, instance, functions: all_functions() }
    }

    /// Calls a function by the end of its name, `interface#function`, whatever comes of it. Functions without result answer `false`.
    pub fn try_call(&mut self, name: &str, args: &[Val]) -> Result<Val, Error> {
        let func = self.func(name)?;
        let has_result = func.ty(&mut self.store)?.result().is_some();
        let mut results = [Val::default()];
        func.call(&mut self.store, args, &mut results[..usize::from(has_result)])?;
        let [result] = results;
        Ok(result)
    }

    /// The type of a function's argument.
    pub fn parameter(&mut self, name: &str, index: usize) -> ValType {
        let func = self.func(name).expect("the store's");
        let ty = func.ty(&mut self.store).expect("the store's");
        ty.params()[index].1.clone()
    }

    fn func(&mut self, name: &str) -> Result<Func, Error> {
        let (interface, function) = name.split_once('#').expect("interface#function");
        let of_name = |(of, name): &(String, String)| {
            let bare = name.split_once(']').map_or(&**name, |(_, name)| name);
            of.ends_with(interface) && (name == function || bare == function)
        };
        let index = self.functions.iter().position(of_name).unwrap_or_else(|| panic!("no function {name}"));
        Ok(self.instance.get_func(&mut self.store, &[&format!("f{index}")])?.expect("exported"))
    }

    /// Calls a function that doesn't end the guest.
    pub fn call(&mut self, name: &str, args: &[Val]) -> Val {
        self.try_call(name, args).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The same of a function that answers success or failure: the value, or the name of the error.
    pub fn result(&mut self, name: &str, args: &[Val]) -> Result<Val, String> {
        let mut answer = self.call(name, args);
        match answer.take_result() {
            Some(Ok(value)) => Ok(value.map(|value| *value).unwrap_or_default()),
            Some(Err(Some(error))) => Err(name_of(&error)),
            _ => panic!("{name} doesn't answer success or failure"),
        }
    }

    /// Drops a resource that the test has.
    pub fn drop(&mut self, val: &Val) {
        let ValRef::Resource(Some(resource)) = val.get() else { panic!("not a resource: {val:?}") };
        resource.drop(&mut self.store).expect("it goes");
    }

    /// A stream for the guest, and its writable end.
    pub fn stream(&mut self) -> (StreamWriter, Val) {
        let (writer, reader) = stream(&mut self.store, Some(ValType::U8)).expect("there are few");
        (writer, Val::from(reader))
    }

    /// Asks until there is an answer, for a while; the tasks of the store go on meanwhile.
    pub fn wait<T>(&mut self, mut ask: impl FnMut(&mut Store, &mut Context<'_>) -> Poll<Result<T, Error>>) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let _ = run_tasks(&mut self.store).expect("no task is stopped");
            if let Poll::Ready(answer) = ask(&mut self.store, &mut Context::from_waker(Waker::noop())) {
                return answer.expect("the end is there");
            }
            assert!(Instant::now() < deadline, "nothing comes");
            self.store.poll_reactor().expect("the reactor is asked");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// All bytes of a stream, until its end.
    pub fn read_all(&mut self, stream: &mut Val) -> Vec<u8> {
        let mut reader = StreamReader::from_val(stream).expect("a stream");
        let (mut all, mut some) = (Vec::new(), [0; 1000]);
        while let Some(count) = self.wait(|store, cx| reader.poll_read_bytes(store, cx, &mut some)) {
            all.extend_from_slice(&some[..count]);
        }
        all
    }

    /// All elements of a stream that aren't bytes, until its end, or so many.
    pub fn read_vals(&mut self, reader: &mut StreamReader, most: usize) -> Vec<Val> {
        let mut all = Vec::new();
        while all.len() < most
            && let Some(vals) = self.wait(|store, cx| reader.poll_read(store, cx, most - all.len()))
        {
            all.extend(vals);
        }
        all
    }

    /// Writes all of this, until the other end is dropped: gives how many bytes were taken.
    pub fn write_all(&mut self, writer: &mut StreamWriter, bytes: &[u8]) -> usize {
        let mut written = 0;
        while let rest @ [_, ..] = &bytes[written..] {
            match self.wait(|store, cx| writer.poll_write_bytes(store, cx, rest)) {
                Some(count) => written += count,
                None => break,
            }
        }
        written
    }

    /// The value of a future.
    pub fn value(&mut self, future: &mut Val) -> Val {
        let mut reader = FutureReader::from_val(future).expect("a future");
        self.wait(|store, cx| reader.poll_read(store, cx)).expect("a value")
    }

    /// The name of the error that a future of `result<_, error-code>` tells; `None` where that is success.
    pub fn ending(&mut self, future: &mut Val) -> Option<String> {
        match self.value(future).get() {
            ValRef::Ok(None) => None,
            ValRef::Err(Some(error)) => Some(name_of(error)),
            other => panic!("{other:?}"),
        }
    }
}

/// The name of a case.
fn name_of(val: &Val) -> String {
    match val.get() {
        ValRef::Enum(name) | ValRef::Variant(name, _) => String::from_utf8_lossy(name).into_owned(),
        other => panic!("{other:?}"),
    }
}

/// The two values of a tuple.
pub fn pair(mut val: Val) -> (Val, Val) {
    let parts = val.take_tuple().expect("a tuple").into_vec();
    <[Val; 2]>::try_from(parts).expect("of two").into()
}

/// The bytes of a `list<u8>`.
pub fn bytes_of(val: &Val) -> Vec<u8> {
    let ValRef::List(elements) = val.get() else { panic!("not a list: {val:?}") };
    elements
        .iter()
        .map(|element| if let ValRef::U8(byte) = element.get() { byte } else { panic!("not a byte") })
        .collect()
}
