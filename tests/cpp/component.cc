// wasmtime/component.hh, all but the types: components, linkers, functions, values and resources.
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <wasmtime.hh>

#include "test.hh"

#ifdef WASMTIME_FEATURE_COMPONENT_MODEL

using namespace wasmtime::component;
using wasmtime::Config;
using wasmtime::Engine;
using wasmtime::Error;
using wasmtime::Result;
using wasmtime::Span;
using wasmtime::Store;
using Done = Result<std::monostate>;

// The world of a claim with components; what cannot be made ends the process.
struct Host {
  Engine engine;
  Store store;
  Linker linker;

  Host() : store(engine), linker(engine) {}
  explicit Host(Config config) : engine(std::move(config)), store(engine), linker(engine) {}

  Component component(std::string_view wat) { return Component::compile(engine, wat).unwrap(); }
  Instance instance(std::string_view wat) { return linker.instantiate(store, component(wat)).unwrap(); }
  Func func(const Instance &instance, std::string_view name) {
    ExportIndex index = instance.get_export_index(store, nullptr, name).value();
    return instance.get_func(store, index).value();
  }
  Done call(const Instance &instance, std::string_view name, std::vector<Val> args = {}) {
    return func(instance, name).call(store, args, {});
  }
  Result<Val> get(const Instance &instance, std::string_view name, std::vector<Val> args = {}) {
    Val result(false);
    Done done = func(instance, name).call(store, args, Span<Val>(&result, 1));
    if (!done) return done.err();
    return result;
  }
};

static const char *const adder = R"((component
  (core module $m (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "fail") unreachable))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
  (func (export "fail") (canon lift (core func $i "fail")))))";

#ifdef AMPOULE_AGAINST // the text format of then
#define DTOR "(dtor (func $dtor))"
#define REALLOC "(realloc (func $realloc))"
#else
#define DTOR "(dtor $dtor)"
#define REALLOC "(realloc $realloc)"
#endif

// A component that imports `do` and exports `call`, which passes its parameter to `do` and returns what that returns. The
// type flattens to the core types `flat`.
static std::string echo(std::string type, std::string flat) {
  bool one = flat.find(' ') == std::string::npos;
  std::string gets;
  for (size_t i = 0; i <= flat.size() / 4; i++) gets += "(local.get " + std::to_string(i) + ")";
  std::string core = one ? "(param " + flat + ") (result " + flat + ")" : "(param " + flat + " i32)";
  std::string body = one ? "(call $do (local.get 0))" : "(call $do " + gets + " (i32.const 64)) (i32.const 64)";
  return "(component (type $T' " + type + ") (import \"t\" (type $T (eq $T')))"
    "(import \"do\" (func $do (param \"a\" $T) (result $T)))"
    "(core module $libc (memory (export \"memory\") 1) (global $next (mut i32) (i32.const 1024))"
    "  (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (global.get $next)"
    "    (global.set $next (i32.and (i32.add (global.get $next) (i32.add (local.get 3) (i32.const 7))) (i32.const -8)))))"
    "(core instance $libc (instantiate $libc)) (alias core export $libc \"memory\" (core memory $memory))"
    "(alias core export $libc \"realloc\" (core func $realloc))"
    "(core func $lowered (canon lower (func $do) (memory $memory) " REALLOC "))"
    "(core module $m (import \"\" \"do\" (func $do " + core + "))"
    "  (func (export \"call\") (param " + flat + ") (result " + (one ? flat : "i32") + ") " + body + "))"
    "(core instance $i (instantiate $m (with \"\" (instance (export \"do\" (func $lowered))))))"
    "(func (export \"call\") (param \"a\" $T) (result $T) (canon lift (core func $i \"call\")"
    "  (memory $memory) " REALLOC ")))";
}

// Sends `sent` through the guest to a host function that answers with `answer`, and returns what each side has received.
static std::pair<Val, Val> exchange(Host &host, std::string type, std::string flat, Val sent, Val answer) {
  auto received = std::make_shared<Val>(false);
  host.linker.allow_shadowing(true);
  host.linker.root().add_func("do", [=](Store::Context, const FuncType &func, Span<Val> args,
      Span<Val> results) -> Done {
    expect(func.param_count() == 1 && func.result() && args.size() == 1 && results.size() == 1);
    *received = std::move(args[0]);
    results[0] = answer;
    return std::monostate();
  }).unwrap();
  Val result = host.get(host.instance(echo(type, flat)), "call", {std::move(sent)}).unwrap();
  return {*received, std::move(result)};
}

