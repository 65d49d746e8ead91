//! One budget for each store: what counts, the limits, and who looks at it.

use ampoule::Strategy;
use ampoule::store::limiter::{LimitRequest, Limiter};
use ampoule::{
    Budget, BudgetKind, Config, Engine, Error, Extern, Func, HeapType, Instance, Memory, MemoryType, Module, RefType,
    SoftLimitPassed, Store, Table, TableType, Val,
};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

const PAGE: u64 = 65536;

const GROWING: &str = r#"(module
    (memory (export "memory") 2) (table (export "table") 10 funcref)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "grow_table") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))"#;

struct World {
    store: Box<Store>,
    module: Module,
}

/// The code is there before anybody runs it, and counts nowhere.
fn world(text: &str) -> World {
    made(text, Strategy::Eager)
}

/// The code is made when it is called.
fn lazy_world(text: &str) -> World {
    made(text, Strategy::Auto)
}

fn made(text: &str, strategy: Strategy) -> World {
    let mut config = Config::new();
    (config.features.function_references, config.features.gc, config.features.threads) = (true, true, true);
    config.shared_memory = true;
    config.strategy = strategy;
    let engine = Engine::new(&config).unwrap();
    World { module: Module::new(&engine, text.as_bytes()).unwrap(), store: Store::new(&engine) }
}

impl World {
    fn instance(&mut self) -> Instance {
        Instance::new(&mut self.store, &self.module, &[]).unwrap()
    }

    fn call(&mut self, instance: Instance, name: &str, arg: i32) -> Result<i32, Error> {
        instance.get_typed_func::<i32, i32>(&self.store, name).unwrap().call(&mut self.store, arg)
    }
}

fn figures(budget: &Budget) -> Vec<u64> {
    BudgetKind::ALL.iter().map(|&kind| budget.used(kind)).collect()
}

/// An example of all that the engine counts.
fn use_of_everything(store: &mut Store, module: &Module) {
    let instance = Instance::new(store, module, &[]).unwrap();
    for name in ["grow", "grow_table"] {
        instance.get_typed_func::<i32, i32>(store, name).unwrap().call(store, 3).unwrap();
    }
    Memory::new(store, &MemoryType { min: 1, ..memory_type() }).unwrap();
    let ty = TableType { element: RefType { nullable: true, heap: HeapType::Func }, min: 5, max: None, is_64: false };
    Table::new(store, &ty, &Val::FuncRef(None)).unwrap();
    assert!(Instance::new(store, module, &[]).is_ok());
}

fn memory_type() -> MemoryType {
    MemoryType { min: 0, max: None, is_64: false, shared: false, page_size_log2: 16 }
}

#[test]
fn whoever_asks_late_is_told_the_same() {
    let World { mut store, module } = world(GROWING);
    let budget = store.budget();
    assert_eq!((budget.total(), figures(&budget)), (0, vec![0; BudgetKind::ALL.len()]));
    use_of_everything(&mut store, &module);
    let mut other = Store::new(store.engine());
    use_of_everything(&mut other, &module);
    assert_eq!(figures(&budget), figures(&other.budget()));
    assert_eq!(budget.used(BudgetKind::Memory), (2 + 3 + 1 + 2) * PAGE);
    assert_eq!(budget.used(BudgetKind::Table), (10 + 3 + 5 + 10) * 8);
    assert!(budget.used(BudgetKind::Instance) > 0);
    assert_eq!(budget.total(), figures(&budget).iter().sum::<u64>());
    drop((store, other));
    assert_eq!(budget.total(), 0);
    assert!(budget.peak() > 8 * PAGE);
}

#[test]
fn growth_beyond_the_hard_limit_is_refused_and_changes_nothing() {
    let mut world = world(GROWING);
    let budget = world.store.budget();
    let instance = world.instance();
    let held = budget.total();
    budget.set_limits(None, Some(held + PAGE + 7));
    assert_eq!(world.call(instance, "grow", 2).unwrap(), -1);
    assert_eq!(world.call(instance, "grow", 1).unwrap(), 2);
    assert_eq!(world.call(instance, "grow_table", 1).unwrap(), -1);
    assert_eq!(budget.total(), held + PAGE);
    let memory = instance.get_memory(&world.store, "memory").unwrap();
    let error = memory.grow(&mut world.store, 1).unwrap_err().to_string();
    let (used, limit) = (held + PAGE, held + PAGE + 7);
    let expected = format!("the store's budget is used up: 65536 bytes asked for memories, {used} of {limit} used");
    assert_eq!(error, expected);
    let Some(Extern::Table(table)) = instance.get_export(&world.store, "table") else { panic!("no table") };
    let error = table.grow(&mut world.store, 1, &Val::FuncRef(None)).unwrap_err().to_string();
    assert!(error.contains("8 bytes asked for tables"), "{error}");
    budget.set_limits(None, None);
    assert_eq!(world.call(instance, "grow", 1).unwrap(), 3);
    assert_eq!(world.call(instance, "grow_table", 1).unwrap(), 10);
}

