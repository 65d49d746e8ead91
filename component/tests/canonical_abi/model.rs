//! The Canonical ABI, interpreted as `design/mvp/CanonicalABI.md` of the component model says it: function for function, value for value, with
//! no thought of speed. What the specification traps for is an error here.

use crate::types::{Ty, bits_of, case, flags, int, parts};
use ampoule_component::{Val, ValRef};
use std::cell::Cell;

/// What a core value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flat {
    I32,
    I64,
    F32,
    F64,
}

/// How strings lie in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    Utf8,
    Utf16,
    Latin1OrUtf16,
}

pub const MAX_FLAT_PARAMS: usize = 16;
pub const MAX_FLAT_ASYNC_PARAMS: usize = 4;
pub const MAX_FLAT_RESULTS: usize = 1;
const MAX_BYTE_LENGTH: u64 = (1 << 28) - 1;
const UTF16_TAG: u64 = 1 << 31;

/// A trap, and what for; or that there is more to lift than a test has time for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Trap(&'static str),
    TooMuch,
}

fn trap_if(condition: bool, why: &'static str) -> Result<(), End> {
    if condition { Err(End::Trap(why)) } else { Ok(()) }
}

fn align_to(ptr: u64, alignment: u64) -> u64 {
    ptr.div_ceil(alignment) * alignment
}

/// Lists of unknown length, and what they are lists of.
fn element(ty: &Ty) -> Option<Ty> {
    match ty {
        Ty::List(ty) => Some((**ty).clone()),
        Ty::Map(key, value) => Some(Ty::Tuple(vec![(**key).clone(), (**value).clone()])),
        _ => None,
    }
}

pub fn alignment(ty: &Ty) -> u64 {
    if let Some(fields) = ty.fields() {
        return fields.into_iter().map(alignment).max().unwrap_or(1);
    }
    if let Some(cases) = ty.cases() {
        return discriminant_size(cases.len()).max(max_case_alignment(&cases));
    }
    match ty {
        Ty::Bool => 1,
        Ty::Int { bits, .. } => u64::from(*bits) / 8,
        Ty::F64 => 8,
        Ty::Flags(count) => flags_size(*count),
        _ => 4,
    }
}

fn max_case_alignment(cases: &[Option<&Ty>]) -> u64 {
    cases.iter().flatten().copied().map(alignment).max().unwrap_or(1)
}

fn discriminant_size(cases: usize) -> u64 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

fn flags_size(count: u32) -> u64 {
    match count {
        0..=8 => 1,
        9..=16 => 2,
        _ => 4,
    }
}

pub fn elem_size(ty: &Ty) -> u64 {
    if let Some(fields) = ty.fields() {
        let end = fields.into_iter().fold(0, |at, field| align_to(at, alignment(field)) + elem_size(field));
        return align_to(end, alignment(ty));
    }
    if let Some(cases) = ty.cases() {
        let payload = align_to(discriminant_size(cases.len()), max_case_alignment(&cases));
        let largest = cases.iter().flatten().copied().map(elem_size).max().unwrap_or(0);
        return align_to(payload + largest, alignment(ty));
    }
    match ty {
        Ty::String | Ty::List(_) | Ty::Map(..) => 8,
        scalar => alignment(scalar),
    }
}

pub fn flatten(ty: &Ty) -> Vec<Flat> {
    if let Some(fields) = ty.fields() {
        return fields.into_iter().flat_map(flatten).collect();
    }
    if let Some(cases) = ty.cases() {
        let mut flat: Vec<Flat> = Vec::new();
        for ty in cases.into_iter().flatten() {
            for (index, of) in flatten(ty).into_iter().enumerate() {
                match flat.get_mut(index) {
                    Some(have) => *have = join(*have, of),
                    None => flat.push(of),
                }
            }
        }
        flat.insert(0, Flat::I32);
        return flat;
    }
    match ty {
        Ty::Int { bits: 64, .. } => vec![Flat::I64],
        Ty::F32 => vec![Flat::F32],
        Ty::F64 => vec![Flat::F64],
        Ty::String | Ty::List(_) | Ty::Map(..) => vec![Flat::I32; 2],
        _ => vec![Flat::I32],
    }
}

fn join(a: Flat, b: Flat) -> Flat {
    match (a, b) {
        _ if a == b => a,
        (Flat::I32 | Flat::F32, Flat::I32 | Flat::F32) => Flat::I32,
        _ => Flat::I64,
    }
}

/// What values are lifted out of.
pub struct Lift<'a> {
    pub memory: &'a [u8],
    pub encoding: Encoding,
    /// Whether what has several representations must be the one that lowering makes.
    pub strict: bool,
    /// How many values may still be made.
    pub budget: Cell<u32>,
}

