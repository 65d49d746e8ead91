//! References of guests and hosts while the collector moves what they lead to.

use ampoule::func::host::HostFunc;
use ampoule::store::epoch::UpdateDeadline;
use ampoule::store::limiter::{LimitRequest, Limiter, Resource};
use ampoule::*;
use std::ffi::c_void;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

/// An engine in which every allocation of an object collects.
fn stressed() -> Engine {
    Engine::new(&Config { gc_stress: true, ..Config::default() }).unwrap()
}

fn new(store: &mut Store, number: i32) -> ExternRef {
    ExternRef::new(store, Box::new(number)).unwrap()
}

fn number(store: &Store, value: &Option<ExternRef>) -> i32 {
    *value.as_ref().expect("not null").data(store).unwrap().unwrap().downcast_ref().unwrap()
}

/// Functions of the host `new: (i32) -> externref`, and `check: (externref, i32)`, which also collects.
fn host(store: &mut Store) -> [Extern; 2] {
    let make = Func::wrap(store, |mut caller: Caller<'_>, value: i32| Some(new(caller.store(), value))).unwrap();
    let check = Func::wrap(store, |mut caller: Caller<'_>, value: Option<ExternRef>, expected: i32| {
        caller.store().gc();
        assert_eq!(number(caller.store(), &value), expected);
    });
    [Extern::Func(make), Extern::Func(check.unwrap())]
}

const KEEPER: &str = r#"(module
    (import "" "new" (func $new (param i32) (result externref)))
    (import "" "check" (func $check (param externref i32)))
    (global $g (mut externref) (ref.null extern))
    (table $t 8 externref)
    ;; Keeps references in locals, on the stack, in a table and in a global, while others are made.
    (func $keep (export "keep") (param $depth i32) (param $mine externref) (result externref)
        (local $a externref) (local $b externref)
        (local.set $a (call $new (i32.const 1)))
        (table.set $t (i32.const 3) (call $new (i32.const 2)))
        (global.set $g (call $new (i32.const 3)))
        (local.set $b (local.get $a))
        (call $new (i32.const 4))
        (if (local.get $depth)
            (then (drop (call $keep (i32.sub (local.get $depth) (i32.const 1)) (call $new (i32.const 5)))))
        )
        (call $check (i32.const 4))
        (call $check (local.get $b) (i32.const 1))
        (call $check (local.get $a) (i32.const 1))
        (call $check (table.get $t (i32.const 3)) (i32.const 2))
        (call $check (global.get $g) (i32.const 3))
        (call $check (local.get $mine) (i32.const 5))
        (local.get $mine))
    (func (export "grow_and_fill") (param $value externref) (param $n i32) (result i32)
        (local $before i32)
        (local.set $before (table.grow $t (local.get $value) (local.get $n)))
        (table.fill $t (i32.const 0) (local.get $value) (local.get $n))
        (call $check (table.get $t (i32.const 0)) (i32.const 7))
        (call $check (table.get $t (i32.sub (local.get $n) (i32.const 1))) (i32.const 7))
        (call $check (table.get $t (i32.sub (table.size $t) (i32.const 1))) (i32.const 7))
        (local.get $before)))"#;

#[test]
fn guests_keep_their_references_while_everything_moves() {
    for strategy in [Strategy::Auto, Strategy::Eager] {
        let engine = Engine::new(&Config { gc_stress: true, strategy, ..Config::default() }).unwrap();
        let module = Module::new(&engine, KEEPER.as_bytes()).unwrap();
        let mut store = Store::new(&engine);
        let imports = host(&mut store);
        let instance = Instance::new(&mut store, &module, &imports).unwrap();
        let keep = instance.get_func(&store, "keep").unwrap();
        let keep = keep.typed::<(i32, Option<ExternRef>), Option<ExternRef>>(&store).unwrap();
        let mine = Some(new(&mut store, 5));
        let kept = keep.call(&mut store, (10, mine.clone())).unwrap();
        assert!(kept == mine && number(&store, &kept) == 5);
        let found = store.statistics();
        assert!(found.gc_minor_collections > 100 && found.gc_major_collections > 50);
    }
}

