// Structs, arrays and 31-bit integers of guests: what traps, what a heap may grow to, what a collection spares, what fuel they
// cost, and how their types are matched.
#include "test.h"

static void with_gc(wasm_config_t *config) {
  wasmtime_config_wasm_function_references_set(config, true);
  wasmtime_config_wasm_gc_set(config, true);
}

static void with_fuel(wasm_config_t *config) {
  with_gc(config);
  wasmtime_config_consume_fuel_set(config, true);
}

static void with_one_pooled_heap(wasm_config_t *config) {
  with_gc(config);
  wasmtime_pooling_allocation_config_t *pool = wasmtime_pooling_allocation_config_new();
  wasmtime_pooling_allocation_config_total_gc_heaps_set(pool, 1);
  wasmtime_pooling_allocation_config_total_memories_set(pool, 4); // few, so that valgrind has the address space
  wasmtime_pooling_allocation_strategy_set(config, pool);
  wasmtime_pooling_allocation_config_delete(pool);
}

// -- Imports

static void imports_are_matched_by_sub_typing(void) {
  static const struct {
    const char *import, *says;
  } cases[] = {
      {"\"const3\" (global (ref $point3))", NULL},
      {"\"const3\" (global (ref $point))", NULL},
      {"\"const3\" (global (ref null $point))", NULL},
      {"\"const3\" (global structref)", NULL},
      {"\"const3\" (global anyref)", NULL},
      {"\"const3\" (global (ref $shorts))", "global types incompatible: expected global of type `array ("},
      {"\"const3\" (global arrayref)", "global types incompatible: expected global of type `array`, found global of type `struct ("},
      {"\"const3\" (global i32)", "global types incompatible: expected global of type `i32`, found global of type `(ref struct ("},
      {"\"const3\" (global externref)", "global types incompatible: expected global of type `extern`, found"},
      {"\"const\" (global (ref $point3))", "global types incompatible: expected global of type `struct ("},
      {"\"mutable\" (global (mut (ref null $point)))", NULL},
      {"\"mutable\" (global (mut anyref))", "global types incompatible: expected global of type `(ref null any)`"},
      {"\"table\" (table 1 (ref null $point))", NULL},
      {"\"table\" (table 1 anyref)", "table types incompatible: expected table of type `(ref null any)`, found table of type `(ref null struct ("},
      {"\"func\" (func (param (ref $point)))", NULL},
      {"\"func\" (func (param (ref $point3)))", "types incompatible: expected type `(func (param (ref struct ("},
      {"\"func\" (func (param anyref))", "types incompatible: expected type `(func (param (ref null any)))`"},
      {"\"open\" (func (type $open))", NULL},
      {"\"below\" (func (type $open))", NULL},
      {"\"below\" (func (type $below))", NULL},
      {"\"open\" (func (type $below))", "types incompatible: expected type `(sub ("},
      {"\"left\" (global (ref null $left))", NULL},
      {"\"left\" (global (ref null $right))", "global types incompatible"},
  };
  static const char *const types =
      "(type $point (sub (struct (field (mut i32))))) (type $point3 (sub $point (struct (field (mut i32)) (field i64))))"
      " (type $shorts (array (mut i16))) (type $open (sub (func))) (type $below (sub $open (func)))"
      " (rec (type $left (struct (field (ref null $right)))) (type $right (struct (field (ref null $left)))))";
  char wat[2048];
  snprintf(wat, sizeof wat,
           "(module %s (global (export \"const3\") (ref $point3) (struct.new $point3 (i32.const 1) (i64.const 2)))"
           " (global (export \"const\") (ref $point) (struct.new_default $point))"
           " (global (export \"mutable\") (mut (ref null $point)) (ref.null none)) (table (export \"table\") 1 (ref null $point))"
           " (func (export \"func\") (param (ref $point))) (func (export \"open\") (type $open)) (func (export \"below\") (type $below))"
           " (global (export \"left\") (ref null $left) (ref.null none)))",
           types);
  wasmtime_instance_t instance = instance_of(wat), importer;
  wasmtime_linker_t *linker = wasmtime_linker_new(engine);
  expect_ok(wasmtime_linker_define_instance(linker, ctx, "m", 1, &instance));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wasm_trap_t *trap = NULL;
    snprintf(wat, sizeof wat, "(module (type (array i8)) %s (import \"m\" %s))", types, cases[i].import);
    wasmtime_module_t *module = module_of(wat);
    wasmtime_error_t *error = wasmtime_linker_instantiate(linker, ctx, module, &importer, &trap);
    bool held = cases[i].says ? expect_error_says(error, cases[i].says) : expect_ok(error);
    if (!held) printf("# import %s\n", cases[i].import);
    expect_no_trap(trap);
    wasmtime_module_delete(module);
  }
  wasmtime_linker_delete(linker);
}

