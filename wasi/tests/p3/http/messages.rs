//! Fields, requests and responses that a guest makes, before anybody gets them.

use crate::support::{Guest, bytes_of, pair};
use ampoule_component::streams::{FutureWriter, future};
use ampoule_component::types::ValType;
use ampoule_component::{Val, ValRef};
use ampoule_wasi::WasiConfig;

fn guest() -> Guest {
    Guest::new(WasiConfig::new())
}

/// What a `result` says: its value, or the name of the error.
pub fn outcome(mut val: Val) -> Result<Option<Val>, String> {
    match val.take_result().expect("a result") {
        Ok(value) => Ok(value.map(|value| *value)),
        Err(None) => Err(String::new()),
        Err(Some(error)) => match error.get() {
            ValRef::Variant(case, _) => Err(String::from_utf8_lossy(case).into_owned()),
            other => panic!("{other:?}"),
        },
    }
}

fn list_of(bytes: &[u8]) -> Val {
    Val::list(bytes.iter().map(|&byte| Val::from(byte)).collect::<Vec<_>>())
}

fn entry(name: &str, value: &[u8]) -> Val {
    Val::tuple(vec![Val::from(name), list_of(value)])
}

/// A future that a guest gives as this argument of a function, and who writes its value.
pub fn promise(guest: &mut Guest, function: &str, argument: usize) -> (FutureWriter, Val) {
    let ValType::Future(payload) = guest.parameter(function, argument) else { panic!("no future") };
    let (writer, reader) = future(&mut guest.store, Option::clone(&payload)).expect("there are few");
    (writer, Val::from(reader))
}

/// A request with this body.
fn request(guest: &mut Guest, contents: Option<Val>) -> (Val, FutureWriter, Val) {
    let headers = guest.call("http/types#fields", &[]);
    let (writer, trailers) = promise(guest, "types#request.new", 2);
    let made = guest.call("types#request.new", &[headers, Val::option(contents), trailers, Val::option(None)]);
    let (request, sent) = pair(made);
    (request, writer, sent)
}

#[test]
fn fields_are_refused_with_the_errors_of_0_3_and_nothing_changes() {
    let mut guest = guest();
    let fields = guest.call("http/types#fields", &[]);
    let mut append = |name: &str, value: &[u8]| {
        let args = [fields.clone(), Val::from(name), list_of(value)];
        outcome(guest.call("http/types#fields.append", &args)).map(drop)
    };
    assert_eq!(append("x-a", b"1"), Ok(()));
    assert_eq!(append("a b", b"1"), Err("invalid-syntax".to_owned()));
    assert_eq!(append("host", b"1"), Err("forbidden".to_owned()));
    assert_eq!(append("x-b", &vec![b'a'; 128 << 10]), Err("size-exceeded".to_owned()));
    let all = guest.call("http/types#fields.copy-all", &[fields.clone()]);
    assert_eq!(all, Val::list(vec![entry("x-a", b"1")]));
    let taken = outcome(guest.call("http/types#fields.get-and-delete", &[fields.clone(), Val::from("X-A")]));
    let taken = taken.expect("they can be changed").expect("values");
    let ValRef::List([value]) = taken.get() else { panic!("{taken:?}") };
    assert_eq!(bytes_of(value), b"1");
    assert_eq!(guest.call("http/types#fields.has", &[fields, Val::from("x-a")]), Val::from(false));
}

#[test]
fn a_name_s_values_are_set_and_taken_away_together() {
    let mut guest = guest();
    let list = Val::list(vec![entry("x-a", b"1"), entry("x-b", b"2")]);
    let fields = outcome(guest.call("http/types#fields.from-list", &[list])).expect("they can be").expect("fields");
    let copy = guest.call("http/types#fields.clone", &[fields.clone()]);
    let values = Val::list(vec![list_of(b"3"), list_of(b"4")]);
    let set = guest.call("http/types#fields.set", &[fields.clone(), Val::from("x-a"), values.clone()]);
    assert_eq!(outcome(set).map(drop), Ok(()));
    assert_eq!(guest.call("http/types#fields.get", &[fields.clone(), Val::from("X-A")]), values);
    let deleted = guest.call("http/types#fields.delete", &[fields.clone(), Val::from("x-a")]);
    assert_eq!(outcome(deleted).map(drop), Ok(()));
    assert_eq!(guest.call("http/types#fields.copy-all", &[fields]), Val::list(vec![entry("x-b", b"2")]));
    let has = guest.call("http/types#fields.has", &[copy, Val::from("x-a")]);
    assert_eq!(has, Val::from(true), "the copy is one by itself");
}

#[test]
fn a_hundred_thousand_headers_are_too_many() {
    let mut guest = guest();
    let many: Vec<Val> = (0..100_000).map(|_| entry("a", b"")).collect();
    let made = guest.call("http/types#fields.from-list", &[Val::list(many)]);
    assert_eq!(outcome(made).map(drop), Err("size-exceeded".to_owned()));
}

