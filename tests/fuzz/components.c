// Random use of the C API of components. A seed makes two engines, of which one meters, and up to four stores, and does 800 operations: components
// from text, whole and damaged, serialized and loaded; linkers with functions, instances and resources; instances, calls with values that fit and others,
// resources that are lent, given away, dropped twice; and what `component_async.h` has. Functions and resources are kept when their store is gone, and used with other stores. The
// host's functions do the same while guests run, up to three calls deep.
//
// Every answer is checked as far as it is known: what is another store's is refused, a value that doesn't fit too; and in the end each finalizer
// has run once.
//
//   components --seconds N     on all cores
//   components SEED            one seed, printing each operation as it begins

#define _DEFAULT_SOURCE
#include <ampoule.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wasmtime.h>

enum { ENGINES = 2, STORES = 4, COMPONENTS = 12, LINKERS = 6, FUNCS = 24, RESOURCES = 16, OPS = 800, DEEPEST = 3, GUESTS = 5, METERED = 1 };
enum { SECONDS_FOR_SEED = 120, RESOURCE_TYPE = 7 };

typedef wasmtime_component_val_t val_t;

static uint64_t rng;

static uint64_t rnd(void) {
  uint64_t z = rng += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

static size_t below(size_t bound) { return rnd() % bound; }
static bool once_in(unsigned n) { return below(n) == 0; }

static _Noreturn void broken(const char *what) {
  printf("broken: %s\n", what);
  fflush(stdout);
  abort();
}

#define check(condition) ((condition) ? (void)0 : broken(#condition))

// -- What there is

#include "async_guest.h"

#define MEMORY                                                                                                        \
  "(core module $m0 (memory (export \"memory\") 4) (global $next (mut i32) (i32.const 64))"                           \
  "  (func (export \"realloc\") (param i32 i32 i32 i32) (result i32)"                                                 \
  "    (if (i32.gt_u (global.get $next) (i32.const 200000)) (then (unreachable)))"                                    \
  "    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -8)))"                       \
  "    (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3)))))"                            \
  "(core instance $i0 (instantiate $m0)) (alias core export $i0 \"memory\" (core memory $m))"                         \
  "(alias core export $i0 \"realloc\" (core func $r))"

static const char *const TEXTS[] = {
    // Values come back.
    "(component " MEMORY
    "(core module $c (import \"\" \"memory\" (memory 4))"
    "  (func (export \"one\") (param i32) (result i32) (local.get 0))"
    "  (func (export \"two\") (param i32 i32) (result i32) (i32.store (i32.const 8) (local.get 0))"
    "    (i32.store (i32.const 12) (local.get 1)) (i32.const 8))"
    "  (func (export \"trap\") (unreachable)))"
    "(core instance $i (instantiate $c (with \"\" (instance (export \"memory\" (memory $m))))))"
    "(func (export \"number\") (param \"x\" u32) (result u32) (canon lift (core func $i \"one\")))"
    "(func (export \"text\") (param \"x\" string) (result string)"
    "  (canon lift (core func $i \"two\") (memory $m) (realloc $r)))"
    "(func (export \"texts\") (param \"x\" (list string)) (result (list string))"
    "  (canon lift (core func $i \"two\") (memory $m) (realloc $r)))"
    "(func (export \"maybe\") (param \"x\" (option u32)) (result (option u32))"
    "  (canon lift (core func $i \"two\") (memory $m)))"
    "(func (export \"trap\") (canon lift (core func $i \"trap\"))))",
    // The host's functions are called.
    "(component (import \"number\" (func $n (param \"x\" u32) (result u32)))"
    "(import \"in\" (instance $in (export \"text\" (func (param \"x\" string) (result string)))))" MEMORY
    "(core func $n (canon lower (func $n)))"
    "(core func $t (canon lower (func $in \"text\") (memory $m) (realloc $r)))"
    "(core module $c (import \"\" \"n\" (func $n (param i32) (result i32)))"
    "  (import \"\" \"t\" (func $t (param i32 i32 i32)))"
    "  (func (export \"n\") (param i32) (result i32) (call $n (local.get 0)))"
    "  (func (export \"t\") (param i32 i32) (result i32) (call $t (local.get 0) (local.get 1) (i32.const 16)) (i32.const 16)))"
    "(core instance $i (instantiate $c (with \"\" (instance (export \"n\" (func $n)) (export \"t\" (func $t))))))"
    "(func (export \"number\") (param \"x\" u32) (result u32) (canon lift (core func $i \"n\")))"
    "(func (export \"text\") (param \"x\" string) (result string)"
    "  (canon lift (core func $i \"t\") (memory $m) (realloc $r))))",
    // Resources of the host's.
    "(component (import \"r\" (type $r (sub resource)))"
    "(import \"make\" (func $make (result (own $r)))) (import \"look\" (func $look (param \"x\" (borrow $r))))"
    "(core func $make (canon lower (func $make))) (core func $look (canon lower (func $look)))"
    "(core func $drop (canon resource.drop $r))"
    "(core module $c (import \"\" \"make\" (func $make (result i32))) (import \"\" \"look\" (func $look (param i32)))"
    "  (import \"\" \"drop\" (func $drop (param i32))) (global $kept (mut i32) (i32.const 0))"
    "  (func (export \"keep\") (param i32) (global.set $kept (local.get 0)))"
    "  (func (export \"give\") (result i32) (global.get $kept))"
    "  (func (export \"lend\") (param i32) (call $look (local.get 0)) (call $drop (local.get 0)))"
    "  (func (export \"leak\") (param i32))"
    "  (func (export \"make\") (call $drop (call $make))))"
    "(core instance $i (instantiate $c (with \"\" (instance (export \"make\" (func $make))"
    "  (export \"look\" (func $look)) (export \"drop\" (func $drop))))))"
    "(func (export \"keep\") (param \"x\" (own $r)) (canon lift (core func $i \"keep\")))"
    "(func (export \"give\") (result (own $r)) (canon lift (core func $i \"give\")))"
    "(func (export \"lend\") (param \"x\" (borrow $r)) (canon lift (core func $i \"lend\")))"
    "(func (export \"leak\") (param \"x\" (borrow $r)) (canon lift (core func $i \"leak\")))"
    "(func (export \"make\") (canon lift (core func $i \"make\"))))",
    // Resources of a guest's.
    "(component (core module $d (func (export \"dtor\") (param i32) (if (i32.eq (local.get 0) (i32.const 13)) (then (unreachable)))))"
    "(core instance $d (instantiate $d)) (type $own (resource (rep i32) (dtor (core func $d \"dtor\"))))"
    "(export $r \"r\" (type $own)) (core func $new (canon resource.new $own)) (core func $drop (canon resource.drop $own))"
    "(core module $c (import \"\" \"new\" (func $new (param i32) (result i32))) (import \"\" \"drop\" (func $drop (param i32)))"
    "  (func (export \"new\") (param i32) (result i32) (call $new (local.get 0)))"
    "  (func (export \"rep\") (param i32) (result i32) (local.get 0))"
    "  (func (export \"end\") (param i32) (call $drop (local.get 0))))"
    "(core instance $i (instantiate $c (with \"\" (instance (export \"new\" (func $new)) (export \"drop\" (func $drop))))))"
    "(func (export \"new\") (param \"x\" u32) (result (own $r)) (canon lift (core func $i \"new\")))"
    "(func (export \"rep\") (param \"x\" (borrow $r)) (result u32) (canon lift (core func $i \"rep\")))"
    "(func (export \"end\") (param \"x\" (own $r)) (canon lift (core func $i \"end\"))))",
    ASYNC_GUEST,
};

static const char *const NAMES[GUESTS][6] = {{"number", "text", "texts", "maybe", "trap"},
                                             {"number", "text"},
                                             {"keep", "give", "lend", "leak", "make"},
                                             {"new", "rep", "end"},
                                             {"echo", "refuse", "count", "double", "ask", "plain"}};

static wasm_engine_t *engines[ENGINES];
static struct {
  wasmtime_store_t *store;
  int engine, active; // calls that are going on
  unsigned long number;
  unsigned asked; // how often, while it waited
  bool stopped;   // a guest was, so that none can be called
} stores[STORES];
static struct {
  wasmtime_component_t *component;
  int engine, guest;
} components[COMPONENTS];
static struct {
  wasmtime_component_linker_t *linker;
  int engine;
} linkers[LINKERS];
// Kept after their store is gone: `number` says whose they are.
static struct {
  wasmtime_component_func_t func;
  unsigned long number;
  takes_t takes;
  size_t nargs, nresults;
  wasmtime_component_valkind_t kind; // of its argument; 0 where that is none of the simple ones
} funcs[FUNCS];
static struct {
  wasmtime_component_resource_any_t *any;
  unsigned long number;
} resources[RESOURCES];

static unsigned long next_number, given, finalized, returned, refused, called;
static int depth, budget;
static bool verbose;

static void some_op(void);

static void finalize(void *data) {
  (void)data;
  finalized++;
}

static void *gift(void) { return given++, &given; }

// Whether a message says this.
static bool says(const wasm_name_t *message, const char *what) {
  size_t len = strlen(what);
  for (size_t at = 0; at + len <= message->size; at++)
    if (!memcmp(message->data + at, what, len)) return true;
  return false;
}

static bool drop_error(wasmtime_error_t *error) {
  if (!error) {
    returned++;
    return true;
  }
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  check(message.size > 0 && !says(&message, "panicked"));
  if (verbose) printf("    %.*s\n", (int)message.size, message.data);
  wasm_name_delete(&message);
  wasmtime_error_delete(error);
  refused++;
  return false;
}

// The same of a call in this store.
static bool drop_error_of(int s, wasmtime_error_t *error) {
  if (error) {
    wasm_name_t message;
    wasmtime_error_message(error, &message);
    stores[s].stopped |= says(&message, "cannot enter component instance");
    wasm_name_delete(&message);
  }
  return drop_error(error);
}

static void expect_error(wasmtime_error_t *error) { check(!drop_error(error)); }

static wasmtime_context_t *context_of(int s) { return wasmtime_store_context(stores[s].store); }

static int any_store(void) {
  for (int tries = 0; tries < 8; tries++) {
    int s = (int)below(STORES);
    if (stores[s].store) return s;
  }
  return -1;
}

// Whether the store of this number is there.
static bool lives(unsigned long number) {
  for (int s = 0; s < STORES; s++)
    if (stores[s].store && stores[s].number == number) return true;
  return false;
}

// -- Values

static val_t any_val(int deep);

static void some_name(wasm_name_t *name) {
  static const char *const texts[] = {"", "a", "c0", "h\xc3\xa9llo", "\xf0\x9d\x84\x9e", "broken \xff", "\xed\xa0\x80"};
  const char *text = texts[below(sizeof texts / sizeof *texts)];
  wasm_name_new(name, strlen(text), text);
}

static val_t *boxed(int deep) {
  val_t val = any_val(deep - 1);
  return once_in(4) ? (wasmtime_component_val_delete(&val), NULL) : wasmtime_component_val_new(&val);
}

// A value of any kind, which mostly doesn't fit.
static val_t any_val(int deep) {
  val_t val;
  memset(&val, 0, sizeof val);
  switch (below(deep > 0 ? 12 : 5)) {
  case 0:
    val.kind = WASMTIME_COMPONENT_U32, val.of.u32 = (uint32_t)rnd();
    break;
  case 1:
    val.kind = WASMTIME_COMPONENT_CHAR, val.of.character = (uint32_t)rnd() >> (8 + below(8));
    break;
  case 2:
    val.kind = WASMTIME_COMPONENT_F64, memcpy(&val.of.f64, &rng, sizeof rng);
    break;
  case 3:
    val.kind = WASMTIME_COMPONENT_ENUM, some_name(&val.of.enumeration);
    break;
  case 4:
  case 5:
    val.kind = WASMTIME_COMPONENT_STRING, some_name(&val.of.string);
    break;
  case 6:
  case 7: {
    val_t of[3];
    size_t count = below(4);
    bool texts = once_in(2);
    for (size_t i = 0; i < count; i++) {
      of[i] = any_val(texts ? 0 : deep - 1);
      while (texts && of[i].kind != WASMTIME_COMPONENT_STRING) {
        wasmtime_component_val_delete(&of[i]);
        of[i] = any_val(0);
      }
    }
    val.kind = WASMTIME_COMPONENT_LIST;
    wasmtime_component_vallist_new(&val.of.list, count, of);
    break;
  }
  case 8:
    val.kind = WASMTIME_COMPONENT_OPTION, val.of.option = boxed(deep);
    break;
  case 9:
    val.kind = WASMTIME_COMPONENT_RESULT, val.of.result.is_ok = once_in(2), val.of.result.val = boxed(deep);
    break;
  case 10:
    val.kind = WASMTIME_COMPONENT_VARIANT, some_name(&val.of.variant.discriminant), val.of.variant.val = boxed(deep);
    break;
  default:
    val.kind = WASMTIME_COMPONENT_FLAGS;
    wasmtime_component_valflags_new_uninit(&val.of.flags, 1);
    some_name(&val.of.flags.data[0]);
  }
  return val;
}

static void keep_resource(int s, wasmtime_component_resource_any_t *any) {
  size_t i = below(RESOURCES);
  if (resources[i].any) wasmtime_component_resource_any_delete(resources[i].any);
  resources[i].any = any, resources[i].number = stores[s].number;
}

// -- What the host does for guests

static int store_of(wasmtime_context_t *context) {
  for (int s = 0; s < STORES; s++)
    if (stores[s].store && context_of(s) == context) return s;
  broken("a callback's context is a store's");
}

static void callback_ops(void) {
  if (depth >= DEEPEST) return;
  depth++;
  for (size_t ops = below(3); ops > 0 && budget > 0; ops--) some_op();
  depth--;
}

static wasmtime_error_t *callback(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                                  val_t *args, size_t nargs, val_t *results, size_t nresults) {
  (void)type;
  check(data == &given && nargs == 1 && nresults == 1);
  store_of(context);
  callback_ops();
  if (once_in(20)) return wasmtime_error_new("the host does not want to");
  if (once_in(20)) {
    results[0] = any_val(2);
  } else if (once_in(2)) {
    // Taken, as the header allows.
    results[0] = args[0];
    memset(&args[0], 0, sizeof args[0]);
  } else {
    wasmtime_component_val_clone(&args[0], &results[0]);
  }
  return NULL;
}

static wasmtime_error_t *new_resource(int s, wasmtime_component_resource_any_t **any) {
  wasmtime_component_resource_host_t *host =
      wasmtime_component_resource_host_new(!once_in(8), (uint32_t)rnd(), once_in(16) ? 1 : RESOURCE_TYPE);
  wasmtime_error_t *error = wasmtime_component_resource_host_to_any(context_of(s), host, any);
  wasmtime_component_resource_host_delete(host);
  return error;
}

static wasmtime_error_t *make(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                              val_t *args, size_t nargs, val_t *results, size_t nresults) {
  (void)type, (void)args;
  check(data == &given && nargs == 0 && nresults == 1);
  callback_ops();
  wasmtime_component_resource_any_t *any;
  wasmtime_error_t *error = new_resource(store_of(context), &any);
  if (error) return error;
  results[0].kind = WASMTIME_COMPONENT_RESOURCE, results[0].of.resource = any;
  return NULL;
}

static wasmtime_error_t *look(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type,
                              val_t *args, size_t nargs, val_t *results, size_t nresults) {
  (void)type, (void)results;
  check(data == &given && nargs == 1 && nresults == 0 && args[0].kind == WASMTIME_COMPONENT_RESOURCE);
  // A borrow that is kept is stale when the call is over.
  if (once_in(3)) keep_resource(store_of(context), wasmtime_component_resource_any_clone(args[0].of.resource));
  callback_ops();
  return NULL;
}

static wasmtime_error_t *destructor(void *data, wasmtime_context_t *context, uint32_t rep) {
  check(data == &given);
  store_of(context);
  callback_ops();
  return rep % 16 ? NULL : wasmtime_error_new("it does not want to end");
}

#include "component_async.h"

// -- Operations

static void new_store(void) {
  int s = (int)below(STORES);
  // Those of no use more often than by chance.
  for (int tries = 0; tries < 8 && stores[s].store && !stores[s].stopped; tries++) s = (int)below(STORES);
  if (stores[s].store) {
    if (stores[s].active || (!stores[s].stopped && !once_in(4))) return;
    wasmtime_store_delete(stores[s].store);
    stores[s].store = NULL;
    if (once_in(3)) return;
  }
  stores[s].engine = (int)below(ENGINES);
  stores[s].store = wasmtime_store_new(engines[stores[s].engine], gift(), finalize);
  stores[s].number = ++next_number;
  stores[s].stopped = false;
  bound_store(s, &stores[s].asked);
}

static void keep_component(wasmtime_component_t *component, int engine, int guest) {
  size_t i = below(COMPONENTS);
  if (components[i].component) wasmtime_component_delete(components[i].component);
  components[i].component = component, components[i].engine = engine, components[i].guest = guest;
}

static void new_component(void) {
  int engine = (int)below(ENGINES), guest = once_in(3) ? GUESTS - 1 : (int)below(GUESTS);
  wasm_byte_vec_t bytes;
  wasmtime_error_t *error = wasmtime_wat2wasm(TEXTS[guest], strlen(TEXTS[guest]), &bytes);
  if (error) {
    wasm_name_t message;
    wasmtime_error_message(error, &message);
    broken(message.data);
  }
  bool whole = !once_in(4);
  for (size_t damages = whole ? 0 : 1 + below(3); damages > 0; damages--) bytes.data[below(bytes.size)] = (char)rnd();
  wasmtime_component_t *component;
  error = wasmtime_component_new(engines[engine], (const uint8_t *)bytes.data, whole || once_in(2) ? bytes.size : below(bytes.size),
                                 &component);
  wasm_byte_vec_delete(&bytes);
  check(!whole || !error);
  // A damaged one may do anything with what it is given, other than a whole one.
  if (!drop_error(error)) return;
  if (whole)
    keep_component(component, engine, guest);
  else
    wasmtime_component_delete(component);
}

static void copy_component(void) {
  size_t i = below(COMPONENTS);
  wasmtime_component_t *component = components[i].component, *copy;
  if (!component) return;
  if (once_in(2)) {
    keep_component(wasmtime_component_clone(component), components[i].engine, components[i].guest);
    return;
  }
  wasm_byte_vec_t bytes;
  if (!drop_error(wasmtime_component_serialize(component, &bytes))) broken("a component can be serialized");
  size_t len = once_in(4) ? below(bytes.size) : bytes.size;
  wasmtime_error_t *error =
      wasmtime_component_deserialize(engines[components[i].engine], (const uint8_t *)bytes.data, len, &copy);
  check(!error == (len == bytes.size));
  wasm_byte_vec_delete(&bytes);
  if (drop_error(error)) keep_component(copy, components[i].engine, components[i].guest);
}

static wasmtime_error_t *define(wasmtime_component_linker_instance_t *at, const char *name,
                                wasmtime_component_func_callback_t call) {
  return wasmtime_component_linker_instance_add_func(at, name, strlen(name), call, gift(), finalize);
}

static void new_linker(void) {
  size_t i = below(LINKERS);
  if (linkers[i].linker) wasmtime_component_linker_delete(linkers[i].linker);
  linkers[i].engine = (int)below(ENGINES);
  linkers[i].linker = wasmtime_component_linker_new(engines[linkers[i].engine]);
  wasmtime_component_linker_allow_shadowing(linkers[i].linker, once_in(2));
  wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(linkers[i].linker), *in;
  bool whole = !once_in(4);
  if (whole || once_in(2)) drop_error(define(root, "number", callback));
  if (once_in(4)) drop_error(define(root, "number", callback)); // again
  if (once_in(8)) expect_error(define(root, "\xff", callback));
  if (whole || once_in(2)) drop_error(define(root, "make", make));
  if (whole || once_in(2))
    drop_error(ampoule_component_linker_instance_add_func(root, "later", 5, later, gift(), finalize));
  if (whole || once_in(2)) drop_error(define(root, "look", look));
  if (whole || once_in(2)) {
    wasmtime_component_resource_type_t *type = wasmtime_component_resource_type_new_host(RESOURCE_TYPE);
    drop_error(wasmtime_component_linker_instance_add_resource(root, "r", 1, type, destructor, gift(), finalize));
    wasmtime_component_resource_type_delete(type);
  }
  if ((whole || once_in(2)) && drop_error(wasmtime_component_linker_instance_add_instance(root, "in", 2, &in))) {
    drop_error(define(in, "text", callback));
    wasmtime_component_linker_instance_delete(in);
  }
  wasmtime_component_linker_instance_delete(root);
}

static void instantiate(void) {
  size_t l = below(LINKERS), c = below(COMPONENTS);
  int s = any_store();
  if (s < 0) return;
  // Of the store's engine, more often than by chance.
  for (int tries = 0; tries < 12 && (!linkers[l].linker || linkers[l].engine != stores[s].engine); tries++) l = below(LINKERS);
  for (int tries = 0; tries < 12 && (!components[c].component || components[c].engine != stores[s].engine); tries++)
    c = below(COMPONENTS);
  if (!linkers[l].linker || !components[c].component) return;
  wasmtime_component_instance_t instance;
  int guest = components[c].guest;
  bool fit = linkers[l].engine == stores[s].engine && components[c].engine == stores[s].engine;
  if (once_in(8) && linkers[l].engine == components[c].engine && depth == 0)
    drop_error(wasmtime_component_linker_define_unknown_imports_as_traps(linkers[l].linker, components[c].component));
  stores[s].active++;
  wasmtime_error_t *error =
      wasmtime_component_linker_instantiate(linkers[l].linker, context_of(s), components[c].component, &instance);
  stores[s].active--;
  check(fit || error);
  if (!drop_error(error)) return;
  for (int i = 0; i < 6 && NAMES[guest][i]; i++) {
    const char *name = NAMES[guest][i];
    // What stops a guest stops all of its store.
    if ((!strcmp(name, "trap") || !strcmp(name, "leak") || !strcmp(name, "give")) && !once_in(6)) continue;
    wasmtime_component_export_index_t *index =
        once_in(2) ? wasmtime_component_get_export_index(components[c].component, NULL, name, strlen(name))
                   : wasmtime_component_instance_get_export_index(&instance, context_of(s), NULL, name, strlen(name));
    check(index);
    size_t f = below(FUNCS);
    bool found = wasmtime_component_instance_get_func(&instance, context_of(s), index, &funcs[f].func);
    check(found);
    funcs[f].number = stores[s].number;
    funcs[f].takes = (guest == 2 || guest == 3) && strcmp(name, "new") ? TAKES_RESOURCE : TAKES_VALUE;
    if (!strcmp(name, "echo") || !strcmp(name, "refuse")) funcs[f].takes = TAKES_BYTES;
    if (!strcmp(name, "double")) funcs[f].takes = TAKES_FUTURE;
    bool takes_number = !strcmp(name, "number") || !strcmp(name, "new") || (guest == 4 && funcs[f].takes == TAKES_VALUE);
    funcs[f].kind = takes_number ? WASMTIME_COMPONENT_U32 : strcmp(name, "text") ? 0 : WASMTIME_COMPONENT_STRING;
    wasmtime_component_func_type_t *type = wasmtime_component_func_type(&funcs[f].func, context_of(s));
    wasmtime_component_valtype_t result;
    funcs[f].nargs = wasmtime_component_func_type_param_count(type);
    funcs[f].nresults = wasmtime_component_func_type_result(type, &result);
    if (funcs[f].nresults) wasmtime_component_valtype_delete(&result);
    wasmtime_component_func_type_delete(type);
    wasmtime_component_export_index_delete(index);
  }
}

static val_t arg_for(int s, size_t f) {
  val_t arg;
  size_t r = below(RESOURCES);
  if (funcs[f].takes == TAKES_RESOURCE && resources[r].any && !once_in(4)) {
    memset(&arg, 0, sizeof arg);
    arg.kind = WASMTIME_COMPONENT_RESOURCE, arg.of.resource = wasmtime_component_resource_any_clone(resources[r].any);
    return arg;
  }
  if (funcs[f].takes >= TAKES_BYTES && !once_in(8)) return end_val(s, funcs[f].takes);
  arg = any_val((int)below(3));
  // One that fits, more often than by chance.
  for (int tries = 0; tries < 8 && funcs[f].kind && arg.kind != funcs[f].kind; tries++) {
    wasmtime_component_val_delete(&arg);
    arg = any_val(0);
  }
  return arg;
}

static void call(void) {
  int s = any_store();
  size_t f = below(FUNCS);
  for (int tries = 0; tries < 16 && !lives(funcs[f].number); tries++) f = below(FUNCS);
  if (s < 0 || !funcs[f].number) return;
  // Its own store, more often than by chance.
  for (int i = 0; i < STORES && !once_in(12); i++)
    if (stores[i].store && stores[i].number == funcs[f].number) s = i;
  // What is called may put others in its place.
  wasmtime_component_func_t func = funcs[f].func;
  bool own = stores[s].number == funcs[f].number;
  val_t arg = arg_for(s, f), result;
  memset(&result, 0, sizeof result);
  // What the function has, more often than by chance.
  size_t nargs = once_in(8) ? below(2) : funcs[f].nargs, nresults = once_in(8) ? below(2) : funcs[f].nresults;
  stores[s].active++;
  wasmtime_error_t *error = wasmtime_component_func_call(&func, context_of(s), &arg, nargs, &result, nresults);
  stores[s].active--;
  check(error || own);
  if (drop_error_of(s, error)) called++;
  wasmtime_component_val_delete(&arg);
  if (result.kind == WASMTIME_COMPONENT_RESOURCE && once_in(2))
    keep_resource(s, wasmtime_component_resource_any_clone(result.of.resource));
  take_result(s, &result);
}

static void resource(void) {
  int s = any_store();
  if (s < 0) return;
  size_t r = below(RESOURCES);
  wasmtime_component_resource_any_t *any = resources[r].any;
  if (!any || once_in(3)) {
    if (drop_error(new_resource(s, &any))) keep_resource(s, any);
    return;
  }
  bool own = resources[r].number == stores[s].number;
  wasmtime_component_resource_host_t *host;
  wasmtime_component_resource_type_t *type;
  stores[s].active++;
  switch (below(4)) {
  case 0: {
    wasmtime_error_t *error = wasmtime_component_resource_any_to_host(context_of(s), any, &host);
    check(own || error);
    if (drop_error(error)) wasmtime_component_resource_host_delete(host);
    break;
  }
  case 1: {
    // The destructor may have another one put in its place.
    wasmtime_component_resource_any_t *copy = wasmtime_component_resource_any_clone(any);
    wasmtime_error_t *error = wasmtime_component_resource_any_drop(context_of(s), copy);
    check(own || error);
    drop_error(error);
    wasmtime_component_resource_any_delete(copy);
    break;
  }
  case 2:
    type = wasmtime_component_resource_any_type(any);
    wasmtime_component_resource_type_delete(type);
    break;
  default:
    wasmtime_component_resource_any_delete(any);
    resources[r].any = NULL;
  }
  stores[s].active--;
}

static void tick(void) { wasmtime_engine_increment_epoch(engines[METERED]); }

static const struct {
  const char *name;
  void (*run)(void);
  unsigned weight;
} KINDS[] = {{"start", start_call, 12},   {"started", use_call, 12},       {"go on", let_go_on, 12}, {"ends", use_ends, 16},
             {"answer", use_completion, 8}, {"plan", use_plan, 8},          {"tick", tick, 1},
             {"store", new_store, 10},     {"component", new_component, 2}, {"copy", copy_component, 1}, {"linker", new_linker, 2},
             {"instantiate", instantiate, 14}, {"call", call, 24},          {"resource", resource, 8}};

static void some_op(void) {
  size_t all = 0, kind = 0;
  for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) all += KINDS[i].weight;
  size_t left = below(all);
  for (; left >= KINDS[kind].weight; kind++) left -= KINDS[kind].weight;
  budget--;
  if (verbose) printf("%*s%s\n", 2 * depth, "", KINDS[kind].name);
  KINDS[kind].run();
}

