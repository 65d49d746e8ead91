//! Claims about pools, made with memories on their own and with whole engines.

use super::memories::{MemoryPool, SMALL_USE_BYTES, SMALL_USES_BYTES};
use super::*;
use crate::memory::image::MemoryImage;
use crate::memory::linear::{LinearMemory, MemoryError};
use crate::{Config, Engine, Instance, Module, Store};
use ampoule_core::tunables::{MemoryPlan, Tunables};
use ampoule_core::types::MemoryType;

const PAGE: usize = 1 << 16;

/// Slots of 64 MiB with explicit checks.
fn tunables() -> Tunables {
    Tunables { memory_reservation: 64 << 20, memory_guard_size: PAGE as u64, ..Tunables::default() }
}

fn config() -> PoolConfig {
    PoolConfig { total_memories: 4, max_memory_size: 64 << 20, ..PoolConfig::default() }
}

fn pool(config: &PoolConfig) -> MemoryCache {
    MemoryCache::of(Arc::new(MemoryPool::new(config, tunables().memory_reservation, PAGE as u64).unwrap()))
}

fn try_memory(pool: &MemoryCache, pages: u64, image: Option<&Arc<MemoryImage>>) -> Result<LinearMemory, MemoryError> {
    let ty = MemoryType { min: pages, max: None, is_64: false, shared: false, page_size_log2: 16 };
    LinearMemory::new(&ty, MemoryPlan::new(&ty, &tunables()), image, pool)
}

fn memory(pool: &MemoryCache, pages: u64, image: Option<&Arc<MemoryImage>>) -> LinearMemory {
    try_memory(pool, pages, image).unwrap()
}

#[expect(clippy::mut_from_ref, reason = "as the host does it: through the pointer")]
fn bytes(memory: &LinearMemory) -> &mut [u8] {
    // SAFETY: so many bytes are accessible, and the tests have one such slice of a memory at a time.
    unsafe { std::slice::from_raw_parts_mut(memory.base(), memory.byte_len()) }
}

fn image(pool: &MemoryCache, seed: u8) -> (Arc<MemoryImage>, Vec<u8>) {
    let data: Vec<u8> = (0..300_000).map(|i| (i % 241) as u8 ^ seed).collect();
    let image = MemoryImage::new(16 * PAGE, &[(70_001, &data)], pool, &|| Ok(())).unwrap().unwrap();
    let mut contents = vec![0; 16 * PAGE];
    contents[70_001..370_001].copy_from_slice(&data);
    (image, contents)
}

