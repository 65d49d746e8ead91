//! The start of files that an engine writes for others to load: compiled modules, and snapshots.
//!
//! ```text
//! magic             eight bytes, of which the last counts layouts of the file       \
//! checked checksum  over everything from here to the end of the checked part         |
//! rest checksum     over everything behind that                                      | words of 64 bits, little-endian
//! length            of the file                                                      |
//! ends              of parts, ascending; the first is that of the checked part      /
//! ```
//!
//! The checked part is what is looked at whenever such a file is loaded. The rest may be mapped, and read where it is used.

use crate::artifact::checksum;

/// See the module. `N` is how many parts end before the file does.
#[derive(Clone, Copy, Debug)]
pub struct FileHeader<const N: usize> {
    checked_checksum: u64,
    rest_checksum: u64,
    file_len: u64,
    ends: [u64; N],
}

/// Why a file is not loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// It doesn't begin as such files do.
    Other,
    /// It has another layout.
    OtherVersion,
    /// It is not what was written.
    Damaged(&'static str),
}

/// Whether bytes begin as files with this magic do, of whatever version.
pub fn has_magic(bytes: &[u8], magic: [u8; 8]) -> bool {
    bytes.starts_with(&magic[..7])
}

impl<const N: usize> FileHeader<N> {
    /// Bytes of a header.
    pub const LEN: usize = 8 * (4 + N);

    const CHECKED_FROM: usize = 16;

    /// Writes the header of a file: `head` is what it has up to the end of the checked part, with room for the header, and `rest` all behind that.
    ///
    /// # Panics
    /// Where parts end outside of the file, or not in order.
    pub fn seal(magic: [u8; 8], head: &mut [u8], rest: &[u8], ends: [u64; N]) {
        let file_len = (head.len() + rest.len()) as u64;
        assert!(ends[0] == head.len() as u64 && ends.is_sorted() && ends[N - 1] <= file_len);
        let mut words = vec![u64::from_le_bytes(magic), 0, checksum(rest), file_len];
        words.extend(ends);
        for (bytes, word) in head.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let checked = checksum(&head[Self::CHECKED_FROM..]);
        head[8..16].copy_from_slice(&checked.to_le_bytes());
    }

    /// Reads the header of a file of so many bytes, of which those at the start are given, and makes sure that its parts lie in it, one behind the
    /// other.
    ///
    /// # Errors
    /// Where it is of something else, or its parts are not so.
    pub fn read(magic: [u8; 8], start: &[u8], file_len: u64) -> Result<Self, Unfit> {
        if !has_magic(start, magic) {
            return Err(Unfit::Other);
        }
        if !start.starts_with(&magic) {
            return Err(Unfit::OtherVersion);
        }
        if start.len() < Self::LEN {
            return Err(Unfit::Damaged("it is too short"));
        }
        let word = |number: usize| u64::from_le_bytes(start[number * 8..][..8].try_into().expect("eight bytes"));
        let ends = std::array::from_fn(|number| word(4 + number));
        let header = Self { checked_checksum: word(1), rest_checksum: word(2), file_len: word(3), ends };
        if header.file_len != file_len {
            return Err(Unfit::Damaged("its length is wrong"));
        }
        if ends[0] < Self::LEN as u64
            || !ends.is_sorted()
            || ends[N - 1] > file_len
            || usize::try_from(file_len).is_err()
        {
            return Err(Unfit::Damaged("its parts are not in order"));
        }
        Ok(header)
    }

    /// Makes sure that the checked part is as it was written. `file` has at least that.
    ///
    /// # Errors
    /// Where it isn't.
    pub fn check(&self, file: &[u8]) -> Result<(), Unfit> {
        let checked = file.get(Self::CHECKED_FROM..self.end(0)).ok_or(Unfit::Damaged("it is too short"))?;
        if checksum(checked) == self.checked_checksum { Ok(()) } else { Err(Unfit::Damaged("its checksum is wrong")) }
    }

    /// Makes sure that all the rest is. `file` is the whole.
    ///
    /// # Errors
    /// Where it isn't.
    pub fn check_rest(&self, file: &[u8]) -> Result<(), Unfit> {
        if checksum(&file[self.end(0)..]) == self.rest_checksum {
            Ok(())
        } else {
            Err(Unfit::Damaged("its checksum is wrong"))
        }
    }

    /// Where a part ends.
    pub fn end(&self, part: usize) -> usize {
        self.ends[part] as usize
    }

    /// The length of the file.
    pub fn file_len(&self) -> usize {
        self.file_len as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: [u8; 8] = *b"\x7fHEADER\x01";

    type Header = FileHeader<2>;

    fn file() -> Vec<u8> {
        let (mut head, rest) = ([vec![0; Header::LEN], b"checked".to_vec()].concat(), b"the rest");
        let ends = [head.len() as u64, head.len() as u64 + 4];
        Header::seal(MAGIC, &mut head, rest, ends);
        head.extend(rest);
        head
    }

    fn check(file: &[u8]) -> Result<Header, Unfit> {
        let header = Header::read(MAGIC, file, file.len() as u64)?;
        header.check(file)?;
        header.check_rest(file)?;
        Ok(header)
    }

    #[test]
    fn a_file_is_as_it_was_written_or_refused() {
        let file = file();
        let header = check(&file).unwrap();
        assert_eq!((header.end(0), header.end(1), header.file_len()), (55, 59, 63));
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                0..7 => Unfit::Other,
                7 => Unfit::OtherVersion,
                _ => Unfit::Damaged(""),
            };
            let refused = check(&damaged).unwrap_err();
            assert_eq!(std::mem::discriminant(&refused), std::mem::discriminant(&expected), "bit {bit}: {refused:?}");
        }
        for len in 0..file.len() {
            assert!(check(&file[..len]).is_err());
        }
    }

    #[test]
    fn parts_are_in_the_file_whatever_the_header_says() {
        for at in [24, 32, 40] {
            for word in [0, 1, 47, 61, 64, u64::MAX / 2, u64::MAX] {
                let mut forged = file();
                forged[at..at + 8].copy_from_slice(&word.to_le_bytes());
                let Ok(header) = Header::read(MAGIC, &forged, forged.len() as u64) else { continue };
                assert!(
                    Header::LEN <= header.end(0) && header.end(0) <= header.end(1) && header.end(1) <= forged.len()
                );
                assert!(header.check(&forged).is_err());
                let _ = header.check_rest(&forged);
            }
        }
    }
}
