//! The contents that memories begin with, as a file that they map privately: copied on write, a page at a time. They are those of a module's
//! data segments, or of a memory at the time of a snapshot.

use crate::error::Error;
use crate::memory::cache::{MemoryCache, WeakMemoryCache};
use ampoule_machine::os::mmap::{Access, Mapping, PAGE, write_at};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An image spans at most this many times its data: a guest that reads the gaps makes the system fill them.
const MAX_SPAN_PER_DATA: usize = 4;

/// Of one space, so many bytes stay resident at most.
pub(crate) const KEPT_BYTES: usize = 256 << 10;

/// The same where a snapshot is mapped in it: the next guest will write what this one has, for it goes on from where this one did.
const KEPT_OF_SNAPSHOTS: usize = 2 << 20;

/// Zeros of which a file has none, between what an image has, where they are this long: to map each part costs a system call for each memory.
const MIN_GAP: usize = 1 << 20;

/// Parts that an image has at most.
pub(crate) const MAX_RUNS: usize = 64;

/// When an image pays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImagePolicy {
    /// Up to so many bytes of data are copied into each new memory.
    pub(crate) copied_bytes: usize,
    /// An image of up to this length may have gaps of any size.
    pub(crate) sparse_bytes: usize,
}

impl ImagePolicy {
    /// For memories whose pages stay: copying a little is cheaper than the page faults and the file descriptor of an image.
    pub(crate) const KEPT_PAGES: Self = Self { copied_bytes: 16 << 10, sparse_bytes: 0 };
    /// For memories that lose their pages: copying anything means a page fault for each owner, an image none.
    pub(crate) const LOST_PAGES: Self = Self { copied_bytes: 0, sparse_bytes: 1 << 20 };
}

/// Asked now and then by what takes long, for whether to go on: for the error that ends it, if not.
pub(crate) type Check<'a> = &'a dyn Fn() -> Result<(), Error>;

/// Bytes that are written before it is asked again.
const PORTION: usize = 1 << 20;

/// Why there is no image.
enum NoImage {
    System(io::Error),
    Interrupted(Error),
}

impl From<Errno> for NoImage {
    fn from(error: Errno) -> Self {
        Self::System(error.into())
    }
}

impl From<io::Error> for NoImage {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// A part of a memory, and where a file has its bytes, one for one. Offset and borders are multiples of [`PAGE`], and it is not empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    pub(crate) range: Range<usize>,
    pub(crate) file_offset: u64,
}

/// Contents of one memory at the time when its instance starts, all zeros around them.
///
/// 1. The bytes of `file` that runs have never change. In a file of our own they are sealed; of a file of a snapshot whoever loads it vouches for
///    that.
/// 2. `view` maps all of them, and zeros between them, for reading.
#[derive(Debug)]
pub struct MemoryImage {
    id: u64,
    file: OwnedFd,
    view: Mapping,
    /// What of the memory is in the file, ascending, at least one.
    runs: Arc<[Run]>,
    /// Of a space that maps the image, so many bytes may stay resident for the next owner.
    kept_bytes: usize,
    /// Where spaces may be left that map this image.
    cache: WeakMemoryCache,
}

impl MemoryImage {
    /// The image of a memory of at least `byte_len` bytes in which the pieces (offset, bytes) were written in their order.
    ///
    /// `None` where an image does not pay: little data, data spread thinly, or pieces that don't fit; and where the system has no memory or
    /// file descriptor for it. The instance then copies the pieces, and finds out what doesn't fit.
    ///
    /// # Errors
    /// Those of `check`, which is asked before each portion that is written. Nothing is left then.
    pub fn new(
        byte_len: usize,
        pieces: &[(u64, &[u8])],
        cache: &MemoryCache,
        check: Check<'_>,
    ) -> Result<Option<Arc<Self>>, Error> {
        let Some(span) = worthwhile_span(byte_len, pieces, cache.image_policy()) else { return Ok(None) };
        match Self::of_span(span, pieces, KEPT_BYTES, cache, check) {
            Ok(image) => Ok(Some(image)),
            Err(NoImage::Interrupted(error)) => Err(error),
            Err(NoImage::System(_)) => Ok(None),
        }
    }