static void numbers_go_both_ways() {
  Host host;
#define BOTH_WAYS(name, wit, flat, first, second)                                          \
  {                                                                                        \
    auto [in, out] = exchange(host, wit, flat, Val(first), Val(second));                   \
    expect(in.is_##name() && in.get_##name() == first);                                    \
    expect(out.is_##name() && out.get_##name() == second);                                 \
  }
  BOTH_WAYS(bool, "bool", "i32", true, false);
  BOTH_WAYS(u8, "u8", "i32", uint8_t(1), uint8_t(255));
  BOTH_WAYS(s8, "s8", "i32", int8_t(-128), int8_t(127));
  BOTH_WAYS(u16, "u16", "i32", uint16_t(1), uint16_t(65535));
  BOTH_WAYS(s16, "s16", "i32", int16_t(-32768), int16_t(3));
  BOTH_WAYS(u32, "u32", "i32", uint32_t(1), uint32_t(4294967295));
  BOTH_WAYS(s32, "s32", "i32", int32_t(-1), int32_t(2147483647));
  BOTH_WAYS(u64, "u64", "i64", uint64_t(1), ~uint64_t(0));
  BOTH_WAYS(s64, "s64", "i64", int64_t(-1), int64_t(1) << 62);
  BOTH_WAYS(f32, "f32", "f32", 1.5f, -0.25f);
  BOTH_WAYS(f64, "f64", "f64", 1e300, -2.5);
  auto [in, out] = exchange(host, "char", "i32", Val::char_('a'), Val::char_(0x1f600));
  expect(in.is_char() && in.get_char() == 'a' && out.get_char() == 0x1f600 && !in.is_u32());
}

static void strings_and_enumerations_go_both_ways() {
  Host host;
  auto [in, out] = exchange(host, "string", "i32 i32", Val::string("hello"), Val::string(""));
  expect(in.is_string() && in.get_string() == "hello" && out.is_string() && out.get_string().empty());
  auto [first, second] = exchange(host, "(enum \"a\" \"b\")", "i32", Val::enum_("a"), Val::enum_("b"));
  expect(first.is_enum() && first.get_enum() == "a" && second.get_enum() == "b" && !second.is_string());
  Val text = Val::string("one");
  Val copy = text;
  text = Val::string("two");
  expect(copy.get_string() == "one" && text.get_string() == "two");
  Val moved(std::move(text));
  expect(moved.get_string() == "two" && text.is_bool() && !text.get_bool());
}

static void records_go_both_ways() {
  Host host;
  Record point({{"x", uint64_t(1)}, {"y", 0.5}});
  auto [in, out] = exchange(host, "(record (field \"x\" u64) (field \"y\" f64))", "i64 f64", point,
                            Record({{"x", Val(uint64_t(3))}, {"y", Val(-1.0)}}));
  expect(point.size() == 2 && in.is_record() && out.is_record());
  const Record &received = in.get_record();
  expect(received.size() == 2 && received.end() - received.begin() == 2);
  expect(received.begin()->name() == "x" && received.begin()->value().get_u64() == 1);
  expect(received.begin()[1].name() == "y" && received.begin()[1].value().get_f64() == 0.5);
  expect(out.get_record().begin()[0].value().get_u64() == 3 && out.get_record().begin()[1].value().get_f64() == -1.0);
  Record outer({{"inner", point}, {"n", uint8_t(2)}});
  expect(outer.begin()->value().get_record().begin()->name() == "x" && point.size() == 2);
  Val taken = std::move(outer);
  expect(taken.is_record() && outer.size() == 0);
}

static void lists_and_tuples_go_both_ways() {
  Host host;
  auto [in, out] = exchange(host, "(list u32)", "i32 i32", List({uint32_t(1), uint32_t(2), uint32_t(3)}),
      List(std::vector<Val>()));
  expect(in.is_list() && in.get_list().size() == 3 && out.is_list() && out.get_list().size() == 0);
  uint32_t next = 1;
  for (const Val &element : in.get_list()) expect(element.get_u32() == next++);
  auto [words, more] = exchange(host, "(list string)", "i32 i32", List({Val::string("a")}), List({Val::string("b"),
      Val::string("c")}));
  expect(words.get_list().begin()->get_string() == "a" && more.get_list().begin()[1].get_string() == "c");
  auto [pair, other] = exchange(host, "(tuple u32 s8)", "i32 i32", Tuple({uint32_t(7), int8_t(-7)}),
      Tuple({uint32_t(8), int8_t(-8)}));
  expect(pair.is_tuple() && pair.get_tuple().size() == 2 && pair.get_tuple().begin()[1].get_s8() == -7);
  expect(other.get_tuple().begin()->get_u32() == 8 && other.get_tuple().end()[-1].get_s8() == -8);
  List list({uint32_t(1), uint32_t(2)});
  List copy = list, moved = std::move(list);
  expect(list.size() == 0 && copy.size() == 2 && moved.size() == 2);
  list = copy;
  copy = List({Val(true)});
  expect(list.size() == 2 && copy.begin()->get_bool());
}

static void variants_go_both_ways() {
  Host host;
  const char *type = "(variant (case \"num\" u32) (case \"text\" string) (case \"none\"))";
  auto [in, out] = exchange(host, type, "i32 i32 i32", Variant("num", uint32_t(123)), Variant("text",
      Val::string("words")));
  expect(in.is_variant() && in.get_variant().discriminant() == "num" && in.get_variant().value()->get_u32() == 123);
  expect(out.get_variant().discriminant() == "text" && out.get_variant().value()->get_string() == "words");
  auto [none, same] = exchange(host, type, "i32 i32 i32", Variant("none", std::nullopt), Variant("none", std::nullopt));
  expect(none.get_variant().value() == nullptr && same.get_variant().discriminant() == "none");
  Variant outer("outer", out.get_variant()), copy = outer, moved = std::move(outer);
  expect(outer.discriminant().empty() && outer.value() == nullptr);
  expect(copy.value()->get_variant().value()->get_string() == "words" && moved.discriminant() == "outer");
}

static void options_and_results_go_both_ways() {
  Host host;
  auto [some, none] = exchange(host, "(option u32)", "i32 i32", WitOption(Val(uint32_t(5))), WitOption(std::nullopt));
  expect(some.is_option() && some.get_option().value()->get_u32() == 5);
  expect(none.is_option() && none.get_option().value() == nullptr);
  auto [ok, err] = exchange(host, "(result u32 (error string))", "i32 i32 i32", WitResult::ok(uint32_t(9)),
      WitResult::err(Val::string("no")));
  expect(ok.is_result() && ok.get_result().is_ok() && ok.get_result().payload()->get_u32() == 9);
  expect(!err.get_result().is_ok() && err.get_result().payload()->get_string() == "no");
  auto [empty, failed] = exchange(host, "(result)", "i32", WitResult::ok(std::nullopt), WitResult::err(std::nullopt));
  expect(empty.get_result().is_ok() && empty.get_result().payload() == nullptr && !failed.get_result().is_ok());
  WitOption inner(Val(uint32_t(42))), outer{Val(inner)}, moved = std::move(inner);
  expect(outer.value()->get_option().value()->get_u32() == 42 && inner.value() == nullptr && moved.value() != nullptr);
  WitResult result = WitResult::ok(uint32_t(1)), copy = result;
  result = WitResult::err(std::nullopt);
  expect(copy.is_ok() && copy.payload()->get_u32() == 1 && !result.is_ok());
}

static void flags_and_maps_go_both_ways() {
  Host host;
  auto [in, out] = exchange(host, "(flags \"a\" \"b\" \"c\")", "i32", Flags({Flag("c"), Flag("a")}),
      Flags(std::vector<Flag>()));
  expect(in.is_flags() && in.get_flags().size() == 2 && in.get_flags().begin()->name() == "a" &&
      in.get_flags().end()[-1].name() == "c");
  expect(out.get_flags().size() == 0 && out.get_flags().begin() == out.get_flags().end());
  Flag flag("x"), copy = flag, moved = std::move(flag);
  expect(flag.name().empty() && copy.name() == "x" && moved.name() == "x" && copy.capi()->size == 1);
  copy = Flag("y");
  flag = copy;
  expect(flag.name() == "y");
  Config config;
  config.wasm_component_model_map(true);
  Host with_maps(std::move(config));
  Map ages({{Val::string("ann"), uint32_t(30)}, {Val::string("bob"), uint32_t(40)}});
  auto [map, none] = exchange(with_maps, "(map string u32)", "i32 i32", ages, Map(std::vector<std::pair<Val, Val>>()));
  expect(map.is_map() && map.get_map().size() == 2 && none.get_map().begin() == none.get_map().end());
  expect(map.get_map().begin()->key().get_string() == "ann" && map.get_map().end()[-1].value().get_u32() == 40);
}

static void c_values_are_seen_as_values() {
  wasmtime_component_val_t raw;
  raw.kind = WASMTIME_COMPONENT_U32;
  raw.of.u32 = 7;
  expect(Val::from_capi(&raw)->get_u32() == 7);
  *Val::from_capi(&raw) = Val::string("text");
  expect(raw.kind == WASMTIME_COMPONENT_STRING && raw.of.string.size == 4);
  Val taken(std::move(raw));
  expect(raw.kind == WASMTIME_COMPONENT_BOOL && taken.get_string() == "text" && Val::to_capi(&taken) == taken.capi());
  List list({Val(true)});
  wasmtime_component_vallist_t given = list.capi_release();
  expect(given.size == 1 && list.size() == 0);
  expect(List::from_capi(&given)->begin()->get_bool());
  List back(std::move(given));
  expect(given.size == 0 && back.size() == 1 && List::to_capi(&back) == back.capi());
}

static void components_come_from_text_and_bytes() {
  Host host;
  std::vector<uint8_t> binary = wasmtime::wat2wasm(adder).unwrap();
  Component component = Component::compile(host.engine, binary).unwrap();
  Component copy = component, moved = std::move(component);
  expect(copy.export_index(nullptr, "add") && moved.export_index(nullptr, "fail") && !copy.export_index(nullptr,
      "none"));
  expect_error_says(Component::compile(host.engine, "(component (nonsense))"), "nonsense");
  expect(!Component::compile(host.engine, "(module)"));
  std::vector<uint8_t> bytes = moved.serialize().unwrap();
  auto sum = [&](const Component &loaded) {
    Instance instance = host.linker.instantiate(host.store, loaded).unwrap();
    return host.get(instance, "add", {uint32_t(40), uint32_t(2)}).unwrap().get_u32();
  };
  expect(sum(Component::deserialize(host.engine, bytes).unwrap()) == 42);
  std::string path = "/tmp/ampoule-cpp-component-" + std::to_string(reinterpret_cast<uintptr_t>(&bytes)) + ".cwasm";
  std::FILE *file = std::fopen(path.c_str(), "wb");
  expect(file && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
  std::fclose(file);
  expect(sum(Component::deserialize_file(host.engine, path).unwrap()) == 42);
  std::remove(path.c_str());
  expect(!Component::deserialize_file(host.engine, path));
  bytes.resize(bytes.size() / 2);
  expect(!Component::deserialize(host.engine, bytes));
}

static void exports_are_found_by_index() {
  Host host;
  Component component = host.component(R"((component
    (core module $m (func (export "f") (result i32) (i32.const 5))) (core instance $i (instantiate $m))
    (func $f (result u32) (canon lift (core func $i "f")))
    (instance $inner (export "f" (func $f))) (export "inner" (instance $inner))))");
  Instance instance = host.linker.instantiate(host.store, component).unwrap();
  ExportIndex inner = component.export_index(nullptr, "inner").value();
  ExportIndex index = component.export_index(&inner, "f").value(), copy = index;
  Func func = instance.get_func(host.store, copy).value();
  Val result(false);
  func.call(host.store, {}, Span<Val>(&result, 1)).unwrap();
  func.post_return(host.store).unwrap();
  expect(result.get_u32() == 5 && func.type(host.store).result()->is_u32());
  expect(instance.get_export_index(host.store, &inner, "f") && !instance.get_export_index(host.store, nullptr, "f"));
  expect(!instance.get_func(host.store, inner));
  Func raw(*func.capi());
  expect(raw.call(host.store, {}, Span<Val>(&result, 1)) && Instance(*instance.capi()).get_func(host.store, index));
}

static void calls_that_do_not_fit_are_errors() {
  Host host;
  Instance instance = host.instance(adder);
  expect(!host.get(instance, "add", {uint32_t(1)}));
  expect(!host.get(instance, "add", {uint32_t(1), Val::string("two")}));
  expect(!host.call(instance, "add", {uint32_t(1), uint32_t(2)}));
  expect(host.get(instance, "add", {uint32_t(1), uint32_t(2)}).unwrap().get_u32() == 3);
}

static void a_guest_that_traps_ends_the_store() {
  Host host;
  Instance instance = host.instance(adder);
  expect_error_says(host.call(instance, "fail"), "unreachable");
  expect_error_says(host.get(instance, "add", {uint32_t(1), uint32_t(2)}), "cannot enter component instance");
}

static const char *const caller = R"((component
  (import "a:b/host" (instance $host (export "tick" (func))))
  (core func $tick (canon lower (func $host "tick")))
  (core module $m (import "" "tick" (func $tick)) (func (export "run") (call $tick)))
  (core instance $i (instantiate $m (with "" (instance (export "tick" (func $tick))))))
  (func (export "run") (canon lift (core func $i "run")))))";