#[test]
fn a_request_has_the_parts_that_it_was_given() {
    let mut guest = guest();
    let (request, _writer, _sent) = request(&mut guest, None);
    let get = |guest: &mut Guest, name: &str| guest.call(&format!("types#request.{name}"), &[request.clone()]);
    assert_eq!(get(&mut guest, "get-method"), Val::variant("get", None));
    for part in ["get-path-with-query", "get-scheme", "get-authority", "get-options"] {
        assert_eq!(get(&mut guest, part), Val::option(None), "{part}");
    }
    let text = |text: &str| Val::option(Some(Val::from(text)));
    for (set, good, bad) in [
        ("set-path-with-query", text("/a?b"), text("/a b")),
        ("set-authority", text("example.com:80"), text("a/b")),
        ("set-method", Val::variant("post", None), Val::variant("other", Some(Val::from("A B")))),
        (
            "set-scheme",
            Val::option(Some(Val::variant("HTTPS", None))),
            Val::option(Some(Val::variant("other", Some(Val::from("a b"))))),
        ),
    ] {
        let mut try_set = |value: &Val| {
            outcome(guest.call(&format!("types#request.{set}"), &[request.clone(), value.clone()])).is_ok()
        };
        assert!(try_set(&good), "{set}");
        assert!(!try_set(&bad), "{set}");
        assert_eq!(get(&mut guest, &set.replace("set-", "get-")), good);
    }
    let headers = get(&mut guest, "get-headers");
    let args = [headers, Val::from("x-a"), list_of(b"1")];
    assert_eq!(outcome(guest.call("http/types#fields.append", &args)).map(drop), Err("immutable".to_owned()));
}

const TIMES: [(&str, &str); 3] = [
    ("set-connect-timeout", "get-connect-timeout"),
    ("set-first-byte-timeout", "get-first-byte-timeout"),
    ("set-between-bytes-timeout", "get-between-bytes-timeout"),
];

#[test]
fn options_of_a_request_cannot_be_changed() {
    let mut guest = guest();
    let options = guest.call("types#request-options", &[]);
    let time = Val::option(Some(Val::from(7u64)));
    for (set, _) in TIMES {
        let set = guest.call(&format!("types#request-options.{set}"), &[options.clone(), time.clone()]);
        assert_eq!(outcome(set).map(drop), Ok(()));
    }
    let copy = guest.call("types#request-options.clone", &[options]);
    let headers = guest.call("http/types#fields", &[]);
    let (_writer, trailers) = promise(&mut guest, "types#request.new", 2);
    let args = [headers, Val::option(None), trailers, Val::option(Some(copy))];
    let (request, _sent) = pair(guest.call("types#request.new", &args));
    let mut options = guest.call("types#request.get-options", &[request]);
    let options = *options.take_option().expect("an option").expect("they were given");
    for (set, get) in TIMES {
        assert_eq!(guest.call(&format!("types#request-options.{get}"), &[options.clone()]), time);
        let args = [options.clone(), Val::option(None)];
        let refused = guest.call(&format!("types#request-options.{set}"), &args);
        assert_eq!(outcome(refused).map(drop), Err("immutable".to_owned()));
    }
}

#[test]
fn a_response_has_a_status_that_ends_it() {
    let mut guest = guest();
    let headers = guest.call("http/types#fields", &[]);
    let (_writer, trailers) = promise(&mut guest, "types#response.new", 2);
    let (response, _sent) = pair(guest.call("types#response.new", &[headers, Val::option(None), trailers]));
    assert_eq!(guest.call("types#response.get-status-code", &[response.clone()]), Val::from(200u16));
    let mut set = |status: u16| {
        outcome(guest.call("types#response.set-status-code", &[response.clone(), Val::from(status)])).is_ok()
    };
    assert!(!set(99) && !set(100) && !set(1000));
    assert!(set(404));
    assert_eq!(guest.call("types#response.get-status-code", &[response]), Val::from(404u16));
}

#[test]
fn a_guest_may_consume_what_it_has_made_itself() {
    let mut guest = guest();
    let (bytes, contents) = guest.stream();
    let (made, writer, mut sent) = request(&mut guest, Some(contents));
    let (outcome_writer, res) = promise(&mut guest, "types#request.consume-body", 1);
    let (mut stream, _trailers) = pair(guest.call("types#request.consume-body", &[made, res]));
    writer.write(&mut guest.store, Some(Val::result(Ok(Some(Val::option(None)))))).expect("the store's");
    drop(bytes);
    assert_eq!(guest.read_all(&mut stream), b"");
    // Whoever has consumed it says what has become of it.
    let said = Val::result(Err(Some(Val::variant("loop-detected", None))));
    outcome_writer.write(&mut guest.store, Some(said)).expect("the store's");
    assert_eq!(guest.ending(&mut sent).as_deref(), Some("loop-detected"));
}

#[test]
fn a_request_that_is_dropped_was_not_sent() {
    let mut guest = guest();
    let (request, _writer, mut sent) = request(&mut guest, None);
    let ValRef::Resource(Some(any)) = request.get() else { panic!("{request:?}") };
    any.drop(&mut guest.store).expect("nothing depends on it");
    assert_eq!(guest.ending(&mut sent).as_deref(), Some("connection-terminated"));
}

#[test]
fn who_may_send_nothing_is_told_so() {
    for function in ["client#send", "handler#handle"] {
        let mut guest = guest();
        let (made, _writer, mut sent) = request(&mut guest, None);
        let set = guest.call("types#request.set-authority", &[made.clone(), Val::option(Some(Val::from("localhost")))]);
        assert_eq!(outcome(set).map(drop), Ok(()));
        let answer = guest.call(function, &[made]);
        assert_eq!(outcome(answer).map(drop), Err("HTTP-request-denied".to_owned()));
        drop(sent.take_end());
    }
}
