//! The heap against a model, and at its edges.

use super::*;
use ampoule_core::object_layout::{FieldsLayout, MOST_INLINE, STRUCT_HEADER, Storage, array_size};
use ampoule_core::vm::types::ObjectKind;
use ampoule_machine::os::mmap::{Access, Mapping};
use std::collections::{HashMap, HashSet};

/// A few types, and a heap for objects of them.
struct World {
    heap: Heap,
    bump: Bump,
    owner: Roots,
    table: Mapping,
    types: u32,
    /// Records point into these.
    lists: Vec<Box<[u32]>>,
}

/// Slots in a list.
#[derive(Default)]
struct Roots {
    slots: Vec<u32>,
    /// What it costs to look at them, as they say.
    cost: u64,
    /// Bytes that the heap may have.
    most: Option<u64>,
    /// So often it is answered that a collection may go on.
    until_interrupted: Option<u32>,
}

// SAFETY: the slots are in a list that nobody else uses meanwhile.
unsafe impl Owner for Roots {
    fn visit_young(&mut self, visit: &mut dyn FnMut(*mut u32)) -> u64 {
        self.slots.iter_mut().for_each(|slot| visit(slot));
        self.cost
    }

    fn visit_all(&mut self, visit: &mut dyn FnMut(*mut u32)) {
        self.slots.iter_mut().for_each(|slot| visit(slot));
    }

    fn allow_growth(&mut self, from: u64, to: u64) -> Result<bool, Interrupted> {
        assert!(from < to && to.is_multiple_of(PAGE));
        Ok(self.most.is_none_or(|most| to <= most))
    }

    fn is_interrupted(&mut self) -> bool {
        let Some(left) = &mut self.until_interrupted else { return false };
        *left = left.saturating_sub(1);
        *left == 0
    }
}

impl World {
    fn new(stress: bool) -> Self {
        let table = Mapping::anonymous(TypeWord::TABLE_BYTES, Access::ReadWrite).unwrap();
        // SAFETY: the table is as long as it has to be, zeros at first, and outlives the heap.
        let heap = unsafe { Heap::new(Region::new().unwrap(), table.base().cast(), stress).unwrap() };
        World { heap, bump: Bump::EMPTY, owner: Roots::default(), table, types: 1, lists: Vec::new() }
    }

    fn add_type(&mut self, kind: ObjectKind, size: u32, ref_offsets: &[u32], ref_count: u32) -> TypeWord {
        let word = TypeWord::new(self.types, kind);
        self.types += 1;
        self.lists.push(ref_offsets.into());
        let list = self.lists.last().unwrap();
        let mut record = VmType { size, ref_offsets: list.as_ptr(), ref_count, ..VmType::NONE };
        record.display[0] = word.0;
        // SAFETY: inside of the table.
        unsafe { self.table.base().add(word.offset()).cast::<VmType>().write(record) };
        word
    }

    fn struct_type(&mut self, fields: &[Storage]) -> (TypeWord, FieldsLayout) {
        let layout = FieldsLayout::of_struct(None, fields);
        let refs = layout.ref_offsets();
        (self.add_type(ObjectKind::Struct, layout.size(), refs, refs.len() as u32), layout)
    }

    fn array_type(&mut self, element: Storage) -> TypeWord {
        self.add_type(ObjectKind::Array, element.size_log2(), &[], u32::from(element == Storage::Collected))
    }

    fn allocate(&mut self, word: TypeWord, size: u64) -> Result<u32, AllocationError> {
        self.heap.allocate(&mut self.bump, word, size, &mut self.owner)
    }

    /// A struct whose bytes are all zero.
    fn new_struct(&mut self, (word, layout): &(TypeWord, FieldsLayout)) -> Result<u32, AllocationError> {
        // As machine code does it.
        let at = if layout.size() <= MOST_INLINE && self.bump.top + layout.size() <= self.bump.limit {
            self.bump.top += layout.size();
            self.heap.region.write(self.bump.top - layout.size(), word.0);
            self.bump.top - layout.size()
        } else {
            self.allocate(*word, layout.size().into())?
        };
        self.heap.bytes_mut(at, STRUCT_HEADER, layout.size() - STRUCT_HEADER).fill(0);
        Ok(at)
    }