#[test]
fn an_instance_beyond_the_hard_limit_leaves_nothing() {
    let mut world = world(GROWING);
    let budget = world.store.budget();
    let mut other = Store::new(world.store.engine());
    Instance::new(&mut other, &world.module, &[]).unwrap();
    let record = other.budget().used(BudgetKind::Instance);
    for (limit, kind) in [(record - 1, "instances"), (record + PAGE, "memories"), (record + 2 * PAGE + 79, "tables")] {
        budget.set_limits(None, Some(limit));
        let error = Instance::new(&mut world.store, &world.module, &[]).unwrap_err().to_string();
        assert!(error.contains("the store's budget is used up") && error.contains(kind), "{error}");
        assert_eq!((budget.total(), figures(&budget)), (0, vec![0; BudgetKind::ALL.len()]));
    }
    budget.set_limits(None, Some(record + 2 * PAGE + 80));
    world.instance();
}

#[test]
fn a_heap_beyond_the_hard_limit_is_full() {
    let mut world = world(
        r#"(module (type $node (struct (field (ref null $node)) (field i64)))
            (global $list (mut (ref null $node)) (ref.null $node))
            (func (export "list") (param $n i32) (result i32)
              (loop $more
                (global.set $list (struct.new $node (global.get $list) (i64.const 0)))
                (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
              (i32.const 0))
            (func (export "drop") (param i32) (result i32) (global.set $list (ref.null $node)) (i32.const 0)))"#,
    );
    let budget = world.store.budget();
    let instance = world.instance();
    world.call(instance, "list", 1).unwrap();
    let held = budget.used(BudgetKind::GcHeap);
    assert!(held > 0);
    budget.set_limits(None, Some(budget.total() + (4 << 20)));
    let error = world.call(instance, "list", 1 << 20).unwrap_err();
    assert!(error.to_string().contains("GC heap out of memory"), "{error}");
    assert!(budget.used(BudgetKind::GcHeap) <= held + (4 << 20));
    assert_eq!(budget.used(BudgetKind::GcHeap), world.store.statistics().gc_heap_bytes);
    world.call(instance, "drop", 0).unwrap();
    world.call(instance, "list", 1000).unwrap();
}

#[test]
fn the_embedder_is_told_once_each_time_the_soft_limit_is_passed() {
    let mut world = world(GROWING);
    let budget = world.store.budget();
    let told = Arc::new(Mutex::new(Vec::<SoftLimitPassed>::new()));
    let log = told.clone();
    let note = move |passed: &mut SoftLimitPassed| {
        log.lock().unwrap().push(*passed);
        Ok(())
    };
    world.store.at_soft_limit(Some(Box::new(note))).unwrap();
    let instance = world.instance();
    let held = budget.total();
    budget.set_limits(Some(held + PAGE), None);
    world.call(instance, "grow", 1).unwrap();
    assert!(told.lock().unwrap().is_empty());
    world.call(instance, "grow", 1).unwrap();
    world.call(instance, "grow", 5).unwrap();
    let expected = SoftLimitPassed {
        kind: BudgetKind::Memory,
        asked: PAGE,
        used: held + PAGE,
        soft: Some(held + PAGE),
        hard: None,
    };
    assert_eq!(*told.lock().unwrap(), [expected]);
    // A limit that is set anew, and passed already, is told of when something is asked for next.
    budget.set_limits(Some(held), None);
    assert_eq!(world.call(instance, "grow_table", 1).unwrap(), 10);
    assert_eq!(told.lock().unwrap().last().map(|passed| passed.kind), Some(BudgetKind::Table));
    assert_eq!(told.lock().unwrap().len(), 2);
}

#[test]
fn who_is_told_of_the_soft_limit_may_raise_both_or_end_the_call() {
    let mut world = world(GROWING);
    let budget = world.store.budget();
    let instance = world.instance();
    let held = budget.total();
    budget.set_limits(Some(held), Some(held));
    let raises = |passed: &mut SoftLimitPassed| {
        let more = passed.used + passed.asked;
        (passed.soft, passed.hard) = (Some(more), Some(more));
        Ok(())
    };
    world.store.at_soft_limit(Some(Box::new(raises))).unwrap();
    for pages in 2..5 {
        assert_eq!(world.call(instance, "grow", 1).unwrap(), pages);
    }
    assert_eq!(budget.hard_limit(), Some(held + 3 * PAGE));
    let refuses = |_: &mut SoftLimitPassed| Err(Error::message("no more of this"));
    world.store.at_soft_limit(Some(Box::new(refuses))).unwrap();
    for _ in 0..2 {
        let error = world.call(instance, "grow", 1).unwrap_err();
        assert!(error.to_string().contains("no more of this"), "{error}");
    }
    let memory = instance.get_memory(&world.store, "memory").unwrap();
    assert_eq!(memory.grow(&mut world.store, 1).unwrap_err().to_string(), "no more of this");
    assert!(Instance::new(&mut world.store, &world.module, &[]).is_err());
    assert_eq!(budget.total(), held + 3 * PAGE);
    // Nobody to be told is no obstacle.
    world.store.at_soft_limit(None).unwrap();
    budget.set_limits(Some(0), None);
    assert_eq!(world.call(instance, "grow", 1).unwrap(), 5);
}

/// Allows everything, and counts what failed.
struct Counting(Arc<AtomicU64>);

impl Limiter for Counting {
    fn allow(&mut self, _: &LimitRequest) -> Result<bool, Error> {
        Ok(true)
    }

    fn failed(&mut self, _: &LimitRequest, _: &Error) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_limiter_hears_of_growth_that_the_budget_refuses() {
    let mut world = world(GROWING);
    let failed = Arc::new(AtomicU64::new(0));
    world.store.set_limiter(Some(Box::new(Counting(failed.clone())))).unwrap();
    let instance = world.instance();
    let budget = world.store.budget();
    budget.set_limits(None, Some(budget.total()));
    assert_eq!(world.call(instance, "grow", 1).unwrap(), -1);
    assert_eq!(failed.load(Ordering::Relaxed), 1);
}

#[test]
fn the_numbers_are_read_by_another_thread_while_a_guest_grows() {
    let mut world = world(
        r#"(module (memory 0 1000)
            (func (export "run") (param i32) (result i32)
              (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const 999)))) (i32.const 0)))"#,
    );
    let budget = world.store.budget();
    let instance = world.instance();
    let (reader, done) = (budget.clone(), Arc::new(AtomicBool::new(false)));
    let is_done = done.clone();
    let thread = std::thread::spawn(move || {
        let mut last = 0;
        while !is_done.load(Ordering::Relaxed) {
            let memory = reader.used(BudgetKind::Memory);
            assert!(memory >= last && memory % PAGE == 0);
            last = memory;
        }
        reader.used(BudgetKind::Memory)
    });
    world.call(instance, "run", 0).unwrap();
    done.store(true, Ordering::Relaxed);
    assert_eq!(thread.join().unwrap(), 1000 * PAGE);
    drop(world);
    assert_eq!(budget.total(), 0);
}