static void run_seed(uint64_t seed) {
  rng = seed * 0x2545f4914f6cdd1d + 1;
  depth = 0, budget = OPS, given = finalized = 0;
  memset(funcs, 0, sizeof funcs);
  for (int i = 0; i < ENGINES; i++) engines[i] = new_engine(i == METERED);
  for (int i = 0; i < 3; i++) new_store(), new_linker(), new_component();
  while (budget > 0) some_op();
  for (int i = 0; i < ENGINES; i++) wasm_engine_delete(engines[i]);
  for (int i = 0; i < LINKERS; i++)
    if (linkers[i].linker) wasmtime_component_linker_delete(linkers[i].linker);
  for (int i = 0; i < COMPONENTS; i++)
    if (components[i].component) wasmtime_component_delete(components[i].component);
  bool first = once_in(2);
  if (first) forget_all();
  for (int i = 0; i < STORES; i++)
    if (stores[i].store) wasmtime_store_delete(stores[i].store);
  if (!first) forget_all();
  for (int i = 0; i < RESOURCES; i++)
    if (resources[i].any) wasmtime_component_resource_any_delete(resources[i].any);
  memset(linkers, 0, sizeof linkers), memset(components, 0, sizeof components);
  memset(stores, 0, sizeof stores), memset(resources, 0, sizeof resources);
  if (given != finalized) printf("%lu were given away, %lu finalized\n", given, finalized);
  check(given == finalized);
}

