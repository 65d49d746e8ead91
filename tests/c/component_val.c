// wasmtime/component/val.h: values and resources.
#include "component.h"

static void vectors_own_their_elements(void) {
  val_t texts[2] = {string_val("a"), string_val("b")};
  wasmtime_component_vallist_t list, copy;
  wasmtime_component_vallist_new(&list, 2, texts);
  wasmtime_component_vallist_copy(&copy, &list);
  expect(copy.size == 2 && copy.data != list.data && name_is(&copy.data[1].of.string, "b"));
  expect(copy.data[1].of.string.data != list.data[1].of.string.data);
  wasmtime_component_vallist_delete(&list);
  wasmtime_component_vallist_delete(&copy);
  wasmtime_component_vallist_new_empty(&list);
  expect(list.size == 0);
  wasmtime_component_vallist_delete(&list);
}

static void elements_can_be_filled_in(void) {
  wasmtime_component_vallist_t list;
  wasmtime_component_vallist_new_uninit(&list, 3);
  for (int i = 0; i < 3; i++) expect(list.data[i].kind == WASMTIME_COMPONENT_BOOL);
  list.data[2] = string_val("filled in");
  wasmtime_component_vallist_delete(&list);

  wasmtime_component_valrecord_t record, record_copy;
  wasmtime_component_valrecord_new_uninit(&record, 2);
  expect(record.size == 2 && record.data[1].name.size == 0 && record.data[1].name.data != NULL);
  expect(record.data[1].val.kind == WASMTIME_COMPONENT_BOOL);
  record.data[0] = field_of("f", string_val("x"));
  wasmtime_component_valrecord_copy(&record_copy, &record);
  wasmtime_component_valrecord_delete(&record);
  expect(name_is(&record_copy.data[0].name, "f") && name_is(&record_copy.data[0].val.of.string, "x"));
  wasmtime_component_valrecord_delete(&record_copy);
  wasmtime_component_valrecord_new_empty(&record);
  expect(record.size == 0);
  wasmtime_component_valrecord_delete(&record);

  wasmtime_component_valtuple_t tuple, tuple_copy;
  wasmtime_component_valtuple_new_uninit(&tuple, 2);
  tuple.data[0] = string_val("x");
  wasmtime_component_valtuple_copy(&tuple_copy, &tuple);
  wasmtime_component_valtuple_delete(&tuple);
  expect(tuple_copy.size == 2 && name_is(&tuple_copy.data[0].of.string, "x"));
  wasmtime_component_valtuple_delete(&tuple_copy);
  wasmtime_component_valtuple_new_empty(&tuple);
  wasmtime_component_valtuple_delete(&tuple);

  wasmtime_component_valflags_t flags, flags_copy;
  wasmtime_component_valflags_new_uninit(&flags, 2);
  expect(flags.data[0].size == 0 && flags.data[0].data != NULL);
  flags.data[1] = name_of("x");
  wasmtime_component_valflags_copy(&flags_copy, &flags);
  wasmtime_component_valflags_delete(&flags);
  expect(flags_copy.size == 2 && name_is(&flags_copy.data[1], "x"));
  wasmtime_component_valflags_delete(&flags_copy);
  wasmtime_component_valflags_new_empty(&flags);
  wasmtime_component_valflags_delete(&flags);

  wasmtime_component_valmap_t map, map_copy;
  wasmtime_component_valmap_new_uninit(&map, 1);
  expect(map.data[0].key.kind == WASMTIME_COMPONENT_BOOL && map.data[0].value.kind == WASMTIME_COMPONENT_BOOL);
  map.data[0].key = string_val("k");
  wasmtime_component_valmap_copy(&map_copy, &map);
  wasmtime_component_valmap_delete(&map);
  expect(map_copy.size == 1 && name_is(&map_copy.data[0].key.of.string, "k"));
  wasmtime_component_valmap_delete(&map_copy);
  wasmtime_component_valmap_new_empty(&map);
  wasmtime_component_valmap_delete(&map);
}

