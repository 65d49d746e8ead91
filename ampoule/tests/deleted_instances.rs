//! Instances that are deleted before their store goes: what becomes of handles, who is in the way, and that nothing is left.

use ampoule::error::ErrorKind;
use ampoule::{
    BudgetKind, Caller, Config, Engine, Error, Extern, Func, FuncType, Global, GlobalType, HeapType, Instance, Linker,
    Module, PoolConfig, RefType, Snapshot, Store, Table, TableType, Val, ValType,
};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

const FUNCREF: RefType = RefType { nullable: true, heap: HeapType::Func };

/// One of everything.
const ALL: &str = r#"(module
    (memory (export "memory") 1) (table (export "table") 4 funcref) (global (export "global") (mut i32) (i32.const 7))
    (tag (export "tag") (param i32))
    (func $seven (export "f") (result i32) (i32.const 7))
    (elem (i32.const 0) func $seven))"#;

fn engine() -> Engine {
    let mut config = Config::new();
    (config.features.function_references, config.features.gc, config.features.exceptions) = (true, true, true);
    Engine::new(&config).unwrap()
}

fn module(engine: &Engine, text: &str) -> Module {
    Module::new(engine, text.as_bytes()).unwrap()
}

fn instance(store: &mut Store, text: &str, imports: &[Extern]) -> Instance {
    let module = module(store.engine(), text);
    Instance::new(store, &module, imports).unwrap()
}

fn export(store: &Store, instance: Instance, name: &str) -> Extern {
    instance.get_export(store, name).unwrap()
}

fn call(store: &mut Store, func: &Func, args: &[Val]) -> Result<i32, Error> {
    let mut results = [Val::I32(0)];
    func.call(store, args, &mut results)?;
    let [Val::I32(result)] = results else { panic!("another type") };
    Ok(result)
}

fn is_deleted<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.expect_err("the instance was deleted");
    assert!(matches!(error.kind(), ErrorKind::Deleted), "{error}");
}

/// Every handle that there may be of an instance of [`ALL`].
struct Handles {
    instance: Instance,
    items: Vec<Extern>,
    from_table: Func,
}

impl Handles {
    fn of(store: &mut Store, instance: Instance) -> Self {
        let items: Vec<Extern> = instance.exports(store).unwrap().map(|(_, item)| item).collect();
        let Extern::Table(table) = &items[1] else { panic!("no table") };
        let Some(Val::FuncRef(Some(from_table))) = table.get(store, 0).unwrap() else { panic!("no function") };
        Handles { instance, items, from_table }
    }

    fn are_refused(&self, store: &mut Store) {
        is_deleted(self.instance.module(store));
        assert!(self.instance.get_export(store, "f").is_none() && self.instance.export_at(store, 0).is_none());
        is_deleted(self.instance.delete(store));
        for item in &self.items {
            match item {
                Extern::Memory(memory) => {
                    is_deleted(memory.data(store));
                    is_deleted(memory.size(store));
                    is_deleted(memory.grow(store, 1));
                }
                Extern::Table(table) => {
                    is_deleted(table.get(store, 0));
                    is_deleted(table.set(store, 0, &Val::FuncRef(None)));
                    is_deleted(table.grow(store, 1, &Val::FuncRef(None)));
                }
                Extern::Global(global) => {
                    is_deleted(global.get(store));
                    is_deleted(global.set(store, &Val::I32(1)));
                }
                Extern::Tag(tag) => is_deleted(tag.ty(store)),
                Extern::Func(func) => is_deleted(call(store, func, &[])),
                Extern::SharedMemory(_) => panic!("there is none"),
            }
        }
        is_deleted(call(store, &self.from_table, &[]));
        is_deleted(self.from_table.ty(store));
        // Nor do they get into the store by another way.
        let ty = TableType { element: FUNCREF, min: 1, max: None, is_64: false };
        is_deleted(Table::new(store, &ty, &Val::FuncRef(Some(self.from_table))));
        let all = r#"(module (import "" "0" (memory 1)) (import "" "1" (table 4 funcref)) (import "" "2" (global (mut i32)))
            (import "" "3" (tag (param i32))) (import "" "4" (func (result i32))))"#;
        let importing = module(store.engine(), all);
        assert!(Instance::new(store, &importing, &self.items).is_err());
    }
}

