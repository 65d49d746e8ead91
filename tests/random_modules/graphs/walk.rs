//! Comparing the objects of a store with the model's: following both from the same roots, each object is in one place, and what it holds is
//! what the model says.

use super::guest::{GLOBALS, Slot, long_of, vector_of};
use super::model::{Model, Node, Value};
use super::{Tracked, World};
use ampoule::{AnyRef, ExnRef, Extern, Store, Tiers, Val};
use std::collections::HashMap;

/// Compares all roots of the world but the registers of frames, and which values of the host are gone. The store has just collected.
///
/// # Errors
/// What is wrong.
pub fn verify(store: &mut Store, world: &World) -> Result<(), String> {
    let model = &world.model;
    let mut roots: Vec<(Val, Value)> = Vec::new();
    let names: Vec<String> = (0..GLOBALS).map(|at| format!("g{at}")).chain(["s", "x", "e"].map(String::from)).collect();
    for (name, &value) in names.iter().zip(model.globals.iter().chain(&model.typed)) {
        let val = world.global(store, name).get(store).map_err(|error| error.to_string())?;
        roots.push((val, value));
    }
    for (name, values) in [("table", &model.table), ("externs", &model.externs)] {
        let Some(Extern::Table(table)) = world.instance.get_export(store, name) else { panic!("it is exported") };
        if table.size(store).ok() != Some(values.len() as u64) {
            return Err(format!("{name} has {:?} elements, not {}", table.size(store), values.len()));
        }
        for (at, &value) in values.iter().enumerate() {
            let val = table.get(store, at as u64).map_err(|error| error.to_string())?;
            roots.push((val.expect("it is in bounds"), value));
        }
    }
    roots.extend(world.held.iter().cloned().zip(model.held.iter().copied()));
    roots.extend(world.held_exceptions.iter().cloned().zip(model.held_exceptions.iter().copied()));
    compare(store, model, roots)?;
    let (hosts, perhaps) = model.reachable();
    // A frame of the baseline tier keeps what its locals had last, whether or not it will be read again.
    let may_linger = store.engine().config().tunables.tiers != Tiers::Optimizing
        && model.fibers.iter().any(|fiber| !fiber.frames.is_empty());
    let drops = world.drops.lock().expect("nobody panics with it");
    for (number, &count) in drops.iter().enumerate() {
        let expected = u32::from(!hosts.contains(&number));
        if count != expected && !(count == 0 && (may_linger || perhaps.contains(&number))) {
            return Err(format!("value {number} of the host was dropped {count} times, not {expected}"));
        }
    }
    Ok(())
}

/// Follows both graphs from these roots.
///
/// # Errors
/// Where they differ.
pub fn compare(store: &mut Store, model: &Model, roots: Vec<(Val, Value)>) -> Result<(), String> {
    let mut walk =
        Walk { model, waiting: roots, objects: HashMap::new(), places: HashMap::new(), exceptions: Vec::new() };
    while let Some((val, value)) = walk.waiting.pop() {
        walk.check(store, &val, value).map_err(|what| format!("{what}, where the model has {value:?}"))?;
    }
    Ok(())
}

struct Walk<'a> {
    model: &'a Model,
    waiting: Vec<(Val, Value)>,
    /// For each object of the model its handle; and for each raw reference the object of the model. Nothing is allocated meanwhile.
    objects: HashMap<usize, AnyRef>,
    places: HashMap<u32, usize>,
    exceptions: Vec<(usize, ExnRef)>,
}