static void a_value_moves_to_a_box(void) {
  val_t text = string_val("boxed");
  val_t *box = wasmtime_component_val_new(&text);
  expect(text.kind == WASMTIME_COMPONENT_BOOL);
  expect(box->kind == WASMTIME_COMPONENT_STRING && name_is(&box->of.string, "boxed"));
  wasmtime_component_val_free(box);
  wasmtime_component_val_free(NULL);
}

// A value of each kind that owns something.
static size_t one_of_each(val_t *vals) {
  val_t element = string_val("e"), some = string_val("s"), ok = string_val("o"), payload = string_val("p");
  val_t in_tuple = string_val("t");
  wasmtime_component_valrecord_entry_t field = field_of("f", string_val("x"));
  wasmtime_component_valmap_entry_t entry = {string_val("k"), string_val("v")};
  val_t tuple = val_of_kind(WASMTIME_COMPONENT_TUPLE), map = val_of_kind(WASMTIME_COMPONENT_MAP);
  wasmtime_component_valtuple_new(&tuple.of.tuple, 1, &in_tuple);
  wasmtime_component_valmap_new(&map.of.map, 1, &entry);
  val_t all[] = {string_val("text"),          list_val(1, &element), record_val(1, &field), tuple,
                 variant_val("v", &payload),  enum_val("e"),         option_val(&some),     result_val(true, &ok),
                 flags_val("a b"),            map};
  memcpy(vals, all, sizeof all);
  return sizeof all / sizeof *all;
}

static void copies_are_deep(void) {
  val_t vals[16], copies[16];
  size_t count = one_of_each(vals);
  for (size_t i = 0; i < count; i++) {
    wasmtime_component_val_clone(&vals[i], &copies[i]);
    expect(copies[i].kind == vals[i].kind);
    drop(vals[i]);
  }
  expect(name_is(&copies[0].of.string, "text") && name_is(&copies[1].of.list.data[0].of.string, "e"));
  expect(name_is(&copies[2].of.record.data[0].name, "f") && name_is(&copies[3].of.tuple.data[0].of.string, "t"));
  expect(name_is(&copies[4].of.variant.discriminant, "v") && name_is(&copies[4].of.variant.val->of.string, "p"));
  expect(name_is(&copies[5].of.enumeration, "e") && name_is(&copies[6].of.option->of.string, "s"));
  expect(copies[7].of.result.is_ok && name_is(&copies[7].of.result.val->of.string, "o"));
  expect(name_is(&copies[8].of.flags.data[1], "b") && name_is(&copies[9].of.map.data[0].value.of.string, "v"));
  for (size_t i = 0; i < count; i++) drop(copies[i]);
}

// 44.0.0 leaves pointers behind.
static void a_deleted_value_holds_nothing(void) {
  val_t vals[16];
  size_t count = one_of_each(vals);
  for (size_t i = 0; i < count; i++) {
    wasmtime_component_valkind_t kind = vals[i].kind;
    wasmtime_component_val_delete(&vals[i]);
    expect(vals[i].kind == kind);
    wasmtime_component_val_delete(&vals[i]);
  }
  expect(!vals[4].of.variant.val && !vals[6].of.option && !vals[7].of.result.val);
}

static void a_value_of_an_unknown_kind_owns_nothing(void) {
  val_t val = val_of_kind(200), copy;
  memset(&val.of, 0x55, sizeof val.of);
  wasmtime_component_val_clone(&val, &copy);
  expect(copy.kind == 200);
  drop(copy);
  drop(val);
}

// -- Resources

static void resources_of_the_host_are_numbers(void) {
  wasmtime_component_resource_host_t *host = wasmtime_component_resource_host_new(true, 42, 7), *copy;
  copy = wasmtime_component_resource_host_clone(host);
  wasmtime_component_resource_host_delete(host);
  expect(wasmtime_component_resource_host_rep(copy) == 42 && wasmtime_component_resource_host_type(copy) == 7);
  expect(wasmtime_component_resource_host_owned(copy));
  wasmtime_component_resource_host_delete(copy);
}