    fn of_span(
        span: Range<usize>,
        pieces: &[(u64, &[u8])],
        kept_bytes: usize,
        cache: &MemoryCache,
        check: Check<'_>,
    ) -> Result<Arc<Self>, NoImage> {
        let file = rustix::fs::memfd_create("ampoule-image", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&file, span.len() as u64)?;
        write_pieces(&file, &span, pieces, check)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
        let runs = runs_of(&span, pieces).into_iter().map(|range| {
            let file_offset = (range.start - span.start) as u64;
            Run { range, file_offset }
        });
        Ok(Self::mapped(file, runs.collect(), kept_bytes, cache)?)
    }

    /// The image of a memory that holds these pieces, which are in ascending order, and zeros beside them. `None` where there are none.
    ///
    /// # Errors
    /// What the system says that has no memory for it.
    pub(crate) fn of_contents(pieces: &[(u64, &[u8])], cache: &MemoryCache) -> io::Result<Option<Arc<Self>>> {
        let Some(((first, _), (last, bytes))) = pieces.first().zip(pieces.last()) else { return Ok(None) };
        let (start, end) = (*first as usize, *last as usize + bytes.len());
        let span = start - start % PAGE..end.next_multiple_of(PAGE);
        let image = Self::of_span(span, pieces, KEPT_OF_SNAPSHOTS, cache, &|| Ok(()));
        image.map(Some).map_err(|none| match none {
            NoImage::System(error) => error,
            NoImage::Interrupted(_) => unreachable!("nobody interrupts it"),
        })
    }

    /// The image of a memory that holds bytes of a file in these runs, which ascend, and zeros beside them. There is at least one.
    ///
    /// The bytes must not change, nor the file get shorter, as long as there is an image or a memory that was made of it.
    ///
    /// # Errors
    /// What the system says that can't map it.
    pub(crate) fn of_file(file: OwnedFd, runs: Arc<[Run]>, cache: &MemoryCache) -> io::Result<Arc<Self>> {
        Self::mapped(file, runs, KEPT_OF_SNAPSHOTS, cache)
    }

    fn mapped(file: OwnedFd, runs: Arc<[Run]>, kept_bytes: usize, cache: &MemoryCache) -> io::Result<Arc<Self>> {
        let span = span_of(&runs);
        let view = match &*runs {
            [run] => Mapping::private_part_of_file(&file, run.file_offset, span.len(), Access::Read)?,
            runs => {
                let view = Mapping::anonymous(span.len(), Access::Read)?;
                for Run { range, file_offset } in runs {
                    let place = range.start - span.start..range.end - span.start;
                    // SAFETY: the mapping is new, and nobody has a reference into it.
                    unsafe { view.map_private(place, file.as_fd(), *file_offset, Access::Read)? };
                }
                view
            }
        };
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Self { id, file, view, runs, kept_bytes, cache: cache.downgrade() }))
    }

    /// What it holds in one of its runs.
    pub(crate) fn bytes(&self, run: &Run) -> &[u8] {
        let range = self.range();
        assert!(range.start <= run.range.start && run.range.end <= range.end, "inside the image");
        // SAFETY: the view holds as many bytes, which nobody writes (1, 2).
        unsafe { std::slice::from_raw_parts(self.view.base().add(run.range.start - range.start), run.range.len()) }
    }

    /// Unlike that of any other image of the process, ever.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Of a space that maps the image, so many bytes may stay resident for the next owner.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// The bytes of a memory that the image covers.
    pub fn range(&self) -> Range<usize> {
        span_of(&self.runs)
    }

    /// What of that is in the file. All between is zero.
    pub(crate) fn runs(&self) -> &Arc<[Run]> {
        &self.runs
    }

    /// The file.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Copies the image's bytes of `range`, which lies inside its own range, to `to`.
    ///
    /// # Safety
    /// `to` is writable for as many bytes, and no Rust reference covers them.
    pub(crate) unsafe fn copy(&self, range: Range<usize>, to: *mut u8) {
        let own = self.range();
        assert!(own.start <= range.start && range.end <= own.end, "inside the image");
        // SAFETY: the view holds the range (2); the caller vouches for `to`, which as memory of a guest is not our view.
        unsafe { ptr::copy_nonoverlapping(self.view.base().add(range.start - own.start), to, range.len()) }
    }
}

