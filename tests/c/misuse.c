// Misuse that no function can report ends the process, with a message that names the function.
// valgrind: skip (each death test ends a forked child by abort)

#include "test.h"

#ifdef AMPOULE_AGAINST
// The reference library ends the process too, without naming the function.
int main(void) { return test_summary(); }
#else

#include "death_tests.h"
#include <ampoule.h>
#include <unistd.h>

#define DEATH(function, ...)                                                                                           \
  static void death_by_##function(void) { __VA_ARGS__; }

// -- Handles of another store

static wasmtime_context_t *other; // a store that the handles are not of
static wasmtime_extern_t func, global, table, memory;
static wasmtime_externref_t ref;
static wasmtime_val_t val;
static wasmtime_tag_t tag;
static wasmtime_exn_t *exn;
static wasmtime_exnref_t exnref;

DEATH(wasmtime_func_type, wasmtime_func_type(other, &func.of.func))
DEATH(wasmtime_func_to_raw, wasmtime_func_to_raw(other, &func.of.func))
DEATH(wasmtime_global_type, wasmtime_global_type(other, &global.of.global))
DEATH(wasmtime_global_get, wasmtime_global_get(other, &global.of.global, &val))
DEATH(wasmtime_table_type, wasmtime_table_type(other, &table.of.table))
DEATH(wasmtime_table_size, wasmtime_table_size(other, &table.of.table))
DEATH(wasmtime_table_get, wasmtime_table_get(other, &table.of.table, 0, &val))
DEATH(wasmtime_memory_type, wasmtime_memory_type(other, &memory.of.memory))
DEATH(wasmtime_memory_data, wasmtime_memory_data(other, &memory.of.memory))
DEATH(wasmtime_memory_data_size, wasmtime_memory_data_size(other, &memory.of.memory))
DEATH(wasmtime_memory_size, wasmtime_memory_size(other, &memory.of.memory))
DEATH(wasmtime_memory_page_size, wasmtime_memory_page_size(other, &memory.of.memory))
DEATH(wasmtime_memory_page_size_log2, wasmtime_memory_page_size_log2(other, &memory.of.memory))
static void death_by_another_extern(void) { wasmtime_extern_type(other, &memory); }
DEATH(wasmtime_externref_data, wasmtime_externref_data(other, &ref))
DEATH(wasmtime_externref_to_raw, wasmtime_externref_to_raw(other, &ref))
DEATH(wasmtime_tag_type, wasmtime_tag_type(other, &tag))
DEATH(wasmtime_exn_field_count, wasmtime_exn_field_count(other, exn))
DEATH(wasmtime_exnref_to_raw, wasmtime_exnref_to_raw(other, &exnref))
DEATH(wasmtime_exnref_field_count, wasmtime_exnref_field_count(other, &exnref))
DEATH(wasmtime_exnref_type, wasmtime_exnref_type(other, &exnref))

static wasmtime_linker_t *linker;

DEATH(wasmtime_linker_get, wasmtime_linker_get(linker, other, "env", 3, "f", 1, &func))

#define ENDS(function) ends_the_process(#function, death_by_##function)

// All that is asked of a handle, where it is no good.
static void items_end_the_process(void) {
  ENDS(wasmtime_func_type);
  ENDS(wasmtime_func_to_raw);
  ENDS(wasmtime_global_type);
  ENDS(wasmtime_global_get);
  ENDS(wasmtime_table_type);
  ENDS(wasmtime_table_size);
  ENDS(wasmtime_table_get);
  ENDS(wasmtime_memory_type);
  ENDS(wasmtime_memory_data);
  ENDS(wasmtime_memory_data_size);
  ENDS(wasmtime_memory_size);
  ENDS(wasmtime_memory_page_size);
  ENDS(wasmtime_memory_page_size_log2);
}