    /// An array whose elements are all zero.
    fn new_array(&mut self, word: TypeWord, len: u32, element: Storage) -> Result<u32, AllocationError> {
        let size = array_size(len, element.size_log2());
        let at = self.allocate(word, size)?;
        self.heap.set_array_len(at, len);
        self.heap.bytes_mut(at, ARRAY_ELEMENTS, size as u32 - ARRAY_ELEMENTS).fill(0);
        Ok(at)
    }

    fn collect(&mut self, kind: Kind) {
        self.heap.collect(&mut self.bump, kind, &mut self.owner).unwrap();
    }

    fn verify(&mut self) {
        self.heap.verify(&self.bump, &mut self.owner).unwrap();
    }

    fn reference(&self, object: u32, offset: u32) -> u32 {
        u32::from_ne_bytes(self.heap.field(object, offset))
    }

    fn dead(&mut self) -> Vec<u32> {
        let mut dead = Vec::new();
        self.heap.take_dead_hosts(&mut dead);
        dead.sort_unstable();
        dead
    }
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }
}

/// An object as the model has it: its number is in the object, too.
struct Node {
    shape: usize,
    len: u32,
    refs: Vec<Option<usize>>,
}

/// What the model's objects look like.
struct Shape {
    word: TypeWord,
    /// `None` for arrays of references.
    layout: Option<FieldsLayout>,
}

struct Model {
    world: World,
    shapes: Vec<Shape>,
    nodes: Vec<Node>,
    /// For each slot of the owner's the object.
    roots: Vec<usize>,
}

const ARRAY: usize = 4;

impl Model {
    fn new(stress: bool) -> Self {
        let mut world = World::new(stress);
        let mut shapes = Vec::new();
        for refs in [0, 2, 90, 5000] {
            let fields: Vec<_> =
                [Storage::Bits64, Storage::Bits8].into_iter().chain(vec![Storage::Collected; refs]).collect();
            let (word, layout) = world.struct_type(&fields);
            shapes.push(Shape { word, layout: Some(layout) });
        }
        let word = world.array_type(Storage::Collected);
        shapes.push(Shape { word, layout: None });
        Model { world, shapes, nodes: Vec::new(), roots: Vec::new() }
    }

    /// Where a shape has its references.
    fn offset(&self, shape: usize, index: usize) -> u32 {
        match &self.shapes[shape].layout {
            Some(layout) => layout.offsets()[2 + index],
            // The first element is the object's number.
            None => ARRAY_ELEMENTS + 4 * (1 + index as u32),
        }
    }

    fn add(&mut self, random: &mut Random) {
        let shape = match random.below(40) {
            0 => 3,
            1..5 => ARRAY,
            5..8 => 2,
            8..16 => 0,
            _ => 1,
        };
        let number = self.nodes.len();
        let (at, refs) = match &self.shapes[shape].layout {
            Some(layout) => {
                let (layout, word) = (layout.clone(), self.shapes[shape].word);
                let at = self.world.new_struct(&(word, layout.clone())).unwrap();
                self.world.heap.set_field(at, layout.offsets()[0], &(number as u64).to_ne_bytes());
                self.world.heap.set_field(at, layout.offsets()[1], &[number as u8]);
                (at, layout.ref_offsets().len())
            }
            None => {
                let len = [2, 10, 200, 6000][random.below(4)] - random.below(2);
                let at = self.world.new_array(self.shapes[shape].word, len as u32, Storage::Collected).unwrap();
                self.world.heap.set_field(at, ARRAY_ELEMENTS, &((number as u32) << 1 | 1).to_ne_bytes());
                (at, len - 1)
            }
        };
        let mut node = Node { shape, len: refs as u32, refs: vec![None; refs] };
        // Initialised without a barrier.
        for index in 0..refs.min(8) {
            if !self.roots.is_empty() && random.below(2) == 0 {
                let other = random.below(self.roots.len());
                let offset = self.offset(shape, index);
                self.world.heap.set_field(at, offset, &self.world.owner.slots[other].to_ne_bytes());
                node.refs[index] = Some(self.roots[other]);
            }
        }
        self.nodes.push(node);
        self.world.owner.slots.push(at);
        self.roots.push(number);
    }

