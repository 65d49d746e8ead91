//! All names of the interface, and where each is described.

use std::collections::BTreeMap;

use super::declaration::Kind;
use super::scan::{Header, Item};

/// A place in the pages.
#[derive(Clone)]
pub struct Place {
    /// `page.html#anchor`.
    pub url: String,
    pub kind: Kind,
    /// Whether it is a class with bases, whose members it has too.
    derives: bool,
    /// The header's name.
    pub header: String,
}

/// All names.
#[derive(Default)]
pub struct Names {
    places: BTreeMap<String, Place>,
}

/// What is known of a word in a text.
pub enum Found<'a> {
    Place(&'a Place),
    /// It looks like a name of ours, and is none.
    Missing,
    /// Something else.
    Word,
}

impl Names {
    pub fn of(headers: &[Header]) -> Names {
        let mut names = Names::default();
        let mut aliases = Vec::new();
        for header in headers {
            names.add(header, &header.items, &mut aliases);
            let url = page(&header.name);
            let place = Place { url, kind: Kind::Type, derives: false, header: header.name.clone() };
            names.places.insert(header.name.clone(), place);
        }
        // A class under another name has its members under that name too.
        for (alias, target) in aliases {
            let scope = alias.rsplit_once("::").map_or("", |(scope, _)| scope);
            let Some(place) = names.seen_from(&target, scope) else { continue };
            let class = place.url.split('#').nth(1).unwrap_or_default().to_owned();
            let members: Vec<(String, Place)> = names
                .places
                .iter()
                .filter_map(|(name, place)| Some((name.strip_prefix(&class)?, place)))
                .filter(|(rest, _)| rest.starts_with("::"))
                .map(|(rest, place)| (format!("{alias}{rest}"), place.clone()))
                .collect();
            names.places.extend(members);
        }
        names
    }

    fn add(&mut self, header: &Header, items: &[Item], aliases: &mut Vec<(String, String)>) {
        for item in items {
            // Of overloads, and of what two headers have, the first.
            self.places.entry(item.name.clone()).or_insert_with(|| Place {
                url: format!("{}#{}", page(&header.name), item.name),
                kind: item.kind,
                derives: item.declaration.contains(" : "),
                header: header.name.clone(),
            });
            if let Some((_, target)) = item.declaration.strip_prefix("using ").and_then(|alias| alias.split_once(" = "))
            {
                aliases.push((item.name.clone(), target.to_owned()));
            }
            self.add(header, &item.members, aliases);
        }
    }

    /// All names of functions, types, macros and constants, in order.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Place)> {
        self.places.iter().filter(|(name, place)| place.kind != Kind::Field && !name.contains('.'))
    }

    /// Whether there is such a name.
    pub fn describes(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// An identifier of a declaration, seen from the item `scope`.
    pub fn identifier(&self, name: &str, scope: &str) -> Option<&Place> {
        // Lower-case words of C++ are parameters more often than members.
        let telling = name.contains('_') || name.contains("::") || name.starts_with(|c: char| c.is_uppercase());
        if telling { self.seen_from(name, scope) } else { None }
    }

    fn seen_from(&self, name: &str, scope: &str) -> Option<&Place> {
        let mut scope = scope;
        loop {
            if let Some(place) = self.places.get(&format!("{scope}::{name}")) {
                return Some(place);
            }
            scope = scope.rfind("::").map(|end| &scope[..end]).unwrap_or("");
            if scope.is_empty() {
                let spaces = ["", "wasmtime::", "wasm::"];
                return spaces.iter().find_map(|space| self.places.get(&format!("{space}{name}")));
            }
        }
    }

    /// What a text in backquotes means, said of the item `scope`.
    pub fn quoted(&self, text: &str, scope: &str) -> Found<'_> {
        let text = text.trim_matches(['<', '>']);
        if let Some(place) = self.places.get(text) {
            return Found::Place(place);
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if !(rest.is_empty() || rest.starts_with('(') || rest.starts_with('<')) {
            return Found::Word;
        }
        let found = if rest.starts_with('(') { self.seen_from(name, scope) } else { self.identifier(name, scope) };
        if let Some(place) = found {
            return Found::Place(place);
        }
        if looks_like_c(name) {
            return Found::Missing;
        }
        if let Some((class, _)) = name.rsplit_once("::")
            && let Some(place) = self.identifier(class, scope)
            && !place.derives
        {
            return Found::Missing;
        }
        Found::Word
    }
}

/// Whether it has the form of the names that the C headers declare.
fn looks_like_c(name: &str) -> bool {
    let prefixes = ["wasm_", "wasmtime_", "wasi_", "ampoule_", "WASM_", "WASMTIME_", "WASI_", "AMPOULE_"];
    prefixes.iter().any(|prefix| name.len() > prefix.len() && name.starts_with(prefix)) && !name.ends_with('_')
}

/// The page of a header.
pub fn page(header: &str) -> String {
    format!("{}.html", header.replace('/', "-"))
}