static void handles_of_another_store(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func (export \"f\")) (global (export \"g\") i32 (i32.const 0)) (table (export \"t\") 1 funcref)"
      " (memory (export \"m\") 1))");
  func = export_of(&instance, "f"), global = export_of(&instance, "g");
  table = export_of(&instance, "t"), memory = export_of(&instance, "m");
  expect(wasmtime_externref_new(ctx, NULL, NULL, &ref));
  wasm_tagtype_t *type = wasm_tagtype_new(wasm_functype_new_0_0());
  expect_ok(wasmtime_tag_new(ctx, type, &tag));
  wasm_tagtype_delete(type);
  expect_ok(wasmtime_exn_new(ctx, &tag, NULL, 0, &exn));
  expect_ok(wasmtime_exnref_new(ctx, &tag, NULL, 0, &exnref));
  wasmtime_store_t *second = wasmtime_store_new(engine, NULL, NULL);
  other = wasmtime_store_context(second);
  items_end_the_process();
  ends_the_process("wasmtime_extern_type", death_by_another_extern);
  ENDS(wasmtime_externref_data);
  ENDS(wasmtime_externref_to_raw);
  ENDS(wasmtime_tag_type);
  ENDS(wasmtime_exn_field_count);
  ENDS(wasmtime_exnref_to_raw);
  ENDS(wasmtime_exnref_field_count);
  ENDS(wasmtime_exnref_type);
  wasmtime_externref_unroot(&ref);
  wasmtime_exn_delete(exn);
  wasmtime_exnref_unroot(&exnref);
  wasmtime_store_delete(second);
}

static void handles_of_a_deleted_instance(void) {
  wasmtime_instance_t instance = instance_of(
      "(module (func (export \"f\")) (global (export \"g\") i32 (i32.const 0)) (table (export \"t\") 1 funcref)"
      " (memory (export \"m\") 1))");
  func = export_of(&instance, "f"), global = export_of(&instance, "g");
  table = export_of(&instance, "t"), memory = export_of(&instance, "m");
  expect_ok(ampoule_instance_delete(ctx, &instance));
  other = ctx;
  items_end_the_process();
  ends_the_process("wasmtime_extern_type", death_by_another_extern);
}

static wasm_trap_t *nothing(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                            wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  return NULL;
}

static void a_store_of_another_engine_than_the_linkers(void) {
  linker = wasmtime_linker_new(engine);
  wasm_functype_t *type = wasm_functype_new_0_0();
  expect_ok(wasmtime_linker_define_func(linker, "env", 3, "f", 1, type, nothing, NULL, NULL));
  wasm_functype_delete(type);
  wasm_engine_t *second = wasm_engine_new();
  wasmtime_store_t *foreign = wasmtime_store_new(second, NULL, NULL);
  other = wasmtime_store_context(foreign);
  ENDS(wasmtime_linker_get);
  wasmtime_store_delete(foreign);
  wasm_engine_delete(second);
  wasmtime_linker_delete(linker);
}

// -- Numbers that mean nothing

DEATH(wasmtime_config_strategy_set, wasmtime_config_strategy_set(wasm_config_new(), 99))
DEATH(wasmtime_config_cranelift_opt_level_set, wasmtime_config_cranelift_opt_level_set(wasm_config_new(), 99))
DEATH(wasmtime_config_profiler_set, wasmtime_config_profiler_set(wasm_config_new(), 99))
DEATH(wasmtime_config_cranelift_regalloc_algorithm_set,
        wasmtime_config_cranelift_regalloc_algorithm_set(wasm_config_new(), 99))
DEATH(wasmtime_trap_new_code, wasmtime_trap_new_code(250))

static wasmtime_valtype_t no_type = {.kind = 66};
DEATH(wasmtime_valtype_to_wasm, wasmtime_valtype_to_wasm(engine, &no_type))

static wasmtime_extern_t unknown;
DEATH(wasmtime_extern_type, wasmtime_extern_type(ctx, &unknown))

