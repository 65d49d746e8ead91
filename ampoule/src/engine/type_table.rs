//! The engine's table of types, which machine code and the collector read: a record per type word ([`ampoule_core::vm::types`]).
//!
//! Numbers are given and taken back by whoever knows which types are in use; a number that is free is given again. Address space for all
//! words is reserved at the first use, so records never move; memory is taken as numbers grow.

use crate::error::{Error, ErrorKind};
use ampoule_core::types::TypeId;
use ampoule_core::vm::types::{ObjectKind, TypeWord, VmType};
use ampoule_machine::os::mmap::{Access, Mapping};
use ampoule_machine::os::sync::Mutex;
use std::ptr;

/// What a new record is to say.
#[derive(Clone, Debug)]
pub(crate) struct NewType<'a> {
    /// What objects are.
    pub(crate) kind: ObjectKind,
    /// The words of all supertypes, the root's first.
    pub(crate) supertypes: &'a [TypeWord],
    /// See [`VmType::size`].
    pub(crate) size: u32,
    /// See [`VmType::ref_offsets`]; empty for an array.
    pub(crate) ref_offsets: &'a [u32],
    /// Whether it is an array of references that are collected.
    pub(crate) ref_elements: bool,
    /// Whose record it is.
    pub(crate) id: TypeId,
}

/// Records and their numbers. Threads share it.
#[derive(Debug, Default)]
pub(crate) struct TypeTable(Mutex<Records>);

/// 1. The mapping is readable, zeros where nothing was written, and writable up to `committed` records of each kind.
/// 2. A record whose number is in use points to its own lists, in `lists`, or nowhere. Nobody but the owner of a number reads its record.
#[derive(Debug, Default)]
struct Records {
    mapping: Option<Mapping>,
    /// How many records are writable, by kind.
    committed: [usize; ObjectKind::ALL.len()],
    /// For each number that was ever given what its record points to.
    lists: Vec<Lists>,
    /// For each the type that has it, or the number of no type.
    ids: Vec<TypeId>,
    free: Vec<u32>,
    most: Option<u32>,
}

/// The whole display, and the offsets of references.
type Lists = (Box<[u32]>, Box<[u32]>);

/// The registry gives this number to none.
const NO_TYPE: TypeId = TypeId(0);

/// So many records get memory at a time: 64 KiB.
const CHUNK: usize = 1024;

impl TypeTable {
    /// A table with fewer numbers, for tests.
    #[cfg(test)]
    fn with_numbers(most: u32) -> Self {
        Self(Mutex::new(Records { most: Some(most), ..Records::default() }))
    }

    /// Writes a record, and gives the word of its type, which is in use until [`TypeTable::free`].
    ///
    /// # Errors
    /// Where [`TypeWord::MAX_NUMBERS`] types are in use, or the system has no memory.
    pub(crate) fn allocate(&self, record: &NewType<'_>) -> Result<TypeWord, Error> {
        let mut records = self.0.lock();
        let number = records.number()?;
        let word = TypeWord::new(number, record.kind);
        records.commit(word).inspect_err(|_| records.free.push(number))?;
        let depth = record.supertypes.len();
        let display: Box<[u32]> = record.supertypes.iter().map(|word| word.0).chain([word.0]).collect();
        let (display, more) = if depth < VmType::DISPLAY { (display, [].into()) } else { (display.clone(), display) };
        let lists: Lists = (more, record.ref_offsets.into());
        let pointer_to = |list: &[u32]| if list.is_empty() { ptr::null() } else { list.as_ptr() };
        let mut vm = VmType {
            depth: depth as u32,
            size: record.size,
            more_display: pointer_to(&lists.0),
            ref_offsets: pointer_to(&lists.1),
            ref_count: if record.ref_elements { 1 } else { lists.1.len() as u32 },
            ..VmType::NONE
        };
        vm.display.iter_mut().zip(&display).for_each(|(slot, &word)| *slot = word);
        records.lists[number as usize] = lists;
        records.ids[number as usize] = record.id;
        // SAFETY: the record has memory (1), and nobody has the number yet (2).
        unsafe { records.record(word).write(vm) };
        Ok(word)
    }

    /// Takes a number back that [`TypeTable::allocate`] gave. No object of the type exists any more, and no code that knows it runs.
    pub(crate) fn free(&self, word: TypeWord) {
        let mut records = self.0.lock();
        let number = word.number();
        debug_assert!(number != 0 && (number as usize) < records.lists.len() && !records.free.contains(&number));
        // SAFETY: the number was given, so its record has memory (1), and nobody uses it (2).
        unsafe { records.record(word).write(VmType::NONE) };
        records.lists[number as usize] = Lists::default();
        records.ids[number as usize] = NO_TYPE;
        records.free.push(number);
    }

    /// The type whose objects begin with this word; `None` where it is no type's.
    pub(crate) fn id(&self, word: TypeWord) -> Option<TypeId> {
        self.0.lock().ids.get(word.number() as usize).copied().filter(|&id| id != NO_TYPE)
    }

    /// What type words count from. It stays where it is as long as the table lives.
    ///
    /// # Errors
    /// Where the system has no address space for the table.
    pub(crate) fn base(&self) -> Result<*const VmType, Error> {
        let mut records = self.0.lock();
        records.reserve()?;
        Ok(records.base())
    }
}