#[test]
fn a_table_is_filled_with_what_moves_meanwhile() {
    let mut config = Config::default();
    config.epoch_interruption(true);
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, KEEPER.as_bytes()).unwrap();
    let mut store = Store::new(&engine);
    let imports = host(&mut store);
    let instance = Instance::new(&mut store, &module, &imports).unwrap();
    store.set_epoch_deadline(1);
    // Between two portions everything else goes, and what is left moves; then the nursery is written to.
    store.epoch_deadline_callback(Some(Box::new(|store| {
        store.gc();
        for other in 0..100 {
            new(store, other);
        }
        Ok(UpdateDeadline::Continue(0))
    })));
    engine.increment_epoch();
    let fill = instance.get_func(&store, "grow_and_fill").unwrap();
    let fill = fill.typed::<(Option<ExternRef>, i32), i32>(&store).unwrap();
    let value = new(&mut store, 7);
    assert_eq!(fill.call(&mut store, (Some(value), 200_000)).unwrap(), 8);
}

/// Reads its raw argument after a collection, and gives it back.
unsafe extern "C" fn echo(
    _: *mut c_void,
    caller: *mut ampoule_core::vm::VmCaller,
    values: *mut VmValRaw,
    _: usize,
) -> *mut c_void {
    // SAFETY: as the thunk calls it.
    unsafe {
        let mut caller = Caller::from_vm(caller);
        let before = (*values).externref;
        caller.store().gc();
        new(caller.store(), 1);
        let after = (*values).externref;
        assert!(before != 0 && after != before, "a young object has moved");
        let value = ExternRef::from_raw(caller.store(), after);
        assert_eq!(number(caller.store(), &value), 9);
        // A number in its place stays what it is.
        (*values).i32 = 0;
        caller.store().gc();
        assert_eq!((*values).i32, 0);
        (*values).externref = value.unwrap().to_lasting_raw(caller.store()).unwrap();
        caller.store().gc();
    }
    std::ptr::null_mut()
}

#[test]
fn raw_arguments_are_up_to_date_while_the_host_has_them() {
    let engine = Engine::default();
    let mut store = Store::new(&engine);
    let ty = FuncType::new([ValType::EXTERNREF], [ValType::EXTERNREF]);
    // SAFETY: the callback does as it should.
    let echo = unsafe { HostFunc::raw(&engine, &ty, echo, std::ptr::null_mut(), Box::new(())) };
    let echo = Func::from_host(&mut store, &Arc::new(echo.unwrap()));
    let module = Module::new(
        &engine,
        br#"(module (import "" "echo" (func $echo (param externref) (result externref)))
            (func (export "f") (param externref) (result externref) (call $echo (local.get 0))))"#,
    );
    let instance = Instance::new(&mut store, &module.unwrap(), &[Extern::Func(echo)]).unwrap();
    let f = instance.get_func(&store, "f").unwrap().typed::<Option<ExternRef>, Option<ExternRef>>(&store).unwrap();
    let value = Some(new(&mut store, 9));
    assert!(f.call(&mut store, value.clone()).unwrap() == value);
}

#[test]
fn suspended_guests_keep_their_references() {
    let engine = stressed();
    let mut store = Store::new(&engine);
    let later = Func::wrap_async(&mut store, |(value,): (i32,)| async move {
        let mut polled = false;
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        value
    });
    let mut imports = host(&mut store).to_vec();
    imports.insert(0, Extern::Func(later.unwrap()));
    let module = Module::new(
        &engine,
        br#"(module (import "" "later" (func $later (param i32) (result i32)))
            (import "" "new" (func $new (param i32) (result externref)))
            (import "" "check" (func $check (param externref i32)))
            (func (export "f") (param externref) (result externref) (local $a externref)
                (local.set $a (call $new (i32.const 1)))
                (drop (call $later (i32.const 0)))
                (call $check (local.get $a) (i32.const 1))
                (local.get 0)))"#,
    );
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(instance) = pin!(Instance::new_async(&mut store, &module.unwrap(), &imports)).poll(&mut context)
    else {
        panic!("nothing waits")
    };
    let instance = instance.unwrap();
    let f = instance.get_func(&store, "f").unwrap().typed::<Option<ExternRef>, Option<ExternRef>>(&store).unwrap();
    let value = Some(new(&mut store, 9));
    let store: *mut Store = &mut *store;
    // SAFETY: the future uses the store only while it is polled.
    let mut call = pin!(f.call_async(unsafe { &mut *store }, value.clone()));
    assert!(call.as_mut().poll(&mut context).is_pending());
    for other in 0..20 {
        // SAFETY: as above; the guest is suspended.
        let store = unsafe { &mut *store };
        new(store, other);
        store.gc();
    }
    let Poll::Ready(kept) = call.poll(&mut context) else { panic!("the guest goes on") };
    assert!(kept.unwrap() == value);
}