// -- Traps

static void what_a_guest_does_wrong_is_a_trap(void) {
  static const struct {
    const char *body;
    int code;
    const char *says;
  } cases[] = {
      {"(drop (struct.get $s 0 (ref.null $s)))", WASMTIME_TRAP_CODE_NULL_REFERENCE, "wasm trap: null reference"},
      {"(struct.set $s 0 (ref.null $s) (i32.const 1))", WASMTIME_TRAP_CODE_NULL_REFERENCE, "null reference"},
      {"(drop (array.get_u $a (ref.null $a) (i32.const 9)))", WASMTIME_TRAP_CODE_NULL_REFERENCE, "null reference"},
      {"(drop (array.len (ref.null array)))", WASMTIME_TRAP_CODE_NULL_REFERENCE, "null reference"},
      {"(array.fill $a (ref.null $a) (i32.const 9) (i32.const 1) (i32.const 9))", WASMTIME_TRAP_CODE_NULL_REFERENCE, "null reference"},
      {"(array.init_data $a $d (ref.null $a) (i32.const 9) (i32.const 9) (i32.const 9))", WASMTIME_TRAP_CODE_NULL_REFERENCE, "null"},
      {"(drop (i31.get_s (ref.null i31)))", WASMTIME_TRAP_CODE_NULL_REFERENCE, "null reference"},
      {"(drop (ref.as_non_null (ref.null any)))", WASMTIME_TRAP_CODE_NULL_REFERENCE, "null reference"},
      {"(drop (array.get_u $a (global.get $g) (i32.const 3)))", WASMTIME_TRAP_CODE_ARRAY_OUT_OF_BOUNDS, "out of bounds array access"},
      {"(drop (array.get_s $a (global.get $g) (i32.const -1)))", WASMTIME_TRAP_CODE_ARRAY_OUT_OF_BOUNDS, "out of bounds array"},
      {"(array.set $a (global.get $g) (i32.const 3) (i32.const 0))", WASMTIME_TRAP_CODE_ARRAY_OUT_OF_BOUNDS, "out of bounds array"},
      {"(array.fill $a (global.get $g) (i32.const 4) (i32.const 0) (i32.const 0))", WASMTIME_TRAP_CODE_ARRAY_OUT_OF_BOUNDS, "array"},
      {"(array.fill $a (global.get $g) (i32.const 2) (i32.const 0) (i32.const -1))", WASMTIME_TRAP_CODE_ARRAY_OUT_OF_BOUNDS, "array"},
      {"(array.copy $a $a (global.get $g) (i32.const 1) (global.get $g) (i32.const 0) (i32.const 3))", WASMTIME_TRAP_CODE_ARRAY_OUT_OF_BOUNDS, "array"},
      {"(array.init_data $a $d (global.get $g) (i32.const 2) (i32.const 9) (i32.const 2))", WASMTIME_TRAP_CODE_ARRAY_OUT_OF_BOUNDS, "array"},
      {"(array.init_data $a $d (global.get $g) (i32.const 0) (i32.const 3) (i32.const 2))", WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS, "out of bounds memory access"},
      {"(drop (array.new_data $a $d (i32.const 1) (i32.const 4)))", WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS, "out of bounds memory access"},
      {"(data.drop $d) (drop (array.new_data $a $d (i32.const 0) (i32.const 1)))", WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS, "memory access"},
      {"(drop (array.new_elem $f $e (i32.const 0) (i32.const 2)))", WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS, "out of bounds table access"},
      {"(elem.drop $e) (drop (array.new_elem $f $e (i32.const 0) (i32.const 1)))", WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS, "table access"},
      {"(drop (ref.cast (ref $t) (struct.new_default $s)))", WASMTIME_TRAP_CODE_CAST_FAILURE, "cast failure"},
      {"(drop (ref.cast (ref $s) (ref.null $s)))", WASMTIME_TRAP_CODE_CAST_FAILURE, "cast failure"},
      {"(drop (ref.cast (ref i31) (struct.new_default $s)))", WASMTIME_TRAP_CODE_CAST_FAILURE, "cast failure"},
      {"(drop (ref.cast (ref $v) (ref.func $run)))", WASMTIME_TRAP_CODE_CAST_FAILURE, "cast failure"},
      {"(drop (array.new_default $l (i32.const -1)))", WASMTIME_TRAP_CODE_ALLOCATION_TOO_LARGE, "allocation size too large"},
      {"(drop (array.new $l (i64.const 1) (i32.const 0x20000000)))", WASMTIME_TRAP_CODE_ALLOCATION_TOO_LARGE, "allocation size too large"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char wat[1024];
    snprintf(wat, sizeof wat,
             "(module (type $s (sub (struct (field (mut i32))))) (type $t (sub $s (struct (field (mut i32))))) (type $a (array (mut i8)))"
             " (type $l (array (mut i64))) (type $f (array funcref)) (type $v (func (param i32)))"
             " (data $d \"1234\") (elem $e funcref (ref.func $run)) (global $g (ref $a) (array.new_default $a (i32.const 3)))"
             " (func $run (export \"run\") %s))",
             cases[i].body);
    wasmtime_instance_t instance = instance_of(wat);
    wasmtime_func_t run = func_of(&instance, "run");
    wasm_trap_t *trap = call(&run);
    wasmtime_trap_code_t code = 0;
    bool held = expect(trap && wasmtime_trap_code(trap, &code) && code == cases[i].code) && expect_trap_says(trap, cases[i].says);
    if (!held) printf("# %s\n", cases[i].body);
  }
}

// -- The heap

static const char *const KEEPER =
    "(module (type $bytes (array (mut i8))) (type $list (struct (field (ref null $list)) (field (ref null $bytes)) (field externref)))"
    " (global $list (mut (ref null $list)) (ref.null $list))"
    " (func (export \"keep\") (param i32) (global.set $list"
    "   (struct.new $list (global.get $list) (array.new_default $bytes (local.get 0)) (ref.null extern))))"
    " (func (export \"hold\") (param externref) (global.set $list"
    "   (struct.new $list (global.get $list) (ref.null $bytes) (local.get 0))))"
    " (func (export \"churn\") (param $n i32) (param $size i32)"
    "   (loop (drop (array.new_default $bytes (local.get $size)))"
    "     (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"
    " (func (export \"len\") (result i32) (local $at (ref null $list)) (local $n i32) (local.set $at (global.get $list))"
    "   (block $end (loop (br_on_null $end (local.get $at)) (local.set $at (struct.get $list 0))"
    "     (local.set $n (i32.add (local.get $n) (i32.const 1))) (br 0)))"
    "   (local.get $n))"
    " (func (export \"drop\") (global.set $list (ref.null $list))))";

static wasmtime_error_t *keep(const wasmtime_instance_t *instance, int32_t size) {
  wasmtime_func_t func = func_of(instance, "keep");
  wasmtime_val_t arg = i32_val(size);
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_func_call(ctx, &func, &arg, 1, NULL, 0, &trap);
  expect_no_trap(trap);
  return error;
}

static void churn(const wasmtime_instance_t *instance, int32_t times, int32_t size) {
  wasmtime_func_t func = func_of(instance, "churn");
  wasmtime_val_t args[2] = {i32_val(times), i32_val(size)};
  wasm_trap_t *trap = NULL;
  expect_ok(wasmtime_func_call(ctx, &func, args, 2, NULL, 0, &trap));
  expect_no_trap(trap);
}

static void a_full_heap_is_an_error_that_a_store_survives(void) {
  wasmtime_store_limiter(store, 4 << 20, -1, -1, 0, 0); // neither tables nor memories are needed
  wasmtime_instance_t instance = instance_of(KEEPER);
  wasmtime_func_t drop = func_of(&instance, "drop"), len = func_of(&instance, "len");
  churn(&instance, 2000, 100000); // 200 MB of garbage are no matter
  int32_t kept[2];
  for (int round = 0; round < 2; round++) {
    wasmtime_error_t *error;
    int32_t count = 0;
    while (!(error = keep(&instance, 100000)) && count < 1000) count++;
    expect_error_says(error, "GC heap out of memory: no capacity for allocation of 1000");
    expect(count > 5 && count < 42 && call0(&len) == count);
    expect_error_says(keep(&instance, 100000), "error while executing at wasm backtrace:");
    expect_ok(keep(&instance, 10));
    kept[round] = count;
    expect_no_trap(call(&drop));
    expect_ok(wasmtime_context_gc(ctx));
  }
  expect(kept[1] >= kept[0] - 2);
  expect_error_says(keep(&instance, 5 << 20), "GC heap out of memory");
  expect_ok(keep(&instance, 100000));
}

static void a_store_without_room_for_a_heap_runs_what_needs_none(void) {
  wasmtime_store_limiter(store, 1000, -1, -1, -1, -1);
  wasmtime_instance_t instance = instance_of(
      "(module (type $s (struct)) (global $kept (mut (ref null $s)) (ref.null $s))"
      " (func (export \"make\") (global.set $kept (struct.new $s)))"
      " (func (export \"small\") (result i32) (i31.get_u (ref.i31 (i32.const 7)))))");
  wasmtime_func_t make = func_of(&instance, "make"), small = func_of(&instance, "small");
  wasm_trap_t *trap = NULL;
  expect(call0(&small) == 7);
  expect_error_says(wasmtime_func_call(ctx, &make, NULL, 0, NULL, 0, &trap), "GC heap out of memory");
  expect_no_trap(trap);
  expect(call0(&small) == 7);
}

static void a_long_list_lives_while_garbage_goes(void) {
  wasmtime_instance_t instance = instance_of(KEEPER);
  wasmtime_func_t len = func_of(&instance, "len");
  for (int i = 0; i < 100; i++) {
    expect_ok(keep(&instance, i));
    churn(&instance, 1000, 50);
  }
  expect(call0(&len) == 100);
  expect_ok(wasmtime_context_gc(ctx));
  expect(call0(&len) == 100);
}

static void what_a_guests_objects_hold_is_finalized_once(void) {
  enum { COUNT = 1000 };
  static int finalized;
  finalized = 0;
  wasmtime_instance_t instance = instance_of(KEEPER);
  wasmtime_func_t hold = func_of(&instance, "hold"), drop = func_of(&instance, "drop"), len = func_of(&instance, "len");
  for (int i = 0; i < COUNT; i++) {
    wasmtime_val_t arg = null_externref_val();
    wasm_trap_t *trap = NULL;
    expect(wasmtime_externref_new(ctx, &finalized, count_finalized, &arg.of.externref));
    expect_ok(wasmtime_func_call(ctx, &hold, &arg, 1, NULL, 0, &trap));
    expect_no_trap(trap);
    wasmtime_val_unroot(&arg);
  }
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == 0 && call0(&len) == COUNT);
  expect_no_trap(call(&drop));
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == COUNT);
  expect_ok(wasmtime_context_gc(ctx));
  expect(finalized == COUNT);
}

