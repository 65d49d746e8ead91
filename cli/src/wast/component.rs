//! Components in scripts. Each instance has a store of its own: a trap ends what else is in its store.

use ::wast::component::WastVal;
use ::wast::{WastArg, WastRet};
use ampoule::Store;
use ampoule_component::{Component, Instance, Linker, Val, ValRef};
use anyhow::{Context, Result, bail, ensure};
use std::sync::{Arc, Mutex};

/// An instance, and its store.
#[derive(Clone)]
pub(super) struct ComponentInstance(Arc<Mutex<(Box<Store>, Instance)>>);

impl ComponentInstance {
    /// Instantiates a component that imports nothing.
    pub(super) fn new(component: &Component) -> Result<Self> {
        let engine = component.engine();
        let mut store = Store::new(engine);
        let tunables = engine.config().tunables;
        if tunables.consume_fuel {
            store.set_fuel(u64::MAX)?;
        }
        if tunables.epoch_interruption {
            store.set_epoch_deadline(1 << 32);
        }
        let instance = Linker::new(engine).instantiate(&mut store, component)?;
        Ok(Self(Arc::new(Mutex::new((store, instance)))))
    }

    /// Calls an exported function.
    pub(super) fn call(&self, name: &str, args: &[WastArg<'_>]) -> Result<Vec<Val>> {
        let (store, instance) = &mut *self.0.lock().expect("nobody panics with it");
        let func = instance.get_func(store, &[name])?.with_context(|| format!("no function `{name}`"))?;
        let arg = |arg: &WastArg<'_>| match arg {
            WastArg::Component(val) => from_script(val),
            other => bail!("{other:?} is no argument of a component's function"),
        };
        let args = args.iter().map(arg).collect::<Result<Vec<_>>>()?;
        let mut results = vec![Val::default(); usize::from(func.ty(store)?.result().is_some())];
        func.call(store, &args, &mut results)?;
        Ok(results)
    }
}

/// The value that a script writes.
fn from_script(val: &WastVal<'_>) -> Result<Val> {
    let all = |vals: &[WastVal<'_>]| vals.iter().map(from_script).collect::<Result<Vec<_>>>();
    let maybe = |val: &Option<Box<WastVal<'_>>>| val.as_deref().map(from_script).transpose();
    Ok(match val {
        WastVal::Bool(value) => Val::from(*value),
        WastVal::U8(value) => Val::from(*value),
        WastVal::S8(value) => Val::from(*value),
        WastVal::U16(value) => Val::from(*value),
        WastVal::S16(value) => Val::from(*value),
        WastVal::U32(value) => Val::from(*value),
        WastVal::S32(value) => Val::from(*value),
        WastVal::U64(value) => Val::from(*value),
        WastVal::S64(value) => Val::from(*value),
        WastVal::F32(value) => Val::from(f32::from_bits(value.bits)),
        WastVal::F64(value) => Val::from(f64::from_bits(value.bits)),
        WastVal::Char(value) => Val::from(*value),
        WastVal::String(text) => Val::from(*text),
        WastVal::List(vals) => Val::list(all(vals)?),
        WastVal::Tuple(vals) => Val::tuple(all(vals)?),
        WastVal::Map(entries) => {
            let entry = |(key, value): &(_, _)| Ok((from_script(key)?, from_script(value)?));
            Val::map(entries.iter().map(entry).collect::<Result<Vec<_>>>()?)
        }
        WastVal::Record(fields) => {
            let field = |(name, val): &(&str, _)| Ok((name.to_string(), from_script(val)?));
            Val::record(fields.iter().map(field).collect::<Result<Vec<_>>>()?)
        }
        WastVal::Variant(case, payload) => Val::variant(case, maybe(payload)?),
        WastVal::Enum(case) => Val::enumeration(case),
        WastVal::Option(value) => Val::option(maybe(value)?),
        WastVal::Result(Ok(payload)) => Val::result(Ok(maybe(payload)?)),
        WastVal::Result(Err(payload)) => Val::result(Err(maybe(payload)?)),
        WastVal::Flags(names) => Val::flags(names),
    })
}

/// Whether results are what a script expects.
pub(super) fn check_results(values: &[Val], expected: &[WastRet<'_>]) -> Result<()> {
    ensure!(values.len() == expected.len(), "expected {} results, got {}", expected.len(), values.len());
    for (value, expected) in values.iter().zip(expected) {
        let WastRet::Component(expected) = expected else {
            bail!("{expected:?} is no result of a component's function")
        };
        ensure!(matches(value, expected)?, "expected {expected:?}, got {value:?}");
    }
    Ok(())
}

/// NaNs are one value each for components.
fn matches(value: &Val, expected: &WastVal<'_>) -> Result<bool> {
    Ok(match (value.get(), expected) {
        (ValRef::F32(value), WastVal::F32(expected)) if value.is_nan() => f32::from_bits(expected.bits).is_nan(),
        (ValRef::F64(value), WastVal::F64(expected)) if value.is_nan() => f64::from_bits(expected.bits).is_nan(),
        _ => *value == from_script(expected)?,
    })
}
