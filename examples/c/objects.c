// A list that the host makes and a guest walks, an array that the guest makes and the host reads, and exceptions both ways.
//
//     gcc objects.c -o objects -lampoule && ./objects

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasmtime.h>

static const char *const guest =
    "(module"
    // Final and without a super-type: the same types as those that the host makes below.
    "  (type $cell (struct (field i32) (field (mut anyref))))"
    "  (type $roots (array (mut i16)))"
    "  (import \"host\" \"negative\" (tag $negative (param i32)))"
    "  (import \"host\" \"root\" (func $root (param i32) (result i32)))"
    // The roots of a list of numbers; 0 for those that the host's function throws for.
    "  (func (export \"roots\") (param $list anyref) (param $count i32) (result anyref)"
    "    (local $cell (ref null $cell)) (local $roots (ref null $roots)) (local $at i32)"
    "    (local.set $roots (array.new_default $roots (local.get $count)))"
    "    (loop $next"
    "      (local.set $cell (ref.cast (ref $cell) (local.get $list)))"
    "      (array.set $roots (local.get $roots) (local.get $at)"
    "        (call $root_or_zero (struct.get $cell 0 (local.get $cell))))"
    "      (local.set $list (struct.get $cell 1 (local.get $cell)))"
    "      (local.set $at (i32.add (local.get $at) (i32.const 1)))"
    "      (br_if $next (i32.lt_u (local.get $at) (local.get $count))))"
    "    (local.get $roots))"
    "  (func $root_or_zero (param i32) (result i32)"
    "    (block $caught (result i32)"
    "      (return (try_table (result i32) (catch $negative $caught) (call $root (local.get 0)))))"
    "    drop i32.const 0)"
    "  (func (export \"root\") (param i32) (result i32) (call $root (local.get 0))))";

static void must(wasmtime_error_t *error, wasm_trap_t *trap) {
  wasm_byte_vec_t message;
  if (!error && !trap) return;
  if (error) wasmtime_error_message(error, &message);
  else wasm_trap_message(trap, &message);
  fprintf(stderr, "%.*s\n", (int)message.size, message.data);
  exit(1);
}

static wasmtime_val_t i32(int32_t value) { return (wasmtime_val_t){.kind = WASMTIME_I32, .of = {.i32 = value}}; }

// `(i32) -> i32`. What it throws is thrown in the guest, at the call; `env` is the tag.
static wasm_trap_t *root(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                         wasmtime_val_t *results, size_t nresults) {
  (void)nargs, (void)nresults;
  int32_t value = args[0].of.i32, found = 0;
  if (value < 0) {
    wasmtime_context_t *context = wasmtime_caller_context(caller);
    wasmtime_exn_t *exn;
    must(wasmtime_exn_new(context, env, &args[0], 1, &exn), NULL);
    return wasmtime_context_set_exception(context, exn);
  }
  while ((int64_t)(found + 1) * (found + 1) <= value) found++;
  results[0] = i32(found);
  return NULL;
}

// A list of the host's; the reference is to be given back.
static wasmtime_anyref_t make_list(wasm_engine_t *engine, wasmtime_context_t *context, const int32_t *values,
                                   size_t count) {
  const wasmtime_field_type_t fields[] = {{WASMTIME_I32, false}, {WASMTIME_ANYREF, true}};
  wasmtime_struct_type_t *type = wasmtime_struct_type_new(engine, fields, 2);
  wasmtime_struct_ref_pre_t *cells = wasmtime_struct_ref_pre_new(context, type);
  wasmtime_anyref_t list;
  wasmtime_anyref_set_null(&list);
  while (count-- > 0) {
    wasmtime_val_t parts[] = {i32(values[count]), {.kind = WASMTIME_ANYREF, .of = {.anyref = list}}};
    wasmtime_structref_t cell;
    must(wasmtime_structref_new(context, cells, parts, 2, &cell), NULL);
    // The new cell keeps the rest of the list.
    wasmtime_anyref_unroot(&list);
    wasmtime_structref_to_anyref(&cell, &list);
    wasmtime_structref_unroot(&cell);
  }
  wasmtime_struct_ref_pre_delete(cells);
  wasmtime_struct_type_delete(type);
  return list;
}

