// wasmtime/gc.hh and wasmtime/exn.hh: structs, arrays and exceptions made by the host.
#include <wasmtime.hh>

#include "test.hh"

using namespace wasmtime;

#ifdef WASMTIME_FEATURE_GC

static World collected() {
  Config config;
  config.wasm_function_references(true);
  config.wasm_gc(true);
  config.wasm_exceptions(true);
  return World(std::move(config));
}

static void structs_have_fields() {
  World world = collected();
  StructType type = StructType::create(
      world.engine, {FieldType::mut_(ValKind::I32), FieldType::const_(ValKind::F64), FieldType::mut_(StorageType::i8())});
  StructRefPre pre = StructRefPre::create(world.store, type);
  StructRef object = StructRef::create(world.store, pre, {1, 2.5, 0x1ff}).unwrap();
  expect(object.field(world.store, 0).unwrap().i32() == 1 && object.field(world.store, 1).unwrap().f64() == 2.5);
  expect(object.field(world.store, 2).unwrap().i32() == 0xff);
  expect(object.set_field(world.store, 0, 7) && object.field(world.store, 0).unwrap().i32() == 7);
  expect(!object.set_field(world.store, 1, 1.0) && !object.field(world.store, 3));
  expect(!StructRef::create(world.store, pre, {1}));
  StructRef copy(object), moved(std::move(copy));
  expect(moved.field(world.store, 0).unwrap().i32() == 7);
  AnyRef any = object.to_anyref();
  expect(any.is_struct(world.store) && any.is_eqref(world.store) && !any.is_array(world.store));
  expect(any.as_struct(world.store)->field(world.store, 0).unwrap().i32() == 7);
  EqRef eq = object.to_eqref();
  expect(eq.is_struct(world.store) && eq.as_struct(world.store) && !eq.as_array(world.store));
  StructRef same = eq.as_struct(world.store);
  expect(same.field(world.store, 0).unwrap().i32() == 7);
  expect(!any.as_array(world.store) && eq.to_anyref().is_struct(world.store));
}

static void arrays_have_elements() {
  World world = collected();
  ArrayType type = ArrayType::create(world.engine, FieldType::mut_(StorageType::i16()));
  ArrayRefPre pre = ArrayRefPre::create(world.store, type);
  ArrayRef array = ArrayRef::create(world.store, pre, 3, 4).unwrap();
  expect(array.len(world.store).unwrap() == 4 && array.get(world.store, 3).unwrap().i32() == 3);
  expect(array.set(world.store, 0, 9) && array.get(world.store, 0).unwrap().i32() == 9);
  expect(!array.get(world.store, 4) && !array.set(world.store, 4, 1));
  expect(array.to_anyref().is_array(world.store) && array.to_anyref().as_array(world.store));
  expect(array.to_eqref().is_array(world.store) && array.to_eqref().as_array(world.store)->len(world.store).unwrap() == 4);
  expect(!array.to_eqref().is_struct(world.store));
}

static void small_integers_are_eqrefs() {
  World world = collected();
  EqRef eq = EqRef::from_i31(world.store, 0x7fffffff);
  expect(eq.is_i31(world.store) && eq.i31_get_u(world.store) == 0x7fffffffu && eq.i31_get_s(world.store) == -1);
  expect(!eq.is_struct(world.store));
  AnyRef any = AnyRef::i31(world.store, 5);
  expect(any.as_eqref(world.store)->i31_get_u(world.store) == 5u && any.is_eqref(world.store));
  expect(!any.as_struct(world.store));
}

static void descriptions_of_fields() {
  FieldType field(true, StorageType(ValKind::I64));
  expect(field.is_mutable() && field.storage().capi() == WASMTIME_I64);
  expect(!FieldType::const_(StorageType::i16()).is_mutable());
  expect(FieldType(wasmtime_field_type_t{WASMTIME_STORAGE_KIND_I8, false}).storage().capi() == WASMTIME_STORAGE_KIND_I8);
}

