/**
 * \file wasmtime/trap.h
 *
 * \brief Traps: why a guest ended, as a code, and the names in a backtrace.
 */

#ifndef WASMTIME_TRAP_H
#define WASMTIME_TRAP_H

#include <wasm.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The reason of a trap: one of `wasmtime_trap_code_enum`.
typedef uint8_t wasmtime_trap_code_t;

/// The values of `wasmtime_trap_code_t`.
enum wasmtime_trap_code_enum {
  /// The guest's calls nested too deep.
  WASMTIME_TRAP_CODE_STACK_OVERFLOW,
  /// An access beyond the end of a memory, or of a data segment.
  WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS,
  /// An atomic access at an address that is not a multiple of its size.
  WASMTIME_TRAP_CODE_HEAP_MISALIGNED,
  /// An access beyond the end of a table, or of an element segment.
  WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS,
  /// A call through a table element that is null.
  WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL,
  /// A call through a table to a function of another type.
  WASMTIME_TRAP_CODE_BAD_SIGNATURE,
  /// An integer division, or a conversion, whose result does not fit.
  WASMTIME_TRAP_CODE_INTEGER_OVERFLOW,
  /// An integer division by zero.
  WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO,
  /// The conversion of a NaN to an integer.
  WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER,
  /// The instruction `unreachable`.
  WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED,
  /// The store's epoch deadline has passed.
  WASMTIME_TRAP_CODE_INTERRUPT,
  /// The store's fuel is used up.
  WASMTIME_TRAP_CODE_OUT_OF_FUEL,
  /// Waiting on a memory that is not shared.
  WASMTIME_TRAP_CODE_ATOMIC_WAIT_NON_SHARED_MEMORY,
  /// The use of a null reference.
  WASMTIME_TRAP_CODE_NULL_REFERENCE,
  /// An access beyond the end of an array.
  WASMTIME_TRAP_CODE_ARRAY_OUT_OF_BOUNDS,
  /// An object larger than the garbage-collected heap allows.
  WASMTIME_TRAP_CODE_ALLOCATION_TOO_LARGE,
  /// A reference that is not of the type it was cast to.
  WASMTIME_TRAP_CODE_CAST_FAILURE,
  /// A call into a component instance that may not be entered now.
  WASMTIME_TRAP_CODE_CANNOT_ENTER_COMPONENT,
  /// An async component function that ended without giving its result.
  WASMTIME_TRAP_CODE_NO_ASYNC_RESULT,
  /// A suspension with a tag that nobody handles.
  WASMTIME_TRAP_CODE_UNHANDLED_TAG,
  /// A continuation that was resumed before.
  WASMTIME_TRAP_CODE_CONTINUATION_ALREADY_CONSUMED,
  /// An instruction that the configuration has turned off.
  WASMTIME_TRAP_CODE_DISABLED_OPCODE,
  /// All tasks of an async component call wait, and nothing can wake them.
  WASMTIME_TRAP_CODE_ASYNC_DEADLOCK,
  /// A call out of a component instance that may not be left now.
  WASMTIME_TRAP_CODE_CANNOT_LEAVE_COMPONENT,
  /// A synchronous task that would have to wait.
  WASMTIME_TRAP_CODE_CANNOT_BLOCK_SYNC_TASK,
  /// A number that is no character, where a component expects one.
  WASMTIME_TRAP_CODE_INVALID_CHAR,
  /// Internal check: a string was not transcoded to its end.
  WASMTIME_TRAP_CODE_DEBUG_ASSERT_STRING_ENCODING_FINISHED,
  /// Internal check: two counts of code units differ.
  WASMTIME_TRAP_CODE_DEBUG_ASSERT_EQUAL_CODE_UNITS,
  /// Internal check: a pointer is not aligned.
  WASMTIME_TRAP_CODE_DEBUG_ASSERT_POINTER_ALIGNED,
  /// Internal check: the upper bits of a 64-bit value are not zero.
  WASMTIME_TRAP_CODE_DEBUG_ASSERT_UPPER_BITS_UNSET,
  /// A component's string beyond the end of its memory.
  WASMTIME_TRAP_CODE_STRING_OUT_OF_BOUNDS,
  /// A component's list beyond the end of its memory.
  WASMTIME_TRAP_CODE_LIST_OUT_OF_BOUNDS,
  /// A variant or enum of a component with an unknown case.
  WASMTIME_TRAP_CODE_INVALID_DISCRIMINANT,
  /// A component's pointer that is not aligned.
  WASMTIME_TRAP_CODE_UNALIGNED_POINTER,
  /// `task.cancel` in a task that nobody has cancelled.
  WASMTIME_TRAP_CODE_TASK_CANCEL_NOT_CANCELLED,
  /// `task.return` or `task.cancel` a second time.
  WASMTIME_TRAP_CODE_TASK_CANCEL_OR_RETURN_TWICE,
  /// `subtask.cancel` after the subtask has ended.
  WASMTIME_TRAP_CODE_SUBTASK_CANCEL_AFTER_TERMINAL,
  /// `task.return` with a type or options that do not match.
  WASMTIME_TRAP_CODE_TASK_RETURN_INVALID,
  /// A waitable set dropped while a task waits on it.
  WASMTIME_TRAP_CODE_WAITABLE_SET_DROP_HAS_WAITERS,
  /// A subtask dropped before it was resolved.
  WASMTIME_TRAP_CODE_SUBTASK_DROP_NOT_RESOLVED,
  /// `thread.new-indirect` with a function of another type.
  WASMTIME_TRAP_CODE_THREAD_NEW_INDIRECT_INVALID_TYPE,
  /// `thread.new-indirect` with a null table element.
  WASMTIME_TRAP_CODE_THREAD_NEW_INDIRECT_UNINITIALIZED,
  /// A backpressure counter beyond its range.
  WASMTIME_TRAP_CODE_BACKPRESSURE_OVERFLOW,
  /// An answer of an async callback that means nothing.
  WASMTIME_TRAP_CODE_UNSUPPORTED_CALLBACK_CODE,
  /// A thread that is not in a state to be resumed.
  WASMTIME_TRAP_CODE_CANNOT_RESUME_THREAD,
  /// A second operation on a future or stream while one is under way.
  WASMTIME_TRAP_CODE_CONCURRENT_FUTURE_STREAM_OP,
};

/// Returns a trap with a copy of the `msg_len` bytes of text (UTF-8) at `msg`,
/// and no code; owned by the caller.
WASM_API_EXTERN wasm_trap_t *wasmtime_trap_new(const char *msg, size_t msg_len);

/// Returns a trap with this code, as the instruction would raise it; owned by
/// the caller. `code` must be one of `wasmtime_trap_code_enum`.
WASM_API_EXTERN wasm_trap_t *wasmtime_trap_new_code(wasmtime_trap_code_t code);

/// Sets `*code` to the reason and returns true; false, leaving `*code` alone,
/// when the trap has none: one of the host's.
WASM_API_EXTERN bool wasmtime_trap_code(
    const wasm_trap_t *trap, wasmtime_trap_code_t *code);

/// The name of the frame's function, from the module's name section, or null;
/// it lives as long as the frame.
WASM_API_EXTERN const wasm_name_t *wasmtime_frame_func_name(
    const wasm_frame_t *frame);

/// The name of the frame's module, from its name section, or null; it lives as
/// long as the frame.
WASM_API_EXTERN const wasm_name_t *wasmtime_frame_module_name(
    const wasm_frame_t *frame);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_TRAP_H