#[test]
fn handles_of_a_deleted_instance_are_refused_also_when_its_place_has_another() {
    let mut store = Store::new(&engine());
    let all = module(store.engine(), ALL);
    let other = Instance::new(&mut store, &all, &[]).unwrap();
    let others = Handles::of(&mut store, other);
    let mut gone: Vec<Handles> = Vec::new();
    for _ in 0..20 {
        let instance = Instance::new(&mut store, &all, &[]).unwrap();
        let handles = Handles::of(&mut store, instance);
        gone.iter().for_each(|handles| handles.are_refused(&mut store));
        // Those of what is there are as good as ever, old ones too.
        for handles in [&handles, &others] {
            let Extern::Func(func) = &handles.items[4] else { panic!("no function") };
            assert_eq!(call(&mut store, func, &[]).unwrap(), 7);
            assert_eq!(call(&mut store, &handles.from_table, &[]).unwrap(), 7);
            assert_eq!(Handles::of(&mut store, handles.instance).items.len(), 5);
        }
        instance.delete(&mut store).unwrap();
        gone.push(handles);
    }
    gone.iter().for_each(|handles| handles.are_refused(&mut store));
    assert_eq!(store.statistics().instances, 1);
    assert_eq!((store.statistics().memories, store.statistics().tables), (1, 1));
}

#[test]
fn old_functions_that_are_there_are_the_same_and_good_everywhere() {
    let mut store = Store::new(&engine());
    let old = instance(&mut store, ALL, &[]).get_func(&store, "f").unwrap();
    let short_lived = instance(&mut store, ALL, &[]);
    let stale = short_lived.get_func(&store, "f").unwrap();
    let given = Arc::new(Mutex::new(old));
    let gives = given.clone();
    let ty = FuncType::new([], [ValType::Ref(FUNCREF)]);
    let host = Func::new(&mut store, &ty, move |_, _, results| {
        results[0] = Val::FuncRef(Some(*gives.lock().unwrap()));
        Ok(())
    });
    let host = host.unwrap();
    let text = r#"(module (type $f (func (result i32))) (import "" "" (func $host (result funcref)))
        (table 2 funcref) (table $typed 2 (ref null $f))
        (func (export "call") (param funcref) (result i32) (table.set 0 (i32.const 1) (local.get 0))
          (call_indirect (result i32) (i32.const 1)))
        (func (export "call_typed") (param (ref null $f)) (result i32) (call_ref $f (local.get 0)))
        (func (export "call_hosts") (result i32) (table.set 0 (i32.const 1) (call $host))
          (call_indirect (result i32) (i32.const 1))))"#;
    let guest = instance(&mut store, text, &[Extern::Func(host)]);
    let [by_table, typed, hosts] =
        ["call", "call_typed", "call_hosts"].map(|name| guest.get_func(&store, name).unwrap());
    short_lived.delete(&mut store).unwrap();
    assert_eq!(call(&mut store, &by_table, &[Val::FuncRef(Some(old))]).unwrap(), 7);
    assert_eq!(call(&mut store, &typed, &[Val::FuncRef(Some(old))]).unwrap(), 7);
    assert_eq!(call(&mut store, &hosts, &[]).unwrap(), 7);
    for func in [&by_table, &typed] {
        let error = call(&mut store, func, &[Val::FuncRef(Some(stale))]).unwrap_err().to_string();
        assert!(error.contains("deleted"), "{error}");
    }
    *given.lock().unwrap() = stale;
    let error = call(&mut store, &hosts, &[]).unwrap_err();
    assert!(format!("{error:?}").contains("eleted"), "{error:?}");
    // One function, whenever it was asked for.
    let Ok(Val::FuncRef(Some(again))) = Val::FuncRef(Some(old)).to_raw(&store).map(|raw| {
        // SAFETY: the reference was just made of a handle of this store.
        unsafe { Val::from_raw(&mut store, &raw, ValType::Ref(FUNCREF)) }
    }) else {
        panic!("no function")
    };
    assert_eq!(again, old);
}

