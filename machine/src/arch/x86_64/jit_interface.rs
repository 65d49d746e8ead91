//! The function and the data by which debuggers are told of code (the JIT interface of GDB), under local names beside hidden ones: a
//! host may have another compiler that defines the same.

use std::arch::global_asm;

global_asm!(
    ".pushsection .text.ampoule_jit_debug, \"ax\", @progbits",
    ".globl ampoule_jit_debug_register_code",
    ".hidden ampoule_jit_debug_register_code",
    ".type __jit_debug_register_code, @function",
    "ampoule_jit_debug_register_code:",
    "__jit_debug_register_code:",
    "ret",
    ".size __jit_debug_register_code, 1",
    ".popsection",
    ".pushsection .data.ampoule_jit_debug, \"aw\", @progbits",
    ".balign 8",
    ".globl ampoule_jit_debug_descriptor",
    ".hidden ampoule_jit_debug_descriptor",
    ".type __jit_debug_descriptor, @object",
    "ampoule_jit_debug_descriptor:",
    "__jit_debug_descriptor:",
    ".long 1, 0",
    ".quad 0, 0",
    ".size __jit_debug_descriptor, 24",
    ".popsection",
);