    fn mutate(&mut self, random: &mut Random) {
        let (from, to) = (random.below(self.roots.len()), random.below(self.roots.len()));
        let node = &self.nodes[self.roots[from]];
        if node.len == 0 {
            return;
        }
        let index = random.below(node.len as usize);
        let offset = self.offset(node.shape, index);
        let (object, value) = (self.world.owner.slots[from], self.world.owner.slots[to]);
        let to = if random.below(4) == 0 { None } else { Some(self.roots[to]) };
        self.world.heap.set_ref(object, offset, if to.is_some() { value } else { 0 });
        let from = self.roots[from];
        self.nodes[from].refs[index] = to;
    }

    /// Follows both graphs from the roots.
    fn compare(&mut self) {
        let mut seen = HashMap::new();
        let mut waiting: Vec<(u32, usize)> =
            self.world.owner.slots.iter().copied().zip(self.roots.iter().copied()).collect();
        while let Some((at, number)) = waiting.pop() {
            if let Some(before) = seen.insert(number, at) {
                assert_eq!(before, at, "an object is in one place");
                continue;
            }
            let node = &self.nodes[number];
            assert_eq!(self.world.heap.type_of(at), Some(self.shapes[node.shape].word));
            match &self.shapes[node.shape].layout {
                Some(layout) => {
                    assert_eq!(u64::from_ne_bytes(self.world.heap.field(at, layout.offsets()[0])), number as u64);
                    assert_eq!(self.world.heap.field(at, layout.offsets()[1]), [number as u8]);
                }
                None => {
                    assert_eq!(self.world.heap.array_len(at), node.len + 1);
                    assert_eq!(self.world.reference(at, ARRAY_ELEMENTS), (number as u32) << 1 | 1);
                }
            }
            for (index, &other) in node.refs.iter().enumerate() {
                let reference = self.world.reference(at, self.offset(node.shape, index));
                match other {
                    Some(other) => waiting.push((reference, other)),
                    None => assert_eq!(reference, 0),
                }
            }
        }
        let places: HashSet<u32> = seen.values().copied().collect();
        assert_eq!(places.len(), seen.len(), "two objects are in two places");
    }

    fn run(&mut self, seed: u64, steps: usize, most_roots: usize) {
        let mut random = Random(seed);
        for step in 0..steps {
            match random.below(100) {
                0..50 => self.add(&mut random),
                50..80 if !self.roots.is_empty() => self.mutate(&mut random),
                80..85 if !self.roots.is_empty() => {
                    let index = random.below(self.roots.len());
                    self.world.owner.slots.swap_remove(index);
                    self.roots.swap_remove(index);
                }
                85 if step % 3 == 0 => self.world.collect(Kind::Minor),
                86 if step % 5 == 0 => self.world.collect(Kind::Major),
                87 if step % 7 == 0 => self.world.verify(),
                _ => {}
            }
            if self.roots.len() > most_roots {
                self.world.owner.slots.truncate(most_roots / 4);
                self.roots.truncate(most_roots / 4);
            }
            if step % (steps / 16) == 0 {
                self.compare();
            }
        }
        self.compare();
        self.world.verify();
    }
}

#[test]
fn the_graph_is_that_of_the_model() {
    for seed in 1..4 {
        let mut model = Model::new(false);
        model.run(seed, 6000, 300);
        let statistics = model.world.heap.statistics();
        assert!(statistics.minor_collections > 5 && statistics.major_collections > 1, "{statistics:?}");
    }
}

#[test]
fn the_graph_is_that_of_the_model_under_stress() {
    Model::new(true).run(5, 300, 40);
}