static void numbers_that_mean_nothing(void) {
  ENDS(wasmtime_config_strategy_set);
  ENDS(wasmtime_config_cranelift_opt_level_set);
  ENDS(wasmtime_config_profiler_set);
  ENDS(wasmtime_trap_new_code);
  ENDS(wasmtime_config_cranelift_regalloc_algorithm_set);
  unknown = func_extern(no_func());
  unknown.kind = 66;
  ENDS(wasmtime_extern_type);
  ENDS(wasmtime_valtype_to_wasm);
}

// -- Types that the portable API has no kind for

static void types_without_a_portable_kind(void) {
  wasmtime_valtype_t ref = {.kind = WASMTIME_VALTYPE_KIND_REF};
  ref.reftype.nullable = true;
  ref.reftype.heaptype.kind = WASMTIME_HEAPTYPE_KIND_NOFUNC;
  wasm_valtype_t *no_func_type = wasmtime_valtype_to_wasm(engine, &ref);
  expect(wasm_valtype_kind(no_func_type) == WASM_FUNCREF);
  wasm_valtype_delete(no_func_type);
  ref.reftype.heaptype.kind = WASMTIME_HEAPTYPE_KIND_ANY;
  wasm_valtype_t *any = wasmtime_valtype_to_wasm(engine, &ref);
  if (!expect(any != NULL)) return;
  expect(wasm_valtype_kind(any) == 255 && wasm_valtype_is_ref(any));
  // A value of another type than the table's is refused, null of the type is not.
  const wasm_limits_t limits = {1, 1};
  wasmtime_val_t nothing = {.kind = WASMTIME_ANYREF}, other = {.kind = WASMTIME_EXTERNREF};
  wasm_tabletype_t *table_type = wasm_tabletype_new(any, &limits);
  wasmtime_table_t table;
  expect_error(wasmtime_table_new(ctx, table_type, &other, &table));
  expect(wasmtime_table_new(ctx, table_type, &nothing, &table) == NULL);
  wasm_tabletype_delete(table_type);
}

// -- Functions that are null

static wasmtime_func_t null;

static void death_by_a_null_function(void) { wasmtime_func_type(ctx, &null); }

static void functions_that_are_null(void) {
  null = no_func();
  ends_the_process("wasmtime_func_type", death_by_a_null_function);
}

// -- Not now, and not here

static wasmtime_error_t *odd_update(wasmtime_context_t *context, void *data, uint64_t *delta,
                                    wasmtime_update_deadline_kind_t *kind) {
  (void)context, (void)data;
  *delta = 1, *kind = 9;
  return NULL;
}

static wasmtime_func_t func_to_call;

static void death_by_an_update(void) {
  wasmtime_store_epoch_deadline_callback(store, odd_update, NULL, NULL);
  call(&func_to_call);
}

static void with_epochs(wasm_config_t *config) { wasmtime_config_epoch_interruption_set(config, true); }

static void a_deadline_that_goes_on_in_no_known_way(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\")))");
  func_to_call = func_of(&instance, "f");
  ends_the_process("wasmtime_store_epoch_deadline_callback", death_by_an_update);
}

static wasm_trap_t *delete_store(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                 wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  wasmtime_store_delete(store);
  return NULL;
}

DEATH(wasmtime_store_delete, call(&func_to_call))
DEATH(ampoule_native_raise_trap, ampoule_native_raise_trap(ctx, wasmtime_trap_new("", 0)))
DEATH(ampoule_native_raise_error, ampoule_native_raise_error(ctx, wasmtime_error_new("")))

static void a_store_is_not_deleted_by_its_guest(void) {
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_new(ctx, type, delete_store, NULL, NULL, &func_to_call);
  wasm_functype_delete(type);
  ENDS(wasmtime_store_delete);
}

// -- A store that is deleted while the library works on it, outside of any guest

static wasmtime_error_t *delete_and_allow(void *env, const ampoule_limit_request_t *request, bool *allow) {
  (void)request;
  if (env) wasmtime_store_delete(store);
  *allow = true;
  return NULL;
}