/// Refuses to delete an instance, and says why; then it lets go, and the instance is deleted.
fn in_the_way(store: &mut Store, used: Instance, why: &str, let_go: impl FnOnce(&mut Store)) {
    let before = store.statistics();
    let error = used.delete(store).unwrap_err().to_string();
    assert!(error.contains("the instance cannot be deleted") && error.contains(why), "{error}");
    assert_eq!(store.statistics().instances, before.instances);
    assert_eq!(call(store, &used.get_func(store, "f").unwrap(), &[]).unwrap(), 7);
    let_go(store);
    used.delete(store).unwrap();
}

#[test]
fn whoever_imports_something_is_in_the_way() {
    let imports = [
        ("memory", "(memory 1)"),
        ("table", "(table 4 funcref)"),
        ("global", "(global (mut i32))"),
        ("tag", "(tag (param i32))"),
        ("f", "(func (result i32))"),
    ];
    for (name, ty) in imports {
        let mut store = Store::new(&engine());
        let used = instance(&mut store, ALL, &[]);
        let item = export(&store, used, name);
        let what = if name == "f" { "function" } else { name };
        // Again exported, and imported from there by a third.
        let middle = instance(
            &mut store,
            &format!(r#"(module (import "" "" {ty}) (export "again" ({0} 0)))"#, &ty[1..ty.find(' ').unwrap()]),
            &[item],
        );
        let again = export(&store, middle, "again");
        let last = instance(&mut store, &format!(r#"(module (import "" "" {ty}))"#), &[again]);
        in_the_way(&mut store, used, &format!("imports its {what}"), |store| {
            middle.delete(store).unwrap();
            assert!(used.delete(store).is_err());
            last.delete(store).unwrap();
        });
    }
}

#[test]
fn who_holds_a_function_is_in_the_way() {
    let mut store = Store::new(&engine());
    let f = |store: &Store, used: Instance| Val::FuncRef(used.get_func(store, "f"));
    let ty = TableType { element: FUNCREF, min: 3, max: None, is_64: false };
    let table = Table::new(&mut store, &ty, &Val::FuncRef(None)).unwrap();
    let used = instance(&mut store, ALL, &[]);
    let func = f(&store, used);
    table.set(&mut store, 2, &func).unwrap();
    in_the_way(&mut store, used, "a table has a function", |store| {
        table.set(store, 2, &Val::FuncRef(None)).unwrap();
    });

    // A large one is a mapping of its own.
    let large = Table::new(&mut store, &TableType { min: 100_000, ..ty }, &Val::FuncRef(None)).unwrap();
    let used = instance(&mut store, ALL, &[]);
    let func = f(&store, used);
    large.set(&mut store, 99_999, &func).unwrap();
    in_the_way(&mut store, used, "a table has a function", |store| {
        large.set(store, 99_999, &Val::FuncRef(None)).unwrap();
    });

    let ty = GlobalType { content: ValType::Ref(FUNCREF), mutable: true };
    let used = instance(&mut store, ALL, &[]);
    let func = f(&store, used);
    let global = Global::new(&mut store, ty, &func).unwrap();
    in_the_way(&mut store, used, "a global has a function", |store| {
        global.set(store, &Val::FuncRef(None)).unwrap();
    });

    let text = r#"(module (global (export "g") (mut funcref) (ref.null func)))"#;
    let holder = instance(&mut store, text, &[]);
    let used = instance(&mut store, ALL, &[]);
    let func = f(&store, used);
    let Extern::Global(global) = export(&store, holder, "g") else { panic!("no global") };
    global.set(&mut store, &func).unwrap();
    in_the_way(&mut store, used, "a global has a function", |store| holder.delete(store).unwrap());

    let used = instance(&mut store, ALL, &[]);
    let ty = FuncType::new([], [ValType::I32]);
    used.get_func(&store, "f").unwrap().native_entry(&mut store, &ty).unwrap();
    let error = used.delete(&mut store).unwrap_err().to_string();
    assert!(error.contains("a native entry point leads to a function"), "{error}");
}

#[test]
fn objects_that_live_are_in_the_way_and_garbage_is_not() {
    let mut store = Store::new(&engine());
    let text = r#"(module (type $box (struct (field i8) (field funcref))) (type $many (array (mut funcref)))
        (global $box (mut (ref null $box)) (ref.null $box)) (global $many (mut (ref null $many)) (ref.null $many))
        (func (export "box") (param funcref) (global.set $box (struct.new $box (i32.const 1) (local.get 0))))
        (func (export "many") (param funcref) (global.set $many (array.new $many (local.get 0) (i32.const 10000))))
        (func (export "waste") (param funcref) (drop (struct.new $box (i32.const 1) (local.get 0))))
        (func (export "drop") (global.set $box (ref.null $box)) (global.set $many (ref.null $many))))"#;
    let holder = instance(&mut store, text, &[]);
    let drop = holder.get_func(&store, "drop").unwrap();
    for name in ["box", "many", "waste"] {
        for collects in [false, true] {
            let used = instance(&mut store, ALL, &[]);
            let f = Val::FuncRef(used.get_func(&store, "f"));
            holder.get_func(&store, name).unwrap().call(&mut store, &[f], &mut []).unwrap();
            if collects {
                store.gc();
            }
            if name == "waste" {
                used.delete(&mut store).unwrap();
            } else {
                in_the_way(&mut store, used, "an object has a function of it", |store| {
                    drop.call(store, &[], &mut []).unwrap();
                });
            }
        }
    }
}

#[test]
fn exceptions_and_objects_outlive_the_instance_that_made_them_only_where_that_is_sound() {
    let mut store = Store::new(&engine());
    let text = r#"(module (type $pair (struct (field i32) (field i64))) (tag $t (export "tag") (param i32))
        (func (export "f") (result i32) (i32.const 7))
        (func (export "make") (result anyref) (struct.new $pair (i32.const 5) (i64.const 6)))
        (func (export "throw") (throw $t (i32.const 9))))"#;
    let used = instance(&mut store, text, &[]);
    let mut made = [Val::AnyRef(None)];
    used.get_func(&store, "make").unwrap().call(&mut store, &[], &mut made).unwrap();
    assert!(used.get_func(&store, "throw").unwrap().call(&mut store, &[], &mut []).is_err());
    in_the_way(&mut store, used, "an exception its tag", |store| drop(store.take_exception()));
    // The object is the host's, and stays what it was, though the module that has its type may be gone.
    store.gc();
    let [Val::AnyRef(Some(object))] = &made else { panic!("no object") };
    let pair = object.as_struct(&store).unwrap().unwrap();
    assert!(matches!(pair.field(&mut store, 1).unwrap(), Val::I64(6)));
    // Another takes the tag's place.
    let next = instance(&mut store, text, &[]);
    assert!(next.get_func(&store, "throw").unwrap().call(&mut store, &[], &mut []).is_err());
    let thrown = store.take_exception().unwrap();
    assert_eq!(thrown.tag(&store).unwrap(), next.get_tag(&store, "tag").unwrap());
}

#[test]
fn no_instance_is_deleted_under_a_guest() {
    let mut store = Store::new(&engine());
    let used = instance(&mut store, ALL, &[]);
    let delete = Func::wrap(&mut store, move |mut caller: Caller<'_>| -> Result<(), Error> {
        let error = used.delete(caller.store()).unwrap_err().to_string();
        assert!(error.contains("the store's guest is running"), "{error}");
        Ok(())
    });
    let delete = delete.unwrap();
    let guest = instance(
        &mut store,
        r#"(module (import "" "" (func)) (func (export "run") (call 0)))"#,
        &[Extern::Func(delete)],
    );
    guest.get_func(&store, "run").unwrap().call(&mut store, &[], &mut []).unwrap();
    used.delete(&mut store).unwrap();
}