#[test]
fn a_list_of_ten_million_nodes_is_collected_on_a_small_stack() {
    let collect = || {
        let mut world = World::new(false);
        let (word, layout) = world.struct_type(&[Storage::Collected]);
        assert_eq!((layout.size(), layout.offsets()), (8, &[4][..]));
        world.owner.slots.push(0);
        let nodes = 10_000_000u64;
        let (base, mut head, mut made) = (world.heap.base(), 0, 0);
        while made < nodes {
            if world.bump.top == world.bump.limit {
                world.owner.slots[0] = head;
                world.collect(Kind::Minor);
                head = world.owner.slots[0];
            }
            // As machine code does it, in one store.
            let node = world.bump.top;
            world.bump.top += 8;
            // SAFETY: inside of the nursery.
            unsafe { base.add(node as usize).cast::<[u32; 2]>().write([word.0, head]) };
            head = node;
            made += 1;
        }
        world.owner.slots[0] = head;
        world.collect(Kind::Major);
        assert_eq!(world.heap.statistics().live_bytes, nodes * 8);
        world.owner.slots[0] = 0;
        world.collect(Kind::Major);
        assert_eq!(world.heap.statistics().live_bytes, 0);
    };
    std::thread::Builder::new().stack_size(64 << 10).spawn(collect).unwrap().join().unwrap();
}

/// A tree of this depth, whose nodes have two references; the root is in a slot of its own.
fn tree(world: &mut World, ty: &(TypeWord, FieldsLayout), depth: u32) -> usize {
    let slot = world.owner.slots.len();
    if depth == 0 {
        let leaf = world.new_struct(ty).unwrap();
        world.owner.slots.push(leaf);
        return slot;
    }
    let (left, right) = (tree(world, ty, depth - 1), tree(world, ty, depth - 1));
    let node = world.new_struct(ty).unwrap();
    for (index, slot) in [left, right].into_iter().enumerate() {
        world.heap.set_field(node, ty.1.offsets()[index], &world.owner.slots[slot].to_ne_bytes());
    }
    world.owner.slots.truncate(slot);
    world.owner.slots.push(node);
    slot
}

fn count(world: &World, ty: &(TypeWord, FieldsLayout), root: u32) -> usize {
    let (mut waiting, mut count) = (vec![root], 0);
    while let Some(at) = waiting.pop() {
        count += 1;
        waiting
            .extend([0, 1].map(|index| world.reference(at, ty.1.offsets()[index])).into_iter().filter(|&at| at != 0));
    }
    count
}

#[test]
fn a_million_nodes_are_dropped_and_their_memory_is_given_back() {
    let mut world = World::new(false);
    let ty = world.struct_type(&[Storage::Collected, Storage::Collected, Storage::Bits32]);
    let root = tree(&mut world, &ty, 19);
    world.collect(Kind::Major);
    assert_eq!(count(&world, &ty, world.owner.slots[root]), (1 << 20) - 1);
    assert_eq!(world.heap.statistics().live_bytes, 16 * ((1 << 20) - 1));
    world.owner.slots.clear();
    world.collect(Kind::Major);
    assert_eq!(world.heap.statistics().live_bytes, 0);
    let (base, len) = (world.heap.base().addr(), world.heap.old.end() as usize);
    if let Some(written) =
        ampoule_machine::os::pagemap::written_bytes(base + OLD_START as usize, len - OLD_START as usize)
    {
        assert!(written < 8 << 20, "{written} bytes stay");
    }
}

#[test]
fn what_does_not_fit_into_the_list_is_marked_all_the_same() {
    let mut world = World::new(false);
    let ty = world.struct_type(&[Storage::Collected, Storage::Collected, Storage::Bits32]);
    let array = world.array_type(Storage::Collected);
    let slot = tree(&mut world, &ty, 9);
    // Arrays of arrays of trees, of more elements than are followed at once.
    for _ in 0..3 {
        let outer = world.new_array(array, 3000, Storage::Collected).unwrap();
        let inner = world.owner.slots[slot];
        for index in 0..3000 {
            world.heap.set_ref(outer, ARRAY_ELEMENTS + 4 * index, inner);
        }
        world.owner.slots[slot] = outer;
    }
    for _ in 0..20 {
        tree(&mut world, &ty, 6);
    }
    world.collect(Kind::Major);
    let expected = world.heap.statistics().live_bytes;
    for most in [1, 2, 7, 100] {
        let World { heap, owner, .. } = &mut world;
        let marker = Marker::new(&mut heap.region, &mut heap.old, heap.types, &mut heap.mark_lists);
        assert_eq!(marker.with_most_waiting(most).run(owner), Ok(expected));
    }
    world.verify();
}

