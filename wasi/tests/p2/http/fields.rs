//! `fields`.

use super::{entries, entries_of, fields_of, guest};
use crate::support::{Guest, list_of};
use ampoule_component::Val;
use ampoule_wasi::host::http::HttpConfig;

#[test]
fn entries_are_kept_in_order_and_names_have_no_case() {
    let mut guest = guest();
    let fields = guest.call("http/types#fields", &[]);
    for (name, value) in [("X-A", "1"), ("b", "2"), ("x-a", "3")] {
        guest
            .result("http/types#fields.append", &[fields.clone(), Val::from(name), list_of(value.as_bytes())])
            .unwrap();
    }
    let pair = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    assert_eq!(entries(&mut guest, &fields), [pair("x-a", "1"), pair("b", "2"), pair("x-a", "3")]);
    let values = guest.call("http/types#fields.get", &[fields.clone(), Val::from("X-a")]);
    assert_eq!(values, Val::list(vec![list_of(b"1"), list_of(b"3")]));
    let has = |guest: &mut Guest, name: &str| guest.call("http/types#fields.has", &[fields.clone(), Val::from(name)]);
    assert_eq!(
        [has(&mut guest, "B"), has(&mut guest, "c"), has(&mut guest, "\n")],
        [true, false, false].map(Val::from)
    );
    let copy = guest.call("http/types#fields.clone", &[fields.clone()]);
    guest.result("http/types#fields.delete", &[copy.clone(), Val::from("x-a")]).unwrap();
    assert_eq!(entries(&mut guest, &copy), [pair("b", "2")]);
    let values = Val::list(vec![list_of(b"4")]);
    guest.result("http/types#fields.set", &[fields.clone(), Val::from("b"), values]).unwrap();
    assert_eq!(entries(&mut guest, &fields), [pair("x-a", "1"), pair("x-a", "3"), pair("b", "4")]);
}

#[test]
fn what_cannot_be_sent_and_what_is_the_host_s_is_refused() {
    let mut guest = guest();
    let fields = fields_of(&mut guest, &[("a", b"1")]);
    let append = |guest: &mut Guest, name: &str, value: &[u8]| {
        guest.err("http/types#fields.append", &[fields.clone(), Val::from(name), list_of(value)])
    };
    assert_eq!(append(&mut guest, "a b", b""), "invalid-syntax");
    assert_eq!(append(&mut guest, "a", b"x\ny"), "invalid-syntax");
    assert_eq!(append(&mut guest, "a", b"\0"), "invalid-syntax");
    for name in [
        "Connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
        "Host",
        "http2-settings",
    ] {
        assert_eq!(append(&mut guest, name, b"x"), "forbidden");
        assert_eq!(guest.err("http/types#fields.from-list", &[entries_of(&[(name, b"x")])]), "forbidden");
        assert_eq!(guest.err("http/types#fields.delete", &[fields.clone(), Val::from(name)]), "forbidden");
    }
    assert_eq!(entries(&mut guest, &fields).len(), 1);
}

#[test]
fn the_fields_of_a_message_are_immutable_and_a_copy_is_not() {
    let mut guest = guest();
    let fields = fields_of(&mut guest, &[("a", b"1")]);
    let request = guest.call("http/types#outgoing-request", &[fields]);
    let headers = guest.call("http/types#outgoing-request.headers", &[request.clone()]);
    assert_eq!(guest.err("http/types#fields.delete", &[headers.clone(), Val::from("a")]), "immutable");
    let values = Val::list(Vec::<Val>::new());
    assert_eq!(guest.err("http/types#fields.set", &[headers.clone(), Val::from("a"), values]), "immutable");
    let copy = guest.call("http/types#fields.clone", &[headers.clone()]);
    assert!(guest.result("http/types#fields.delete", &[copy, Val::from("a")]).is_ok());
    assert_eq!(entries(&mut guest, &headers).len(), 1);
    let error = guest.drop(request).expect_err("its headers are still there");
    assert!(error.to_string().contains("resource has children"), "{error}");
}

#[test]
fn fields_beyond_the_bound_end_the_guest() {
    // By bytes, by entries of few bytes, and by a list of a hundred thousand.
    let value = vec![b'x'; 1 << 10];
    let mut by_bytes = guest();
    let fields = by_bytes.call("http/types#fields", &[]);
    let mut appended = 0;
    let error = loop {
        match by_bytes.try_call("http/types#fields.append", &[fields.clone(), Val::from("a"), list_of(&value)]) {
            Ok(_) => appended += 1,
            Err(error) => break error,
        }
        assert!(appended < 200);
    };
    assert_eq!(appended, (128 << 10) / (value.len() + 1 + 35));
    assert!(error.to_string().contains("HTTP fields are larger than the host allows"), "{error}");

    let many: Vec<(&str, &[u8])> = vec![("a", b""); 100_000];
    let error = guest().try_call("http/types#fields.from-list", &[entries_of(&many)]).expect_err("too many");
    assert!(error.to_string().contains("HTTP fields are larger than the host allows"), "{error}");
    let values = Val::list(vec![list_of(b""); 50_000]);
    let mut guest = guest();
    let fields = guest.call("http/types#fields", &[]);
    assert!(guest.try_call("http/types#fields.set", &[fields, Val::from("a"), values]).is_err());
}

#[test]
fn all_fields_of_a_guest_are_bounded_together() {
    let mut config = HttpConfig::new();
    config.max_bytes(1 << 20);
    let mut guest = Guest::with_http(&config);
    let fields = fields_of(&mut guest, &[("a", &[b'x'; 100_000])]);
    let mut copies = Vec::new();
    while let Ok(copy) = guest.try_call("http/types#fields.clone", &[fields.clone()]) {
        copies.push(copy);
        assert!(copies.len() < 20);
    }
    assert_eq!(copies.len(), 9);
}