static wasm_trap_t *collects(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                             wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)args, (void)nargs, (void)results, (void)nresults;
  expect_ok(wasmtime_context_gc(wasmtime_caller_context(caller)));
  return NULL;
}

// Locals, operands and what only an outer frame holds, while the host collects in the innermost.
static void a_collection_spares_what_frames_hold(void) {
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_t func;
  wasmtime_func_new(ctx, type, collects, NULL, NULL, &func);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(func);
  wasmtime_instance_t instance = instance_with(
      ctx, engine,
      "(module (type $p (struct (field $x (mut i32)))) (type $a (array (mut (ref null $p)))) (import \"\" \"gc\" (func $gc))"
      " (func $depth (param $n i32) (result i32) (local $p (ref null $p)) (local $a (ref null $a))"
      "  (local.set $p (struct.new $p (local.get $n)))"
      "  (local.set $a (array.new $a (struct.new $p (i32.mul (local.get $n) (i32.const 10))) (i32.const 3)))"
      "  (struct.get $p $x (struct.new $p (i32.mul (local.get $n) (i32.const 100))))"
      "  (if (local.get $n) (then (drop (call $depth (i32.sub (local.get $n) (i32.const 1))))) (else (call $gc)))"
      "  (call $gc)"
      "  (i32.add (struct.get $p $x (array.get $a (local.get $a) (i32.const 2))))"
      "  (i32.add (struct.get $p $x (local.get $p))))"
      " (func (export \"run\") (param i32) (result i32) (call $depth (local.get 0))))",
      &import, 1);
  wasmtime_func_t run = func_of(&instance, "run");
  for (int32_t depth = 0; depth < 30; depth++) expect(call1(&run, depth) == 111 * depth);
}

