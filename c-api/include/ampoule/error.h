/**
 * \file ampoule/error.h
 *
 * \brief What an error or a trap is about, as numbers and names instead of
 * text.
 *
 * Zero a structure, set its `size`, and ask:
 *
 * \code
 * ampoule_error_info_t info = {.size = sizeof info};
 * if (ampoule_trap_info(trap, &info) && (info.has & AMPOULE_ERROR_HAS_ADDRESS))
 *   printf("address %llu\n", (unsigned long long)info.memory_address);
 * \endcode
 *
 * This header is there when `ampoule_has("error")`.
 */

#ifndef AMPOULE_ERROR_H
#define AMPOULE_ERROR_H

#include <wasmtime/error.h>
#include <wasmtime/trap.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief What an error is about: one of `ampoule_error_kind_enum`. Later
/// versions may add numbers at the end.
typedef uint8_t ampoule_error_kind_t;

/// \brief The values of `ampoule_error_kind_t`.
enum ampoule_error_kind_enum {
  /// None of the others; the message tells.
  AMPOULE_ERROR_OTHER,
  /// The engine stopped the guest; `trap_code` says why.
  AMPOULE_ERROR_TRAP,
  /// The call was cancelled, or its time was up (`ampoule/cancel.h`).
  AMPOULE_ERROR_CANCELLED,
  /// The guest ended itself; `exit_status` is its status.
  AMPOULE_ERROR_EXIT,
  /// The host said so: `wasmtime_error_new`, `wasmtime_trap_new`,
  /// `wasm_trap_new`.
  AMPOULE_ERROR_HOST,
  /// An exception that nobody caught.
  AMPOULE_ERROR_EXCEPTION,
  /// Bytes that are no valid module, or one that this engine does not run;
  /// `module_offset` is where, if that is known.
  AMPOULE_ERROR_INVALID_MODULE,
  /// Text that is no module.
  AMPOULE_ERROR_TEXT,
  /// A module or an adapter that could not be compiled.
  AMPOULE_ERROR_COMPILE,
  /// An import that is missing or does not fit, or a name that is taken.
  AMPOULE_ERROR_LINK,
  /// Arguments, results or values of another type than expected.
  AMPOULE_ERROR_TYPE,
  /// A limit of the store or of the engine.
  AMPOULE_ERROR_LIMIT,
  /// A configuration that cannot be had, or a feature that was not configured.
  AMPOULE_ERROR_CONFIG,
  /// A serialized module that is damaged, or was not made for this engine.
  AMPOULE_ERROR_ARTIFACT,
  /// Something was used with a store or an engine that it does not belong to.
  AMPOULE_ERROR_WRONG_STORE,
  /// The operating system refused; `system_errno` is its reason, if that is
  /// known.
  AMPOULE_ERROR_SYSTEM,
};

/// \brief Which fields of `ampoule_error_info_t` mean something: the bits of
/// `has`. A field without its bit is zero.
enum ampoule_error_has_enum {
  /// `trap_code`.
  AMPOULE_ERROR_HAS_TRAP_CODE = 1 << 0,
  /// `exit_status`.
  AMPOULE_ERROR_HAS_EXIT_STATUS = 1 << 1,
  /// `system_errno`.
  AMPOULE_ERROR_HAS_ERRNO = 1 << 2,
  /// `func_index`: a guest was running.
  AMPOULE_ERROR_HAS_FUNC = 1 << 3,
  /// `module_offset`.
  AMPOULE_ERROR_HAS_MODULE_OFFSET = 1 << 4,
  /// `func_offset`.
  AMPOULE_ERROR_HAS_FUNC_OFFSET = 1 << 5,
  /// `memory_index`, `memory_address` and `memory_size`: an access left a
  /// memory, and the engine knows which and where. It knows when the CPU found
  /// the access (a fault in the memory's guard pages), and where `memory.fill`,
  /// `memory.copy`, `memory.init` or waiting on an address call the engine; it
  /// does not where compiled code compares addresses by itself, as for 64-bit
  /// memories, and for bulk operations of few bytes.
  AMPOULE_ERROR_HAS_ADDRESS = 1 << 6,
};

/// \brief What is known of an error.
typedef struct ampoule_error_info_t {
  /// In: the bytes of this structure, as the program was compiled. Out: those
  /// that were filled in, which may be fewer with an older library.
  size_t size;
  /// Which fields mean something: bits of `ampoule_error_has_enum`.
  uint32_t has;
  /// What it is about.
  ampoule_error_kind_t kind;
  /// Why the guest was stopped; cancellation is `WASMTIME_TRAP_CODE_INTERRUPT`.
  wasmtime_trap_code_t trap_code;
  /// What a WASI program ended with.
  int32_t exit_status;
  /// `errno` of the system call that failed.
  int32_t system_errno;
  /// The function in which the guest was stopped, or that called the host, in
  /// the index space of its module.
  uint32_t func_index;
  /// The memory, in the index space of the same module.
  uint32_t memory_index;
  /// The instruction, or what is invalid, in bytes from the start of the module.
  uint64_t module_offset;
  /// The instruction in bytes from the start of its function's body.
  uint64_t func_offset;
  /// The first byte of the access that lay outside of the memory, as the guest
  /// counts: zero is the memory's first byte.
  uint64_t memory_address;
  /// The memory's size in bytes at the time.
  uint64_t memory_size;
  /// The name of the function's module, from its name section, UTF-8 without a
  /// NUL; null when there is none. As long as the error or trap.
  const char *module_name;
  /// Bytes of `module_name`.
  size_t module_name_len;
  /// The name of the function, from the module's name section; likewise.
  const char *func_name;
  /// Bytes of `func_name`.
  size_t func_name_len;
} ampoule_error_info_t;

/// \brief Fills in what is known of an error.
///
/// Returns false, leaving `*info` alone, when `info->size` is too small for
/// `kind` to be told. Allocates nothing but what looking up a name takes; any
/// number of threads may ask the same error.
WASM_API_EXTERN bool ampoule_error_info(
    const wasmtime_error_t *error, ampoule_error_info_t *info);

/// \brief The same for a trap.
WASM_API_EXTERN bool ampoule_trap_info(
    const wasm_trap_t *trap, ampoule_error_info_t *info);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // AMPOULE_ERROR_H