impl Drop for MemoryImage {
    fn drop(&mut self) {
        self.cache.forget_image(self.id);
    }
}

/// From the first to the last.
pub(crate) fn span_of(runs: &[Run]) -> Range<usize> {
    runs[0].range.start..runs[runs.len() - 1].range.end
}

/// The parts of the span in which the pieces are: all of it, but for the longest gaps. The pieces may be in any order, some empty.
fn runs_of(span: &Range<usize>, pieces: &[(u64, &[u8])]) -> Vec<Range<usize>> {
    let pages = pieces.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|&(offset, bytes)| {
        let start = offset as usize;
        start - start % PAGE..(start + bytes.len()).next_multiple_of(PAGE)
    });
    let mut pages: Vec<_> = pages.collect();
    pages.sort_by_key(|range| range.start);
    let mut end = span.start;
    let mut gaps = Vec::new();
    for range in pages {
        if range.start.saturating_sub(end) >= MIN_GAP {
            gaps.push(end..range.start);
        }
        end = end.max(range.end);
    }
    gaps.sort_by_key(|gap| std::cmp::Reverse(gap.len()));
    gaps.truncate(MAX_RUNS - 1);
    gaps.sort_by_key(|gap| gap.start);
    let starts = std::iter::once(span.start).chain(gaps.iter().map(|gap| gap.end));
    let ends = gaps.iter().map(|gap| gap.start).chain([span.end]);
    starts.zip(ends).map(|(start, end)| start..end).collect()
}

