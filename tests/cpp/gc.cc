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

// Whether the engine makes structs and arrays at all; where it does not, a type that is to have some is refused.
static bool has_objects() {
  Config config;
  config.wasm_function_references(true);
  config.wasm_gc(true);
  Engine engine(std::move(config));
  Store store(engine);
  wasmtime_field_type_t field = FieldType::mut_(ValKind::I32).capi();
  StructType type(wasmtime_struct_type_new(engine.capi(), &field, 1));
  if (type.capi() == nullptr) return false;
  StructRefPre pre(wasmtime_struct_ref_pre_new(store.context().capi(), type.capi()));
  return pre.capi() != nullptr && StructRef::create(store, pre, {1});
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
  auto made = Exn::create(world.store, tag, {7});
  expect(!Exn::create(world.store, tag, {}));
  expect(!world.store.context().has_exception() && !world.store.context().take_exception());
  if (!made) return test_skip("exceptions", "the host has none in this library");
  Exn exn = made.ok();
  expect(exn.field_count(world.store) == 1 && exn.field(world.store, 0).unwrap().i32() == 7);
  expect(!exn.field(world.store, 1) && exn.tag(world.store).unwrap().eq(world.store, tag));
  if (!Module::compile(world.engine, "(module (tag))")) return test_skip("exceptions of guests", "guests have none in this library");
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

int main() {
  if (has_objects()) {
    RUN(structs_have_fields);
    RUN(arrays_have_elements);
  }
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