#[test]
fn no_instance_is_deleted_while_an_asynchronous_call_waits() {
    let mut store = Store::new(&engine());
    let forever = Func::wrap_async(&mut store, |(): ()| std::future::pending::<Result<(), Error>>()).unwrap();
    let text = r#"(module (import "" "" (func)) (func (export "run") (call 0)))"#;
    let module = module(store.engine(), text);
    let mut context = Context::from_waker(Waker::noop());
    let made = pin!(Instance::new_async(&mut store, &module, &[Extern::Func(forever)])).poll(&mut context);
    let Poll::Ready(Ok(guest)) = made else { panic!("it waits") };
    let run = guest.get_typed_func::<(), ()>(&store, "run").unwrap();
    let address: *mut Store = &mut *store;
    {
        // SAFETY: the store is used by one at a time: nothing polls the call while the instance is to be deleted.
        let mut call = pin!(run.call_async(unsafe { &mut *address }, ()));
        assert!(call.as_mut().poll(&mut context).is_pending());
        // SAFETY: as above.
        let error = guest.delete(unsafe { &mut *address }).unwrap_err().to_string();
        assert!(error.contains("an asynchronous call that is not finished"), "{error}");
    }
    guest.delete(&mut store).unwrap();
}

/// Memory of the process in use, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn a_hundred_thousand_instances_leave_nothing() {
    let mut store = Store::new(&engine());
    let all = module(store.engine(), ALL);
    let budget = store.budget();
    store.limits_mut().instances = 2;
    store.limits_mut().memories = 2;
    store.limits_mut().tables = 2;
    let stays = Instance::new(&mut store, &all, &[]).unwrap();
    let one = budget.total();
    let func = stays.get_func(&store, "f").unwrap();
    call(&mut store, &func, &[]).unwrap();
    // What is compiled once is all instances'.
    let code = budget.used(BudgetKind::Code);
    let mut settled = 0;
    for turn in 0..100_000 {
        let instance = Instance::new(&mut store, &all, &[]).unwrap();
        if turn % 1000 == 0 {
            let func = instance.get_func(&store, "f").unwrap();
            assert_eq!(call(&mut store, &func, &[]).unwrap(), 7);
            assert!(Instance::new(&mut store, &all, &[]).is_err(), "there are two");
            assert_eq!(budget.total(), 2 * one + code);
        }
        instance.delete(&mut store).unwrap();
        if turn == 10_000 {
            settled = resident();
        }
    }
    assert_eq!((budget.total(), budget.peak()), (one + code, 2 * one + code));
    assert_eq!(store.statistics().instances, 1);
    assert!(resident() < settled + (1 << 20), "{} bytes more", resident() - settled);
    stays.delete(&mut store).unwrap();
    assert_eq!((budget.total(), budget.used(BudgetKind::Instance)), (0, 0));
}