static void an_owned_resource_is_taken_out_once(void) {
  wasmtime_component_resource_host_t *host = wasmtime_component_resource_host_new(true, 42, 7), *back = NULL;
  wasmtime_component_resource_any_t *any, *copy;
  expect_ok(wasmtime_component_resource_host_to_any(ctx, host, &any));
  wasmtime_component_resource_host_delete(host);
  expect(wasmtime_component_resource_any_owned(any));
  wasmtime_component_resource_type_t *type = wasmtime_component_resource_any_type(any);
  wasmtime_component_resource_type_t *same = wasmtime_component_resource_type_new_host(7);
  wasmtime_component_resource_type_t *other = wasmtime_component_resource_type_new_host(8);
  expect(wasmtime_component_resource_type_equal(type, same) && !wasmtime_component_resource_type_equal(type, other));
  wasmtime_component_resource_type_delete(type);
  wasmtime_component_resource_type_delete(same);
  wasmtime_component_resource_type_delete(other);
  copy = wasmtime_component_resource_any_clone(any);
  expect_ok(wasmtime_component_resource_any_to_host(ctx, any, &back));
  expect(back && wasmtime_component_resource_host_rep(back) == 42 && wasmtime_component_resource_host_owned(back));
  wasmtime_component_resource_host_delete(back);
  back = NULL;
  expect_error(wasmtime_component_resource_any_to_host(ctx, copy, &back));
  expect(!back);
  expect_error(wasmtime_component_resource_any_drop(ctx, copy));
  wasmtime_component_resource_any_delete(any);
  wasmtime_component_resource_any_delete(copy);
}

static void a_resource_is_dropped_once(void) {
  wasmtime_component_resource_host_t *host = wasmtime_component_resource_host_new(true, 42, 7);
  wasmtime_component_resource_any_t *any, *again;
  expect_ok(wasmtime_component_resource_host_to_any(ctx, host, &any));
  expect_ok(wasmtime_component_resource_host_to_any(ctx, host, &again)); // another handle
  wasmtime_component_resource_host_delete(host);
  expect_ok(wasmtime_component_resource_any_drop(ctx, any));
  expect_error_says(wasmtime_component_resource_any_drop(ctx, any), "unknown handle index 1");
  expect_ok(wasmtime_component_resource_any_drop(ctx, again));
  wasmtime_component_resource_any_delete(any);
  wasmtime_component_resource_any_delete(again);
}

static void a_borrow_needs_a_call(void) {
  wasmtime_component_resource_host_t *host = wasmtime_component_resource_host_new(false, 42, 7);
  wasmtime_component_resource_any_t *any = NULL;
  expect_error(wasmtime_component_resource_host_to_any(ctx, host, &any));
  expect(!any);
  wasmtime_component_resource_host_delete(host);
}

// A guest that keeps, borrows, gives back and drops resources of the host's, and makes ones of its own.
#ifdef AMPOULE_AGAINST // the text format of then
#define DTOR "(dtor (func $dtor))"
#else
#define DTOR "(dtor $dtor)"
#endif