static void a_linker_finds_imports_by_name() {
  Host host;
  Component component = host.component(caller);
  expect_error_says(host.linker.instantiate(host.store, component), "a:b/host");
  auto ticks = std::make_shared<int>(0);
  {
    LinkerInstance root = host.linker.root();
    LinkerInstance instance = root.add_instance("a:b/host").unwrap();
    auto tick = [ticks](Store::Context, const FuncType &type, Span<Val> args, Span<Val> results) -> Done {
      expect(type.param_count() == 0 && args.empty() && results.empty());
      ++*ticks;
      return std::monostate();
    };
    instance.add_func("tick", tick).unwrap();
    expect(!instance.add_func("tick", tick) && !root.add_instance("a:b/host"));
  }
  Instance instance = host.linker.instantiate(host.store, component).unwrap();
  expect(host.call(instance, "run") && host.call(instance, "run") && *ticks == 2);
  Linker moved(std::move(host.linker));
  Store other(host.engine); // host functions of a linker fit every store
  expect(moved.instantiate(other, component));
  expect(ticks.use_count() > 1);
  { Linker gone(std::move(moved)); }
  { Store gone(std::move(other)); }
  { Store gone(std::move(host.store)); }
  expect(ticks.use_count() == 1); // the lambda went with the linker and the stores
}