impl Lift<'_> {
    fn int(&self, ptr: u64, bytes: u64) -> u64 {
        let at = ptr as usize;
        self.memory[at..at + bytes as usize].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    fn canonical(&self, is: bool, why: &'static str) -> Result<(), End> {
        assert!(is || !self.strict, "what was lowered is not canonical: {why}");
        Ok(())
    }

    fn load(&self, ptr: u64, ty: &Ty) -> Result<Val, End> {
        self.budget.set(self.budget.get().checked_sub(1).ok_or(End::TooMuch)?);
        if let Some(element) = element(ty) {
            return self.load_list(self.int(ptr, 4), self.int(ptr + 4, 4), &element, ty);
        }
        if let Some(fields) = ty.fields() {
            let mut at = ptr;
            let mut vals = Vec::new();
            for field in fields {
                at = align_to(at, alignment(field));
                vals.push(self.load(at, field)?);
                at += elem_size(field);
            }
            return Ok(ty.of_fields(vals));
        }
        if let Some(cases) = ty.cases() {
            let size = discriminant_size(cases.len());
            let index = self.int(ptr, size) as usize;
            trap_if(index >= cases.len(), "discriminant")?;
            let at = align_to(ptr + size, max_case_alignment(&cases));
            let payload = cases[index].map(|ty| self.load(at, ty)).transpose()?;
            return Ok(ty.of_case(index, payload));
        }
        if let Ty::String = ty {
            return self.load_string(self.int(ptr, 4), self.int(ptr + 4, 4));
        }
        self.scalar(ty, self.int(ptr, elem_size(ty)))
    }

    fn scalar(&self, ty: &Ty, bits: u64) -> Result<Val, End> {
        Ok(match ty {
            Ty::Bool => {
                self.canonical(bits < 2, "bool")?;
                Val::from(bits != 0)
            }
            Ty::Int { bits: width, signed } => int(*width, *signed, bits),
            Ty::Handle(_) => int(32, false, bits),
            Ty::F32 => {
                let value = f32::from_bits(bits as u32);
                Val::from(if value.is_nan() { f32::from_bits(0x7fc0_0000) } else { value })
            }
            Ty::F64 => {
                let value = f64::from_bits(bits);
                Val::from(if value.is_nan() { f64::from_bits(0x7ff8 << 48) } else { value })
            }
            Ty::Char => {
                trap_if(bits >= 0x11_0000 || (0xd800..=0xdfff).contains(&bits), "char")?;
                Val::from(char::from_u32(bits as u32).expect("it was looked at"))
            }
            Ty::Flags(count) => {
                self.canonical(bits >> count == 0, "flags")?;
                flags(*count, bits)
            }
            other => panic!("{other:?} is no scalar"),
        })
    }

    fn load_string(&self, ptr: u64, tagged_code_units: u64) -> Result<Val, End> {
        let (alignment, bytes, is_utf16) = match self.encoding {
            Encoding::Utf8 => (1, tagged_code_units, false),
            Encoding::Utf16 => (2, 2 * tagged_code_units, true),
            Encoding::Latin1OrUtf16 if tagged_code_units & UTF16_TAG != 0 => {
                (2, 2 * (tagged_code_units ^ UTF16_TAG), true)
            }
            Encoding::Latin1OrUtf16 => (2, tagged_code_units, false),
        };
        trap_if(bytes > MAX_BYTE_LENGTH, "length of a string")?;
        trap_if(ptr != align_to(ptr, alignment), "alignment of a string")?;
        trap_if(ptr + bytes > self.memory.len() as u64, "bounds of a string")?;
        let bytes = &self.memory[ptr as usize..(ptr + bytes) as usize];
        let text = if is_utf16 {
            let units: Vec<u16> = bytes.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
            String::from_utf16(&units).map_err(|_| End::Trap("utf-16"))?
        } else if self.encoding == Encoding::Utf8 {
            String::from_utf8(bytes.to_vec()).map_err(|_| End::Trap("utf-8"))?
        } else {
            bytes.iter().map(|byte| char::from(*byte)).collect()
        };
        Ok(Val::from(text))
    }

    fn load_list(&self, ptr: u64, length: u64, element: &Ty, ty: &Ty) -> Result<Val, End> {
        let bytes = length * elem_size(element);
        trap_if(bytes > MAX_BYTE_LENGTH, "length of a list")?;
        trap_if(ptr != align_to(ptr, alignment(element)), "alignment of a list")?;
        trap_if(ptr + bytes > self.memory.len() as u64, "bounds of a list")?;
        let vals = (0..length).map(|index| self.load(ptr + index * elem_size(element), element));
        let vals = vals.collect::<Result<Vec<_>, _>>()?;
        if let Ty::List(_) = ty {
            return Ok(Val::list(vals));
        }
        let pair = |pair: &Val| (parts(pair)[0].clone(), parts(pair)[1].clone());
        Ok(Val::map(vals.iter().map(pair).collect::<Vec<_>>()))
    }

    /// Values that are passed one by one, or, where those are more than so many, in memory.
    pub fn lift_flat_values(&self, max: usize, flat: &[(Flat, u64)], types: &[Ty]) -> Result<Vec<Val>, End> {
        if types.iter().flat_map(flatten).count() > max {
            let tuple = Ty::Tuple(types.to_vec());
            let ptr = flat[0].1;
            trap_if(ptr != align_to(ptr, alignment(&tuple)), "alignment of values")?;
            trap_if(ptr + elem_size(&tuple) > self.memory.len() as u64, "bounds of values")?;
            return Ok(parts(&self.load(ptr, &tuple)?).into_iter().cloned().collect());
        }
        let mut flat = flat.iter().copied();
        types.iter().map(|ty| self.lift_flat(&mut flat, ty)).collect()
    }

    fn lift_flat(&self, flat: &mut dyn Iterator<Item = (Flat, u64)>, ty: &Ty) -> Result<Val, End> {
        self.budget.set(self.budget.get().checked_sub(1).ok_or(End::TooMuch)?);
        if let Some(element) = element(ty) {
            let (ptr, length) = (next(flat, Flat::I32), next(flat, Flat::I32));
            return self.load_list(ptr, length, &element, ty);
        }
        if let Some(fields) = ty.fields() {
            let vals = fields.into_iter().map(|field| self.lift_flat(flat, field)).collect::<Result<Vec<_>, _>>()?;
            return Ok(ty.of_fields(vals));
        }
        if let Some(cases) = ty.cases() {
            let index = next(flat, Flat::I32) as usize;
            let joined: Vec<(Flat, u64)> = (1..flatten(ty).len()).filter_map(|_| flat.next()).collect();
            trap_if(index >= cases.len(), "discriminant")?;
            let want = cases[index].map(flatten).unwrap_or_default();
            let coerced: Vec<(Flat, u64)> = want.iter().zip(&joined).map(|(want, have)| coerce(*have, *want)).collect();
            let unused = &joined[want.len()..];
            self.canonical(unused.iter().all(|(_, bits)| *bits == 0), "what pads a variant")?;
            let payload = cases[index].map(|ty| self.lift_flat(&mut coerced.into_iter(), ty)).transpose()?;
            return Ok(ty.of_case(index, payload));
        }
        match ty {
            Ty::String => {
                let (ptr, length) = (next(flat, Flat::I32), next(flat, Flat::I32));
                self.load_string(ptr, length)
            }
            Ty::Int { bits, signed } => {
                let have = next(flat, flatten(ty)[0]);
                let value = int(*bits, *signed, have);
                let extended =
                    if flatten(ty)[0] == Flat::I32 { bits_of(&value) as u32 as u64 } else { bits_of(&value) };
                self.canonical(extended == have, "an integer")?;
                Ok(value)
            }
            scalar => {
                let bits = next(flat, flatten(scalar)[0]);
                self.scalar(scalar, bits)
            }
        }
    }
}