#define RESOURCES                                                                                                     \
  "(component (import \"r\" (type $r (sub resource)))"                                                                \
  "(core func $drop (canon resource.drop $r))"                                                                        \
  "(core module $libc (table (export \"t\") 1 funcref) (global (export \"dropped\") (mut i32) (i32.const 0)))"        \
  "(core module $own (global $dropped (export \"dropped\") (mut i32) (i32.const 0))"                                  \
  "  (func (export \"dtor\") (param i32) (global.set $dropped (i32.add (global.get $dropped) (local.get 0)))"         \
  "    (if (i32.eq (local.get 0) (i32.const 66)) (then unreachable)))"                                                \
  "  (func (export \"how-much\") (result i32) (global.get $dropped)))"                                                \
  "(core instance $own (instantiate $own)) (alias core export $own \"dtor\" (core func $dtor))"                       \
  "(type $o' (resource (rep i32) " DTOR ")) (core func $new (canon resource.new $o'))"                     \
  "(core func $rep (canon resource.rep $o')) (core func $odrop (canon resource.drop $o'))"                            \
  "(core module $m (import \"\" \"drop\" (func $drop (param i32))) (import \"\" \"new\" (func $new (param i32) (result i32)))" \
  "  (global $kept (mut i32) (i32.const 0))"                                                                          \
  "  (func (export \"keep\") (param i32) (global.set $kept (local.get 0)))"                                           \
  "  (func (export \"give\") (result i32) (global.get $kept))"                                                        \
  "  (func (export \"drop-kept\") (call $drop (global.get $kept)))"                                                   \
  "  (func (export \"look\") (param i32) (call $drop (local.get 0)))"                                                 \
  "  (func (export \"lose\") (param i32)) (func (export \"make\") (param i32) (result i32) (call $new (local.get 0)))" \
  "  (func (export \"rep\") (param i32) (result i32) (local.get 0)))"                                                 \
  "(core instance $i (instantiate $m (with \"\" (instance (export \"drop\" (func $drop)) (export \"new\" (func $new))))))" \
  "(func (export \"keep\") (param \"a\" (own $r)) (canon lift (core func $i \"keep\")))"                              \
  "(func (export \"give\") (result (own $r)) (canon lift (core func $i \"give\")))"                                   \
  "(func (export \"drop-kept\") (canon lift (core func $i \"drop-kept\")))"                                           \
  "(func (export \"look\") (param \"a\" (borrow $r)) (canon lift (core func $i \"look\")))"                           \
  "(func (export \"lose\") (param \"a\" (borrow $r)) (canon lift (core func $i \"lose\")))"                           \
  "(export $o \"o\" (type $o'))"                                                                                      \
  "(func (export \"make\") (param \"a\" u32) (result (own $o)) (canon lift (core func $i \"make\")))"                 \
  "(func (export \"rep\") (param \"a\" (borrow $o)) (result u32) (canon lift (core func $i \"rep\")))"                \
  "(func (export \"how-much\") (result u32) (canon lift (core func $own \"how-much\"))))"

// What the destructor of the linker was told, summed up; 66 is an error.
static uint32_t destroyed;

static wasmtime_error_t *destroy(void *data, wasmtime_context_t *context, uint32_t rep) {
  (void)data;
  expect(context == ctx);
  destroyed += rep;
  return rep == 66 ? wasmtime_error_new("will not go") : NULL;
}

static wasmtime_component_instance_t guest;
static int finalized;

static void new_guest(void) {
  destroyed = 0;
  finalized = 0;
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  wasmtime_component_linker_instance_t *root = wasmtime_component_linker_root(linker);
  wasmtime_component_resource_type_t *type = wasmtime_component_resource_type_new_host(7);
  expect_ok(wasmtime_component_linker_instance_add_resource(root, "r", 1, type, destroy, &finalized, count_finalized));
  wasmtime_component_resource_type_delete(type);
  wasmtime_component_linker_instance_delete(root);
  guest = instance_with_linker(linker, RESOURCES);
  wasmtime_component_linker_delete(linker);
}

static wasmtime_error_t *run(const char *name) {
  wasmtime_component_func_t func = func_named(&guest, name);
  return wasmtime_component_func_call(&func, ctx, NULL, 0, NULL, 0);
}

// Passes a handle, which stays the caller's to delete.
static wasmtime_error_t *pass(const char *name, wasmtime_component_resource_any_t *any) {
  wasmtime_component_func_t func = func_named(&guest, name);
  val_t arg = val_of_kind(WASMTIME_COMPONENT_RESOURCE);
  arg.of.resource = any;
  return wasmtime_component_func_call(&func, ctx, &arg, 1, NULL, 0);
}

static wasmtime_component_resource_any_t *host_resource(uint32_t rep, uint32_t type) {
  wasmtime_component_resource_host_t *host = wasmtime_component_resource_host_new(true, rep, type);
  wasmtime_component_resource_any_t *any = NULL;
  expect_ok(wasmtime_component_resource_host_to_any(ctx, host, &any));
  wasmtime_component_resource_host_delete(host);
  return any;
}

static void a_guest_that_owns_a_resource_drops_it(void) {
  new_guest();
  wasmtime_component_resource_any_t *any = host_resource(5, 7);
  expect_ok(pass("keep", any));
  expect_error(pass("keep", any)); // it is the guest's now
  expect_error(wasmtime_component_resource_any_drop(ctx, any));
  wasmtime_component_resource_any_delete(any);
  expect(destroyed == 0);
  expect_ok(run("drop-kept"));
  expect(destroyed == 5);
  wasmtime_store_delete(store);
  store = NULL;
  expect(finalized == 1);
}

