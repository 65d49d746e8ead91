//! Calls between components that needn't come to the host: that they don't, and that every rule holds for them which holds for the others.

use ampoule::{Config, Engine, Error, Store};
use ampoule_component::{Component, Func, Instance, Linker, Val};

fn func(store: &mut Store, instance: &Instance, name: &str) -> Func {
    instance.get_func(store, &[name]).unwrap().expect("the component exports it")
}

fn call(store: &mut Store, instance: &Instance, name: &str, args: &[Val]) -> Result<Vec<Val>, Error> {
    let func = func(store, instance, name);
    let mut results = vec![Val::default(); usize::from(func.ty(store)?.result().is_some())];
    func.call(store, args, &mut results)?;
    Ok(results)
}

/// An engine that counts host calls.
fn engine() -> Engine {
    let mut config = Config::new();
    config.statistics(true);
    Engine::new(&config).unwrap()
}

fn instantiate(engine: &Engine, linker: &Linker, text: &str) -> (Box<Store>, Instance) {
    let component = Component::new(engine, text.as_bytes()).unwrap();
    let mut store = Store::new(engine);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    (store, instance)
}

/// A component whose function `run` calls the function `f` of another one of this type so many times; the callee's core function has
/// this body, and what it imports besides. Each core value is one more than the one before.
fn pair(params: &[(&str, &str)], result: (&str, &str), imports: &str, body: &str) -> String {
    let core = params.iter().flat_map(|(_, core)| core.split(' '));
    let args: String = core.enumerate().map(|(at, core)| format!("({core}.const {})", at + 1)).collect();
    pair_with(params, result, imports, body, &args)
}