static void death_in_a_limiter_by_growth(void) {
  uint64_t previous;
  expect_ok(wasmtime_memory_grow(ctx, &memory.of.memory, 1, &previous));
}

static void death_in_a_limiter_by_creation(void) {
  wasm_memorytype_t *type = wasm_memorytype_new(&(wasm_limits_t){1, 2});
  expect_ok(wasmtime_memory_new(ctx, type, &memory.of.memory));
}

static void a_store_is_not_deleted_by_its_limiter(void) {
  wasm_memorytype_t *type = wasm_memorytype_new(&(wasm_limits_t){1, 5});
  expect_ok(wasmtime_memory_new(ctx, type, &memory.of.memory));
  wasm_memorytype_delete(type);
  expect_ok(ampoule_store_set_limiter(store, delete_and_allow, NULL, store, NULL));
  ends_the_process("`wasmtime_store_delete`: the store's limiter is running", death_in_a_limiter_by_growth);
  ends_the_process("`wasmtime_store_delete`: the store's limiter is running", death_in_a_limiter_by_creation);
  expect_ok(ampoule_store_set_limiter(store, NULL, NULL, NULL, NULL));
}

static void delete_in_finalizer(void *env) { wasmtime_store_delete(env); }

static void death_by_collection(void) {
  wasmtime_externref_t value;
  expect(wasmtime_externref_new(ctx, store, delete_in_finalizer, &value));
  wasmtime_externref_unroot(&value);
  expect_ok(wasmtime_context_gc(ctx));
}

static void death_by_data(void) {
  wasmtime_store_t *own = wasmtime_store_new(engine, NULL, delete_in_finalizer);
  wasmtime_context_set_data(wasmtime_store_context(own), own);
  wasmtime_store_delete(own);
}

static void death_by_a_replaced_limiter(void) {
  expect_ok(ampoule_store_set_limiter(store, delete_and_allow, NULL, store, delete_in_finalizer));
  expect_ok(ampoule_store_set_limiter(store, NULL, NULL, NULL, NULL));
}

static wasmtime_error_t *at_deadline(wasmtime_context_t *context, void *data, uint64_t *delta,
                                     wasmtime_update_deadline_kind_t *kind) {
  (void)context, (void)data, (void)delta, (void)kind;
  return NULL;
}

static void death_by_a_replaced_deadline_callback(void) {
  wasmtime_store_epoch_deadline_callback(store, at_deadline, store, delete_in_finalizer);
  wasmtime_store_epoch_deadline_callback(store, at_deadline, NULL, NULL);
}

static void a_store_is_not_deleted_by_a_finalizer_of_its_own(void) {
  static const char *const words = "`wasmtime_store_delete`: a finalizer of the store's is running";
  ends_the_process(words, death_by_collection);
  ends_the_process(words, death_by_data);
  ends_the_process(words, death_by_a_replaced_limiter);
  ends_the_process(words, death_by_a_replaced_deadline_callback);
}

static wasmtime_error_t *delete_for_memory(void *env, const wasm_memorytype_t *ty, size_t minimum, size_t maximum,
                                           size_t reserved, size_t guard, wasmtime_linear_memory_t *ret) {
  (void)env, (void)ty, (void)minimum, (void)maximum, (void)reserved, (void)guard, (void)ret;
  wasmtime_store_delete(store);
  return NULL;
}

static void with_memories(wasm_config_t *config) {
  wasmtime_memory_creator_t creator = {.new_memory = delete_for_memory};
  wasmtime_config_host_memory_creator_set(config, &creator);
}

static void a_store_is_not_deleted_by_what_makes_its_memories(void) {
  ends_the_process("`wasmtime_store_delete`: a memory of the host's is being made", death_in_a_limiter_by_creation);
}

// -- Roots that were given back

static void death_by_two_unroots(void) {
  wasmtime_externref_t value, copy;
  expect(wasmtime_externref_new(ctx, NULL, NULL, &value));
  copy = value;
  wasmtime_externref_unroot(&value);
  wasmtime_externref_unroot(&copy);
}