// Runs seeds in processes of their own until the time is over: as many as there are processors.
static int run_for(const char *program, long seconds, uint64_t first) {
  enum { MAX_WORKERS = 16 };
  long workers = sysconf(_SC_NPROCESSORS_ONLN);
  if (workers < 1) workers = 1;
  if (workers > MAX_WORKERS) workers = MAX_WORKERS;
  volatile uint64_t *seeds =
      mmap(NULL, sizeof(uint64_t[MAX_WORKERS]), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t pids[MAX_WORKERS];
  time_t end = time(NULL) + seconds;
  printf("%ld processes for %ld s, from seed %llu\n", workers, seconds, (unsigned long long)first);
  fflush(stdout);
  for (long i = 0; i < workers; i++) {
    seeds[i] = first + (uint64_t)i;
    if ((pids[i] = fork())) continue;
    for (; time(NULL) < end; seeds[i] += (uint64_t)workers) alarm(SECONDS_FOR_SEED), run_seed(seeds[i]);
    // All of it happens, or nothing was tested.
    check(called > 0 && returned > 0 && refused > 0);
    check(started > 0 && finished > 0 && copied > 0 && answered > 0 && planned > 0);
    _exit(0);
  }
  int failed = 0;
  uint64_t count = 0;
  for (long i = 0; i < workers; i++) {
    int status;
    waitpid(pids[i], &status, 0);
    count += (seeds[i] - first) / (uint64_t)workers;
    if (!status) continue;
    failed = 1;
    printf("FAIL seed %llu: status 0x%x\nagain: %s %llu\n", (unsigned long long)seeds[i], status, program,
           (unsigned long long)seeds[i]);
  }
  printf("%llu seeds of %d operations\n", (unsigned long long)count, OPS);
  return failed;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc == 3 && !strcmp(argv[1], "--seconds")) return run_for(argv[0], atol(argv[2]), (uint64_t)time(NULL) * 1000003);
  if (argc != 2) return run_for(argv[0], 60, (uint64_t)time(NULL) * 1000003);
  verbose = true;
  run_seed(strtoull(argv[1], NULL, 10));
  printf("seed %s holds: %lu came back, calls %lu, and %lu were refused; started %lu, finished %lu, copied %lu, answered %lu, by plan %lu\n",
         argv[1], returned, called, refused, started, finished, copied, answered, planned);
  return 0;
}