/// The same with other arguments.
fn pair_with(params: &[(&str, &str)], result: (&str, &str), imports: &str, body: &str, args: &str) -> String {
    let names = "abcdefghijklmnopqr";
    let typed = params.iter().zip(names.chars()).map(|((ty, _), name)| format!(r#"(param "{name}" {ty})"#));
    let ty = format!("{} (result {})", typed.collect::<String>(), result.0);
    let core: String = params.iter().map(|(_, core)| format!(" {core}")).collect();
    let core = format!("(param{core}) (result {})", result.1);
    let (lower, take, with) = match imports {
        "" => ("", "", ""),
        _ => (
            r#"(core func $hook (canon lower (func $hook)))"#,
            r#"(import "" "hook" (func $hook))"#,
            r#"(with "" (instance (export "hook" (func $hook))))"#,
        ),
    };
    let given = if imports.is_empty() { "" } else { r#"(with "hook" (func $hook))"# };
    format!(
        r#"(component
            {imports}
            (component $callee
                {imports} {lower}
                (core module $m {take} (func (export "f") {core} {body}))
                (core instance $i (instantiate $m {with}))
                (func (export "f") {ty} (canon lift (core func $i "f"))))
            (component $caller
                (import "f" (func $f {ty}))
                (core func $f (canon lower (func $f)))
                (core module $m
                    (import "" "f" (func $f {core}))
                    (memory (export "memory") 1)
                    (func (export "run") (param $n i32) (result {result})
                        (local $last {result})
                        (loop $again
                            (local.set $last (call $f {args}))
                            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                        (local.get $last))
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (drop (call $f {args})) (i32.const 0))
                    (func (export "take") (param i32 i32)))
                (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
                (func (export "run") (param "n" u32) (result {result_ty}) (canon lift (core func $i "run")))
                (func (export "take") (param "text" string)
                    (canon lift (core func $i "take") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
            (instance $callee (instantiate $callee {given}))
            (instance $caller (instantiate $caller (with "f" (func $callee "f"))))
            (export "f" (func $callee "f"))
            (export "run" (func $caller "run"))
            (export "take" (func $caller "take")))"#,
        result = result.1,
        result_ty = result.0,
    )
}

/// Calls of the host in 100 calls from component to component, of which there may have been some before.
fn host_calls(store: &mut Store, instance: &Instance) -> u64 {
    let before = store.statistics().host_calls;
    call(store, instance, "run", &[Val::from(100u32)]).unwrap();
    store.statistics().host_calls - before
}

const U32: (&str, &str) = ("u32", "i32");
const ADD: &str = "(i32.add (local.get 0) (local.get 1))";

fn adder(imports: &str, body: &str) -> String {
    pair(&[U32, U32], U32, imports, body)
}

#[test]
fn calls_whose_values_pass_unchanged_come_to_the_host_once() {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    linker.root().func("hook", |_, _, _, _| Ok(())).unwrap();
    let hook = r#"(import "hook" (func $hook))"#;
    let numbers = [U32, ("s32", "i32"), ("u64", "i64"), ("s64", "i64"), ("f32", "f32"), ("f64", "f64")];
    let first = |count: usize| numbers.iter().cycle().take(count).copied().collect::<Vec<_>>();
    // The first call compiles the callee.
    for (text, expected) in [
        (adder("", ADD), 1),
        (adder(hook, ADD), 1),
        // On the stack, too: only for callees that leave no note.
        (pair(&first(16), ("f64", "f64"), "", "(local.get 11)"), 1),
        (pair(&first(16), ("f64", "f64"), hook, "(local.get 11)"), 100),
        (pair(&first(7), ("s64", "i64"), hook, "(local.get 3)"), 1),
        // Of these not every core value is a value.
        (pair(&[("u8", "i32")], ("u8", "i32"), "", "(local.get 0)"), 100),
        (pair(&[("bool", "i32")], U32, "", "(local.get 0)"), 100),
        (pair(&[("char", "i32")], U32, "", "(local.get 0)"), 100),
    ] {
        let (mut store, instance) = instantiate(&engine, &linker, &text);
        assert_eq!(host_calls(&mut store, &instance), expected, "{text}");
        assert_eq!(host_calls(&mut store, &instance), expected - u64::from(expected == 1), "{text}");
    }
}

#[test]
fn values_arrive_as_they_were_given() {
    let engine = Engine::default();
    let linker = Linker::new(&engine);
    let kinds = [U32, ("s64", "i64"), ("f32", "f32"), ("f64", "f64")];
    // Each parameter in turn, of as many as are passed one by one.
    for at in 0..16 {
        let params: Vec<_> = kinds.iter().cycle().take(16).copied().collect();
        let text = pair(&params, params[at], "", &format!("(local.get {at})"));
        let (mut store, instance) = instantiate(&engine, &linker, &text);
        let number = at as u32 + 1;
        let expected = match at % 4 {
            0 => Val::from(number),
            1 => Val::from(i64::from(number)),
            2 => Val::from(number as f32),
            _ => Val::from(f64::from(number)),
        };
        for count in [1u32, 1, 5] {
            assert_eq!(call(&mut store, &instance, "run", &[Val::from(count)]).unwrap()[0], expected);
        }
    }
}

/// Types and values at random: the first call of a store goes through the host, the others don't.
#[test]
fn both_ways_give_the_same() {
    let kinds = [U32, ("s32", "i32"), ("u64", "i64"), ("s64", "i64"), ("f32", "f32"), ("f64", "f64")];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let engine = engine();
    for _ in 0..60 {
        // Parameters, alone and in tuples, as long as their core values are few enough.
        let (mut flat, mut params) = (Vec::new(), Vec::<(String, String)>::new());
        let most = 1 + random(16);
        while flat.len() < most {
            let parts: Vec<_> =
                (0..1 + random(3)).map(|_| kinds[random(kinds.len())]).take(most - flat.len()).collect();
            let (types, core): (Vec<_>, Vec<_>) = parts.iter().copied().unzip();
            let (types, core) = (types.join(" "), core.join(" "));
            let ty = if parts.len() == 1 && random(2) == 0 { types } else { format!("(tuple {types})") };
            params.push((ty, core));
            flat.extend(parts);
        }
        let args = flat.iter().map(|(_, core)| match *core {
            "f32" if random(4) == 0 => "(f32.const nan:0x200001)".to_string(),
            "f64" if random(4) == 0 => "(f64.const -inf)".to_string(),
            core => format!("({core}.const {})", random(1 << 31)),
        });
        let args = args.collect::<String>();
        let returned = random(flat.len());
        let params: Vec<_> = params.iter().map(|(ty, core)| (ty.as_str(), core.as_str())).collect();
        let text = pair_with(&params, flat[returned], "", &format!("(local.get {returned})"), &args);
        let run = |count: u32| {
            let (mut store, instance) = instantiate(&engine, &Linker::new(&engine), &text);
            let result = call(&mut store, &instance, "run", &[Val::from(count)]).unwrap().remove(0);
            (result, store.statistics().host_calls)
        };
        let (by_host, by_adapter) = (run(1), run(5));
        assert_eq!((&by_adapter, by_host.1), (&(by_host.0.clone(), 1), 1), "{text}");
    }
}

#[test]
fn who_may_not_leave_is_stopped() {
    for (imports, body) in [("", ADD), (r#"(import "hook" (func $hook))"#, ADD)] {
        let engine = engine();
        let mut linker = Linker::new(&engine);
        linker.root().func("hook", |_, _, _, _| Ok(())).unwrap();
        let (mut store, instance) = instantiate(&engine, &linker, &adder(imports, body));
        assert_eq!(host_calls(&mut store, &instance), 1);
        // Its allocator calls the other component.
        let error = call(&mut store, &instance, "take", &[Val::from("text")]).unwrap_err();
        assert!(error.to_string().contains("cannot leave component instance"), "{error}");
        let error = call(&mut store, &instance, "run", &[Val::from(1u32)]).unwrap_err();
        assert!(error.to_string().contains("cannot enter component instance"), "{error}");
    }
}

#[test]
fn a_trap_in_the_callee_ends_the_components_of_the_store() {
    let body = "(if (i32.eq (global.get $left) (i32.const 0)) (then unreachable))
                (global.set $left (i32.sub (global.get $left) (i32.const 1)))
                (i32.const 7))
                (global $left (mut i32) (i32.const 3)";
    let engine = engine();
    let (mut store, instance) = instantiate(&engine, &Linker::new(&engine), &adder("", body));
    assert_eq!(call(&mut store, &instance, "run", &[Val::from(3u32)]).unwrap(), [Val::from(7u32)]);
    let error = call(&mut store, &instance, "run", &[Val::from(3u32)]).unwrap_err();
    assert!(error.is_trap() && error.to_string().contains("unreachable"), "{error}");
    let error = call(&mut store, &instance, "f", &[Val::from(1u32), Val::from(2u32)]).unwrap_err();
    assert!(error.to_string().contains("cannot enter component instance"), "{error}");
}

/// Calls the host between two calls of another component.
const AROUND_THE_HOST: &str = r#"(component
    (import "hook" (func $hook))
    (component $callee
        (core module $m
            (func (export "f") (param i32) (result i32) (local.get 0))
            (func (export "trap") unreachable))
        (core instance $i (instantiate $m))
        (func (export "f") (param "a" u32) (result u32) (canon lift (core func $i "f")))
        (func (export "trap") (canon lift (core func $i "trap"))))
    (component $caller
        (import "f" (func $f (param "a" u32) (result u32)))
        (import "hook" (func $hook))
        (core func $f (canon lower (func $f)))
        (core func $hook (canon lower (func $hook)))
        (core module $m
            (import "" "f" (func $f (param i32) (result i32)))
            (import "" "hook" (func $hook))
            (func (export "run") (result i32)
                (drop (call $f (i32.const 1)))
                (call $hook)
                (call $f (i32.const 2))))
        (core instance $i (instantiate $m (with "" (instance (export "f" (func $f)) (export "hook" (func $hook))))))
        (func (export "run") (result u32) (canon lift (core func $i "run"))))
    (instance $callee (instantiate $callee))
    (instance $caller (instantiate $caller (with "f" (func $callee "f")) (with "hook" (func $hook))))
    (export "run" (func $caller "run"))
    (export "trap" (func $callee "trap")))"#;

#[test]
fn after_a_trap_that_the_host_kept_to_itself_nobody_is_entered() {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    let trap = std::sync::Arc::new(std::sync::Mutex::new(None::<Func>));
    let target = trap.clone();
    let hook = move |store: &mut Store, _: &_, _: &mut [Val], _: &mut [Val]| {
        if let Some(trap) = *target.lock().unwrap() {
            trap.call(store, &[], &mut []).unwrap_err();
        }
        Ok(())
    };
    linker.root().func("hook", hook).unwrap();
    let (mut store, instance) = instantiate(&engine, &linker, AROUND_THE_HOST);
    for _ in 0..2 {
        assert_eq!(call(&mut store, &instance, "run", &[]).unwrap(), [Val::from(2u32)]);
    }
    *trap.lock().unwrap() = Some(func(&mut store, &instance, "trap"));
    let error = call(&mut store, &instance, "run", &[]).unwrap_err();
    assert!(error.to_string().contains("cannot enter component instance"), "{error}");
}

/// The callee calls the host, which may call the caller again.
#[test]
fn a_callee_is_not_entered_while_it_runs() {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    let again = std::sync::Arc::new(std::sync::Mutex::new(None::<Func>));
    let target = again.clone();
    let hook = move |store: &mut Store, _: &_, _: &mut [Val], _: &mut [Val]| {
        let again = target.lock().unwrap().take();
        again.map_or(Ok(()), |again| again.call(store, &[Val::from(1u32)], &mut [Val::default()]))
    };
    linker.root().func("hook", hook).unwrap();
    let text = adder(r#"(import "hook" (func $hook))"#, "(call $hook) (i32.add (local.get 0) (local.get 1))");
    let (mut store, instance) = instantiate(&engine, &linker, &text);
    call(&mut store, &instance, "run", &[Val::from(2u32)]).unwrap();
    // Only the calls of the host are left.
    assert_eq!(host_calls(&mut store, &instance), 100);
    *again.lock().unwrap() = Some(func(&mut store, &instance, "run"));
    let error = call(&mut store, &instance, "run", &[Val::from(1u32)]).unwrap_err();
    assert!(error.to_string().contains("cannot enter component instance"), "{error}");
}