static void what_a_guest_has_had_is_destroyed_by_the_host(void) {
  new_guest();
  wasmtime_component_resource_any_t *any = host_resource(5, 7);
  expect_ok(wasmtime_component_resource_any_drop(ctx, any)); // none has had it
  wasmtime_component_resource_any_delete(any);
  expect(destroyed == 0);
  any = host_resource(6, 7);
  expect_ok(pass("keep", any));
  wasmtime_component_resource_any_delete(any);
  wasmtime_component_func_t give = func_named(&guest, "give");
  val_t back = bool_val(false);
  expect_ok(wasmtime_component_func_call(&give, ctx, NULL, 0, &back, 1));
  expect(back.kind == WASMTIME_COMPONENT_RESOURCE && wasmtime_component_resource_any_owned(back.of.resource));
  expect_ok(wasmtime_component_resource_any_drop(ctx, back.of.resource));
  expect(destroyed == 6);
  drop(back);
}

static void a_destructor_that_fails_fails_the_call(void) {
  new_guest();
  wasmtime_component_resource_any_t *any = host_resource(66, 7);
  expect_ok(pass("keep", any));
  wasmtime_component_resource_any_delete(any);
  expect_error_says(run("drop-kept"), "will not go");
}

static void an_owned_resource_may_be_lent(void) {
  new_guest();
  wasmtime_component_resource_any_t *any = host_resource(5, 7);
  expect_ok(pass("look", any));
  expect_ok(pass("look", any));
  wasmtime_component_resource_host_t *host = NULL;
  expect_ok(wasmtime_component_resource_any_to_host(ctx, any, &host));
  expect(destroyed == 0 && wasmtime_component_resource_host_rep(host) == 5);
  wasmtime_component_resource_host_delete(host);
  wasmtime_component_resource_any_delete(any);
}

static void a_borrow_has_to_be_given_back(void) {
  new_guest();
  wasmtime_component_resource_any_t *any = host_resource(5, 7);
  expect_error_says(pass("lose", any), "borrow handles still remain at the end of the call");
  wasmtime_component_resource_any_delete(any);
}

static void resources_of_another_type_are_refused(void) {
  new_guest();
  wasmtime_component_resource_any_t *any = host_resource(5, 8);
  expect_error_says(pass("keep", any), "mismatched resource types");
  expect_error_says(pass("look", any), "mismatched resource types");
  wasmtime_component_resource_any_delete(any);
}

// A resource of the guest's own.
static wasmtime_component_resource_any_t *made(uint32_t rep) {
  wasmtime_component_func_t make = func_named(&guest, "make");
  val_t back = bool_val(false);
  expect_ok(call_with(&make, u32_val(rep), &back));
  expect(back.kind == WASMTIME_COMPONENT_RESOURCE);
  return back.of.resource;
}

static uint32_t dropped_by_guest(void) {
  wasmtime_component_func_t func = func_named(&guest, "how-much");
  val_t back = bool_val(false);
  expect_ok(wasmtime_component_func_call(&func, ctx, NULL, 0, &back, 1));
  return back.of.u32;
}

static void a_resource_of_a_guest_is_destroyed_by_it(void) {
  new_guest();
  wasmtime_component_resource_any_t *any = made(9);
  wasmtime_component_func_t rep = func_named(&guest, "rep");
  val_t arg = val_of_kind(WASMTIME_COMPONENT_RESOURCE), back = bool_val(false);
  arg.of.resource = any;
  expect_ok(wasmtime_component_func_call(&rep, ctx, &arg, 1, &back, 1));
  expect(back.of.u32 == 9);
  wasmtime_component_resource_host_t *host = NULL;
  expect_error_says(wasmtime_component_resource_any_to_host(ctx, any, &host), "resource type mismatch");
  expect(!host && dropped_by_guest() == 0);
  expect_ok(wasmtime_component_resource_any_drop(ctx, any));
  expect(dropped_by_guest() == 9);
  expect_error_says(wasmtime_component_resource_any_drop(ctx, any), "unknown handle index 1");
  wasmtime_component_resource_any_delete(any);
}