/// Writes the pieces, which lie in `span` where they aren't empty, to a file that holds it. Takes no more system calls and page
/// faults together than the span has pages: a module may consist of segments of a few bytes.
fn write_pieces(file: &OwnedFd, span: &Range<usize>, pieces: &[(u64, &[u8])], check: Check<'_>) -> Result<(), NoImage> {
    // An empty piece may lie anywhere.
    let pieces = pieces.iter().filter(|(_, bytes)| !bytes.is_empty());
    let few = pieces.clone().count() <= span.len() / PAGE;
    let portions = pieces.flat_map(|&(offset, bytes)| {
        let starts = (0..).step_by(PORTION).map(move |start| offset as usize - span.start + start);
        starts.zip(bytes.chunks(PORTION))
    });
    if few {
        for (at, bytes) in portions {
            check().map_err(NoImage::Interrupted)?;
            write_at(file, bytes, at as u64)?;
        }
        return Ok(());
    }
    let mapping = Mapping::shared_file(file, span.len(), Access::ReadWrite)?;
    for (at, bytes) in portions {
        check().map_err(NoImage::Interrupted)?;
        assert!(at + bytes.len() <= mapping.len(), "a span holds every piece");
        // SAFETY: just checked; the mapping is writable, and new.
        unsafe { mapping.base().add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
    Ok(())
}

/// The page-aligned range of an image of these pieces, if one is worth making.
fn worthwhile_span(byte_len: usize, pieces: &[(u64, &[u8])], policy: ImagePolicy) -> Option<Range<usize>> {
    // Only whole pages can be mapped. (A memory with pages of one byte may end within one.)
    let mappable = byte_len - byte_len % PAGE;
    let (mut start, mut end, mut data_len) = (usize::MAX, 0, 0usize);
    for &(offset, bytes) in pieces {
        let offset = usize::try_from(offset).ok()?;
        let piece_end = offset.checked_add(bytes.len()).filter(|&end| end <= mappable)?;
        if !bytes.is_empty() {
            (start, end) = (start.min(offset), end.max(piece_end));
            data_len = data_len.checked_add(bytes.len())?;
        }
    }
    if data_len <= policy.copied_bytes {
        return None;
    }
    let span = start - start % PAGE..end.next_multiple_of(PAGE);
    (span.len() <= policy.sparse_bytes || span.len() / MAX_SPAN_PER_DATA <= data_len).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIG: &[u8] = &[0x11; 100 << 10];

    fn span(byte_len: usize, pieces: &[(u64, &[u8])]) -> Option<Range<usize>> {
        worthwhile_span(byte_len, pieces, ImagePolicy::KEPT_PAGES)
    }

    #[test]
    fn an_image_covers_the_pages_of_the_data() {
        assert_eq!(span(1 << 20, &[(5000, BIG)]), Some(4096..108 << 10));
        assert_eq!(span(1 << 20, &[(5000, BIG), (200 << 10, &[1])]), Some(4096..204 << 10));
    }

    #[test]
    fn little_data_makes_no_image() {
        assert_eq!(span(1 << 20, &[]), None);
        assert_eq!(span(1 << 20, &[(0, &BIG[..ImagePolicy::KEPT_PAGES.copied_bytes])]), None);
    }

    #[test]
    fn where_pages_are_lost_little_data_makes_an_image() {
        let span = |pieces: &[(u64, &[u8])]| worthwhile_span(1 << 32, pieces, ImagePolicy::LOST_PAGES);
        assert_eq!(span(&[(5000, &[1])]), Some(4096..8192));
        assert_eq!(span(&[(0, &[1]), ((1 << 20) - 1, &[1])]), Some(0..1 << 20));
        assert_eq!(span(&[(0, &[1]), (1 << 20, &[1])]), None);
        assert_eq!(span(&[]), None);
    }

    #[test]
    fn data_spread_thinly_makes_no_image() {
        assert_eq!(span(1 << 32, &[(0, BIG), ((1 << 32) - 1, &[1])]), None);
    }

    #[test]
    fn pieces_that_do_not_fit_make_no_image() {
        assert_eq!(span(1 << 16, &[(0, BIG)]), None);
        assert_eq!(span(1 << 20, &[(u64::MAX, BIG)]), None);
        assert_eq!(span(1 << 20, &[(0, BIG), (u64::MAX - 1, &[1, 2, 3])]), None);
        assert_eq!(span(1 << 20, &[(0, BIG), ((1 << 20) + 1, &[])]), None);
    }

    #[test]
    fn later_pieces_win() {
        let cache = MemoryCache::new();
        let image = MemoryImage::new(1 << 20, &[(0, BIG), (10, &[2, 3])], &cache, &|| Ok(())).unwrap().unwrap();
        let mut bytes = [0u8; 13];
        // SAFETY: `bytes` is ours and writable.
        unsafe { image.copy(0..13, bytes.as_mut_ptr()) };
        assert_eq!(bytes, [17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 2, 3, 17]);
    }

    #[test]
    fn many_pieces_are_as_few() {
        let cache = MemoryCache::new();
        let words: Vec<[u8; 8]> = (0..20_000u64).map(u64::to_le_bytes).collect();
        // Each overlaps the one before by four bytes; an empty one lies where nothing fits.
        let mut pieces: Vec<_> = words.iter().zip(0..).map(|(word, at)| (5000 + at * 4, &word[..])).collect();
        pieces.insert(0, (5001, BIG));
        pieces.insert(7, (1 << 20, &[]));
        let image = MemoryImage::new(1 << 20, &pieces, &cache, &|| Ok(())).unwrap().unwrap();
        let mut expected = vec![0; 1 << 20];
        pieces.iter().for_each(|&(at, bytes)| expected[at as usize..][..bytes.len()].copy_from_slice(bytes));
        let mut bytes = vec![0u8; image.range().len()];
        // SAFETY: `bytes` is ours and writable.
        unsafe { image.copy(image.range(), bytes.as_mut_ptr()) };
        assert!(bytes == expected[image.range()]);
    }

    #[test]
    fn long_gaps_are_in_no_file() {
        let run = |start: usize, end: usize| start * PAGE..end * PAGE;
        let one = &BIG[..1];
        let span = run(1, 2000);
        let at = |page: usize| ((page * PAGE + 9) as u64, one);
        assert_eq!(runs_of(&span, &[at(1), at(1999)]), [run(1, 2), run(1999, 2000)]);
        assert_eq!(runs_of(&span, &[at(1999), (0, &[]), at(300), at(1)]), [run(1, 2), run(300, 301), run(1999, 2000)]);
        assert_eq!(runs_of(&run(1, 200), &[at(1), at(199)]), [run(1, 200)], "to map it twice costs more");
        // As many as may be, without the longest gaps.
        let many: Vec<_> = (0..200).map(|number| at(1 + number * 300 + number)).collect();
        let runs = runs_of(&run(1, 60_000), &many);
        assert_eq!((runs.len(), runs[0].start, runs[MAX_RUNS - 1].end), (MAX_RUNS, PAGE, 60_000 * PAGE));
        assert!(runs.windows(2).all(|pair| pair[1].start - pair[0].end >= 300 * PAGE));
        // What is between reads as zeros.
        let image = MemoryImage::of_contents(&[at(1), at(1999)], &MemoryCache::new()).unwrap().unwrap();
        assert_eq!((image.range(), image.runs().len()), (span, 2));
        let mut bytes = vec![1; 1999 * PAGE];
        // SAFETY: `bytes` is ours and writable.
        unsafe { image.copy(image.range(), bytes.as_mut_ptr()) };
        let nonzero: Vec<_> = bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).map(|(at, _)| at).collect();
        assert_eq!(nonzero, [9, 1998 * PAGE + 9]);
    }

    #[test]
    fn an_image_is_given_up_between_portions() {
        let (cache, asked) = (MemoryCache::new(), std::cell::Cell::new(0));
        let check = |most: u32| {
            asked.set(asked.get() + 1);
            if asked.get() > most { Err(Error::message("enough")) } else { Ok(()) }
        };
        let large = vec![1; 10 * PORTION];
        // As one piece, and as so many that they are written through a mapping.
        let small: Vec<(u64, &[u8])> = (0..1 << 16).map(|at| (at, &BIG[..64])).collect();
        for (pieces, times) in [(&[(5000, &large[..])][..], 10), (&small, 1 << 16)] {
            for most in [0, 3, times - 1] {
                asked.set(0);
                let error = MemoryImage::new(16 * PORTION, pieces, &cache, &|| check(most)).unwrap_err();
                assert_eq!((error.to_string(), asked.get()), ("enough".to_string(), most + 1));
            }
            asked.set(0);
            assert!(MemoryImage::new(16 * PORTION, pieces, &cache, &|| check(times)).unwrap().is_some());
        }
    }

    #[test]
    fn nobody_can_change_the_file() {
        let cache = MemoryCache::new();
        let many: Vec<(u64, &[u8])> = (0..100 << 10).map(|at| (at, &BIG[..1])).collect();
        let image = MemoryImage::new(1 << 20, &many, &cache, &|| Ok(())).unwrap().unwrap();
        assert_eq!(rustix::io::pwrite(image.file(), b"x", 0), Err(rustix::io::Errno::PERM));
        let image = MemoryImage::new(1 << 20, &[(0, BIG)], &cache, &|| Ok(())).unwrap().unwrap();
        assert_eq!(rustix::io::pwrite(image.file(), b"x", 0), Err(rustix::io::Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(image.file(), 0), Err(rustix::io::Errno::PERM));
    }
}
