/**
 * \file wasmtime/extern_declare.hh
 *
 * \brief `Extern`, before the classes it is made of are known.
 */

#ifndef WASMTIME_EXTERN_DECLARE_HH
#define WASMTIME_EXTERN_DECLARE_HH

#include <variant>

namespace wasmtime {

class Func;
class Global;
class Memory;
class SharedMemory;
class Table;
class Tag;

/// \brief An item that can be imported or exported, of any kind.
typedef std::variant<Func, Global, Memory, Table, Tag, SharedMemory> Extern;

} // namespace wasmtime

#endif // WASMTIME_EXTERN_DECLARE_HH