struct CountsDrops(Arc<AtomicUsize>);

impl Drop for CountsDrops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Uses the store when it is dropped, as a finalizer in C can.
struct UsesStore(usize);

impl Drop for UsesStore {
    fn drop(&mut self) {
        let store = Store::borrow_at(self.0);
        let value = Some(new(store, 77));
        store.gc();
        assert_eq!(number(store, &value), 77);
    }
}

trait BorrowAt {
    fn borrow_at<'a>(address: usize) -> &'a mut Store;
}

impl BorrowAt for Store {
    fn borrow_at<'a>(address: usize) -> &'a mut Store {
        // SAFETY: the tests give the address of a store that lives, which is in the middle of `new` or `gc`.
        unsafe { Store::borrow_raw(address as *mut _) }
    }
}

#[test]
fn finalizers_may_use_the_store() {
    for engine in [stressed(), Engine::default()] {
        let vm = Store::new(&engine).into_raw();
        let store = Store::borrow_at(vm as usize);
        for value in 0..2000 {
            drop(ExternRef::new(store, Box::new(UsesStore(vm as usize))).unwrap());
            let value_of = Some(new(store, value));
            assert_eq!(number(store, &value_of), value);
            if value % 100 == 0 {
                store.gc();
            }
        }
        store.gc();
        // SAFETY: nobody uses it any more. What is left of values is dropped before.
        drop(unsafe { Store::from_raw(vm) });
    }
}

#[test]
fn ten_thousand_finalizers_run_once_each() {
    let engine = Engine::default();
    let drops = Arc::new(AtomicUsize::new(0));
    let mut store = Store::new(&engine);
    let make = |store: &mut Store| ExternRef::new(store, Box::new(CountsDrops(drops.clone()))).unwrap();
    let mut kept: Vec<_> = (0..10_000).map(|_| make(&mut store)).collect();
    store.gc();
    assert_eq!(drops.load(Ordering::Relaxed), 0);
    // Values of which the store is not told go by themselves, sooner or later.
    for _ in 0..100_000 {
        make(&mut store);
    }
    assert!(drops.load(Ordering::Relaxed) > 80_000);
    store.gc();
    assert_eq!(drops.load(Ordering::Relaxed), 100_000);
    kept.truncate(2500);
    store.gc();
    assert_eq!(drops.load(Ordering::Relaxed), 107_500);
    drop(store);
    assert_eq!(drops.load(Ordering::Relaxed), 110_000);
    assert!(kept[0].data(&Store::new(&engine)).is_err());
}

#[test]
fn a_thousand_stores_have_heaps() {
    let engine = Engine::default();
    let drops = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let mut stores: Vec<_> = (0..1000).map(|_| Store::new(&engine)).collect();
        let values: Vec<_> = stores
            .iter_mut()
            .map(|store| ExternRef::new(store, Box::new(CountsDrops(drops.clone()))).unwrap())
            .collect();
        stores.iter_mut().for_each(|store| store.gc());
        assert!(values.iter().zip(&stores).all(|(value, store)| value.data(store).is_ok()));
        assert!(stores[0].statistics().gc_reserved_bytes > 4 << 30);
    }
    assert_eq!(drops.load(Ordering::Relaxed), 2000);
}

#[test]
fn statistics_tell_of_the_heap() {
    let mut store = Store::new(&Engine::default());
    let before = store.statistics();
    assert!(before.gc_heap_bytes == 0 && before.gc_reserved_bytes == 0 && before.gc_allocated_bytes == 0);
    let mut values: Vec<_> = (0..10_000).map(|value| new(&mut store, value)).collect();
    let same = values[0].clone();
    let found = store.statistics();
    assert_eq!((found.gc_allocated_bytes, found.gc_roots, found.gc_host_values), (80_000, 10_001, 10_000));
    assert!(found.gc_minor_collections > 0 && found.gc_heap_bytes >= 80_000, "{found:?}");
    values.truncate(100);
    let majors = found.gc_major_collections;
    store.gc();
    let found = store.statistics();
    assert_eq!((found.gc_allocated_bytes, found.gc_roots, found.gc_host_values), (80_000, 101, 100));
    assert_eq!((found.gc_live_bytes, found.gc_major_collections), (800, majors + 1));
    assert!(found.gc_longest_ns > 0 && found.gc_time_ns >= found.gc_longest_ns, "{found:?}");
    assert!(same == values[0]);
}