/// No byte of an owner is visible to the next, whatever both were like, and however the pool cleans.
#[test]
fn no_byte_survives_its_owner() {
    let zeros = vec![0u8; 100 * PAGE];
    for keep_resident in [0, 4096, 300 << 10, usize::MAX] {
        for batch in [0, 1, 3] {
            // One slot: every memory gets that of the last.
            let config = PoolConfig {
                total_memories: 1,
                linear_memory_keep_resident: keep_resident,
                decommit_batch_size: batch,
                ..config()
            };
            let pool = pool(&config);
            let ((image_a, contents_a), (image_b, contents_b)) = (image(&pool, 0), image(&pool, 0x80));
            let kinds = [
                (1, None, &zeros),
                (20, None, &zeros),
                (16, Some(&image_a), &contents_a),
                (17, Some(&image_b), &contents_b),
            ];
            let mut base = None;
            for (pages, image, _) in kinds {
                for writes in ["all", "sparse", "grown"] {
                    for (next_pages, next_image, expected) in kinds {
                        let mut first = memory(&pool, pages, image);
                        match writes {
                            "all" => bytes(&first).fill(0xee),
                            "sparse" => bytes(&first).iter_mut().step_by(13_001).for_each(|byte| *byte = 0xee),
                            _ => {
                                first.grow(50).unwrap();
                                bytes(&first).iter_mut().rev().step_by(5_003).for_each(|byte| *byte = 0xee);
                            }
                        }
                        assert_eq!(
                            *base.get_or_insert(first.base() as usize),
                            first.base() as usize,
                            "the test is about reuse"
                        );
                        drop(first);
                        let mut next = memory(&pool, next_pages, next_image);
                        // What is hidden now can come to light by growth.
                        next.grow(60).unwrap();
                        let (with_data, rest) = bytes(&next).split_at(expected.len().min(next_pages as usize * PAGE));
                        let what = format!("{keep_resident}, {batch}: {pages} pages, {writes}, then {next_pages}");
                        assert!(with_data == &expected[..with_data.len()], "{what}");
                        assert!(rest == &zeros[..rest.len()], "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_total_is_exact_and_comes_back() {
    for batch in [1, 2, 100] {
        let pool = pool(&PoolConfig { decommit_batch_size: batch, ..config() });
        for _ in 0..3 {
            let all: Vec<_> = (0..4).map(|_| memory(&pool, 1, None)).collect();
            assert_eq!(try_memory(&pool, 1, None).err(), Some(MemoryError::NoneLeft(4)));
            drop(all);
        }
    }
}

#[test]
fn a_memory_ends_at_the_largest_size() {
    let pool = pool(&PoolConfig { max_memory_size: 3 * PAGE - 5000, ..config() });
    assert_eq!(try_memory(&pool, 3, None).err(), Some(MemoryError::TooLarge));
    let mut memory = memory(&pool, 1, None);
    assert_eq!(memory.grow(2), Err(MemoryError::TooLarge));
    assert_eq!(memory.grow(1), Ok(1));
}

#[test]
fn slots_follow_their_image() {
    let pool = pool(&config());
    let ((image_a, _), (image_b, _)) = (image(&pool, 1), image(&pool, 2));
    let bases = [Some(&image_a), Some(&image_b), None].map(|image| memory(&pool, 16, image).base());
    assert_ne!(bases[0], bases[1], "a cold slot is preferred to a warm one of another module");
    let again = [None, Some(&image_b), Some(&image_a)].map(|image| memory(&pool, 16, image).base());
    assert_eq!(again, [bases[2], bases[1], bases[0]]);
}

#[test]
fn without_warm_slots_no_more_slots_are_used_than_needed_at_a_time() {
    let pool = pool(&PoolConfig { max_unused_warm_slots: 0, ..config() });
    let ((image_a, _), (image_b, _)) = (image(&pool, 1), image(&pool, 2));
    let bases = [Some(&image_a), Some(&image_b), None].map(|image| memory(&pool, 16, image).base());
    assert_eq!((bases[0], bases[1]), (bases[1], bases[2]));
}

#[test]
fn as_much_stays_resident_as_is_said() {
    for (keep, kept) in [(0, 0), (2 * PAGE, 2 * PAGE), (8 * PAGE, 5 * PAGE)] {
        let pool = pool(&PoolConfig { linear_memory_keep_resident: keep, ..config() });
        let memory = memory(&pool, 10, None);
        bytes(&memory)[..5 * PAGE].fill(1);
        drop(memory);
        // Without a page map nothing can be kept.
        assert!(pool.kept() == (1, kept) || pool.kept() == (1, 0), "{:?}", pool.kept());
    }
}

/// Few pages are overwritten instead of given back. Whatever of them was written, by whomever, the next owner finds zeros and its image.
#[test]
fn no_byte_of_a_small_use_survives_its_owner() {
    let zeros = vec![0u8; 40 * PAGE];
    let mut seed = 7u32;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % below
    };
    let config = PoolConfig { total_memories: 2, max_unused_warm_slots: 0, ..config() };
    let pool = pool(&config);
    let ((image_a, contents_a), (image_b, contents_b)) = (image(&pool, 0), image(&pool, 0x80));
    let kinds =
        [(1, None, &zeros), (20, None, &zeros), (16, Some(&image_a), &contents_a), (17, Some(&image_b), &contents_b)];
    let mut kept = 0;
    for round in 0..1000 {
        let (pages, image, expected) = kinds[random(kinds.len())];
        let mut memory = memory(&pool, pages, image);
        if random(2) == 0 {
            memory.grow(random(20) as u64).unwrap();
        }
        let bytes = bytes(&memory);
        let (with_data, rest) = bytes.split_at(expected.len().min(pages as usize * PAGE));
        assert!(with_data == &expected[..with_data.len()] && rest == &zeros[..rest.len()], "round {round}");
        // Around what may stay, which is 32 pages of the host; whole pages and single bytes, at the borders of the image, too.
        for _ in 0..[0, 1, 2, 16, 31, 32, 33, 70][random(8)] {
            let host_page = match random(4) {
                0 => 17 + random(2),
                1 => 90 + random(3),
                2 => bytes.len() / 4096 - 1 - random(2),
                _ => random(bytes.len() / 4096),
            };
            let Some(page) = bytes.get_mut(host_page * 4096..(host_page + 1) * 4096) else { continue };
            if random(2) == 0 { page.fill(0xee) } else { page[random(4096)] = !page[0] }
        }
        drop(memory);
        kept += pool.kept().1;
    }
    // Without a page map nothing can be kept.
    assert!(kept > 0 || ampoule_machine::os::pagemap::written_bytes(zeros.as_ptr().addr() & !4095, 1).is_none());
}

#[test]
fn a_slot_that_is_written_to_again_keeps_its_pages_again() {
    let pool = pool(&PoolConfig { total_memories: 1, ..config() });
    (0..100).for_each(|_| drop(memory(&pool, 4, None)));
    let mut kept = 0;
    for _ in 0..20 {
        let memory = memory(&pool, 4, None);
        assert!(bytes(&memory).iter().all(|&byte| byte == 0));
        bytes(&memory)[..10_000].fill(1);
        let asks = ampoule_machine::os::pagemap::written_bytes(memory.base().addr(), PAGE).is_some();
        drop(memory);
        kept = if asks { pool.kept().1 } else { 12_288 };
    }
    assert_eq!(kept, 12_288);
}

#[test]
fn small_uses_stay_within_an_allowance() {
    const COUNT: usize = 300;
    let pool = pool(&PoolConfig { total_memories: COUNT as u32, ..config() });
    for _ in 0..3 {
        let memories: Vec<_> = (0..COUNT).map(|_| memory(&pool, 4, None)).collect();
        memories.iter().for_each(|memory| bytes(memory)[..100 << 10].fill(1));
        let bases: Vec<_> = memories.iter().map(|memory| memory.base().addr()).collect();
        drop(memories);
        let resident = |&base: &usize| ampoule_machine::os::pagemap::written_bytes(base, 4 * PAGE);
        let Some(resident) = bases.iter().map(resident).sum::<Option<u64>>() else { return };
        assert_eq!(resident, pool.kept().1 as u64);
        assert!(resident <= SMALL_USES_BYTES as u64, "{resident}");
        assert!(resident > (SMALL_USES_BYTES - SMALL_USE_BYTES) as u64, "what slots had is free again: {resident}");
    }
    // Of a use that isn't small nothing stays, as is configured.
    let mut memories: Vec<_> = (0..COUNT).map(|_| memory(&pool, 4, None)).collect();
    memories.iter().for_each(|memory| bytes(memory)[..SMALL_USE_BYTES + 1].fill(1));
    memories.truncate(COUNT - 1);
    assert_eq!(pool.kept(), (1, 0));
    drop(memories);
    assert_eq!(pool.kept(), (COUNT, 0));
}

#[test]
fn freed_memories_wait_for_their_batch() {
    let pool = pool(&PoolConfig { decommit_batch_size: 3, ..config() });
    let mut all: Vec<_> = (0..3).map(|_| memory(&pool, 1, None)).collect();
    all.pop();
    all.pop();
    assert_eq!(pool.kept().0, 0);
    all.pop();
    assert_eq!(pool.kept().0, 3);
}

#[test]
fn the_image_of_a_gone_module_is_let_go() {
    for batch in [1, 2] {
        let pool = pool(&PoolConfig { decommit_batch_size: batch, ..config() });
        let (image, _) = image(&pool, 3);
        let weak = Arc::downgrade(&image);
        drop([memory(&pool, 16, Some(&image)), memory(&pool, 16, Some(&image))]);
        drop(image);
        assert!(weak.upgrade().is_none());
        assert!(bytes(&memory(&pool, 16, None)).iter().all(|&byte| byte == 0));
        assert_eq!((0..4).map(|_| memory(&pool, 1, None)).collect::<Vec<_>>().len(), 4);
    }
}

#[test]
fn threads_share_a_pool() {
    for (batch, keep) in [(1, 0), (3, 0), (1, 1 << 20)] {
        let config = PoolConfig { decommit_batch_size: batch, linear_memory_keep_resident: keep, ..config() };
        let pool = pool(&config);
        std::thread::scope(|scope| {
            for seed in 1..5u8 {
                let pool = &pool;
                scope.spawn(move || {
                    let (image, contents) = image(pool, seed);
                    for round in 0..300 {
                        // Four threads, four slots: nobody is ever refused.
                        let memory = memory(pool, 16, (round % 3 > 0).then_some(&image));
                        let expected = if round % 3 > 0 { &contents[70_000..71_000] } else { &[0; 1000] };
                        assert!(bytes(&memory)[70_000..71_000] == *expected);
                        bytes(&memory)[70_000..71_000].fill(seed);
                    }
                });
            }
        });
    }
}

#[test]
fn a_largest_size_beyond_the_reservation_is_refused() {
    let error = MemoryPool::new(&PoolConfig::default(), 1 << 20, 0).unwrap_err();
    let said = "maximum memory size of 0x100000000 bytes exceeds the configured memory reservation of 0x100000 bytes";
    assert_eq!(error.to_string(), said);
    let absurd = PoolConfig { total_memories: u32::MAX, ..PoolConfig::default() };
    assert!(MemoryPool::new(&absurd, 1 << 46, 0).is_err());
    assert!(MemoryPool::new(&absurd, u64::MAX, u64::MAX).is_err());
}

fn engine(pool: PoolConfig) -> Engine {
    Engine::new(&Config { pool: Some(pool), ..Config::default() }).unwrap()
}

#[test]
fn a_failed_instantiation_gives_back_what_it_took() {
    let config = PoolConfig { total_core_instances: 1, total_memories: 1, total_tables: 1, ..PoolConfig::default() };
    let engine = engine(PoolConfig { max_tables_per_module: 2, total_tables: 2, ..config });
    let large = Module::new(&engine, b"(module (memory 1) (table 1 funcref) (table 1 funcref))").unwrap();
    let small = Module::new(&engine, b"(module (memory 1) (table 1 funcref))").unwrap();
    let mut other = Store::new(&engine);
    let mut store = Store::new(&engine);
    for _ in 0..3 {
        store.limits.tables = 1;
        assert!(Instance::new(&mut store, &large, &[]).is_err(), "a limit of the store");
    }
    Instance::new(&mut other, &small, &[]).unwrap();
    let error = Instance::new(&mut store, &small, &[]).unwrap_err();
    assert_eq!(error.to_string(), "maximum concurrent limit of 1 for core instances reached");
    drop(other);
    Instance::new(&mut store, &small, &[]).unwrap();
}

#[test]
fn tables_are_kept_without_their_elements() {
    let engine = engine(PoolConfig { table_keep_resident: 800, ..PoolConfig::default() });
    let pool = engine.pool().unwrap();
    let sevens = |len| {
        let mut elements = Elements::new();
        elements.extend_to(len).unwrap();
        elements.fill(7);
        elements
    };
    pool.give_back_elements(sevens(101));
    assert_eq!(pool.take_elements().capacity_bytes(), 0, "too large to be kept");
    pool.give_back_elements(sevens(100));
    let again = pool.take_elements();
    assert_eq!((again.len(), again.capacity_bytes()), (0, 800));
}

#[test]
fn a_loaded_module_is_checked_as_a_new_one() {
    let roomy = engine(PoolConfig { max_memories_per_module: 2, ..PoolConfig::default() });
    let artifact = Module::new(&roomy, b"(module (memory 1) (memory 1))").unwrap().serialize().unwrap();
    // SAFETY: `serialize` wrote it.
    let loaded = unsafe { Module::deserialize(&engine(PoolConfig::default()), &artifact) };
    assert!(
        loaded.unwrap_err().to_string().contains("defined memories count of 2 exceeds the per-instance limit of 1")
    );
}
