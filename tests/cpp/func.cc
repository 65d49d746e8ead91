// wasmtime/func.hh and wasmtime/val.hh: calls both ways, and the values that cross.
#include <cmath>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <wasmtime.hh>

#include "test.hh"

using namespace wasmtime;

static void values_know_their_kind() {
  World world;
  expect(Val().kind() == ValKind::I32 && Val().i32() == 0);
  expect(Val(1).i32() == 1 && Val(int64_t(2)).i64() == 2 && Val(3.0f).f32() == 3.0f && Val(4.0).f64() == 4.0);
  wasmtime_v128 bytes = {1, 2, 3};
  Val vector{V128(bytes)};
  expect(vector.kind() == ValKind::V128 && vector.v128().v128[2] == 3 && Val(V128()).v128().v128[2] == 0);
  Val none{std::optional<Func>()}, no_extern{std::optional<ExternRef>()}, no_any{std::optional<AnyRef>()},
      no_exn{std::optional<ExnRef>()};
  expect(none.kind() == ValKind::FuncRef && !none.funcref());
  expect(no_extern.kind() == ValKind::ExternRef && !no_extern.externref() && !no_extern.externref(world.store));
  expect(no_any.kind() == ValKind::AnyRef && !no_any.anyref());
  expect(no_exn.kind() == ValKind::ExnRef && !no_exn.exnref());
  Func func = Func::wrap(world.store, [] { return 5; });
  Val reference(func);
  expect(reference.funcref()->call(world.store, {}).unwrap()[0].i32() == 5);
  Val copy(reference), moved(std::move(reference));
  copy = moved;
  expect(copy.funcref() && reference.kind() == ValKind::I32);
  Val raw(moved.capi_release());
  expect(raw.funcref() && raw.capi()->kind == WASMTIME_FUNCREF);
}

struct Counted {
  int *alive;
  explicit Counted(int *alive_) : alive(alive_) { ++*alive; }
  Counted(const Counted &other) : alive(other.alive) { ++*alive; }
  ~Counted() { --*alive; }
};

static void references_keep_the_hosts_values() {
  int alive = 0;
  {
    World world;
    {
      ExternRef ref(world.store, Counted(&alive));
      expect(alive == 1);
      ExternRef copy(ref), moved(std::move(ref)), assigned(copy);
      assigned = moved;
      Val val(copy), second(val), third{std::optional<ExternRef>(moved)};
      second = third;
      expect(std::any_cast<Counted &>(second.externref()->data(world.store)).alive == &alive);
      expect(alive == 1);
      Val again = std::move(second);
    }
    world.store.context().gc().unwrap();
    expect(alive == 0);
    ExternRef left(world.store, Counted(&alive));
    expect(alive == 1);
  }
  expect(alive == 0); // the store is gone
}

static void references_can_be_raw() {
  World world;
  ExternRef ref(world.store, 5);
  uint32_t borrowed = ref.borrow_raw(world.store);
  wasmtime_externref_t again;
  wasmtime_externref_from_raw(world.store.context().capi(), borrowed, &again);
  expect(std::any_cast<int>(ExternRef(again).data(world.store)) == 5);
  expect(ref.take_raw(world.store) != 0 && ref.capi()->store_id == 0);
}

static void small_integers_are_anyrefs() {
  World world;
  AnyRef ref = AnyRef::i31(world.store, 0x7fffffff);
  expect(ref.is_i31(world.store) && ref.u31(world.store) == 0x7fffffffu && ref.i31(world.store) == -1);
  Val val(ref);
  expect(val.anyref()->i31(world.store) == -1);
  AnyRef copy(ref);
  expect(copy.borrow_raw(world.store) == ref.take_raw(world.store));
}

static void guests_are_called_with_values() {
  World world;
  Instance instance = world.instance(R"((module
    (func (export "swap") (param i32 i64) (result i64 i32) local.get 1 local.get 0)
    (func (export "none"))))");
  Func swap = world.get<Func>(instance, "swap");
  auto results = swap.call(world.store, {1, int64_t(2)}).unwrap();
  expect(results.size() == 2 && results[0].i64() == 2 && results[1].i32() == 1);
  std::vector<Val> params{3, int64_t(4)};
  expect(swap.call(world.store, params).unwrap()[0].i64() == 4);
  expect(swap.call(world.store, params.begin(), params.end()).unwrap()[1].i32() == 3);
  expect(world.get<Func>(instance, "none").call(world.store, {}).unwrap().empty());
  FuncType type = swap.type(world.store);
  expect(type->params().size() == 2 && type->results()[0].kind() == ValKind::I64);
  expect_error_says(swap.call(world.store, {1}), "expected 2 arguments, got 1");
  expect_error_says(swap.call(world.store, {1, 2}), "argument type mismatch");
  expect(swap.capi().store_id == swap.raw_func().store_id);
}