#[test]
fn wide_arrays_are_collected_by_the_elements_that_were_written() {
    let mut world = World::new(false);
    let ty = world.struct_type(&[Storage::Bits64]);
    let array = world.array_type(Storage::Collected);
    let len = 1_000_000;
    let at = world.new_array(array, len, Storage::Collected).unwrap();
    world.owner.slots.push(at);
    world.collect(Kind::Major);
    for round in 0..5u64 {
        for index in (0..len).step_by(1009) {
            let value = world.new_struct(&ty).unwrap();
            world.heap.set_field(value, ty.1.offsets()[0], &(u64::from(index) + round).to_ne_bytes());
            // A large object does not move.
            world.heap.set_ref(at, ARRAY_ELEMENTS + 4 * index, value);
        }
        world.collect(if round == 2 { Kind::Major } else { Kind::Minor });
        world.verify();
        for index in (0..len).step_by(1009) {
            let value = world.reference(at, ARRAY_ELEMENTS + 4 * index);
            assert_eq!(u64::from_ne_bytes(world.heap.field(value, ty.1.offsets()[0])), u64::from(index) + round);
        }
    }
}

#[test]
fn large_objects_come_and_go_and_never_overlap() {
    let mut world = World::new(false);
    let bytes = world.array_type(Storage::Bits8);
    let mut random = Random(3);
    let mut tags = Vec::new();
    for step in 0..400u32 {
        if world.owner.slots.len() > 12 || random.below(4) == 0 && !tags.is_empty() {
            let index = random.below(tags.len());
            world.owner.slots.swap_remove(index);
            tags.swap_remove(index);
        }
        let len = [100, 16 << 10, 40_000, 300_000][random.below(4)] + random.below(100) as u32;
        let at = world.new_array(bytes, len, Storage::Bits8).unwrap();
        world.heap.bytes_mut(at, ARRAY_ELEMENTS, len).fill(step as u8);
        world.owner.slots.push(at);
        tags.push((step as u8, len));
        if step % 20 == 0 {
            world.collect(Kind::Major);
            world.verify();
        }
        for (&at, &(tag, len)) in world.owner.slots.iter().zip(&tags) {
            assert_eq!(world.heap.array_len(at), len);
            let content = world.heap.region.bytes(at + ARRAY_ELEMENTS, len).unwrap();
            assert!(content.iter().all(|&byte| byte == tag));
        }
    }
    let size = world.heap.statistics().size_bytes;
    assert!(size < 32 << 20, "{size}");
}

#[test]
fn holes_are_filled_and_larger_objects_find_room() {
    let mut world = World::new(false);
    let small = world.struct_type(&[Storage::Bits64; 20]);
    let larger = world.struct_type(&[Storage::Bits64; 100]);
    world.owner.most = Some(16 << 20);
    for _ in 0..8 << 10 {
        let at = world.new_struct(&small).unwrap();
        world.owner.slots.push(at);
    }
    for round in 0..6 {
        // Every other one goes; what comes has another size.
        let mut index = 0;
        world.owner.slots.retain(|_| {
            index += 1;
            index % 2 == 0
        });
        let ty = if round % 2 == 0 { &larger } else { &small };
        for _ in 0..(4 << 10) >> round {
            let at = world.new_struct(ty).unwrap();
            world.owner.slots.push(at);
        }
        world.collect(Kind::Major);
        world.verify();
    }
}

