//! Snapshots as bytes and files: whole ones are as what they were taken of, others are errors, whatever is in them.

use super::{GUEST, Guest, World, config_with_tags, two_instances};
use ampoule::error::ErrorKind;
use ampoule::snapshot::is_snapshot;
use ampoule::{Config, Engine, Error, Extern, Linker, Snapshot, Store};
use ampoule_core::artifact::checksum;
use ampoule_core::tunables::Tiers;
use std::path::PathBuf;

/// A file that is gone afterwards.
struct File(PathBuf);

impl File {
    fn new(name: &str, bytes: &[u8]) -> File {
        let path = std::env::temp_dir().join(format!("ampoule-{name}-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn load(engine: &Engine, bytes: &[u8]) -> Result<Snapshot, Error> {
    // SAFETY: no code of what is loaded is run but where `save` wrote it.
    unsafe { Snapshot::load(engine, bytes) }
}

fn load_file(engine: &Engine, file: &File) -> Result<Snapshot, Error> {
    // SAFETY: as above; nobody changes the file.
    unsafe { Snapshot::load_file(engine, &file.0) }
}

fn linker(engine: &Engine) -> Linker {
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "seven", || 7).unwrap();
    linker
}

fn thaw(snapshot: &Snapshot) -> Guest {
    let mut store = Store::new(snapshot.engine());
    let instance = snapshot.instantiate(&mut store, &linker(snapshot.engine()), &mut ()).unwrap()[0];
    Guest { store, instance }
}

/// Whoever keeps them by what is in them, as containers' stores do, finds them again.
#[test]
fn what_is_done_again_gives_the_same_bytes() {
    let saved = || {
        let world = World::new(&Config::new(), GUEST);
        let mut guest = world.guest();
        guest.change();
        guest.freeze().to_bytes().unwrap()
    };
    let first = saved();
    assert!((0..8).all(|_| saved() == first));
}

#[test]
fn what_is_loaded_is_as_what_was_saved() {
    let world = World::new(&Config::new(), GUEST);
    let mut guest = world.guest();
    guest.change();
    let (told, mut snapshot) = (guest.tell(), guest.freeze());
    let once = guest.tell_once();
    snapshot.attach("library", b"its state".to_vec());
    let bytes = snapshot.to_bytes().unwrap();
    assert!(is_snapshot(&bytes) && !is_snapshot(&bytes[1..]));
    let file = File::new("whole", &bytes);
    drop((world, guest, snapshot));
    let engine = Engine::default();
    for loaded in [load(&engine, &bytes).unwrap(), load_file(&engine, &file).unwrap()] {
        assert_eq!(loaded.section("library"), Some(&b"its state"[..]));
        for _ in 0..2 {
            let mut guest = thaw(&loaded);
            assert_eq!((guest.tell(), guest.tell_once()), (told.clone(), once.clone()));
            guest.act("store", &[4096, 1]);
            guest.reset(&loaded);
            assert_eq!(guest.tell(), told);
            // And saved again.
            let again = load(&engine, &guest.freeze().to_bytes().unwrap()).unwrap();
            assert_eq!(thaw(&again).tell(), told);
        }
    }
}

#[test]
fn what_is_loaded_has_its_objects_and_its_links() {
    let engine = Engine::new(&config_with_tags()).unwrap();
    let (store, _, [_, user]) = two_instances(&engine);
    let bytes = Snapshot::take_all(&store, &mut ()).unwrap().to_bytes().unwrap();
    let mut guest = Guest { store, instance: user };
    let expected = ["byte", "global", "call", "nine", "hosts"].map(|name| guest.get(name));
    let engine = Engine::new(&config_with_tags()).unwrap();
    let loaded = load(&engine, &bytes).unwrap();
    let mut store = Store::new(&engine);
    let thawed = loaded.instantiate(&mut store, &linker(&engine), &mut ()).unwrap();
    let mut guest = Guest { store, instance: thawed[1] };
    assert_eq!(["byte", "global", "call", "nine", "hosts"].map(|name| guest.get(name)), expected);

    let (bytes, expected) = super::objects::saved();
    let loaded = load(&engine, &bytes).unwrap();
    assert_eq!(thaw(&loaded).get("tell"), expected);
}

const FILE: &str = "AMPOULE_TEST_SNAPSHOT";

#[test]
fn another_process_makes_the_instance() {
    let world = World::new(&Config::new(), GUEST);
    let mut guest = world.guest();
    guest.act("store", &[90_000, 123]);
    let file = File::new("process", &guest.freeze().to_bytes().unwrap());
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["files::in_another_process", "--exact", "--nocapture"])
        .env(FILE, &file.0)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("the byte is 123"), "{text}");
}

/// The other one.
#[test]
fn in_another_process() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let file = std::mem::ManuallyDrop::new(File(path.into()));
    let loaded = load_file(&Engine::default(), &file).unwrap();
    println!("the byte is {}", thaw(&loaded).get_at("load", 90_000).unwrap());
}