#[test]
fn what_guests_make_and_grow_of_shared_memories_counts() {
    let World { mut store, module } = world(
        r#"(module (memory (export "memory") 1 100 shared)
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#,
    );
    let budget = store.budget();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    assert_eq!(budget.used(BudgetKind::Memory), PAGE);
    let grow = instance.get_typed_func::<i32, i32>(&store, "grow").unwrap();
    grow.call(&mut store, 2).unwrap();
    assert_eq!(budget.used(BudgetKind::Memory), 3 * PAGE);
    budget.set_limits(None, Some(budget.total()));
    assert_eq!(grow.call(&mut store, 1).unwrap(), -1);
    drop(store);
    assert_eq!(budget.total(), 0);
}

#[test]
fn stacks_count_while_the_store_has_them() {
    let mut world = world("(module)");
    let nothing = Func::wrap_async(&mut world.store, |(): ()| async { Ok(()) }).unwrap();
    let nothing = nothing.typed::<(), ()>(&world.store).unwrap();
    let budget = world.store.budget();
    budget.set_limits(None, Some(1000));
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(refused) = pin!(nothing.call_async(&mut world.store, ())).poll(&mut context) else {
        panic!("it waits")
    };
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("bytes asked for stacks, 0 of 1000 used"), "{error}");
    budget.set_limits(None, None);
    for _ in 0..2 {
        let Poll::Ready(done) = pin!(nothing.call_async(&mut world.store, ())).poll(&mut context) else {
            panic!("it waits")
        };
        done.unwrap();
        assert_eq!(budget.used(BudgetKind::Stack), world.store.statistics().stack_reserved_bytes);
        assert!(budget.used(BudgetKind::Stack) > 0);
    }
    drop(world);
    assert_eq!(budget.total(), 0);
}

