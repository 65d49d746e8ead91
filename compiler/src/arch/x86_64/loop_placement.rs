//! Where a function's code should start, so that its loops run fast.
//!
//! Processors fetch and cache code in lines of 64 bytes. A loop of a few instructions that lies across two lines takes
//! up to a third longer than one within a line. Blocks can't be moved apart once they are emitted, but the whole function can: of the
//! places in a line where it may start, the one at which its loops touch the fewest lines is chosen.

/// What the first byte of a function's code must be at: `phase` bytes behind a multiple of `alignment`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Placement {
    pub alignment: u32,
    pub phase: u32,
}

/// Bytes in a line.
const LINE: u32 = 64;
/// What code starts at a multiple of where no place is better than another.
const ALIGNMENT: u32 = 16;
/// Places that are tried are so far apart, in bytes.
const STEP: u32 = 4;
/// Deeper loops count as much as those at this depth.
const DEPTH_MAX: usize = 8;

/// The best place for code whose blocks start at these offsets. `alignment` is what it needs in any case.
pub(crate) fn best_placement(code: &[u8], block_starts: &[u32], alignment: u32) -> Placement {
    let loops = loops(code, block_starts);
    let cost_at = |phase: u32| loops.iter().map(|l| l.cost(phase)).sum::<f32>();
    let mut best = Placement { alignment: alignment.max(ALIGNMENT), phase: 0 };
    let mut least = cost_at(0);
    for phase in (0..LINE).step_by(alignment.max(STEP) as usize).skip(1) {
        let cost = cost_at(phase);
        // Without need, no gap is left between functions.
        if cost != least {
            best.alignment = LINE;
        }
        if cost < least {
            (best.phase, least) = (phase, cost);
        }
    }
    best
}

/// The code between a loop's first instruction and the last jump back to it.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Loop {
    start: u32,
    end: u32,
    /// How many others it is in.
    depth: usize,
}

impl Loop {
    /// By how much it suffers when the function starts that far into a line: what an iteration fetches more than it must.
    fn cost(&self, phase: u32) -> f32 {
        let needed = (self.end - self.start).div_ceil(LINE);
        let touched = (self.end + phase - 1) / LINE - (self.start + phase) / LINE + 1;
        let often = (1u32 << (2 * self.depth.min(DEPTH_MAX))) as f32;
        often * (touched - needed) as f32 / needed as f32
    }
}

/// Loops, in the order of their starts.
fn loops(code: &[u8], block_starts: &[u32]) -> Vec<Loop> {
    let mut loops: Vec<Loop> = Vec::new();
    let ends = block_starts.iter().skip(1).copied().chain([code.len() as u32]);
    for (&start, end) in block_starts.iter().zip(ends) {
        for target in targets(code, end as usize).into_iter().flatten() {
            if target <= start && block_starts.binary_search(&target).is_ok() {
                loops.push(Loop { start: target, end, depth: 0 });
            }
        }
    }
    // Outer loops first; of all jumps back to one place, the last.
    loops.sort_unstable_by_key(|l| (l.start, std::cmp::Reverse(l.end)));
    loops.dedup_by_key(|l| l.start);
    let mut around: Vec<u32> = Vec::new();
    for l in &mut loops {
        while around.last().is_some_and(|&end| end < l.end) {
            around.pop();
        }
        l.depth = around.len();
        around.push(l.end);
    }
    loops
}

/// Where the jumps lead with which a block ends: a conditional one, an unconditional one, or both.
fn targets(code: &[u8], end: usize) -> [Option<u32>; 2] {
    let displaced = |end: usize| {
        let bytes = code[end - 4..end].try_into().expect("four bytes");
        (end as i64 + i64::from(i32::from_le_bytes(bytes))).try_into().ok()
    };
    // jmp rel32
    let jump = (end >= 5 && code[end - 5] == 0xe9).then(|| displaced(end)).flatten();
    let end = if jump.is_some() { end - 5 } else { end };
    // jcc rel32
    let branch = (end >= 6 && code[end - 6] == 0x0f && code[end - 5] & 0xf0 == 0x80).then(|| displaced(end)).flatten();
    [jump, branch]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code of this length with jumps: where each ends, and where it leads. It has blocks where jumps end or lead.
    fn code(len: usize, jumps: &[(usize, usize)]) -> (Vec<u8>, Vec<u32>) {
        let mut code = vec![0x90; len];
        let mut starts = vec![0];
        for &(end, target) in jumps {
            code[end - 6..end - 4].copy_from_slice(&[0x0f, 0x85]);
            code[end - 4..end].copy_from_slice(&(target as i32 - end as i32).to_le_bytes());
            starts.extend([end as u32, target as u32]);
        }
        starts.sort_unstable();
        starts.dedup();
        (code, starts)
    }

    #[test]
    fn a_small_loop_is_kept_in_one_line() {
        for start in (1..200).step_by(7) {
            for len in [8, 30, 48] {
                let (code, starts) = code(300, &[(start + len, start)]);
                let Placement { phase, .. } = best_placement(&code, &starts, 1);
                let (first, last) = (start as u32 + phase, (start + len) as u32 - 1 + phase);
                assert_eq!(first / LINE, last / LINE, "{len} bytes from {start} on, function at {phase}");
            }
        }
    }

    #[test]
    fn the_innermost_loop_counts_most() {
        // The outer loop would have to start at a line's beginning, which lays the inner one across two.
        let (code, starts) = code(300, &[(80, 50), (128, 0)]);
        let Placement { alignment, phase } = best_placement(&code, &starts, 16);
        assert_eq!((alignment, (50 + phase) / LINE), (LINE, (79 + phase) / LINE));
    }

    #[test]
    fn code_without_loops_goes_anywhere() {
        let (code, starts) = code(100, &[(30, 60)]);
        assert_eq!(best_placement(&code, &starts, 1), Placement { alignment: 16, phase: 0 });
        assert_eq!(best_placement(&code, &starts, 32), Placement { alignment: 32, phase: 0 });
    }

    #[test]
    fn what_the_code_needs_comes_first() {
        let (code, starts) = code(200, &[(70, 60)]);
        let Placement { alignment, phase } = best_placement(&code, &starts, 32);
        assert_eq!((alignment, phase), (64, 32));
    }

    #[test]
    fn nesting_is_seen() {
        let (code, starts) = code(300, &[(40, 30), (60, 50), (90, 20), (280, 0)]);
        let depths: Vec<_> = loops(&code, &starts).iter().map(|l| (l.start, l.end, l.depth)).collect();
        assert_eq!(depths, [(0, 280, 0), (20, 90, 1), (30, 40, 2), (50, 60, 2)]);
    }
}