static void print_array(wasmtime_context_t *context, const wasmtime_val_t *value) {
  wasmtime_arrayref_t array;
  uint32_t len;
  if (!wasmtime_anyref_as_array(context, &value->of.anyref, &array)) return;
  must(wasmtime_arrayref_len(context, &array, &len), NULL);
  printf("roots:");
  for (uint32_t i = 0; i < len; i++) {
    wasmtime_val_t element;
    must(wasmtime_arrayref_get(context, &array, i, &element), NULL);
    printf(" %d", (int)element.of.i32);
  }
  printf("\n");
  wasmtime_arrayref_unroot(&array);
}

static wasmtime_func_t func_of(wasmtime_context_t *context, const wasmtime_instance_t *instance, const char *name) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(context, instance, name, strlen(name), &item)) exit(1);
  return item.of.func;
}

int main(void) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_wasm_function_references_set(config, true);
  wasmtime_config_wasm_gc_set(config, true);
  wasmtime_config_wasm_exceptions_set(config, true);
  wasm_engine_t *engine = wasm_engine_new_with_config(config);
  wasm_byte_vec_t wasm;
  wasmtime_module_t *module;
  must(wasmtime_wat2wasm(guest, strlen(guest), &wasm), NULL);
  must(wasmtime_module_new(engine, (const uint8_t *)wasm.data, wasm.size, &module), NULL);
  wasm_byte_vec_delete(&wasm);
  wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(store);

  // What the guest imports: a tag, whose exceptions have one integer, and the function that throws them.
  wasmtime_extern_t imports[] = {{.kind = WASMTIME_EXTERN_TAG}, {.kind = WASMTIME_EXTERN_FUNC}};
  wasmtime_tag_t *negative = &imports[0].of.tag;
  wasm_tagtype_t *tag_type = wasm_tagtype_new(wasm_functype_new_1_0(wasm_valtype_new_i32()));
  must(wasmtime_tag_new(context, tag_type, negative), NULL);
  wasm_tagtype_delete(tag_type);
  wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
  wasmtime_func_new(context, type, root, negative, NULL, &imports[1].of.func);
  wasm_functype_delete(type);
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_error_t *error = wasmtime_instance_new(context, module, imports, 2, &instance, &trap);
  must(error, trap);

  // Objects go in as arguments and come out as results. The caller gives both back.
  const int32_t numbers[] = {9, 144, -5, 1000000};
  wasmtime_val_t args[] = {{.kind = WASMTIME_ANYREF}, i32(4)}, result;
  args[0].of.anyref = make_list(engine, context, numbers, 4);
  wasmtime_func_t roots = func_of(context, &instance, "roots");
  error = wasmtime_func_call(context, &roots, args, 2, &result, 1, &trap);
  must(error, trap);
  wasmtime_val_unroot(&args[0]);
  print_array(context, &result);
  wasmtime_val_unroot(&result);
  // Nothing leads to the list and the array any more.
  must(wasmtime_context_gc(context), NULL);

  // An exception that no guest catches ends the call, and is the store's until it is taken.
  wasmtime_val_t minus_nine = i32(-9), field;
  wasmtime_func_t one = func_of(context, &instance, "root");
  error = wasmtime_func_call(context, &one, &minus_nine, 1, &result, 1, &trap);
  must(error, NULL);
  wasmtime_exn_t *exn;
  wasmtime_tag_t tag;
  if (!trap || !wasmtime_context_take_exception(context, &exn)) return 1;
  wasm_trap_delete(trap);
  must(wasmtime_exn_tag(context, exn, &tag), NULL);
  must(wasmtime_exn_field(context, exn, 0, &field), NULL);
  printf("not caught: %s %d\n", wasmtime_tag_eq(context, &tag, negative) ? "negative" : "unknown", (int)field.of.i32);
  wasmtime_exn_delete(exn);

  wasmtime_store_delete(store);
  wasmtime_module_delete(module);
  wasm_engine_delete(engine);
  return 0;
}
