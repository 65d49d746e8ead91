//! Headers and trailers.

use super::budget::{Budget, Charge};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

/// The most bytes of names and values of one `fields`, each entry with [`ENTRY_BYTES`] more.
pub const MAX_BYTES: usize = 128 << 10;

/// What an entry counts besides its name and value.
pub const ENTRY_BYTES: usize = 35;

/// Names and values, in the order in which they were added. Names are in lower case.
#[derive(Debug)]
pub struct Fields {
    entries: Vec<(HeaderName, HeaderValue)>,
    byte_len: usize,
    charge: Charge,
}

/// Why an entry isn't added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldsError {
    /// The name or the value can't be sent.
    InvalidSyntax,
    /// The name is the host's.
    Forbidden,
    /// There are too many bytes.
    Full,
}

/// What only the host decides: how messages are framed, and what is between it and the next hop.
const FORBIDDEN: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "host",
    "http2-settings",
];

/// Whether a guest neither sets nor sees this one.
pub fn is_forbidden(name: &HeaderName) -> bool {
    FORBIDDEN.contains(&name.as_str())
}

/// A name as it is looked up and sent.
///
/// # Errors
/// No name can be so.
pub fn name_of(text: &str) -> Result<HeaderName, FieldsError> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| FieldsError::InvalidSyntax)
}

/// A name that a guest may set.
///
/// # Errors
/// No name can be so, or the guest may not set it.
fn name_to_set(text: &str) -> Result<HeaderName, FieldsError> {
    let name = name_of(text)?;
    if is_forbidden(&name) { Err(FieldsError::Forbidden) } else { Ok(name) }
}

fn value_of(bytes: &[u8]) -> Result<HeaderValue, FieldsError> {
    HeaderValue::from_bytes(bytes).map_err(|_| FieldsError::InvalidSyntax)
}

fn bytes_of(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + value.len() + ENTRY_BYTES
}

impl Fields {
    /// None yet.
    pub fn new(budget: &Budget) -> Self {
        let charge = budget.charge(0).expect("nothing is always left");
        Self { entries: Vec::new(), byte_len: 0, charge }
    }

    /// Those of a message that has come: what is the host's own is hidden.
    ///
    /// # Errors
    /// `Full`.
    pub fn received(map: &HeaderMap, budget: &Budget) -> Result<Self, FieldsError> {
        let visible = || map.iter().filter(|(name, _)| !is_forbidden(name));
        let mut fields = Self::new(budget);
        fields.resize(visible().map(|(name, value)| bytes_of(name, value)).sum())?;
        fields.entries = visible().map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(fields)
    }

    /// A copy.
    ///
    /// # Errors
    /// `Full`.
    pub fn try_clone(&self) -> Result<Self, FieldsError> {
        let mut fields = Self::new(self.charge.budget());
        fields.resize(self.byte_len)?;
        fields.entries = self.entries.clone();
        Ok(fields)
    }

    fn resize(&mut self, byte_len: usize) -> Result<(), FieldsError> {
        if byte_len > MAX_BYTES {
            return Err(FieldsError::Full);
        }
        self.charge.resize(byte_len).map_err(|_| FieldsError::Full)?;
        self.byte_len = byte_len;
        Ok(())
    }

    /// Names and values.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    /// The values of a name; none of one that there can't be.
    pub fn get(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let name = name_of(name).ok();
        let of_name = move |entry: &&(HeaderName, HeaderValue)| Some(&entry.0) == name.as_ref();
        self.entries.iter().filter(of_name).map(|(_, value)| value.as_bytes())
    }

    /// Adds a value to a name's.
    ///
    /// # Errors
    /// [`FieldsError`]; nothing changes.
    pub fn append(&mut self, name: &str, value: &[u8]) -> Result<(), FieldsError> {
        let (name, value) = (name_to_set(name)?, value_of(value)?);
        self.resize(self.byte_len + bytes_of(&name, &value))?;
        self.entries.push((name, value));
        Ok(())
    }

    /// Gives a name these values instead of those that it has.
    ///
    /// # Errors
    /// [`FieldsError`]; nothing changes.
    pub fn set<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a [u8]>) -> Result<(), FieldsError> {
        let name = name_to_set(name)?;
        let mut new = Vec::new();
        let mut byte_len = self.bytes_without(&name);
        for value in values {
            let value = value_of(value)?;
            byte_len += bytes_of(&name, &value);
            if byte_len > MAX_BYTES {
                return Err(FieldsError::Full);
            }
            new.push((name.clone(), value));
        }
        self.resize(byte_len)?;
        self.entries.retain(|(other, _)| *other != name);
        self.entries.extend(new);
        Ok(())
    }

    /// Takes a name's values away.
    ///
    /// # Errors
    /// [`FieldsError`]; nothing changes.
    pub fn delete(&mut self, name: &str) -> Result<(), FieldsError> {
        self.set(name, [])
    }

    fn bytes_without(&self, name: &HeaderName) -> usize {
        let of_name = self.entries.iter().filter(|(other, _)| other == name);
        self.byte_len - of_name.map(|(name, value)| bytes_of(name, value)).sum::<usize>()
    }

    /// As `hyper` has them. There are never more than it takes: each counts [`ENTRY_BYTES`] at least.
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.entries.len());
        for (name, value) in &self.entries {
            map.append(name.clone(), value.clone());
        }
        map
    }

    /// How long the body will be, where they say so.
    ///
    /// # Errors
    /// What they say is no length, or several.
    pub fn content_length(&self) -> Result<Option<u64>, FieldsError> {
        length_in(self.get(header::CONTENT_LENGTH.as_str()))
    }
}

