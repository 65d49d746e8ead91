//! Between core values and memory, within one component: a value is passed either way, and what it points to stays where it is.

use crate::canon::lift::cases_shape;
use crate::types::ValType;
use crate::types::val::CasesShape;
use ampoule::{Error, TrapCode, VmValRaw};

/// The types of a value's parts in order, with their offsets; of one that has no cases and is no scalar.
fn parts(ty: &ValType) -> Option<Vec<(&ValType, u32)>> {
    match ty {
        ValType::Record(record) => {
            Some(record.fields.iter().map(|field| &field.ty).zip(record.offsets.iter().copied()).collect())
        }
        // As few as there are core values.
        ValType::FixedLengthList(list) => {
            let (element, size) = (list.element(), list.element().layout().size);
            Some((0..list.len()).map(|index| (element, index * size)).collect())
        }
        ValType::Tuple(tuple) => Some(tuple.types.iter().zip(tuple.offsets.iter().copied()).collect()),
        _ => None,
    }
}

/// The payload of a case; the outer `None` where there is no such case.
fn payload(ty: &ValType, case: u32) -> Option<Option<&ValType>> {
    match ty {
        ValType::Variant(variant) => variant.cases.get(case as usize).map(|case| case.ty.as_ref()),
        ValType::Option(option) => [None, Some(&option.some)].get(case as usize).copied(),
        ValType::Result(result) => [result.ok.as_ref(), result.err.as_ref()].get(case as usize).copied(),
        _ => None,
    }
}

fn joined(ty: &ValType) -> usize {
    ty.joined().expect("flat, so the payloads are").len()
}

fn is_pair(ty: &ValType) -> bool {
    matches!(ty, ValType::String | ValType::List(_) | ValType::Map(_))
}

fn has_cases(ty: &ValType) -> bool {
    matches!(ty, ValType::Variant(_) | ValType::Option(_) | ValType::Result(_))
}

/// Core values that are put into memory. They have been checked.
pub(super) struct Spill<'v, 'm> {
    pub(super) memory: &'m mut [u8],
    pub(super) values: std::slice::Iter<'v, VmValRaw>,
}

impl Spill<'_, '_> {
    fn next(&mut self) -> u64 {
        // SAFETY: slots of values are initialised, the upper bits of a narrower one, too.
        unsafe { self.values.next().expect("as many as the type has").f64 }
    }

    fn write(&mut self, at: usize, bits: u64, size: u32) {
        let size = size as usize;
        self.memory[at..at + size].copy_from_slice(&bits.to_le_bytes()[..size]);
    }

    /// Puts a value where there is room for it.
    pub(super) fn value(&mut self, ty: &ValType, at: usize) {
        if let Some(parts) = parts(ty) {
            parts.into_iter().for_each(|(ty, offset)| self.value(ty, at + offset as usize));
        } else if has_cases(ty) {
            let case = self.next();
            let CasesShape { discriminant, payload: offset, .. } = cases_shape(ty);
            self.write(at, case, *discriminant);
            let (values, rest) = self.values.as_slice().split_at(joined(ty));
            self.values = values.iter();
            if let Some(Some(payload)) = payload(ty, case as u32) {
                self.value(payload, at + *offset as usize);
            }
            // Of a case with fewer core values, the others mean nothing.
            self.values = rest.iter();
        } else if is_pair(ty) {
            let (pointer, len) = (self.next(), self.next());
            self.write(at, pointer, 4);
            self.write(at + 4, len, 4);
        } else if let ValType::Flags(flags) = ty
            && flags.words() > 1
        {
            (0..flags.words()).for_each(|word| {
                let bits = self.next();
                self.write(at + 4 * word, bits, 4);
            });
        } else {
            let bits = self.next();
            self.write(at, bits, ty.layout().size);
        }
    }
}

/// Core values that are taken out of memory.
pub(super) struct Load<'v, 'm> {
    pub(super) memory: &'m [u8],
    pub(super) values: std::slice::IterMut<'v, VmValRaw>,
}

impl Load<'_, '_> {
    fn push(&mut self, bits: u64) {
        *self.values.next().expect("as many as the type has") = VmValRaw { f64: bits };
    }

    fn read(&self, at: usize, size: u32) -> u64 {
        let mut bytes = [0; 8];
        bytes[..size as usize].copy_from_slice(&self.memory[at..at + size as usize]);
        u64::from_le_bytes(bytes)
    }

    /// Takes a value from where it lies.
    ///
    /// # Errors
    /// Where it has no case that there is.
    pub(super) fn value(&mut self, ty: &ValType, at: usize) -> Result<(), Error> {
        if let Some(parts) = parts(ty) {
            return parts.into_iter().try_for_each(|(ty, offset)| self.value(ty, at + offset as usize));
        }
        if has_cases(ty) {
            let CasesShape { discriminant, payload: offset, .. } = cases_shape(ty);
            let case = self.read(at, *discriminant);
            self.push(case);
            let found = payload(ty, case as u32).ok_or_else(|| Error::trap(TrapCode::InvalidDiscriminant))?;
            let before = self.values.len();
            if let Some(payload) = found {
                self.value(payload, at + *offset as usize)?;
            }
            // What the case doesn't use is zero.
            (before - self.values.len()..joined(ty)).for_each(|_| self.push(0));
        } else if is_pair(ty) {
            self.push(self.read(at, 4));
            self.push(self.read(at + 4, 4));
        } else if let ValType::Flags(flags) = ty
            && flags.words() > 1
        {
            (0..flags.words()).for_each(|word| self.push(self.read(at + 4 * word, 4)));
        } else {
            self.push(self.read(at, ty.layout().size));
        }
        Ok(())
    }
}