/// Functions that are compiled when they are called.
const SEVERAL_FUNCTIONS: &str = r#"(module
    (func (export "one") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "two") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (func (export "often") (param $n i32) (result i32) (local $sum i32)
      (loop $again
        (local.set $sum (i32.add (local.get $sum) (local.get $n)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum)))"#;

#[test]
fn code_that_is_compiled_counts_until_another_store_has_the_module() {
    let mut world = lazy_world(SEVERAL_FUNCTIONS);
    let budget = world.store.budget();
    let instance = world.instance();
    assert_eq!(budget.used(BudgetKind::Code), 0);
    assert_eq!(world.call(instance, "one", 1).unwrap(), 2);
    let first = budget.used(BudgetKind::Code);
    assert!(first > 0);
    world.call(instance, "one", 1).unwrap();
    assert_eq!(budget.used(BudgetKind::Code), first, "it is compiled once");
    world.call(instance, "two", 1).unwrap();
    assert!(budget.used(BudgetKind::Code) > first);
    world.instance();
    assert!(budget.used(BudgetKind::Code) > first, "the same store's");

    let mut other = Store::new(world.store.engine());
    let of_other = other.budget();
    Instance::new(&mut other, &world.module, &[]).unwrap();
    assert_eq!((budget.used(BudgetKind::Code), of_other.used(BudgetKind::Code)), (0, 0));
    drop(other);
    world.call(instance, "often", 10).unwrap();
    assert_eq!(budget.used(BudgetKind::Code), 0, "it stays the engine's");
    assert_eq!(budget.total(), figures(&budget).iter().sum::<u64>());
}

#[test]
fn whoever_asks_late_is_told_of_code_too() {
    let mut world = lazy_world(SEVERAL_FUNCTIONS);
    let instance = world.instance();
    world.call(instance, "one", 1).unwrap();
    let budget = world.store.budget();
    let first = budget.used(BudgetKind::Code);
    assert!(first > 0);
    world.call(instance, "two", 1).unwrap();
    assert!(budget.used(BudgetKind::Code) > first);
    let World { store, module } = world;
    drop(store);
    assert_eq!((budget.total(), figures(&budget)), (0, vec![0; BudgetKind::ALL.len()]), "the module is still there");
    drop(module);
    assert_eq!(budget.total(), 0);
}

#[test]
fn code_of_a_module_without_instances_counts_no_more() {
    let mut world = lazy_world(SEVERAL_FUNCTIONS);
    let budget = world.store.budget();
    let (one, other) = (world.instance(), world.instance());
    world.call(one, "one", 1).unwrap();
    let code = budget.used(BudgetKind::Code);
    one.delete(&mut world.store).unwrap();
    assert_eq!(budget.used(BudgetKind::Code), code);
    other.delete(&mut world.store).unwrap();
    assert_eq!(budget.total(), 0);
    world.instance();
    assert_eq!(budget.used(BudgetKind::Code), code);
}

#[test]
fn a_function_whose_code_is_beyond_the_hard_limit_is_an_error_and_can_be_called_later() {
    let mut world = lazy_world(SEVERAL_FUNCTIONS);
    let budget = world.store.budget();
    let instance = world.instance();
    world.call(instance, "one", 1).unwrap();
    let held = budget.total();
    budget.set_limits(None, Some(held + 1));
    for _ in 0..3 {
        let error = world.call(instance, "two", 1).unwrap_err().to_string();
        assert!(error.contains("the store's budget is used up") && error.contains("for machine code"), "{error}");
        assert_eq!(budget.total(), held);
    }
    assert_eq!(world.call(instance, "one", 1).unwrap(), 2);
    budget.set_limits(None, None);
    assert_eq!(world.call(instance, "two", 4).unwrap(), 8);
    assert!(budget.total() > held);
}

#[test]
fn better_code_beyond_the_hard_limit_is_not_made() {
    let mut config = Config::new();
    (config.tier_up.after, config.tier_up.threads) = (10, 0);
    let engine = Engine::new(&config).unwrap();
    for has_room in [true, false] {
        let module = Module::new(&engine, SEVERAL_FUNCTIONS.as_bytes()).unwrap();
        let mut world = World { module, store: Store::new(&engine) };
        let budget = world.store.budget();
        let instance = world.instance();
        assert_eq!(world.call(instance, "often", 1).unwrap(), 1);
        let first = budget.used(BudgetKind::Code);
        budget.set_limits(None, if has_room { None } else { Some(budget.total()) });
        for _ in 0..100 {
            assert_eq!(world.call(instance, "often", 100).unwrap(), 5050);
        }
        let more = budget.used(BudgetKind::Code) != first;
        assert_eq!(more, has_room);
    }
}