#[test]
fn a_full_heap_says_so_and_goes_on_once_there_is_room() {
    let mut world = World::new(false);
    let ty = world.struct_type(&[Storage::Collected, Storage::Bits32]);
    let bytes = world.array_type(Storage::Bits8);
    world.owner.most = Some(2 << 20);
    for round in 0..3 {
        world.owner.slots = vec![0];
        let mut nodes = 0u32;
        let full = loop {
            match world.new_struct(&ty) {
                Ok(node) => {
                    let head = world.owner.slots[0];
                    world.heap.set_field(node, ty.1.offsets()[0], &head.to_ne_bytes());
                    world.owner.slots[0] = node;
                    nodes += 1;
                }
                Err(error) => break error,
            }
        };
        assert_eq!(full, AllocationError::OutOfMemory);
        assert!((1 << 20..2 << 20).contains(&(nodes * 16)), "{round}: {nodes}");
        assert_eq!(world.new_struct(&ty).unwrap_err(), AllocationError::OutOfMemory);
        assert_eq!(world.new_array(bytes, 1 << 20, Storage::Bits8).unwrap_err(), AllocationError::OutOfMemory);
        world.verify();
        // Half of it goes; what is short-lived then needs no more.
        let mut at = world.owner.slots[0];
        for _ in 0..nodes / 2 {
            at = world.reference(at, ty.1.offsets()[0]);
        }
        world.owner.slots[0] = at;
        for _ in 0..200_000 {
            world.new_struct(&ty).unwrap();
        }
        world.verify();
    }
    let size = world.heap.statistics().size_bytes;
    assert!(size <= 2 << 20 && world.heap.statistics().major_collections < 200, "{:?}", world.heap.statistics());
}

#[test]
fn one_object_in_each_block_does_not_fill_the_heap() {
    for (fields, most) in [(2, 4 << 20), (40, 4 << 20), (400, 4 << 20), (2, 192 << 10), (400, 256 << 10)] {
        let mut world = World::new(false);
        let small = world.struct_type(&[Storage::Bits64]);
        let ty = world.struct_type(&vec![Storage::Bits64; fields]);
        world.owner.most = Some(most);
        // Full of objects that are small: their blocks stay in use, with next to nothing in them.
        while let Ok(at) = world.new_struct(&small) {
            world.owner.slots.push(at);
        }
        // At its start, or in the middle.
        let at_least = if fields == 2 { 0 } else { super::BLOCK / 2 };
        let mut blocks = HashSet::new();
        world.owner.slots.retain(|at| at % super::BLOCK >= at_least && blocks.insert(at / super::BLOCK));
        for _ in 0..100_000 / fields {
            world.new_struct(&ty).unwrap_or_else(|error| panic!("{fields} fields of {most}: {error:?}"));
        }
        // What survives finds room, too: a quarter of the heap at least.
        for _ in 0..most / 4 / u64::from(ty.1.size()) {
            let at = world.new_struct(&ty).unwrap_or_else(|error| panic!("{fields} of {most} survive: {error:?}"));
            world.owner.slots.push(at);
        }
        world.verify();
        assert!(world.heap.statistics().size_bytes <= most);
    }
}

/// Objects of several sizes die here and there while the heap is nearly full of them.
#[test]
fn a_heap_that_is_nearly_full_goes_on_however_its_objects_die() {
    for (sizes, percent) in [(&[1][..], 95), (&[3], 95), (&[1, 2, 5], 85), (&[1, 7, 30], 60)] {
        let mut world = World::new(false);
        let most = 4 << 20;
        world.owner.most = Some(most);
        let types: Vec<_> = sizes.iter().map(|&fields| world.struct_type(&vec![Storage::Bits64; fields])).collect();
        let mut random = Random(7);
        let mut live = 0;
        while live < most * percent / 100 {
            let ty = &types[random.below(types.len())];
            live += u64::from(ty.1.size());
            let at = world.new_struct(ty).unwrap();
            world.owner.slots.push(at);
        }
        for round in 0..60_000 {
            let ty = &types[random.below(types.len())];
            let at = world.new_struct(ty).unwrap_or_else(|error| panic!("{sizes:?}, {percent}, {round}: {error:?}"));
            // Of the same size as the one that goes: as much lives as before.
            let slot = random.below(world.owner.slots.len());
            let old = world.owner.slots[slot];
            if world.heap.type_of(old) == world.heap.type_of(at) {
                world.owner.slots[slot] = at;
            }
        }
        world.verify();
        let statistics = world.heap.statistics();
        assert!(statistics.size_bytes <= most && statistics.major_collections < 500, "{sizes:?}: {statistics:?}");
    }
}

#[test]
fn the_smallest_heap_works() {
    let mut world = World::new(false);
    world.owner.most = Some(PAGE);
    let ty = world.struct_type(&[Storage::Bits64]);
    for index in 0..20_000 {
        let at = world.new_struct(&ty).unwrap();
        if index % 100 == 0 {
            world.owner.slots.push(at);
        }
    }
    assert_eq!(world.heap.statistics().size_bytes, PAGE);
}