static void what_a_host_function_says_comes_out() {
  for (bool throws : {false, true}) {
    Host host;
    host.linker.root().add_instance("a:b/host").unwrap().add_func(
      "tick", [throws](Store::Context, const FuncType &, Span<Val>, Span<Val>) -> Done {
        if (throws) throw std::runtime_error("thrown by the host");
        return Error("said by the host");
      }).unwrap();
    expect_error_says(host.call(host.instance(caller), "run"), throws ? "thrown by the host" : "said by the host");
  }
}

static void modules_and_missing_imports() {
  Host host;
  auto module = wasmtime::Module::compile(host.engine, "(module (func (export \"f\")))").unwrap();
  const char *wat = "(component (import \"m\" (core module (export \"f\" (func)))))";
  expect(!host.linker.instantiate(host.store, host.component(wat)));
  host.linker.root().add_module("m", module).unwrap();
  expect(!host.linker.root().add_module("m", module));
  host.linker.allow_shadowing(true);
  host.linker.root().add_module("m", module).unwrap();
  expect(host.linker.instantiate(host.store, host.component(wat)));
  Component component = host.component(caller);
  host.linker.define_unknown_imports_as_traps(component).unwrap();
  expect_error_says(host.call(host.linker.instantiate(host.store, component).unwrap(), "run"), "tick");
}