impl Records {
    /// A number that nobody has.
    fn number(&mut self) -> Result<u32, Error> {
        self.reserve()?;
        if let Some(number) = self.free.pop() {
            return Ok(number);
        }
        let number = self.lists.len();
        if number >= self.most.unwrap_or(TypeWord::MAX_NUMBERS) as usize {
            return Err(Error::new(ErrorKind::Limit("too many types in an engine".to_string())));
        }
        self.lists.push(Lists::default());
        self.ids.push(NO_TYPE);
        Ok(number as u32)
    }

    fn reserve(&mut self) -> Result<(), Error> {
        if self.mapping.is_none() {
            self.mapping = Some(Mapping::anonymous(TypeWord::TABLE_BYTES, Access::Read).map_err(no_memory)?);
            // Number zero is no type's: see `TypeWord::HOST`.
            self.lists.push(Lists::default());
            self.ids.push(NO_TYPE);
        }
        Ok(())
    }

    /// Sees to it that a record has memory.
    fn commit(&mut self, word: TypeWord) -> Result<(), Error> {
        let mapping = self.mapping.as_ref().expect("records are reserved first");
        let committed = &mut self.committed[word.kind() as usize];
        let needed = (word.number() as usize + 1).next_multiple_of(CHUNK);
        if needed > *committed {
            let offset = |number: usize| word.kind().first_word() as usize + number * size_of::<VmType>();
            // SAFETY: nobody has references to records that were inaccessible.
            unsafe { mapping.protect(offset(*committed)..offset(needed), Access::ReadWrite) }.map_err(no_memory)?;
            *committed = needed;
        }
        Ok(())
    }

    fn base(&self) -> *mut VmType {
        self.mapping.as_ref().expect("records are reserved first").base().cast()
    }

    fn record(&self, word: TypeWord) -> *mut VmType {
        self.base().wrapping_byte_add(word.offset())
    }
}

fn no_memory(error: std::io::Error) -> Error {
    Error::new(ErrorKind::System("reserving memory for types", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ObjectKind::{Array, Struct};

    fn plain(kind: ObjectKind) -> NewType<'static> {
        NewType { kind, supertypes: &[], size: 16, ref_offsets: &[], ref_elements: false, id: TypeId(1) }
    }

    /// The record of a number in use.
    fn get(table: &TypeTable, word: TypeWord) -> VmType {
        // SAFETY: the tests own the number.
        unsafe { (*table.base().unwrap().byte_add(word.offset())).clone() }
    }

    #[test]
    fn a_record_says_what_it_was_told_and_stays_where_it_is() {
        let table = TypeTable::default();
        let base = table.base().unwrap();
        let mut supertypes = Vec::new();
        for depth in 0..20 {
            let word = table.allocate(&NewType { supertypes: &supertypes, ..plain(Struct) }).unwrap();
            supertypes.push(word);
            let record = get(&table, word);
            let expected: Vec<u32> = supertypes.iter().map(|word| word.0).collect();
            assert_eq!(record.depth as usize, depth);
            assert_eq!(record.display[..=depth.min(7)], expected[..=depth.min(7)]);
            assert!(record.display[expected.len().min(8)..].iter().all(|&word| word == 0));
            assert_eq!(record.more_display.is_null(), depth < 8);
            if depth >= 8 {
                // SAFETY: as long as the number is in use, so is its display.
                assert_eq!(unsafe { std::slice::from_raw_parts(record.more_display, depth + 1) }, expected);
            }
        }
        let refs = table.allocate(&NewType { ref_offsets: &[4, 8], ..plain(Struct) }).unwrap();
        let array = table.allocate(&NewType { size: 2, ref_elements: true, ..plain(Array) }).unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { std::slice::from_raw_parts(get(&table, refs).ref_offsets, 2) }, [4, 8]);
        assert_eq!((get(&table, array).ref_count, get(&table, array).size), (1, 2));
        assert_eq!(table.base().unwrap(), base);
    }

    #[test]
    fn numbers_are_unique_and_used_again() {
        let table = TypeTable::default();
        let mut words: Vec<_> = (0..3000).map(|_| table.allocate(&plain(Struct)).unwrap()).collect();
        words.sort_by_key(|word| word.0);
        words.dedup();
        assert!(words.len() == 3000 && words[0].number() == 1);
        words.iter().for_each(|&word| table.free(word));
        for _ in 0..3000 {
            assert!(table.allocate(&plain(Array)).unwrap().number() <= 3000);
        }
        assert_eq!(table.allocate(&plain(Array)).unwrap().number(), 3001);
        let named = table.allocate(&NewType { id: TypeId(77), ..plain(Array) }).unwrap();
        assert_eq!((table.id(named), table.id(TypeWord::HOST)), (Some(TypeId(77)), None));
        table.free(named);
        assert_eq!(table.id(named), None);
    }

    #[test]
    fn there_are_so_many_numbers_and_no_more() {
        let table = TypeTable::with_numbers(3);
        let (one, _) = (table.allocate(&plain(Struct)).unwrap(), table.allocate(&plain(Struct)).unwrap());
        let error = table.allocate(&plain(Struct)).unwrap_err();
        assert_eq!(error.to_string(), "too many types in an engine");
        table.free(one);
        assert_eq!(table.allocate(&plain(Array)).unwrap().number(), one.number());
    }

    #[test]
    fn threads_share_it() {
        let table = TypeTable::default();
        std::thread::scope(|scope| {
            for size in 1..4 {
                let table = &table;
                scope.spawn(move || {
                    for _ in 0..2000 {
                        let word = table.allocate(&NewType { size, ..plain(Struct) }).unwrap();
                        assert_eq!((get(table, word).size, get(table, word).display[0]), (size, word.0));
                        table.free(word);
                    }
                });
            }
        });
    }
}
