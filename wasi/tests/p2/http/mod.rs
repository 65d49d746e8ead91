//! `wasi:http`: what messages are made of, and requests of a guest to servers on the loopback.

mod fields;
mod messages;
mod outgoing;
mod pool;
pub mod requests;
mod servers;

use super::support::{Guest, bytes_of, list_of};
use ampoule_component::{Val, ValRef};
use ampoule_wasi::host::http::HttpConfig;

/// A guest that may send requests.
pub fn guest() -> Guest {
    let mut config = HttpConfig::new();
    config.allow_outgoing(true);
    Guest::with_http(&config)
}

/// `fields` of these.
fn fields_of(guest: &mut Guest, entries: &[(&str, &[u8])]) -> Val {
    guest.ok("http/types#fields.from-list", &[entries_of(entries)])
}

fn entries_of(entries: &[(&str, &[u8])]) -> Val {
    Val::list(
        entries.iter().map(|(name, value)| Val::tuple(vec![Val::from(*name), list_of(value)])).collect::<Vec<_>>(),
    )
}

/// What there is in `fields`.
fn entries(guest: &mut Guest, fields: &Val) -> Vec<(String, Vec<u8>)> {
    let list = guest.call("http/types#fields.entries", &[fields.clone()]);
    let ValRef::List(entries) = list.get() else { panic!("{list:?}") };
    entries
        .iter()
        .map(|entry| match entry.get() {
            ValRef::Tuple([name, value]) => (string_of(name), bytes_of(value)),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn string_of(val: &Val) -> String {
    match val.get() {
        ValRef::String(text) => String::from_utf8(text.to_vec()).expect("a string"),
        other => panic!("{other:?}"),
    }
}

fn some(val: &Val) -> Option<Val> {
    match val.get() {
        ValRef::Option(value) => value.cloned(),
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> Val {
    Val::option(Some(Val::from(text)))
}

/// The name of a variant's case.
fn case_of(val: &Val) -> String {
    match val.get() {
        ValRef::Variant(case, _) => String::from_utf8_lossy(case).into_owned(),
        other => panic!("{other:?}"),
    }
}
