//! A guest that has the ends of streams and futures, and does with them what a test says.

use ampoule::{Config, Engine, Error, Features, Store};
use ampoule_component::streams::StreamReader;
use ampoule_component::{Component, Instance, Linker, Val, ValRef};
use std::sync::{Arc, Mutex};

/// A guest that does with ends of streams and futures what it is told. Its memory begins with 256 numbered bytes.
fn guest() -> String {
    let mut defined = String::new();
    let mut imported = String::new();
    let mut given = String::new();
    let mut code = String::new();
    let mut exported = String::new();
    for (prefix, kind, ty) in [("", "stream", "u8"), ("f-", "future", "u8"), ("s-", "stream", "string")] {
        let (params, args) = match kind {
            "stream" => ("i32 i32 i32", "(local.get 0) (local.get 1) (local.get 2)"),
            _ => ("i32 i32", "(local.get 0) (local.get 1)"),
        };
        let realloc = if ty == "string" { "(realloc $realloc)" } else { "" };
        defined += &format!(
            r#"(type ${prefix}t ({kind} {ty}))
            (core func ${prefix}new (canon {kind}.new ${prefix}t))
            (core func ${prefix}read (canon {kind}.read ${prefix}t async (memory $memory) {realloc}))
            (core func ${prefix}write (canon {kind}.write ${prefix}t async (memory $memory)))
            (core func ${prefix}cancel-read (canon {kind}.cancel-read ${prefix}t))
            (core func ${prefix}cancel-write (canon {kind}.cancel-write ${prefix}t))
            (core func ${prefix}drop-readable (canon {kind}.drop-readable ${prefix}t))
            (core func ${prefix}drop-writable (canon {kind}.drop-writable ${prefix}t))
            (core func ${prefix}forward (canon {kind}.forward ${prefix}t))"#
        );
        let all = [
            ("new", "(result i64)"),
            ("read", &format!("(param {params}) (result i32)")),
            ("write", &format!("(param {params}) (result i32)")),
            ("cancel-read", "(param i32) (result i32)"),
            ("cancel-write", "(param i32) (result i32)"),
            ("drop-readable", "(param i32)"),
            ("drop-writable", "(param i32)"),
            ("forward", "(param i32 i32)"),
        ];
        for (name, ty) in all {
            imported += &format!("(import \"\" \"{prefix}{name}\" (func ${prefix}{name} {ty}))");
            given += &format!("(export \"{prefix}{name}\" (func ${prefix}{name}))");
            let (lifted, args) = match name {
                "new" => ("(result u64)", ""),
                "read" | "write" => ("(param \"end\" u32) (param \"at\" u32) (param \"len\" u32) (result s32)", args),
                "cancel-read" | "cancel-write" => ("async (param \"end\" u32) (result s32)", "(local.get 0)"),
                "forward" => ("(param \"from\" u32) (param \"to\" u32)", "(local.get 0) (local.get 1)"),
                _ => ("(param \"end\" u32)", "(local.get 0)"),
            };
            let core_ty = if lifted.contains("len") { "(param i32 i32 i32) (result i32)" } else { ty };
            code += &format!("(func (export \"{prefix}{name}\") {core_ty} (call ${prefix}{name} {args}))");
            exported +=
                &format!("(func (export \"{prefix}{name}\") {lifted} (canon lift (core func $i \"{prefix}{name}\")))");
        }
    }
    let numbers: String = (0..256).map(|at| format!("\\{at:02x}")).collect();
    format!(
        r#"(component
        (import "source" (func $source (result (stream u8))))
        (import "sink" (func $sink (param "from" (stream u8))))
        (import "answer" (func $answer (result (future u8))))
        (import "s-source" (func $s-source (result (stream string))))
        (import "s-sink" (func $s-sink (param "from" (stream string))))
        (core module $memory
            (memory (export "memory") 1) (data (i32.const 0) "{numbers}")
            ;; The place of a string.
            (data (i32.const 512) "\41\00\00\00\03\00\00\00")
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 128)))
        (core instance $memory (instantiate $memory))
        (alias core export $memory "memory" (core memory $memory))
        (alias core export $memory "realloc" (core func $realloc))
        {defined}
        (core func $set-new (canon waitable-set.new))
        (core func $join (canon waitable.join))
        (core func $poll (canon waitable-set.poll (memory $memory)))
        (core func $source' (canon lower (func $source)))
        (core func $sink' (canon lower (func $sink)))
        (core func $answer' (canon lower (func $answer)))
        (core func $s-source' (canon lower (func $s-source)))
        (core func $s-sink' (canon lower (func $s-sink)))
        (core module $m
            (import "" "memory" (memory 1))
            (import "" "set-new" (func $set-new (result i32)))
            (import "" "join" (func $join (param i32 i32)))
            (import "" "poll" (func $poll (param i32 i32) (result i32)))
            (import "" "source" (func $source (result i32)))
            (import "" "sink" (func $sink (param i32)))
            (import "" "answer" (func $answer (result i32)))
            (import "" "s-source" (func $s-source (result i32)))
            (import "" "s-sink" (func $s-sink (param i32)))
            {imported}
            {code}
            (func (export "source") (result i32) (call $source))
            (func (export "sink") (param i32) (call $sink (local.get 0)))
            (func (export "answer") (result i32) (call $answer))
            (func (export "s-source") (result i32) (call $s-source))
            (func (export "s-sink") (param i32) (call $s-sink (local.get 0)))
            (func (export "join") (param i32) (call $join (local.get 0) (call $set-new)))
            ;; The second number of an end's event, or -2 for none.
            (global $set (mut i32) (i32.const 0))
            (func (export "event") (param $end i32) (result i32)
                (local $is i32)
                (if (i32.eqz (global.get $set)) (then (global.set $set (call $set-new))))
                (call $join (local.get $end) (global.get $set))
                (local.set $is (call $poll (global.get $set) (i32.const 1024)))
                (call $join (local.get $end) (i32.const 0))
                (if (i32.eqz (local.get $is)) (then (return (i32.const -2))))
                (if (i32.ne (i32.load (i32.const 1024)) (local.get $end)) (then unreachable))
                (i32.load (i32.const 1028)))
            ;; A readable end of a stream into which this one is forwarded, so many times over.
            (func (export "lengthen-readable") (param $end i32) (param $times i32) (result i32)
                (local $pair i64)
                (loop $more
                    (local.set $pair (call $new))
                    (call $forward (local.get $end) (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
                    (local.set $end (i32.wrap_i64 (local.get $pair)))
                    (br_if $more (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
                (local.get $end))
            ;; The same with a writable end.
            (func (export "lengthen-writable") (param $end i32) (param $times i32) (result i32)
                (local $pair i64)
                (loop $more
                    (local.set $pair (call $new))
                    (call $forward (i32.wrap_i64 (local.get $pair)) (local.get $end))
                    (local.set $end (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
                    (br_if $more (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
                (local.get $end))
            (func (export "memory") (result i32)
                (i32.store (i32.const 1032) (i32.const 0))
                (i32.store (i32.const 1036) (i32.const 256))
                (i32.const 1032)))
        (core instance $i (instantiate $m (with "" (instance
            (export "memory" (memory $memory)) (export "set-new" (func $set-new)) (export "join" (func $join))
            (export "poll" (func $poll)) (export "source" (func $source')) (export "sink" (func $sink'))
            (export "answer" (func $answer'))
            (export "s-source" (func $s-source')) (export "s-sink" (func $s-sink')) {given}))))
        {exported}
        (func (export "source") (result u32) (canon lift (core func $i "source")))
        (func (export "sink") (param "end" u32) (canon lift (core func $i "sink")))
        (func (export "answer") (result u32) (canon lift (core func $i "answer")))
        (func (export "s-source") (result u32) (canon lift (core func $i "s-source")))
        (func (export "s-sink") (param "end" u32) (canon lift (core func $i "s-sink")))
        (func (export "join") (param "end" u32) (canon lift (core func $i "join")))
        (func (export "event") (param "end" u32) (result s32) (canon lift (core func $i "event")))
        (func (export "lengthen-readable") (param "end" u32) (param "times" u32) (result u32)
            (canon lift (core func $i "lengthen-readable")))
        (func (export "lengthen-writable") (param "end" u32) (param "times" u32) (result u32)
            (canon lift (core func $i "lengthen-writable")))
        (func (export "memory") (result (list u8)) (canon lift (core func $i "memory") (memory $memory))))"#
    )
}

pub(crate) const BLOCKED: i64 = -1;
pub(crate) const NO_EVENT: i64 = -2;
pub(crate) const COMPLETED: i64 = 0;
pub(crate) const DROPPED: i64 = 1;
pub(crate) const CANCELLED: i64 = 2;

pub(crate) struct World {
    engine: Engine,
    component: Component,
}

impl World {
    pub(crate) fn new() -> World {
        let features = Features { component_model_forward: true, ..Features::default() };
        let engine = Engine::new(&Config { features, ..Config::default() }).unwrap();
        let component = Component::new(&engine, guest().as_bytes()).unwrap();
        World { engine, component }
    }

    pub(crate) fn begin(&self) -> Guest {
        let mut linker = Linker::new(&self.engine);
        let ends = Arc::new(Mutex::new(Vec::<Val>::new()));
        let mut root = linker.root();
        for name in ["source", "answer", "s-source"] {
            let ends = ends.clone();
            let source = move |_: &mut Store, _: &_, _: &mut [Val], results: &mut [Val]| {
                results[0] = ends.lock().unwrap().pop().expect("the test has put one there");
                Ok(())
            };
            root.func(name, source).unwrap();
        }
        for name in ["sink", "s-sink"] {
            let ends = ends.clone();
            let sink = move |_: &mut Store, _: &_, args: &mut [Val], _: &mut [Val]| {
                ends.lock().unwrap().push(std::mem::take(&mut args[0]));
                Ok(())
            };
            root.func(name, sink).unwrap();
        }
        let mut store = Store::new(&self.engine);
        let instance = linker.instantiate(&mut store, &self.component).unwrap();
        Guest { store, instance, ends, linker }
    }
}

pub(crate) struct Guest {
    pub(crate) store: Box<Store>,
    /// The one that does what is said.
    pub(crate) instance: Instance,
    linker: Linker,
    /// What the guest gets from the host and gives it.
    pub(crate) ends: Arc<Mutex<Vec<Val>>>,
}

impl Guest {
    /// One more in the same store.
    pub(crate) fn another(&mut self, world: &World) -> Instance {
        self.linker.instantiate(&mut self.store, &world.component).unwrap()
    }

    pub(crate) fn try_call(&mut self, name: &str, args: &[u32]) -> Result<i64, Error> {
        let func = self.instance.get_func(&mut self.store, &[name])?.unwrap_or_else(|| panic!("{name} is exported"));
        let args: Vec<_> = args.iter().map(|&arg| Val::from(arg)).collect();
        let mut results = vec![Val::default(); usize::from(func.ty(&mut self.store)?.result().is_some())];
        func.call(&mut self.store, &args, &mut results)?;
        Ok(match results.first().map(Val::get) {
            None => 0,
            Some(ValRef::U32(result)) => result.into(),
            Some(ValRef::S32(result)) => result.into(),
            Some(ValRef::U64(result)) => result as i64,
            Some(other) => panic!("{other:?}"),
        })
    }

    pub(crate) fn call(&mut self, name: &str, args: &[u32]) -> i64 {
        self.try_call(name, args).unwrap_or_else(|error| panic!("{name} {args:?}: {error:#}"))
    }

    pub(crate) fn refusal(&mut self, name: &str, args: &[u32]) -> String {
        format!("{:#}", self.try_call(name, args).expect_err("it is refused"))
    }

    /// The readable end and the writable one.
    pub(crate) fn new_pair(&mut self, prefix: &str) -> [u32; 2] {
        let pair = self.call(&format!("{prefix}new"), &[]);
        [pair as u32, (pair >> 32) as u32]
    }

    pub(crate) fn memory(&mut self) -> Vec<u8> {
        let func = self.instance.get_func(&mut self.store, &["memory"]).unwrap().unwrap();
        let mut results = [Val::default()];
        func.call(&mut self.store, &[], &mut results).unwrap();
        let ValRef::List(bytes) = results[0].get() else { panic!("a list") };
        bytes.iter().map(|byte| if let ValRef::U8(byte) = byte.get() { byte } else { panic!("a byte") }).collect()
    }

    pub(crate) fn give(&mut self, end: impl Into<Val>) {
        self.ends.lock().unwrap().push(end.into());
    }

    pub(crate) fn take_reader(&mut self) -> StreamReader {
        StreamReader::from_val(&mut self.ends.lock().unwrap().pop().unwrap()).unwrap()
    }
}