static void exceptions_cross_the_boundary() {
  World world = collected();
  Tag tag = Tag::create(world.store, TagType(FuncType({ValKind::I32}, {}))).unwrap();
  expect(!Exn::create(world.store, tag, {}));
  expect(!world.store.context().has_exception() && !world.store.context().take_exception());
  Exn exn = Exn::create(world.store, tag, {7}).unwrap();
  expect(exn.field_count(world.store) == 1 && exn.field(world.store, 0).unwrap().i32() == 7);
  expect(!exn.field(world.store, 1) && exn.tag(world.store).unwrap().eq(world.store, tag));
  Func thrower = Func::wrap(world.store, [&](Caller caller) -> Result<std::monostate, Trap> {
    return caller.context().throw_exception(Exn::create(caller, tag, {8}).unwrap());
  });
  Instance instance = world.instance(R"((module (import "" "f" (func $f)) (import "" "t" (tag $t (param i32)))
    (func (export "catch") (result i32) (block $caught (result i32) (try_table (catch $t $caught) (call $f)) (i32.const 0)))
    (func (export "pass") (call $f))))",
                                     {thrower, tag});
  expect(world.get<Func>(instance, "catch").call(world.store, {}).unwrap()[0].i32() == 8);
  expect(!world.get<Func>(instance, "pass").call(world.store, {}));
  expect(world.store.context().has_exception());
  Exn left = *world.store.context().take_exception();
  expect(left.field(world.store, 0).unwrap().i32() == 8 && !world.store.context().has_exception());
}

static void objects_of_guests_are_values() {
  World world = collected();
  Instance instance = world.instance(R"((module (type $p (struct (field $x (mut i32)) (field i64))) (type $a (array (mut i16)))
    (func (export "point") (param i32) (result (ref $p)) (struct.new $p (local.get 0) (i64.const -2)))
    (func (export "x") (param (ref null $p)) (result i32) (struct.get $p $x (local.get 0)))
    (func (export "array") (param i32) (result anyref) (array.new $a (i32.const 7) (local.get 0)))
    (func (export "out") (param anyref) (result externref) (extern.convert_any (local.get 0)))
    (func (export "in") (param externref) (result anyref) (any.convert_extern (local.get 0)))
    (global (export "g") (mut (ref null $p)) (ref.null $p)) (table (export "t") 2 (ref null $p))))");
  auto get = [&](const char *name) { return world.get<Func>(instance, name); };
  Val point = get("point").call(world.store, {5}).unwrap()[0];
  expect(point.kind() == ValKind::AnyRef && point.anyref() && point.anyref()->is_struct(world.store));
  expect(world.store.context().gc());
  StructRef structure = *point.anyref()->as_struct(world.store);
  expect(structure.field(world.store, 1).unwrap().i64() == -2 && structure.set_field(world.store, 0, 6));
  expect(!structure.set_field(world.store, 1, int64_t(1)));
  expect(get("x").call(world.store, {point}).unwrap()[0].i32() == 6);
  Val array = get("array").call(world.store, {3}).unwrap()[0];
  expect(array.anyref()->is_array(world.store) && array.anyref()->as_array(world.store)->len(world.store).unwrap() == 3);
  expect(array.anyref()->as_array(world.store)->get(world.store, 2).unwrap().i32() == 7);
  expect_error_says(get("x").call(world.store, {array}), "argument type mismatch");
  Val outside = get("out").call(world.store, {point}).unwrap()[0];
  expect(outside.kind() == ValKind::ExternRef);
  Val inside = get("in").call(world.store, {outside}).unwrap()[0];
  expect(get("x").call(world.store, {inside}).unwrap()[0].i32() == 6);
  Global global = world.get<Global>(instance, "g");
  expect(global.set(world.store, point) && !global.set(world.store, array));
  expect(global.get(world.store).anyref()->is_struct(world.store));
  Table table = world.get<Table>(instance, "t");
  expect(table.set(world.store, 1, point) && !table.set(world.store, 1, array));
  expect(table.get(world.store, 1)->anyref()->is_struct(world.store) && !table.get(world.store, 0)->anyref());
}

static void traps_of_objects_have_codes() {
  World world = collected();
  Instance instance = world.instance(R"((module (type $p (sub (struct (field i32)))) (type $q (sub $p (struct (field i32))))
    (type $a (array i8))
    (func (export "null") (result i32) (struct.get $p 0 (ref.null $p)))
    (func (export "cast") (drop (ref.cast (ref $q) (struct.new_default $p))))
    (func (export "bounds") (result i32) (array.get_u $a (array.new_default $a (i32.const 2)) (i32.const 2)))))");
  auto text = [&](const char *name) {
    auto result = world.get<Func>(instance, name).call(world.store, {});
    return result ? std::string() : result.err().message();
  };
  expect(text("null").find("null reference") != std::string::npos);
  expect(text("cast").find("cast failure") != std::string::npos);
  expect(text("bounds").find("out of bounds array access") != std::string::npos);
}

int main() {
  RUN(structs_have_fields);
  RUN(arrays_have_elements);
  RUN(objects_of_guests_are_values);
  RUN_FAULTING(traps_of_objects_have_codes);
  RUN(small_integers_are_eqrefs);
  RUN(descriptions_of_fields);
  RUN(exceptions_cross_the_boundary);
  return test_summary();
}

#else

int main() {
  (void)test_run; // this library has no garbage-collected types
  return test_summary();
}

#endif
