//! x86-64, under the System V convention: the assembly through which control passes between host and guest, and every byte of
//! machine code that isn't made by a compiler.
//!
//! Invariant: guest frames between an entry frame and the point where the guest left own nothing. Everything here that
//! abandons frames ([`entry::unwind`]) relies on it.

/// What unwinders must know where a frame is made and `rbp` points to it.
macro_rules! frame_rules {
    () => {
        ".cfi_def_cfa rbp, 16
         .cfi_offset rbp, -16"
    };
}

/// The start of an assembly function that has a frame. It ends in `.cfi_endproc`.
macro_rules! make_frame {
    () => {
        ".cfi_startproc
         push rbp
         .cfi_def_cfa_offset 16
         .cfi_offset rbp, -16
         mov rbp, rsp
         .cfi_def_cfa_register rbp"
    };
}

/// The end of the frame that `make_frame` made.
macro_rules! drop_frame {
    () => {
        "mov rsp, rbp
         pop rbp
         .cfi_def_cfa rsp, 8"
    };
}

/// The frame of an entry up to the host's registers, as the picture in [`entry`] has it; also for unwinders, which are not to take it away.
macro_rules! entry_frame {
    () => {
        "push rbp
         .cfi_def_cfa_offset 16
         .cfi_offset rbp, -16
         mov rbp, rsp
         .cfi_def_cfa_register rbp
         push rbx
         .cfi_offset rbx, -24
         push r12
         .cfi_offset r12, -32
         push r13
         .cfi_offset r13, -40
         push r14
         .cfi_offset r14, -48
         push r15
         .cfi_offset r15, -56"
    };
}

/// The end of what `entry_frame` made, with the stack pointer at the last register.
macro_rules! drop_entry_frame {
    () => {
        "pop r15
         pop r14
         pop r13
         pop r12
         pop rbx
         pop rbp
         .cfi_def_cfa rsp, 8"
    };
}

/// The start of an entry on the stack of another one, the store in `r11`: the rest of the frame, of the maker that is named, with what the
/// outer one's words are in the store; `$scratch` is lost. The guest that waits is no caller of what is called now.
macro_rules! nested_entry {
    ($scratch:literal, $maker:literal) => {
        concat!(
            entry_frame!(),
            "\nlea ",
            $scratch,
            ", [r11 + {",
            $maker,
            "}]",
            "\npush ",
            $scratch,
            "\npush qword ptr [r11 + {store_entry_fp}]
             push qword ptr [r11 + {store_exit_fp}]
             push qword ptr [r11 + {store_caller}]
             mov qword ptr [r11 + {store_caller}], 0"
        )
    };
}

/// The end of such an entry: `r11` is the store and what tells the maker, `$frame` the frame pointer's place; `rcx` is lost.
macro_rules! outer_entry_again {
    ($frame:literal, $maker:literal) => {
        concat!(
            "mov rcx, qword ptr [",
            $frame,
            " + {frame_entry_fp}]
             mov qword ptr [r11 + {store_entry_fp} - {",
            $maker,
            "}], rcx
             mov rcx, qword ptr [",
            $frame,
            " + {frame_exit_fp}]
             mov qword ptr [r11 + {store_exit_fp} - {",
            $maker,
            "}], rcx
             mov rcx, qword ptr [",
            $frame,
            " + {frame_caller}]
             mov qword ptr [r11 + {store_caller} - {",
            $maker,
            "}], rcx"
        )
    };
}

/// In an outermost entry, the store in `r11`: uses the bounds of the stack that the store keeps if the thread is the one they were found
/// on, no thread has ended since, and the stack has as many bytes as a guest may use; goes to `{slow_path}` otherwise. Then `rax` is the limit.
macro_rules! known_stack {
    () => {
        "mov rax, qword ptr fs:[0]
         cmp rax, qword ptr [r11 + {thread}]
         jne {slow_path}
         mov rax, qword ptr [rip + {ended_now}]
         cmp rax, qword ptr [r11 + {ended}]
         jne {slow_path}
         cmp rsp, qword ptr [r11 + {stack_end}]
         jae {slow_path}
         mov rax, rsp
         sub rax, qword ptr [r11 + {max_stack}]
         jb {slow_path}
         cmp rax, qword ptr [r11 + {lowest}]
         jb {slow_path}"
    };
}

pub mod adapter;
pub mod cpu;
pub mod divert;
pub mod dwarf;
pub mod entry;
pub mod fault;
pub mod jit_interface;
pub mod jumps;
pub mod native;
pub mod native_stubs;
pub mod prefetch;
pub mod raw_call;
pub mod registers;
pub mod switch;
pub mod trampolines;
pub mod valgrind;