static const char *const keeper = R"((component
  (import "r" (type $r (sub resource))) (core func $drop (canon resource.drop $r))
  (core module $m (import "" "drop" (func $drop (param i32))) (global $kept (mut i32) (i32.const 0))
    (func (export "keep") (param i32) (global.set $kept (local.get 0)))
    (func (export "give") (result i32) (global.get $kept))
    (func (export "drop-kept") (call $drop (global.get $kept)))
    (func (export "look") (param i32) (call $drop (local.get 0))))
  (core instance $i (instantiate $m (with "" (instance (export "drop" (func $drop))))))
  (func (export "keep") (param "a" (own $r)) (canon lift (core func $i "keep")))
  (func (export "give") (result (own $r)) (canon lift (core func $i "give")))
  (func (export "drop-kept") (canon lift (core func $i "drop-kept")))
  (func (export "look") (param "a" (borrow $r)) (canon lift (core func $i "look")))))";

static void resources_of_the_host_go_to_guests() {
  Host host;
  auto destroyed = std::make_shared<uint32_t>(0);
  host.linker.root().add_resource("r", ResourceType(7), [destroyed](Store::Context, uint32_t rep) -> Done {
    if (rep == 66) return Error("will not go");
    *destroyed += rep;
    return std::monostate();
  }).unwrap();
  Instance instance = host.instance(keeper);
  ResourceHost thing(true, 42, 7);
  ResourceHost same = thing;
  expect(same.owned() && same.rep() == 42 && same.type() == 7);
  ResourceAny any = thing.to_any(host.store).unwrap();
  expect(any.owned() && any.type() == ResourceType(7) && any.type() != ResourceType(8));
  Val handle(any);
  expect(handle.is_resource() && handle.get_resource().owned());
  expect(host.call(instance, "look", {handle}) && host.call(instance, "keep", {handle}));
  expect(!any.drop(host.store)); // it is the guest's
  Val back = host.get(instance, "give").unwrap();
  ResourceAny returned = back.get_resource();
  expect(returned.to_host(host.store).unwrap().rep() == 42 && !returned.to_host(host.store) && *destroyed == 0);
  host.call(instance, "keep", {ResourceHost(true, 5, 7).to_any(host.store).unwrap()}).unwrap();
  expect(host.call(instance, "drop-kept") && *destroyed == 5);
  expect(!ResourceHost(false, 1, 7).to_any(host.store)); // no call could lend it
  host.call(instance, "keep", {ResourceHost(true, 66, 7).to_any(host.store).unwrap()}).unwrap();
  expect_error_says(host.call(instance, "drop-kept"), "will not go");
}