#[test]
fn without_support_no_heap_is_reserved() {
    let mut config = Config::default();
    config.features.exceptions = true;
    (config.features.gc_types, config.features.gc, config.features.function_references) = (false, true, true);
    let engine = Engine::new(&config).unwrap();
    let mut store = Store::new(&engine);
    let refused = |error: Error| {
        assert_eq!(error.to_string(), "cannot allocate a GC store when GC is disabled at configuration time");
    };
    refused(ExternRef::new(&mut store, Box::new(1)).unwrap_err());
    let ty = engine.declare(CompositeType::Struct(StructType { fields: [].into() })).unwrap();
    refused(StructRef::new(&mut store, &ty, &[]).unwrap_err());
    let tag = Tag::new(&mut store, &TagType { func: FuncType::new([], []) }).unwrap();
    refused(ExnRef::new(&mut store, tag, &[]).unwrap_err());
    let text = r#"(module (tag) (func (export "f") (result i32) (i31.get_s (ref.i31 (i32.const -5)))))"#;
    let module = Module::new(&engine, text.as_bytes()).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let f = instance.get_typed_func::<(), i32>(&store, "f").unwrap();
    assert_eq!(f.call(&mut store, ()).unwrap(), -5);
    store.gc();
    let found = store.statistics();
    assert_eq!((found.gc_reserved_bytes, found.gc_heap_bytes, found.gc_minor_collections), (0, 0, 0));
}

/// Allows so many bytes, and notes what it was asked.
struct Most(u64, Arc<AtomicUsize>);

impl Limiter for Most {
    fn allow(&mut self, request: &LimitRequest) -> Result<bool, Error> {
        assert_eq!((request.resource, request.maximum), (Resource::Memory, None));
        assert_eq!(request.grows, request.current > 0);
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(request.desired <= self.0)
    }

    fn failed(&mut self, _: &LimitRequest, _: &Error) {}
}

#[test]
fn limits_bound_the_heap_and_a_full_one_can_be_used_again() {
    let engine = Engine::default();
    let drops = Arc::new(AtomicUsize::new(0));
    let make = |store: &mut Store| ExternRef::new(store, Box::new(CountsDrops(drops.clone())));
    let mut store = Store::new(&engine);
    store.limits_mut().memory_size = Some(0xffff);
    let error = make(&mut store).unwrap_err().to_string();
    assert!(error.starts_with("GC heap out of memory: no capacity for allocation of "), "{error}");
    assert_eq!((drops.load(Ordering::Relaxed), store.statistics().gc_heap_bytes), (1, 0));

    // By the fixed number, and by the limiter.
    for by_limiter in [false, true] {
        drops.store(0, Ordering::Relaxed);
        let asked = Arc::new(AtomicUsize::new(0));
        let mut store = Store::new(&engine);
        if by_limiter {
            store.set_limiter(Some(Box::new(Most(1 << 20, asked.clone())))).unwrap();
        } else {
            store.limits_mut().memory_size = Some(1 << 20);
        }
        for _ in 0..3 {
            let mut kept = Vec::new();
            let error = loop {
                match make(&mut store) {
                    Ok(value) => kept.push(value),
                    Err(error) => break error.to_string(),
                }
            };
            assert_eq!(error, "GC heap out of memory: no capacity for allocation of 8 bytes");
            assert!((50_000..=131_072).contains(&kept.len()), "{}", kept.len());
            assert!(store.statistics().gc_heap_bytes <= 1 << 20);
            assert!(kept.iter().all(|value| value.data(&store).is_ok()));
        }
        assert!(!by_limiter || asked.load(Ordering::Relaxed) > 2);
    }
}

#[test]
fn nothing_of_one_heap_is_left_in_the_next() {
    let engine = Engine::default();
    for round in 0..10 {
        let mut store = Store::new(&engine);
        let mut kept = Vec::new();
        for value in 0..20_000 {
            kept.push(new(&mut store, value));
        }
        store.gc();
        // What was a reference in a former store leads to nothing.
        let raw = kept[17_000].to_raw(&store).unwrap();
        drop(store);
        let mut store = Store::new(&engine);
        assert!(ExternRef::from_raw(&mut store, raw).is_none());
        let first = new(&mut store, round);
        assert!(ExternRef::from_raw(&mut store, raw).is_none());
        assert_eq!(number(&store, &Some(first)), round);
    }
}