static void death_by_a_dead_root(void) {
  wasmtime_externref_t value, copy;
  expect(wasmtime_externref_new(ctx, NULL, NULL, &value));
  copy = value;
  wasmtime_externref_unroot(&value);
  wasmtime_externref_data(ctx, &copy);
}

// An argument.
static void death_by_passing_a_dead_root(void) {
  wasmtime_instance_t instance = instance_of("(module (func (export \"f\") (param externref)))");
  wasmtime_func_t f = func_of(&instance, "f");
  wasmtime_val_t arg = null_externref_val(), copy;
  wasm_trap_t *trap = NULL;
  expect(wasmtime_externref_new(ctx, NULL, NULL, &arg.of.externref));
  copy = arg;
  wasmtime_val_unroot(&arg);
  wasmtime_func_call(ctx, &f, &copy, 1, NULL, 0, &trap);
}

// What was lent to it.
static wasm_trap_t *unroot_argument(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                    wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)nargs, (void)results, (void)nresults;
  wasmtime_val_t copy = args[0];
  wasmtime_val_unroot(&copy);
  return NULL;
}

// A result.
static wasm_trap_t *return_a_dead_root(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                                       wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)nargs, (void)nresults;
  wasmtime_val_t copy;
  wasmtime_val_clone(&args[0], &copy);
  wasmtime_externref_new(ctx, NULL, NULL, &copy.of.externref);
  results[0] = copy;
  wasmtime_val_unroot(&copy);
  return NULL;
}

static void call_with_a_value(wasmtime_func_callback_t callback) {
  wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new(WASM_EXTERNREF), wasm_valtype_new(WASM_EXTERNREF));
  wasmtime_func_t f;
  wasmtime_func_new(ctx, type, callback, NULL, NULL, &f);
  wasm_functype_delete(type);
  wasmtime_val_t arg = null_externref_val(), result;
  wasm_trap_t *trap = NULL;
  expect(wasmtime_externref_new(ctx, NULL, NULL, &arg.of.externref));
  wasmtime_func_call(ctx, &f, &arg, 1, &result, 1, &trap);
}

static void death_by_unrooting_an_argument(void) { call_with_a_value(unroot_argument); }
static void death_by_returning_a_dead_root(void) { call_with_a_value(return_a_dead_root); }

// As many are left as there are handles in the store: none.
static wasmtime_exnref_t dead_exnref(void) {
  wasmtime_exnref_t value, copy;
  wasm_tagtype_t *type = wasm_tagtype_new(wasm_functype_new_0_0());
  expect_ok(wasmtime_tag_new(ctx, type, &tag));
  expect_ok(wasmtime_exnref_new(ctx, &tag, NULL, 0, &value));
  copy = value;
  wasmtime_exnref_unroot(&value);
  return copy;
}

static void death_by_two_unroots_of_an_exception(void) {
  wasmtime_exnref_t copy = dead_exnref();
  wasmtime_exnref_unroot(&copy);
}

static void death_by_a_dead_exception(void) {
  wasmtime_exnref_t copy = dead_exnref();
  wasmtime_exnref_field_count(ctx, &copy);
}

static void death_by_a_clone_of_a_dead_exception(void) {
  wasmtime_exnref_t copy = dead_exnref(), clone;
  wasmtime_exnref_clone(&copy, &clone);
}

static void death_by_a_value_with_a_dead_exception(void) {
  val = (wasmtime_val_t){.kind = WASMTIME_EXNREF, .of = {.exnref = dead_exnref()}};
  wasmtime_val_unroot(&val);
}

// Where the store is gone, a root is one all the same.
static void a_root_of_an_exception_outlives_its_store(void) {
  wasmtime_exnref_t value, clone;
  wasm_tagtype_t *type = wasm_tagtype_new(wasm_functype_new_0_0());
  expect_ok(wasmtime_tag_new(ctx, type, &tag));
  wasm_tagtype_delete(type);
  expect_ok(wasmtime_exnref_new(ctx, &tag, NULL, 0, &value));
  wasmtime_store_delete(store);
  store = NULL;
  wasmtime_exnref_clone(&value, &clone);
  wasmtime_exnref_unroot(&clone);
  wasmtime_exnref_unroot(&value);
}