static void a_pool_counts_heaps(void) {
  static const char *const wat = "(module (type $s (struct (field i32))) (func (export \"f\") (result i32)"
                                 " (struct.get $s 0 (struct.new $s (i32.const 4)))))";
  wasmtime_instance_t instance = instance_of(wat), other;
  wasmtime_func_t func = func_of(&instance, "f");
  expect(call0(&func) == 4);
  wasmtime_store_t *second = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_module_t *module = module_of(wat);
  wasm_trap_t *trap = NULL;
  expect_error_says(wasmtime_instance_new(wasmtime_store_context(second), module, NULL, 0, &other, &trap),
                    "maximum concurrent GC heap limit of 1 reached");
  wasmtime_store_delete(store);
  store = NULL;
  expect_ok(wasmtime_instance_new(wasmtime_store_context(second), module, NULL, 0, &other, &trap));
  expect_no_trap(trap);
  wasmtime_module_delete(module);
  wasmtime_store_delete(second);
}

// -- Fuel

static void the_instructions_cost_a_unit_of_fuel_each(void) {
  static const struct {
    const char *body;
    uint64_t cost;
  } cases[] = {
      {"", 1},
      {"(drop (ref.null any))", 2},
      {"(drop (i31.get_s (ref.i31 (i32.const 1))))", 4},
      {"(drop (ref.eq (ref.i31 (i32.const 1)) (ref.null eq)))", 5},
      {"(drop (struct.new_default $s))", 2},
      {"(drop (struct.new $s (i32.const 1) (ref.null any)))", 4},
      {"(drop (struct.get $s 0 (struct.new_default $s)))", 3},
      {"(struct.set $s 1 (struct.new_default $s) (ref.null any))", 4},
      {"(drop (array.new_default $a (i32.const 0)))", 3},
      {"(drop (array.new $a (i32.const 1) (i32.const 0)))", 4},
      {"(drop (array.new_fixed $a 2 (i32.const 1) (i32.const 2)))", 4},
      {"(drop (array.len (global.get $g)))", 3},
      {"(drop (array.get_u $a (global.get $g) (i32.const 1)))", 4},
      {"(array.set $a (global.get $g) (i32.const 1) (i32.const 1))", 5},
      {"(array.fill $a (global.get $g) (i32.const 0) (i32.const 1) (i32.const 0))", 6},
      {"(array.copy $a $a (global.get $g) (i32.const 0) (global.get $g) (i32.const 1) (i32.const 50))", 7},
      {"(array.init_data $a $d (global.get $g) (i32.const 0) (i32.const 0) (i32.const 4))", 6},
      {"(drop (array.new_data $a $d (i32.const 0) (i32.const 4)))", 4},
      {"(drop (ref.test (ref $s) (struct.new_default $s)))", 3},
      {"(drop (ref.cast (ref null i31) (ref.null any)))", 3},
      {"(block (result (ref null $s)) (br_on_cast 0 (ref null $s) (ref $s) (struct.new_default $s))) (drop)", 3},
      {"(block (result (ref null $s)) (br_on_cast_fail 0 (ref null $s) (ref $s) (struct.new_default $s))) (drop)", 3},
      {"(drop (any.convert_extern (ref.null extern)))", 3},
      {"(drop (extern.convert_any (ref.null any)))", 3},
      {"(local $n i32) (local.set $n (i32.const 100000)) (loop (drop (struct.new_default $s))"
       " (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))",
       600003},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char wat[1024];
    uint64_t before = 0, left = 0;
    snprintf(wat, sizeof wat,
             "(module (type $s (struct (field (mut i32)) (field (mut anyref)))) (type $a (array (mut i8))) (data $d \"1234\")"
             " (global $g (ref $a) (array.new_default $a (i32.const 100))) (func (export \"f\") %s))",
             cases[i].body);
    expect_ok(wasmtime_context_set_fuel(ctx, 1000000));
    wasmtime_instance_t instance = instance_of(wat);
    wasmtime_func_t func = func_of(&instance, "f");
    expect_ok(wasmtime_context_get_fuel(ctx, &before));
    expect_no_trap(call(&func));
    expect_ok(wasmtime_context_get_fuel(ctx, &left));
    if (!expect(before - left == cases[i].cost)) printf("# %s: %d\n", cases[i].body, (int)(before - left));
  }
}

int main(void) {
  RUN_WITH(with_gc, imports_are_matched_by_sub_typing);
  RUN_FAULTING_WITH(with_gc, what_a_guest_does_wrong_is_a_trap);
  RUN_WITH(with_gc, a_full_heap_is_an_error_that_a_store_survives);
  RUN_WITH(with_gc, a_store_without_room_for_a_heap_runs_what_needs_none);
  RUN_WITH(with_gc, a_long_list_lives_while_garbage_goes);
  RUN_WITH(with_gc, what_a_guests_objects_hold_is_finalized_once);
  RUN_WITH(with_gc, a_collection_spares_what_frames_hold);
  RUN_WITH(with_one_pooled_heap, a_pool_counts_heaps);
  RUN_WITH(with_fuel, the_instructions_cost_a_unit_of_fuel_each);
  return test_summary();
}