fn next(flat: &mut dyn Iterator<Item = (Flat, u64)>, of: Flat) -> u64 {
    let (have, bits) = flat.next().expect("as many as there are");
    assert_eq!(have, of);
    bits
}

fn coerce((have, bits): (Flat, u64), want: Flat) -> (Flat, u64) {
    let bits = match (have, want) {
        (Flat::I64, Flat::I32 | Flat::F32) => bits as u32 as u64,
        _ => bits,
    };
    (want, bits)
}

/// Where values are lowered to: a memory that begins at some address, and is handed out from below.
pub struct Lower<'a> {
    pub memory: Vec<u8>,
    pub start: u64,
    pub encoding: Encoding,
    /// Says how much is left out before a piece of memory, and which of two representations is taken.
    pub choose: &'a mut dyn FnMut(usize) -> usize,
    /// The alignments and sizes of the pieces of memory that were handed out, if anybody wants to know.
    pub pieces: Option<&'a mut Vec<(u64, u64)>>,
}

impl Lower<'_> {
    fn realloc(&mut self, alignment: u64, size: u64) -> u64 {
        if let Some(pieces) = &mut self.pieces {
            pieces.push((alignment, size));
        }
        let gap = (self.choose)(3) as u64;
        let ptr = align_to(self.start + self.memory.len() as u64 + gap, alignment);
        self.memory.resize((ptr + size - self.start) as usize, 0xa5);
        ptr
    }

    fn store_int(&mut self, ptr: u64, bytes: u64, value: u64) {
        let at = (ptr - self.start) as usize;
        self.memory[at..at + bytes as usize].copy_from_slice(&value.to_le_bytes()[..bytes as usize]);
    }

    fn store(&mut self, ptr: u64, ty: &Ty, val: &Val) {
        if element(ty).is_some() || matches!(ty, Ty::String) {
            let (begin, length) = self.store_elements(ty, val);
            self.store_int(ptr, 4, begin);
            self.store_int(ptr + 4, 4, length);
        } else if let Some(fields) = ty.fields() {
            let mut at = ptr;
            for (field, val) in fields.into_iter().zip(parts(val)) {
                at = align_to(at, alignment(field));
                self.store(at, field, val);
                at += elem_size(field);
            }
        } else if let Some(cases) = ty.cases() {
            let (index, payload) = case(val);
            let size = discriminant_size(cases.len());
            self.store_int(ptr, size, index as u64);
            if let (Some(ty), Some(val)) = (cases[index], payload) {
                self.store(align_to(ptr + size, max_case_alignment(&cases)), ty, val);
            }
        } else {
            self.store_int(ptr, elem_size(ty), bits_of(val));
        }
    }

    /// A string's or list's bytes: where they are, and how many of what it counts.
    fn store_elements(&mut self, ty: &Ty, val: &Val) -> (u64, u64) {
        if let ValRef::String(text) = val.get() {
            let text = std::str::from_utf8(text).expect("made of text");
            let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let is_latin1 = text.chars().all(|c| u32::from(c) < 0x100);
            let (alignment, bytes, units) = match self.encoding {
                Encoding::Utf8 => (1, text.as_bytes().to_vec(), text.len() as u64),
                Encoding::Utf16 => (2, utf16.clone(), utf16.len() as u64 / 2),
                Encoding::Latin1OrUtf16 if is_latin1 && (self.choose)(4) > 0 => {
                    let bytes: Vec<u8> = text.chars().map(|c| c as u8).collect();
                    (2, bytes.clone(), bytes.len() as u64)
                }
                Encoding::Latin1OrUtf16 => (2, utf16.clone(), (utf16.len() as u64 / 2) | UTF16_TAG),
            };
            let ptr = self.realloc(alignment, bytes.len() as u64);
            let at = (ptr - self.start) as usize;
            self.memory[at..at + bytes.len()].copy_from_slice(&bytes);
            return (ptr, units);
        }
        let element = element(ty).expect("a list");
        let vals: Vec<Val> = match val.get() {
            ValRef::Map(entries) => {
                entries.iter().map(|entry| Val::tuple(vec![entry.key.clone(), entry.value.clone()])).collect()
            }
            _ => parts(val).into_iter().cloned().collect(),
        };
        let size = elem_size(&element);
        let ptr = self.realloc(alignment(&element), size * vals.len() as u64);
        for (index, val) in vals.iter().enumerate() {
            self.store(ptr + index as u64 * size, &element, val);
        }
        (ptr, vals.len() as u64)
    }

    /// Values to be passed one by one, or, where those are more than so many, in memory.
    pub fn lower_flat_values(&mut self, max: usize, types: &[Ty], vals: &[Val]) -> Vec<(Flat, u64)> {
        if types.iter().flat_map(flatten).count() > max {
            let tuple = Ty::Tuple(types.to_vec());
            let ptr = self.realloc(alignment(&tuple), elem_size(&tuple));
            self.store(ptr, &tuple, &Val::tuple(vals.to_vec()));
            return vec![(Flat::I32, ptr)];
        }
        types.iter().zip(vals).flat_map(|(ty, val)| self.lower_flat(ty, val)).collect()
    }

    fn lower_flat(&mut self, ty: &Ty, val: &Val) -> Vec<(Flat, u64)> {
        if element(ty).is_some() || matches!(ty, Ty::String) {
            let (begin, length) = self.store_elements(ty, val);
            return vec![(Flat::I32, begin), (Flat::I32, length)];
        }
        if let Some(fields) = ty.fields() {
            return fields.into_iter().zip(parts(val)).flat_map(|(ty, val)| self.lower_flat(ty, val)).collect();
        }
        if let Some(cases) = ty.cases() {
            let (index, payload) = case(val);
            let lowered = match (cases[index], payload) {
                (Some(ty), Some(val)) => self.lower_flat(ty, val),
                _ => Vec::new(),
            };
            let joined = flatten(ty);
            let payload =
                joined[1..].iter().enumerate().map(|(at, of)| (*of, lowered.get(at).map_or(0, |(_, bits)| *bits)));
            return std::iter::once((Flat::I32, index as u64)).chain(payload).collect();
        }
        let flat = flatten(ty)[0];
        let bits = bits_of(val);
        vec![(flat, if matches!(flat, Flat::I32 | Flat::F32) { bits as u32 as u64 } else { bits })]
    }
}