static wasmtime_structref_t new_struct(void) {
  wasmtime_struct_type_t *type = wasmtime_struct_type_new(engine, NULL, 0);
  wasmtime_struct_ref_pre_t *pre = wasmtime_struct_ref_pre_new(ctx, type);
  wasmtime_structref_t made;
  expect_ok(wasmtime_structref_new(ctx, pre, NULL, 0, &made));
  wasmtime_struct_ref_pre_delete(pre);
  wasmtime_struct_type_delete(type);
  return made;
}

static void death_by_two_unroots_of_a_struct(void) {
  wasmtime_structref_t made = new_struct(), copy = made;
  wasmtime_structref_unroot(&made);
  wasmtime_structref_unroot(&copy);
}

static void death_by_a_field_of_a_dead_struct(void) {
  wasmtime_structref_t made = new_struct(), copy = made;
  wasmtime_structref_unroot(&made);
  wasmtime_structref_field(ctx, &copy, 0, &val);
}

static void death_by_two_unroots_of_an_eqref(void) {
  wasmtime_structref_t made = new_struct();
  wasmtime_eqref_t value, copy;
  wasmtime_structref_to_eqref(&made, &value);
  wasmtime_structref_unroot(&made);
  copy = value;
  wasmtime_eqref_unroot(&value);
  wasmtime_eqref_unroot(&copy);
}

static void death_by_a_dead_anyref(void) {
  wasmtime_structref_t made = new_struct();
  wasmtime_anyref_t value, copy;
  wasmtime_structref_to_anyref(&made, &value);
  wasmtime_structref_unroot(&made);
  copy = value;
  wasmtime_anyref_unroot(&value);
  wasmtime_anyref_is_struct(ctx, &copy);
}

static void death_by_the_length_of_a_dead_array(void) {
  wasmtime_field_type_t field = {WASMTIME_I32, true};
  wasmtime_array_type_t *type = wasmtime_array_type_new(engine, &field);
  wasmtime_array_ref_pre_t *pre = wasmtime_array_ref_pre_new(ctx, type);
  wasmtime_val_t zero = i32_val(0);
  wasmtime_arrayref_t made, copy;
  uint32_t len;
  expect_ok(wasmtime_arrayref_new(ctx, pre, &zero, 1, &made));
  copy = made;
  wasmtime_arrayref_unroot(&made);
  wasmtime_arrayref_len(ctx, &copy, &len);
}

static void a_root_is_given_back_once(void) {
  ends_the_process("`wasmtime_structref_t`: the reference was unrooted before", death_by_two_unroots_of_a_struct);
  ends_the_process("`wasmtime_structref_t`: the reference was unrooted before", death_by_a_field_of_a_dead_struct);
  ends_the_process("`wasmtime_eqref_t`: the reference was unrooted before", death_by_two_unroots_of_an_eqref);
  ends_the_process("`wasmtime_anyref_t`: the reference was unrooted before", death_by_a_dead_anyref);
  ends_the_process("`wasmtime_arrayref_t`: the reference was unrooted before", death_by_the_length_of_a_dead_array);
  static const char *const words = "`wasmtime_exnref_t`: the reference was unrooted before";
  ends_the_process(words, death_by_two_unroots_of_an_exception);
  ends_the_process(words, death_by_a_dead_exception);
  ends_the_process(words, death_by_a_clone_of_a_dead_exception);
  ends_the_process(words, death_by_a_value_with_a_dead_exception);
  ends_the_process("`wasmtime_externref_t`: the reference was unrooted before", death_by_passing_a_dead_root);
  ends_the_process("`wasmtime_externref_t`: the reference was unrooted before", death_by_unrooting_an_argument);
  ends_the_process("`wasmtime_externref_t`: the reference was unrooted before", death_by_returning_a_dead_root);
  ends_the_process("`wasmtime_externref_t`: the reference was unrooted before", death_by_two_unroots);
  ends_the_process("`wasmtime_externref_t`: the reference was unrooted before", death_by_a_dead_root);
}