static void a_destructor_that_traps_is_an_error(void) {
  new_guest();
  wasmtime_component_resource_any_t *any = made(66);
  expect_error_says(wasmtime_component_resource_any_drop(ctx, any), "wasm trap: wasm `unreachable` instruction executed");
  wasmtime_component_resource_any_delete(any);
}

static void types_of_guests_are_those_of_their_instance(void) {
  new_guest();
  wasmtime_component_resource_any_t *a = made(1), *b = made(2);
  wasmtime_component_resource_type_t *type_a = wasmtime_component_resource_any_type(a);
  wasmtime_component_resource_type_t *type_b = wasmtime_component_resource_any_type(b);
  wasmtime_component_resource_type_t *copy = wasmtime_component_resource_type_clone(type_a);
  expect(wasmtime_component_resource_type_equal(type_a, type_b));
  expect(wasmtime_component_resource_type_equal(type_a, copy));
  wasmtime_component_resource_type_delete(type_b);
  wasmtime_component_resource_type_delete(copy);
  new_guest();
  wasmtime_component_resource_any_t *c = made(1);
  type_b = wasmtime_component_resource_any_type(c);
  expect(!wasmtime_component_resource_type_equal(type_a, type_b));
  expect_error_says(pass("rep", a), "");
  wasmtime_component_resource_type_delete(type_a);
  wasmtime_component_resource_type_delete(type_b);
  wasmtime_component_resource_any_delete(a);
  wasmtime_component_resource_any_delete(b);
  wasmtime_component_resource_any_delete(c);
}

static void a_deleted_store_destroys_nothing(void) {
  new_guest();
  wasmtime_component_resource_any_t *any = host_resource(5, 7);
  expect_ok(pass("keep", any));
  wasmtime_component_resource_any_delete(any);
  wasmtime_store_delete(store);
  store = NULL;
  expect(destroyed == 0 && finalized == 1);
}

// 44.0.0 ends the process.
static void a_resource_is_one_of_its_store(void) {
  new_guest();
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_component_resource_any_t *any = host_resource(5, 7), *guests = made(3);
  wasmtime_component_resource_host_t *host = NULL;
  expect_error_says(wasmtime_component_resource_any_to_host(wasmtime_store_context(other), any, &host), "wrong store");
  expect_error_says(wasmtime_component_resource_any_drop(wasmtime_store_context(other), any), "wrong store");
  expect_error_says(wasmtime_component_resource_any_drop(wasmtime_store_context(other), guests), "wrong store");
  wasmtime_store_delete(other);
  val_t nothing = val_of_kind(WASMTIME_COMPONENT_RESOURCE);
  wasmtime_component_func_t keep = func_named(&guest, "keep");
  expect_error_says(wasmtime_component_func_call(&keep, ctx, &nothing, 1, NULL, 0), "type mismatch");
  wasmtime_component_resource_any_delete(any);
  wasmtime_component_resource_any_delete(guests);
}

int main(void) {
  RUN(vectors_own_their_elements);
  RUN(elements_can_be_filled_in);
  RUN(a_value_moves_to_a_box);
  RUN(copies_are_deep);
  RUN_HERE(a_deleted_value_holds_nothing);
  RUN_HERE(a_value_of_an_unknown_kind_owns_nothing);
  RUN(resources_of_the_host_are_numbers);
  RUN(an_owned_resource_is_taken_out_once);
  RUN(a_resource_is_dropped_once);
  RUN(a_borrow_needs_a_call);
  RUN(a_guest_that_owns_a_resource_drops_it);
  RUN(what_a_guest_has_had_is_destroyed_by_the_host);
  RUN(a_destructor_that_fails_fails_the_call);
  RUN(an_owned_resource_may_be_lent);
  RUN(a_borrow_has_to_be_given_back);
  RUN(resources_of_another_type_are_refused);
  RUN(a_resource_of_a_guest_is_destroyed_by_it);
  RUN(a_destructor_that_traps_is_an_error);
  RUN(types_of_guests_are_those_of_their_instance);
  RUN(a_deleted_store_destroys_nothing);
  RUN_HERE(a_resource_is_one_of_its_store);
  return test_summary();
}