static void resources_of_guests_come_to_the_host() {
  Host host;
  Instance instance = host.instance(R"((component
    (core module $own (global $gone (mut i32) (i32.const 0))
      (func (export "dtor") (param i32) (global.set $gone (local.get 0)))
      (func (export "gone") (result i32) (global.get $gone)))
    (core instance $own (instantiate $own)) (alias core export $own "dtor" (core func $dtor))
    (type $o' (resource (rep i32) )" DTOR R"()) (core func $new (canon resource.new $o'))
    (core module $m (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "rep") (param i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (export $o "o" (type $o'))
    (func (export "make") (param "a" u32) (result (own $o)) (canon lift (core func $i "make")))
    (func (export "rep") (param "a" (borrow $o)) (result u32) (canon lift (core func $i "rep")))
    (func (export "gone") (result u32) (canon lift (core func $own "gone")))))");
  ResourceAny made = host.get(instance, "make", {uint32_t(11)}).unwrap().get_resource();
  ResourceAny copy = made;
  expect(made.owned() && made.type() == copy.type() && made.type() != ResourceType(1));
  expect(host.get(instance, "rep", {copy}).unwrap().get_u32() == 11);
  Store other(host.engine);
  expect(!made.to_host(host.store) && !made.drop(other));
  made.drop(host.store).unwrap();
  expect(host.get(instance, "gone").unwrap().get_u32() == 11 && !copy.drop(host.store));
}

#ifdef WASMTIME_FEATURE_WASI
static void a_component_sees_wasi() {
  Host host;
  host.linker.add_wasip2().unwrap();
  expect(!host.linker.add_wasip2());
  Instance instance = host.instance(R"((component
    (import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
    (core func $get (canon lower (func $random "get-random-u64")))
    (core module $m (import "" "get" (func $get (result i64))) (func (export "run") (result i64) (call $get)))
    (core instance $i (instantiate $m (with "" (instance (export "get" (func $get))))))
    (func (export "run") (result u64) (canon lift (core func $i "run")))))");
  host.store.context().set_wasi(wasmtime::WasiConfig()).unwrap();
  expect(host.get(instance, "run").unwrap().get_u64() != host.get(instance, "run").unwrap().get_u64());
}
#endif

int main() {
  RUN(numbers_go_both_ways);
  RUN(strings_and_enumerations_go_both_ways);
  RUN(records_go_both_ways);
  RUN(lists_and_tuples_go_both_ways);
  RUN(variants_go_both_ways);
  RUN(options_and_results_go_both_ways);
  RUN(flags_and_maps_go_both_ways);
  RUN(c_values_are_seen_as_values);
  RUN(components_come_from_text_and_bytes);
  RUN(exports_are_found_by_index);
  RUN(calls_that_do_not_fit_are_errors);
  RUN_FAULTING(a_guest_that_traps_ends_the_store);
  RUN(a_linker_finds_imports_by_name);
  RUN(what_a_host_function_says_comes_out);
  RUN(modules_and_missing_imports);
  RUN(resources_of_the_host_go_to_guests);
  RUN(resources_of_guests_come_to_the_host);
#ifdef WASMTIME_FEATURE_WASI
  RUN(a_component_sees_wasi);
#endif
  return test_summary();
}

#else

int main() { return test_summary(); }

#endif