static void nobody_waits_for_what_is_raised(void) {
  ENDS(ampoule_native_raise_trap);
  ENDS(ampoule_native_raise_error);
}

static wasmtime_guestprofiler_modules_t profiled;

static void death_by_a_profile(void) { wasmtime_guestprofiler_new(engine, profiled.name, 1, &profiled, 1); }

static void a_profile_is_of_one_engine(void) {
  wasm_engine_t *second = wasm_engine_new();
  wasmtime_module_t *module = module_in(second, "(module)");
  wasm_name_t name;
  wasm_name_new_from_string(&name, "profile");
  profiled.name = &name, profiled.mod = module;
  ends_the_process("wasmtime_guestprofiler_new", death_by_a_profile);
  wasm_name_delete(&name);
  wasmtime_module_delete(module);
  wasm_engine_delete(second);
}

static wasmtime_component_instance_t foreign_instance;
static wasmtime_component_func_t foreign_func;
static wasmtime_component_export_index_t *place;

static void death_by_a_function_of_a_component(void) { wasmtime_component_func_type(&foreign_func, ctx); }

static void death_by_an_instance_of_a_component(void) {
  wasmtime_component_func_t func;
  wasmtime_component_instance_get_func(&foreign_instance, ctx, place, &func);
}

static void death_by_looking_up_in_a_component(void) {
  wasmtime_component_instance_get_export_index(&foreign_instance, ctx, NULL, "f", 1);
}

static void components_of_another_store(void) {
  static const char text[] = "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))"
                             "(func (export \"f\") (canon lift (core func $i \"f\"))))";
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_t *component = NULL;
  if (!expect_ok(wasmtime_component_new(engine, (const uint8_t *)text, sizeof text - 1, &component))) return;
  wasmtime_context_t *of_other = wasmtime_store_context(other);
  expect_ok(wasmtime_component_linker_instantiate(linker, of_other, component, &foreign_instance));
  place = wasmtime_component_get_export_index(component, NULL, "f", 1);
  expect(wasmtime_component_instance_get_func(&foreign_instance, of_other, place, &foreign_func));
  ends_the_process("wasmtime_component_func_type", death_by_a_function_of_a_component);
  ends_the_process("wasmtime_component_instance_get_func", death_by_an_instance_of_a_component);
  ends_the_process("wasmtime_component_instance_get_export_index", death_by_looking_up_in_a_component);
  wasmtime_component_export_index_delete(place);
  wasmtime_component_delete(component);
  wasmtime_component_linker_delete(linker);
  wasmtime_store_delete(other);
}

int main(void) {
  RUN(handles_of_another_store);
  RUN(handles_of_a_deleted_instance);
  RUN(a_store_of_another_engine_than_the_linkers);
  RUN(numbers_that_mean_nothing);
  RUN(types_without_a_portable_kind);
  RUN(functions_that_are_null);
  RUN_WITH(with_epochs, a_deadline_that_goes_on_in_no_known_way);
  RUN(a_store_is_not_deleted_by_its_guest);
  RUN(a_store_is_not_deleted_by_its_limiter);
  RUN(a_store_is_not_deleted_by_a_finalizer_of_its_own);
  RUN_WITH(with_memories, a_store_is_not_deleted_by_what_makes_its_memories);
  RUN(a_root_is_given_back_once);
  RUN(a_root_of_an_exception_outlives_its_store);
  RUN(nobody_waits_for_what_is_raised);
  RUN(a_profile_is_of_one_engine);
  RUN(components_of_another_store);
  return test_summary();
}

#endif // AMPOULE_AGAINST