static void typed_functions_take_cpp_values() {
  World world;
  Instance instance = world.instance(R"((module
    (func (export "i32") (param i32) (result i32) local.get 0)
    (func (export "i64") (param i64) (result i64) local.get 0)
    (func (export "f32") (param f32) (result f32) local.get 0)
    (func (export "f64") (param f64) (result f64) local.get 0)
    (func (export "v128") (param v128) (result v128) local.get 0)
    (func (export "func") (param funcref) (result funcref) local.get 0)
    (func (export "extern") (param externref) (result externref) local.get 0)
    (func (export "two") (param i32 f64) (result f64 i32) local.get 1 local.get 0)
    (func (export "none"))
    (func (export "trap") unreachable)))");
  auto identity = [&](const char *name, auto value) {
    using T = decltype(value);
    return world.get<Func>(instance, name).typed<T, T>(world.store).unwrap().call(world.store, value).unwrap();
  };
  expect(identity("i32", int32_t(-1)) == -1);
  expect(identity("i32", uint32_t(0xffffffff)) == 0xffffffff);
  expect(identity("i64", int64_t(-2)) == -2);
  expect(identity("i64", uint64_t(1) << 63) == uint64_t(1) << 63);
  expect(identity("f32", 1.5f) == 1.5f);
  expect(identity("f64", -2.5) == -2.5);
  wasmtime_v128 bytes = {9, 8, 7};
  expect(identity("v128", V128(bytes)).v128[1] == 8);
  Func func = world.get<Func>(instance, "none");
  expect(identity("func", std::optional<Func>(func)));
  expect(!identity("func", std::optional<Func>()));
  ExternRef ref(world.store, std::string("text"));
  auto back = identity("extern", std::optional<ExternRef>(ref));
  expect(std::any_cast<std::string>(back->data(world.store)) == "text");
  expect(!identity("extern", std::optional<ExternRef>()));

  using Two = std::tuple<int32_t, double>;
  auto two = world.get<Func>(instance, "two").typed<Two, std::tuple<double, int32_t>>(world.store).unwrap();
  auto [first, second] = two.call(world.store, {7, 0.5}).unwrap();
  expect(first == 0.5 && second == 7);
  expect(two.func().type(world.store)->params().size() == 2);
  auto none = func.typed<std::monostate, std::monostate>(world.store).unwrap();
  expect(none.call(world.store, {}));
  expect((func.typed<std::tuple<>, std::tuple<>>(world.store).unwrap().call(world.store, {})));
  expect_error_says((func.typed<int32_t, std::monostate>(world.store)), "does not match");
  expect_error_says((world.get<Func>(instance, "two").typed<Two, double>(world.store)), "does not match");
}

static void a_typed_call_can_trap() {
  World world;
  Instance instance = world.instance("(module (func (export \"f\") unreachable))");
  auto func = world.get<Func>(instance, "f").typed<std::monostate, std::monostate>(world.store).unwrap();
  expect_error_says(func.call(world.store, {}), "unreachable");
}

static int32_t doubled(int32_t value) { return value * 2; }

struct Functor {
  int32_t added;
  int32_t operator()(int32_t value) { return value + added; }
};

static void callables_become_host_functions() {
  World world;
  auto call = [&](Func func, std::initializer_list<Val> params) { return func.call(world.store, params).unwrap(); };
  int calls = 0;
  expect(call(Func::wrap(world.store, [&] { calls++; }), {}).empty() && calls == 1);
  expect(call(Func::wrap(world.store, &doubled), {21})[0].i32() == 42);
  expect(call(Func::wrap(world.store, doubled), {2})[0].i32() == 4);
  expect(call(Func::wrap(world.store, Functor{3}), {4})[0].i32() == 7);
  std::function<double(double)> standard = [](double value) { return std::floor(value); };
  expect(call(Func::wrap(world.store, standard), {2.75})[0].f64() == 2);
  expect(call(Func::wrap(world.store, [](uint64_t a, float b) { return std::tuple(b, uint32_t(a)); }),
              {int64_t(1), 2.0f})[1]
             .i32() == 1);
  expect(call(Func::wrap(world.store, [](V128 v) noexcept { return v; }), {Val(V128())})[0].v128().v128[0] == 0);
  auto maybe = [](int32_t value) -> Result<int32_t, Trap> {
    if (value == 0) return Trap("zero is not accepted");
    return 100 / value;
  };
  Func fallible = Func::wrap(world.store, maybe);
  expect(call(fallible, {5})[0].i32() == 20);
  expect_error_says(fallible.call(world.store, {0}), "zero is not accepted");
  Func nothing = Func::wrap(world.store, [](int32_t ok) -> Result<std::monostate, Trap> {
    if (!ok) return Trap("not ok");
    return std::monostate();
  });
  expect(call(nothing, {1}).empty() && !nothing.call(world.store, {0}));
  expect(call(Func::wrap(world.store, [] { return std::monostate(); }), {}).empty());
  Func references = Func::wrap(world.store, [](std::optional<ExternRef> a, std::optional<Func> b) {
    return std::tuple(b, a);
  });
  ExternRef ref(world.store, 5);
  auto results = call(references, {ref, nothing});
  expect(results[0].funcref() && std::any_cast<int>(results[1].externref()->data(world.store)) == 5);
}