#[test]
fn what_is_larger_than_the_region_is_refused() {
    let mut world = World::new(false);
    let wide = world.array_type(Storage::Bits128);
    let bytes = world.array_type(Storage::Bits8);
    let word = |len, log2| array_bytes(len, log2);
    assert_eq!((word(u32::MAX, 4), word(u32::MAX - 16, 0), word(10, 0)), (None, None, Some(24)));
    assert_eq!(world.allocate(wide, 1 << 36), Err(AllocationError::OutOfMemory));
    assert_eq!(world.allocate(bytes, u64::from(u32::MAX) - 7), Err(AllocationError::OutOfMemory));
    // Reserved, but hardly any of it is touched.
    let at = world.allocate(bytes, 2 << 30).unwrap();
    world.heap.set_array_len(at, (2 << 30) - 8);
    world.owner.slots.push(at);
    assert_eq!(world.allocate(bytes, 2 << 30), Err(AllocationError::OutOfMemory));
    world.collect(Kind::Major);
    assert_eq!(world.heap.statistics().live_bytes, 2 << 30);
}

#[test]
fn every_value_of_the_host_dies_once() {
    for stress in [false, true] {
        let mut world = World::new(stress);
        let pair = world.struct_type(&[Storage::Collected, Storage::Collected]);
        let count = if stress { 200 } else { 20_000 };
        let mut dead = Vec::new();
        for position in 0..count {
            let host = world.heap.allocate_host(&mut world.bump, position, &mut world.owner).unwrap();
            world.owner.slots.push(host);
            if position % 4 == 0 {
                // This one is held by an object.
                let object = world.new_struct(&pair).unwrap();
                let host = world.owner.slots.pop().unwrap();
                world.heap.set_field(object, pair.1.offsets()[1], &host.to_ne_bytes());
                world.owner.slots.push(object);
            }
            if position % 3 == 0 {
                world.owner.slots.pop();
            }
            if position % 1000 == 0 {
                world.collect(if position % 2000 == 0 { Kind::Minor } else { Kind::Major });
                dead.extend(world.dead());
            }
        }
        world.collect(Kind::Major);
        dead.extend(world.dead());
        dead.sort_unstable();
        assert_eq!(dead, (0..count).filter(|position| position % 3 == 0).collect::<Vec<_>>());
        world.owner.slots.clear();
        world.collect(Kind::Major);
        assert_eq!(world.dead(), (0..count).filter(|position| position % 3 != 0).collect::<Vec<_>>());
        world.collect(Kind::Major);
        assert!(world.dead().is_empty());
    }
}

#[test]
fn a_collection_that_is_given_up_leaves_the_heap_whole() {
    let mut world = World::new(false);
    let ty = world.struct_type(&[Storage::Collected, Storage::Collected, Storage::Bits32]);
    let slot = tree(&mut world, &ty, 15);
    let garbage = tree(&mut world, &ty, 15);
    let host = world.heap.allocate_host(&mut world.bump, 7, &mut world.owner).unwrap();
    assert!(host != 0);
    world.collect(Kind::Minor);
    assert_eq!(world.dead(), [7]);
    world.owner.slots.truncate(garbage);
    for checks in 1..10 {
        world.owner.until_interrupted = Some(checks);
        let World { heap, bump, owner, .. } = &mut world;
        assert_eq!(heap.collect(bump, Kind::Major, owner), Err(Interrupted));
        world.owner.until_interrupted = None;
        world.verify();
        assert_eq!(count(&world, &ty, world.owner.slots[slot]), (1 << 16) - 1);
        // What is allocated next survives as usual.
        let young = tree(&mut world, &ty, 3);
        world.collect(Kind::Minor);
        assert_eq!(count(&world, &ty, world.owner.slots[young]), 15);
        world.owner.slots.truncate(young);
    }
    world.collect(Kind::Major);
    assert_eq!(world.heap.statistics().live_bytes, 16 * ((1 << 16) - 1));
}