fn kind_of(error: &Error) -> String {
    assert!(matches!(error.kind(), ErrorKind::Artifact(_) | ErrorKind::System(..)), "{error:?}");
    error.to_string()
}

#[test]
fn snapshots_for_others_are_refused() {
    let bytes = World::new(&Config::new(), GUEST).guest().freeze().to_bytes().unwrap();
    let refused = |bytes: &[u8]| kind_of(&load(&Engine::default(), bytes).unwrap_err());
    assert_eq!(refused(b"\0asm\x01\0\0\0"), "these bytes are not a snapshot");
    assert_eq!(refused(b""), "these bytes are not a snapshot");
    let mut other = bytes.clone();
    other[7] += 1;
    assert_eq!(refused(&other), "the snapshot was made by another version of this engine");
    let mut config = Config::new();
    config.consume_fuel(true);
    let error = load(&Engine::new(&config).unwrap(), &bytes).unwrap_err();
    assert!(kind_of(&error).contains("`consume_fuel`"), "{error}");
    // The tier that made the code doesn't matter.
    config = Config::new();
    config.tiers(Tiers::Baseline);
    assert!(load(&Engine::new(&config).unwrap(), &bytes).is_ok());
}

#[test]
fn every_damaged_snapshot_is_refused() {
    let mut snapshot = World::new(&Config::new(), GUEST).guest().freeze();
    snapshot.attach("library", b"its state".to_vec());
    let bytes = snapshot.to_bytes().unwrap();
    let engine = Engine::default();
    // Every byte of what is checked always, and some of the rest.
    let checked_end = checked_end(&bytes);
    for at in (0..checked_end).chain((checked_end..bytes.len()).step_by(997)) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        kind_of(&load(&engine, &damaged).expect_err("it is damaged"));
        if at < checked_end && at % 50 == 0 {
            let file = File::new("damaged", &damaged);
            // The checksum of what is mapped is not compared.
            if !(16..24).contains(&at) {
                kind_of(&load_file(&engine, &file).expect_err("it is damaged"));
            }
        }
    }
    for len in (0..bytes.len()).step_by(313) {
        kind_of(&load(&engine, &bytes[..len]).expect_err("it is too short"));
        let file = File::new("short", &bytes[..len]);
        kind_of(&load_file(&engine, &file).expect_err("it is too short"));
    }
}

/// Where the part ends that is checked always.
fn checked_end(bytes: &[u8]) -> usize {
    u64::from_le_bytes(bytes[32..40].try_into().unwrap()) as usize
}

/// Has checksums fit, as an attacker would.
fn seal(bytes: &mut [u8]) {
    let sum = checksum(&bytes[16..checked_end(bytes)]);
    bytes[8..16].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn whatever_is_in_a_snapshot_it_is_one_or_an_error() {
    let first = World::new(&Config::new(), GUEST).guest().freeze().to_bytes().unwrap();
    let (second, _) = super::objects::saved();
    let engine = Engine::new(&config_with_tags()).unwrap();
    let (store, ..) = two_instances(&engine);
    let third = Snapshot::take_all(&store, &mut ()).unwrap().to_bytes().unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let (mut loaded, mut refused) = (0, 0);
    for round in 0..6000 {
        let bytes = [&first, &second, &third][round % 3];
        // Zeros fill the page.
        let checked_end = bytes[..checked_end(bytes)].iter().rposition(|&byte| byte != 0).unwrap() + 1;
        let mut changed = bytes.clone();
        for _ in 0..1 + next(3) {
            let at = 40 + next(checked_end - 40);
            changed[at] = match next(4) {
                0 => 0,
                1 => 0xff,
                2 => changed[at].wrapping_add(1),
                _ => next(256) as u8,
            };
        }
        seal(&mut changed);
        match load(&engine, &changed) {
            Err(error) => {
                kind_of(&error);
                refused += 1;
            }
            // Whatever it is, it can be made or not, and reset.
            Ok(snapshot) => {
                loaded += 1;
                let mut store = Store::new(&engine);
                store.limits_mut().memory_size = Some(1 << 30);
                if let Ok(instances) = snapshot.instantiate(&mut store, &linker(&engine), &mut ()) {
                    // What functions tables have, the file says as well.
                    let tables = instances.iter().filter_map(|instance| instance.get_export(&store, "table"));
                    for table in tables.filter_map(Extern::into_table).collect::<Vec<_>>() {
                        for index in 0..table.size(&store).unwrap().min(1 << 16) {
                            let _ = table.get(&mut store, index);
                        }
                    }
                    snapshot.reset(&mut store, &instances, &mut ()).unwrap();
                    store.gc();
                }
            }
        }
    }
    assert!(loaded > 100 && refused > 1000, "{loaded} {refused}");
}
