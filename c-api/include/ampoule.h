/**
 * \file ampoule.h
 *
 * \brief What Ampoule offers beyond the interface it shares with Wasmtime.
 *
 * Everything here has the prefix `ampoule_`. Objects are those of the other
 * headers, and the same rules of ownership, threads and errors hold.
 *
 * **Programs that also run on another library** with the same interface must
 * not refer to these functions by name: a name that the library lacks would
 * keep the program from starting. They ask at run time:
 *
 * \code
 * typedef bool has_fn(const char *name);
 * has_fn *has = (has_fn *)dlsym(RTLD_DEFAULT, "ampoule_has");
 * if (has && has("native")) {
 *   // dlsym finds every function of <ampoule/native.h>
 * }
 * \endcode
 *
 * With ELF a weak declaration does as well, and needs no `dlsym`: declare
 * `ampoule_has` again with `__attribute__((weak))`, likewise each function that
 * is used, and compare its address with null before the first call. Both are
 * for shared libraries: an archive's functions come into a program that names
 * them, and whoever links `libampoule.a` may do just that.
 *
 * | name | header | what it is |
 * | --- | --- | --- |
 * | `budget` | ampoule/budget.h | what a store's guests hold of the host, with limits of the sum |
 * | `cancel` | ampoule/cancel.h | cancelling calls, deadlines |
 * | `component` | ampoule/component.h | components that are asynchronous; calls without values in between |
 * | `config` | ampoule/config.h | the old encoding of exceptions; collections at every allocation, for tests |
 * | `error` | ampoule/error.h | what errors and traps are about, as numbers and names |
 * | `http` | ampoule/http.h | HTTP requests that components answer, and send |
 * | `instance` | ampoule/instance.h | deleting an instance before its store goes |
 * | `limits` | ampoule/limits.h | limit callbacks, statistics |
 * | `native` | ampoule/native.h | guest functions as C function pointers, C functions as imports |
 * | `snapshot` | ampoule/snapshot.h | instances as they are at one moment: reset, made again, written to files |
 * | `wait` | ampoule/wait.h | when asynchronous calls can go on: a descriptor, wakers |
 * | `wasi` | ampoule/wasi.h | file systems, clocks, randomness, standard input and sockets of WASI as C functions |
 *
 * A name stays once it is here, and what it stands for keeps its meaning.
 */

#ifndef AMPOULE_H
#define AMPOULE_H

#include <ampoule/budget.h>
#include <ampoule/cancel.h>
#include <ampoule/component.h>
#include <ampoule/config.h>
#include <ampoule/error.h>
#include <ampoule/http.h>
#include <ampoule/instance.h>
#include <ampoule/limits.h>
#include <ampoule/native.h>
#include <ampoule/snapshot.h>
#include <ampoule/wait.h>
#include <ampoule/wasi.h>
#include <wasmtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/// \brief Whether this library has the extension of this name, one of the table
/// above.
///
/// False for every other text and for null. A true answer holds for the life
/// of the process. Any thread may ask.
WASM_API_EXTERN bool ampoule_has(const char *name);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // AMPOULE_H