#[test]
fn a_pool_has_the_place_of_a_deleted_instance_for_another() {
    let mut config = Config::new();
    config.pool = Some(PoolConfig {
        total_core_instances: 1,
        total_memories: 1,
        total_tables: 1,
        max_memory_size: 1 << 20,
        ..PoolConfig::default()
    });
    config.features.exceptions = true;
    let engine = Engine::new(&config).unwrap();
    let all = module(&engine, ALL);
    let (mut store, mut other) = (Store::new(&engine), Store::new(&engine));
    for _ in 0..10 {
        let instance = Instance::new(&mut store, &all, &[]).unwrap();
        let memory = instance.get_memory(&store, "memory").unwrap();
        let (base, len) = memory.data(&store).unwrap();
        // SAFETY: the bytes are the memory's, and no guest runs.
        let bytes = unsafe { std::slice::from_raw_parts_mut(base, len) };
        assert!(bytes.iter().all(|&byte| byte == 0), "nothing of the one before is left");
        bytes.fill(1);
        assert!(Instance::new(&mut other, &all, &[]).is_err());
        instance.delete(&mut store).unwrap();
        Instance::new(&mut other, &all, &[]).unwrap().delete(&mut other).unwrap();
    }
}

#[test]
fn a_snapshot_is_of_what_is_there_in_the_order_in_which_it_was_made() {
    let mut store = Store::new(&engine());
    let first = instance(&mut store, ALL, &[]);
    let second = instance(&mut store, ALL, &[]);
    let exporter = instance(&mut store, ALL, &[]);
    first.delete(&mut store).unwrap();
    second.delete(&mut store).unwrap();
    // These are in the places of those that are gone, before the one that they import from; and the second imports from the first.
    let text = r#"(module (import "" "" (func (result i32))) (export "f" (func 0)) (memory (export "memory") 1))"#;
    let f = export(&store, exporter, "f");
    let middle = instance(&mut store, text, &[f]);
    let f = export(&store, middle, "f");
    let last = instance(&mut store, text, &[f]);
    let snapshot = Snapshot::take_all(&store, &mut ()).unwrap();
    assert_eq!(snapshot.len(), 3);
    last.get_memory(&store, "memory").unwrap().grow(&mut store, 3).unwrap();
    let budget = store.budget();
    let before = budget.total();
    snapshot.reset(&mut store, &[exporter, middle, last], &mut ()).unwrap();
    assert_eq!(budget.total(), before - 3 * 65536);
    let mut other = Store::new(store.engine());
    let others = other.budget();
    others.set_limits(None, Some(3 * 65536));
    let linker = Linker::new(store.engine());
    assert!(snapshot.instantiate(&mut other, &linker, &mut ()).is_err());
    assert_eq!((others.total(), other.statistics().instances, other.statistics().memories), (0, 0, 0));
    others.set_limits(None, None);
    let made = snapshot.instantiate(&mut other, &linker, &mut ()).unwrap();
    assert_eq!(others.total(), budget.total());
    for instance in made {
        let f = instance.get_func(&other, "f").unwrap();
        assert_eq!(call(&mut other, &f, &[]).unwrap(), 7);
    }
    // What was reset before it was deleted is gone all the same.
    last.delete(&mut store).unwrap();
    assert!(snapshot.reset(&mut store, &[exporter, middle, last], &mut ()).is_err());
}

#[test]
fn a_table_that_was_restored_holds_what_its_elements_stand_for() {
    let mut store = Store::new(&engine());
    let used = instance(&mut store, ALL, &[]);
    let holder = instance(&mut store, r#"(module (table (export "table") 4 funcref))"#, &[]);
    let Extern::Table(table) = export(&store, holder, "table") else { panic!("no table") };
    let f = Val::FuncRef(used.get_func(&store, "f"));
    table.set(&mut store, 1, &f).unwrap();
    let snapshot = Snapshot::take_all(&store, &mut ()).unwrap();
    table.set(&mut store, 1, &Val::FuncRef(None)).unwrap();
    snapshot.reset(&mut store, &[used, holder], &mut ()).unwrap();
    in_the_way(&mut store, used, "a table has a function", |store| {
        table.set(store, 1, &Val::FuncRef(None)).unwrap();
    });
}