impl Walk<'_> {
    fn check(&mut self, store: &mut Store, val: &Val, value: Value) -> Result<(), String> {
        let say = |error: ampoule::Error| error.to_string();
        let any = match val {
            Val::AnyRef(any) => any.clone(),
            Val::ExternRef(Some(value)) => Some(AnyRef::from_extern(store, value).map_err(say)?),
            Val::ExternRef(None) | Val::ExnRef(None) => None,
            Val::ExnRef(Some(exception)) => {
                let Value::Exception(at) = value else { return Err("an exception".into()) };
                return self.check_exception(store, exception, at);
            }
            other => return Err(format!("{other:?}")),
        };
        let Some(any) = any else {
            return if value == Value::Null { Ok(()) } else { Err("null".into()) };
        };
        match value {
            Value::Null | Value::Exception(_) => Err(format!("{any:?}")),
            Value::Integer(integer) => match any.as_i31() {
                Some(found) if found.get_s() == integer => Ok(()),
                found => Err(format!("{found:?}")),
            },
            Value::Host(number) => {
                let data = any.host_data(store).map_err(say)?;
                match data.and_then(|data| data.downcast_ref::<Tracked>()) {
                    Some(tracked) if tracked.number == number => Ok(()),
                    found => Err(format!("the host's value {:?}", found.map(|tracked| tracked.number))),
                }
            }
            Value::Object(at) => {
                if let Some(before) = self.objects.get(&at) {
                    return if *before == any { Ok(()) } else { Err("an object in two places".into()) };
                }
                let raw = any.to_raw(store).map_err(say)?;
                if let Some(other) = self.places.insert(raw, at) {
                    return Err(format!("object {other}"));
                }
                self.objects.insert(at, any.clone());
                let found = contents(store, &any).map_err(say)?;
                self.check_contents(found, &self.model.nodes[at])
            }
        }
    }

    fn check_contents(&mut self, found: Vec<Val>, node: &Node) -> Result<(), String> {
        let wrong = |found: &Val| Err(format!("{found:?} in {node:?}"));
        let count = match node {
            Node::Struct { kind, number, byte, refs } => {
                let mut refs = refs.iter();
                for (slot, val) in kind.fields().into_iter().zip(&found) {
                    let expected = match slot {
                        Slot::Number => Val::I32(*number),
                        Slot::Byte => Val::I32(i32::from(*byte)),
                        Slot::Long => Val::I64(long_of(*number)),
                        Slot::Vector => Val::V128(vector_of(*number)),
                        _ => {
                            self.waiting.push((val.clone(), *refs.next().expect("the model has as many")));
                            continue;
                        }
                    };
                    if *val != expected {
                        return wrong(val);
                    }
                }
                kind.fields().len()
            }
            Node::Refs { items, .. } => {
                self.waiting.extend(found.iter().cloned().zip(items.iter().copied()));
                items.len()
            }
            Node::Bytes(bytes) => {
                let differs = found.iter().zip(bytes).find(|(found, byte)| **found != Val::I32(i32::from(**byte)));
                if let Some((found, _)) = differs {
                    return wrong(found);
                }
                bytes.len()
            }
            Node::Vectors(vectors) => {
                if let Some((found, _)) =
                    found.iter().zip(vectors).find(|(found, vector)| **found != Val::V128(**vector))
                {
                    return wrong(found);
                }
                vectors.len()
            }
            Node::Exception(_) => return Err("an object".into()),
        };
        if count == found.len() { Ok(()) } else { Err(format!("{} fields or elements, not {count}", found.len())) }
    }

    fn check_exception(&mut self, store: &mut Store, exception: &ExnRef, at: usize) -> Result<(), String> {
        if let Some((_, before)) = self.exceptions.iter().find(|(other, _)| *other == at) {
            return if before == exception { Ok(()) } else { Err("an exception in two places".into()) };
        }
        self.exceptions.push((at, exception.clone()));
        let fields = exception.fields(store).map_err(|error| error.to_string())?.to_vec();
        match (&self.model.nodes[at], &fields[..]) {
            (Node::Exception(None), []) => Ok(()),
            (Node::Exception(Some((a, x, n))), [one, other, Val::I32(number)]) if n == number => {
                self.waiting.extend([(one.clone(), *a), (other.clone(), *x)]);
                Ok(())
            }
            (node, _) => Err(format!("{fields:?}, not {node:?}")),
        }
    }
}

/// The fields of a struct, or the elements of an array.
fn contents(store: &mut Store, object: &AnyRef) -> Result<Vec<Val>, ampoule::Error> {
    if let Some(object) = object.as_struct(store)? {
        return object.fields(store);
    }
    let Some(array) = object.as_array(store)? else { return Ok(Vec::new()) };
    let len = array.len(store)?;
    (0..len).map(|index| array.get(store, index)).collect()
}