/// How long the body of a message with these headers will be, where they say so.
///
/// # Errors
/// What they say is no length, or several.
pub fn content_length(map: &HeaderMap) -> Result<Option<u64>, FieldsError> {
    length_in(map.get_all(header::CONTENT_LENGTH).iter().map(HeaderValue::as_bytes))
}

fn length_in<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Option<u64>, FieldsError> {
    let mut len = None;
    for value in values {
        let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).ok().filter(|_| is_number);
        let this = text.and_then(|text| text.parse().ok()).ok_or(FieldsError::InvalidSyntax)?;
        if len.is_some_and(|len| len != this) {
            return Err(FieldsError::InvalidSyntax);
        }
        len = Some(this);
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields::new(&Budget::new(1 << 20))
    }

    fn entries(fields: &Fields) -> Vec<(&str, &[u8])> {
        fields.entries().collect()
    }

    #[test]
    fn names_have_no_case_and_values_their_order() {
        let mut fields = fields();
        assert_eq!(fields.append("X-A", b"1"), Ok(()));
        assert_eq!(fields.append("x-b", b"2"), Ok(()));
        assert_eq!(fields.append("x-a", b"\xff 3"), Ok(()));
        assert_eq!(fields.get("X-a").collect::<Vec<_>>(), [&b"1"[..], b"\xff 3"]);
        assert_eq!(entries(&fields), [("x-a", &b"1"[..]), ("x-b", b"2"), ("x-a", b"\xff 3")]);
        assert_eq!(fields.set("x-a", [&b"4"[..]]), Ok(()));
        assert_eq!(entries(&fields), [("x-b", &b"2"[..]), ("x-a", b"4")]);
        assert_eq!(fields.delete("X-B"), Ok(()));
        assert_eq!(entries(&fields), [("x-a", &b"4"[..])]);
    }

    #[test]
    fn what_cannot_be_sent_is_refused_and_changes_nothing() {
        let mut fields = fields();
        fields.append("a", b"kept").expect("fits");
        for name in ["", "a b", "a:", "ä", "a\n"] {
            assert_eq!(fields.append(name, b""), Err(FieldsError::InvalidSyntax), "{name:?}");
            assert_eq!(fields.delete(name), Err(FieldsError::InvalidSyntax), "{name:?}");
            assert_eq!(fields.get(name).count(), 0);
        }
        for value in [&b"a\nb"[..], b"a\rb", b"\0"] {
            assert_eq!(fields.append("a", value), Err(FieldsError::InvalidSyntax));
            assert_eq!(fields.set("a", [&b"1"[..], value]), Err(FieldsError::InvalidSyntax));
        }
        for name in FORBIDDEN {
            let name = name.to_uppercase();
            assert_eq!(fields.append(&name, b""), Err(FieldsError::Forbidden));
            assert_eq!(fields.set(&name, []), Err(FieldsError::Forbidden));
            assert_eq!(fields.delete(&name), Err(FieldsError::Forbidden));
        }
        assert_eq!(entries(&fields), [("a", &b"kept"[..])]);
    }

    #[test]
    fn their_bytes_are_bounded_each_and_together() {
        let budget = Budget::new(MAX_BYTES + 100);
        let mut fields = Fields::new(&budget);
        let entry = ENTRY_BYTES + 2;
        for _ in 0..MAX_BYTES / entry {
            assert_eq!(fields.append("a", b"b"), Ok(()));
        }
        assert_eq!(fields.append("a", b"b"), Err(FieldsError::Full));
        assert_eq!(fields.set("a", [&vec![b'x'; MAX_BYTES][..]]), Err(FieldsError::Full));
        assert_eq!(fields.get("a").count(), MAX_BYTES / entry);
        assert_eq!(fields.try_clone().err(), Some(FieldsError::Full), "the guest's bytes are used up");
        assert_eq!(fields.delete("a"), Ok(()));
        assert!(fields.try_clone().is_ok() && budget.charge(MAX_BYTES).is_ok());
    }

    #[test]
    fn a_length_is_a_number_and_one_only() {
        let length = |values: &[&str]| {
            let mut fields = fields();
            values.iter().for_each(|value| fields.append("Content-Length", value.as_bytes()).expect("fits"));
            fields.content_length()
        };
        assert_eq!(length(&[]), Ok(None));
        assert_eq!(length(&["12"]), Ok(Some(12)));
        assert_eq!(length(&["12", "12"]), Ok(Some(12)));
        for bad in [&["12", "13"][..], &[""], &["+1"], &["1,1"], &["18446744073709551616"]] {
            assert_eq!(length(bad), Err(FieldsError::InvalidSyntax), "{bad:?}");
        }
    }

    #[test]
    fn what_is_the_host_s_own_is_hidden_of_what_has_come() {
        let mut map = HeaderMap::new();
        for name in ["host", "connection", "x-a", "te"] {
            map.append(name, HeaderValue::from_static("v"));
        }
        let fields = Fields::received(&map, &Budget::new(1000)).expect("fits");
        assert_eq!(entries(&fields), [("x-a", &b"v"[..]), ("te", b"v")]);
        assert_eq!(Fields::received(&map, &Budget::new(50)).err(), Some(FieldsError::Full));
    }
}