#[test]
fn a_nursery_that_survives_as_a_whole_fits_into_what_was_reserved() {
    let mut world = World::new(false);
    // The worst sizes: just over half of what a block has room for, and all between.
    let bytes = world.array_type(Storage::Bits8);
    for len in [1, 240, 256, 300, 4000, 8000, 8300, 11_000, LARGE - 8] {
        for _ in 0..400 {
            let at = world.new_array(bytes, len, Storage::Bits8).unwrap();
            world.owner.slots.push(at);
        }
        world.collect(Kind::Minor);
        world.verify();
        world.owner.slots.clear();
    }
}

#[test]
fn damage_is_found() {
    let mut world = World::new(false);
    let ty = world.struct_type(&[Storage::Collected, Storage::Bits32]);
    let at = world.new_struct(&ty).unwrap();
    world.owner.slots.push(at);
    world.verify();
    world.owner.slots[0] = at + 8;
    assert!(world.heap.verify(&world.bump, &mut world.owner).unwrap_err().contains("leads to no object"));
    world.owner.slots[0] = at;
    world.collect(Kind::Minor);
    let old = world.owner.slots[0];
    let young = world.new_struct(&ty).unwrap();
    // Without a barrier.
    world.heap.set_field(old, ty.1.offsets()[0], &young.to_ne_bytes());
    assert!(world.heap.verify(&world.bump, &mut world.owner).unwrap_err().contains("the card is clean"));
    world.heap.set_ref(old, ty.1.offsets()[0], young);
    world.verify();
}

/// However many roots there are, to look at them takes no longer than to allocate; up to the largest nursery.
#[test]
fn the_nursery_is_in_proportion_to_the_roots() {
    const BYTES: u64 = 128 << 20;
    let mut world = World::new(false);
    let ty = world.struct_type(&[Storage::Bits64]);
    let minors = |world: &mut World, cost: u64| {
        world.owner.cost = cost;
        world.collect(Kind::Minor);
        let before = world.heap.statistics().minor_collections;
        for _ in 0..BYTES / u64::from(ty.1.size()) {
            world.new_struct(&ty).unwrap();
        }
        world.heap.statistics().minor_collections - before
    };
    // Few: as many collections as nurseries of their usual size are filled.
    let few = BYTES / u64::from(GROWN_NURSERY);
    assert!((few..few + 64).contains(&minors(&mut world, 100)));
    for roots in [1 << 18, 1 << 20, 1 << 21] {
        assert!(minors(&mut world, roots) <= BYTES / (roots * BYTES_PER_ROOT) + 1, "{roots}");
    }
    assert!(minors(&mut world, u64::MAX) <= BYTES / u64::from(NURSERY_MOST));
    assert_eq!(world.heap.nursery, NURSERY_MOST);
    // A heap that may not grow so far makes do with what it would have without them, and does not look through everything for more.
    let mut small = World::new(false);
    let ty = small.struct_type(&[Storage::Bits64]);
    (small.owner.cost, small.owner.most) = (1 << 20, Some(4 << 20));
    for _ in 0..1 << 20 {
        small.new_struct(&ty).unwrap();
    }
    assert!(small.heap.nursery == GROWN_NURSERY && small.heap.statistics().major_collections == 0);
    // With the roots the memory goes.
    world.owner.cost = 0;
    world.collect(Kind::Major);
    assert!(world.heap.region.nursery_written <= NURSERY_START + GROWN_NURSERY);
}

/// The host's values may be large, and are made one at a time: some thousands are looked through before the next are made.
#[test]
fn young_values_of_the_host_are_so_many_and_no_more() {
    let mut world = World::new(false);
    world.heap.allocate_host(&mut world.bump, 0, &mut world.owner).unwrap();
    let mut young = 1;
    while world.heap.allocate_host_at_once(&mut world.bump, young).is_some() {
        young += 1;
    }
    assert!((4096..8192).contains(&young), "{young}");
    let minors = world.heap.statistics().minor_collections;
    world.heap.allocate_host(&mut world.bump, young, &mut world.owner).unwrap();
    assert_eq!(world.heap.statistics().minor_collections, minors + 1);
    assert_eq!(world.dead().len(), young as usize);
}
