//! Telling valgrind which memory is a stack, so that it doesn't take a switch to it for a huge frame.
//!
//! A request to valgrind is a series of rotations that do nothing together, before an exchange that does nothing either: `valgrind.h`
//! documents it. Without valgrind it costs as little as that.

use std::arch::asm;
use std::ops::Range;

const STACK_REGISTER: usize = 0x1501;
const STACK_DEREGISTER: usize = 0x1502;

/// Memory that valgrind takes for a stack as long as this lives.
#[derive(Debug)]
pub struct StackRegistration {
    id: usize,
}

impl StackRegistration {
    /// Tells valgrind of a stack.
    pub fn new(stack: &Range<usize>) -> Self {
        Self { id: request([STACK_REGISTER, stack.start, stack.end, 0, 0, 0]) }
    }
}

impl Drop for StackRegistration {
    fn drop(&mut self) {
        request([STACK_DEREGISTER, self.id, 0, 0, 0, 0]);
    }
}

/// What valgrind answers; 0 where there is none.
fn request(what: [usize; 6]) -> usize {
    let answer;
    // SAFETY: four rotations by 128 in all leave `rdi` as it was; valgrind reads the array, and writes `rdx`.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") what.as_ptr(),
            inout("rdx") 0usize => answer,
            options(nostack),
        );
    }
    answer
}