static void a_host_function_sees_its_caller() {
  World world;
  world.store.context().set_data(std::string("the store's"));
  Func log = Func::wrap(world.store, [](Caller caller, int32_t at, int32_t len) {
    Memory memory = std::get<Memory>(*caller.get_export("memory"));
    auto bytes = memory.data(caller).subspan(at, len);
    expect(std::string(bytes.begin(), bytes.end()) == "hello");
    expect(!caller.get_export("nothing") && caller.capi() != nullptr);
    expect(std::any_cast<std::string>(caller.context().get_data()) == "the store's");
    Store::Context same(&caller);
    expect(memory.size(same) == 1);
  });
  Instance instance = world.instance(R"((module
    (import "" "" (func $log (param i32 i32)))
    (memory (export "memory") 1) (data (i32.const 4) "hello")
    (func (export "run") i32.const 4 i32.const 5 call $log)))",
                                     {log});
  expect(world.get<Func>(instance, "run").call(world.store, {}));
}

static void a_function_of_any_type_is_made_at_run_time() {
  int alive = 0;
  {
    World world;
    FuncType type({ValKind::I32, ValKind::ExternRef}, {ValKind::ExternRef, ValKind::I32});
    Func func(world.store, type, [](Caller, Span<const Val> params, Span<Val> results) -> Result<std::monostate, Trap> {
      results[0] = params[1];
      if (params[0].i32() < 0) return Trap("negative"); // the result is taken back
      results[1] = params[0].i32() + 1;
      return std::monostate();
    });
    ExternRef ref(world.store, Counted(&alive));
    auto results = func.call(world.store, {1, ref}).unwrap();
    expect(results[1].i32() == 2 && results[0].externref());
    expect_error_says(func.call(world.store, {-1, ref}), "negative");
    Func wrong(world.store, FuncType({}, {ValKind::I64}),
               [](Caller, Span<const Val>, Span<Val> given) -> Result<std::monostate, Trap> {
                 given[0] = 1.0f;
                 return std::monostate();
               });
    expect_error_says(wrong.call(world.store, {}), "incompatible");
    expect(alive == 1);
  }
  expect(alive == 0);
}

#ifdef __cpp_exceptions
static void what_a_callback_throws_is_a_trap() {
  World world;
  Func func = Func::wrap(world.store, [](int32_t kind) {
    if (kind == 1) throw std::runtime_error("thrown by the host");
    if (kind == 2) throw 5;
  });
  Instance instance = world.instance(
      "(module (import \"\" \"\" (func $f (param i32))) (func (export \"f\") (param i32) local.get 0 call $f))", {func});
  Func exported = world.get<Func>(instance, "f");
  expect(exported.call(world.store, {0}));
  expect_error_says(exported.call(world.store, {1}), "thrown by the host");
  expect(!exported.call(world.store, {2}));
  Func checked(world.store, FuncType({}, {}), [](Caller, Span<const Val>, Span<Val>) -> Result<std::monostate, Trap> {
    throw std::runtime_error("thrown too");
  });
  expect_error_says(checked.call(world.store, {}), "thrown too");
}
#endif

static void host_functions_live_as_long_as_their_store() {
  int alive = 0;
  {
    World world;
    Func::wrap(world.store, [counted = Counted(&alive)] { (void)counted; });
    expect(alive == 1);
  }
  expect(alive == 0);
}

int main() {
  RUN(values_know_their_kind);
  RUN(references_keep_the_hosts_values);
  RUN(references_can_be_raw);
  RUN(small_integers_are_anyrefs);
  RUN(guests_are_called_with_values);
  RUN(typed_functions_take_cpp_values);
  RUN_FAULTING(a_typed_call_can_trap);
  RUN(callables_become_host_functions);
  RUN(a_host_function_sees_its_caller);
  RUN(a_function_of_any_type_is_made_at_run_time);
#ifdef __cpp_exceptions
  RUN(what_a_callback_throws_is_a_trap);
#endif
  RUN(host_functions_live_as_long_as_their_store);
  return test_summary();
}
