// ampoule/component.hh: calls beside one another, streams both ways, and host functions that answer later, in C++.
#include <ampoule.hh>
#include <memory>
#include <thread>

#include "test.hh"

using wasmtime::Config;
using wasmtime::Engine;
using wasmtime::Error;
using wasmtime::Span;
using wasmtime::Store;
using namespace ampoule::component;
using wasmtime::component::Component;
using wasmtime::component::Func;
using wasmtime::component::FuncType;
using wasmtime::component::Instance;
using wasmtime::component::Linker;
using wasmtime::component::ValType;

// `sum` adds the numbers of a stream to what the host answers for the first of them, and gives a future of that.
static const char *const guest = R"((component
  (import "later" (func $later async (param "n" u32) (result u32)))
  (core module $libc (memory (export "memory") 1)) (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (type $numbers (stream u32)) (type $number (future u32))
  (core func $read (canon stream.read $numbers (memory $memory)))
  (core func $drop (canon stream.drop-readable $numbers))
  (core func $new (canon future.new $number))
  (core func $write (canon future.write $number (memory $memory)))
  (core func $drop-number (canon future.drop-writable $number))
  (core func $return (canon task.return (result $number)))
  (core func $later' (canon lower (func $later)))
  (core module $m (import "" "memory" (memory 1))
    (import "" "read" (func $read (param i32 i32 i32) (result i32))) (import "" "drop" (func $drop (param i32)))
    (import "" "new" (func $new (result i64))) (import "" "write" (func $write (param i32 i32) (result i32)))
    (import "" "drop-number" (func $drop-number (param i32))) (import "" "return" (func $return (param i32)))
    (import "" "later" (func $later (param i32) (result i32)))
    (func (export "sum") (param $in i32) (local $pair i64) (local $got i32) (local $sum i32) (local $out i32)
      (local.set $pair (call $new))
      (local.set $out (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
      (call $return (i32.wrap_i64 (local.get $pair)))
      (loop $more
        (local.set $got (call $read (local.get $in) (i32.const 16) (i32.const 1)))
        (if (i32.shr_u (local.get $got) (i32.const 4)) (then
          (local.set $sum (i32.add (local.get $sum) (call $later (i32.load (i32.const 16)))))))
        (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))
      (call $drop (local.get $in))
      (i32.store (i32.const 16) (local.get $sum))
      (drop (call $write (local.get $out) (i32.const 16)))
      (call $drop-number (local.get $out))))
  (core instance $i (instantiate $m (with "" (instance (export "memory" (memory $memory))
    (export "read" (func $read)) (export "drop" (func $drop)) (export "new" (func $new)) (export "write" (func $write))
    (export "drop-number" (func $drop-number)) (export "return" (func $return)) (export "later" (func $later'))))))
  (func (export "sum") async (param "in" $numbers) (result $number) (canon lift (core func $i "sum") async))))";

static Config config() {
  Config config;
  wasmtime_config_wasm_component_model_async_set(config.capi(), true);
  wasmtime_config_wasm_component_model_async_stackful_set(config.capi(), true);
  wasmtime_config_wasm_component_model_more_async_builtins_set(config.capi(), true);
  return config;
}

struct Host {
  Engine engine;
  Store store;
  Linker linker;

  Host() : engine(config()), store(engine), linker(engine) {}

  Func sum() {
    Instance instance = linker.instantiate(store, Component::compile(engine, guest).unwrap()).unwrap();
    return instance.get_func(store, instance.get_export_index(store, nullptr, "sum").value()).value();
  }
};

static void streams_futures_and_answers_of_another_thread() {
  Host host;
  std::vector<std::thread> threads;
  auto root = std::make_unique<wasmtime::component::LinkerInstance>(host.linker.root());
  add_func(*root, "later", [&](Store::Context, const FuncType &type, Span<Val> args, Completion completion) {
    expect(type.param_count() == 1 && args.size() == 1);
    // Shared, since a thread's function is copied in some libraries.
    auto shared = std::make_shared<Completion>(std::move(completion));
    uint32_t n = args[0].get_u32();
    threads.emplace_back([shared, n] { expect(shared->complete(Val(n * 2)) && !shared->complete(Val(n))); });
  }).unwrap();
  expect_error_says(add_func(*root, "later", [](Store::Context, const FuncType &, Span<Val>, Completion) {}),
                    "defined twice");
  root.reset();
  Func sum = host.sum();
  Ends ends = stream(host.store, ValType::new_u32()).unwrap();
  expect(ends.writer.type()->is_u32() && ends.reader.type()->is_u32());
  std::vector<Val> args;
  args.push_back(std::move(ends.reader).into_val());
  Call call = Call::start(host.store, sum, std::move(args)).unwrap();
  expect(!call.is_over(host.store));
  expect(!run(host.store).unwrap() && call.is_over(host.store));
  Val result = call.result(host.store).unwrap();
  expect_error_says(call.result(host.store), "was taken");
  Reader reader = Reader::from_val(result).unwrap();
  expect_error_says(Reader::from_val(result), "given away");
  uint32_t numbers[] = {1, 2, 3, 4};
  size_t written = 0;
  while (written < 4) {
    Copied copied = ends.writer.write(host.store, Span<const uint32_t>(numbers + written, 4 - written)).unwrap();
    written += copied.count;
    if (copied.flow == Flow::Pending) wait(host.store).unwrap();
    run(host.store).unwrap();
  }
  { Writer dropped = std::move(ends.writer); }
  uint32_t answer = 0;
  while (!answer) {
    run(host.store).unwrap();
    Copied copied = reader.read(host.store, Span<uint32_t>(&answer, 1)).unwrap();
    if (copied.flow == Flow::Pending) wait(host.store).unwrap();
  }
  expect(answer == 20);
  expect(reader.read(host.store, Span<uint32_t>(&answer, 1)).unwrap().flow == Flow::Closed);
  for (std::thread &thread : threads) thread.join();
  expect(run(host.store).unwrap());
}

static void values_and_futures() {
  Host host;
  Ends ends = stream(host.store, ValType::new_string()).unwrap();
  std::vector<Val> vals;
  expect(ends.reader.read(host.store, vals, 10).unwrap().flow == Flow::Pending);
  Val texts[] = {Val::string("one"), Val::string("two"), Val(uint32_t(3))};
  expect(ends.writer.write(host.store, Span<Val>(texts, 3)).unwrap().count == 2);
  expect(ends.reader.read(host.store, vals, 10).unwrap().count == 2);
  expect(vals.size() == 2 && vals[1].get_string() == "two");
  expect_error_says(ends.writer.write(host.store, Span<Val>(texts + 2, 1)), "expected string, found u32");
  Ends nothing = future(host.store, std::nullopt).unwrap();
  expect(!nothing.reader.type() && !nothing.writer.type());
  // Nothing would ever come; the first time it may return for no reason.
  run(host.store).unwrap();
  for (int i = 0; i < 10 && wait(host.store); i++) run(host.store).unwrap();
  expect_error_says(wait(host.store), "no task waits for anything that would come by itself");
}

static void a_call_is_cancelled_and_the_host_learns_it() {
  int cancelled = 0;
  std::optional<Completion> kept;
  {
    Host host;
    auto root = host.linker.root();
    add_func(root, "later", [&](Store::Context, const FuncType &, Span<Val>, Completion completion) {
      completion.on_cancel([&] { cancelled++; });
      kept.emplace(std::move(completion));
    }).unwrap();
    { auto dropped = std::move(root); }
    Func sum = host.sum();
    Ends ends = stream(host.store, ValType::new_u32()).unwrap();
    std::vector<Val> args;
    args.push_back(std::move(ends.reader).into_val());
    Call call = Call::start(host.store, sum, std::move(args)).unwrap();
    run(host.store).unwrap();
    uint32_t number = 1;
    expect(ends.writer.write(host.store, Span<const uint32_t>(&number, 1)).unwrap().count == 1);
    run(host.store).unwrap();
    expect(kept && !kept->is_cancelled());
    // One that has not begun.
    Ends others = stream(host.store, ValType::new_u32()).unwrap();
    std::vector<Val> more;
    more.push_back(std::move(others.reader).into_val());
    Call second = Call::start(host.store, sum, std::move(more)).unwrap();
    second.cancel(host.store).unwrap();
    expect_error_says(second.result(host.store), "the call was cancelled");
    expect_error_says(call.finish(host.store), "expected 1 result(s), got 0");
  }
  expect(cancelled == 1 && kept->is_cancelled() && !kept->complete() && !kept->fail(Error("late")));
}

static void plans_know_the_types() {
  Host host;
  Instance instance = host.linker.instantiate(host.store, Component::compile(host.engine, R"((component
    (core module $m (memory (export "memory") 1) (global $next (mut i32) (i32.const 1024))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3))))
      (func (export "same") (param i32 i32) (result i32)
        (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16)))
    (core instance $i (instantiate $m)) (alias core export $i "memory" (core memory $memory))
    (alias core export $i "realloc" (core func $realloc))
    (func (export "same") (param "text" string) (result string)
      (canon lift (core func $i "same") (memory $memory) (realloc $realloc)))))").unwrap()).unwrap();
  Func same = instance.get_func(host.store, instance.get_export_index(host.store, nullptr, "same").value()).value();
  using Text = Slice<char>;
  expect_error_says(Plan<uint32_t(Text)>::create(host.store, same), "the result has 16 bytes, not 4");
  auto plan = Plan<Text(Text)>::create(host.store, same).unwrap();
  Text result = plan.call(host.store, Text{"hello", 5}).unwrap();
  expect(std::string_view(result.ptr, result.len) == "hello");
  expect_error_says(plan.call(host.store, Text{"\xff", 1}), "utf-8");
}

// Counts; stops when it is told; and has standard output open.
static const char *const counter = R"((component
  (import "wasi:io/streams@0.2.0" (instance $streams (export "output-stream" (type $o (sub resource)))))
  (alias export $streams "output-stream" (type $output))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output (type $of)) (export "output-stream" (type $o (eq $of)))
    (export "get-stdout" (func (result (own $o))))))
  (core func $get (canon lower (func $stdout "get-stdout")))
  (core module $m (import "" "get" (func $get (result i32))) (global $n (mut i32) (i32.const 0))
    (func (export "open") (result i32) (call $get))
    (func (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
    (func (export "stop") (result i32) unreachable))
  (core instance $i (instantiate $m (with "" (instance (export "get" (func $get))))))
  (func (export "open") (result u32) (canon lift (core func $i "open")))
  (func (export "next") (result u32) (canon lift (core func $i "next")))
  (func (export "stop") (result u32) (canon lift (core func $i "stop")))))";

// What a function answers; -1 where it is stopped.
static int64_t ask(Store::Context cx, const Instance &instance, const char *name) {
  Func func = instance.get_func(cx, instance.get_export_index(cx, nullptr, name).value()).value();
  wasmtime::component::Val result(false);
  Span<wasmtime::component::Val> results(&result, 1);
  return func.call(cx, Span<const wasmtime::component::Val>(), results) ? int64_t(result.get_u32()) : -1;
}

static void instances_of_components_are_as_they_were() {
  Engine engine;
  Linker linker(engine);
  linker.add_wasip2().unwrap();
  Store store(engine);
  store.context().set_wasi(wasmtime::WasiConfig()).unwrap();
  Component component = Component::compile(engine, counter).unwrap();
  Instance instance = linker.instantiate(store, component).unwrap();
  expect(ask(store, instance, "open") > 0 && ask(store, instance, "next") == 1);
  ampoule::ComponentSnapshot snapshot = ampoule::ComponentSnapshot::take(store, component, instance).unwrap();
  ampoule::ComponentSnapshot copy(snapshot);
  ampoule::Snapshot whole = snapshot.to_snapshot();
  whole.attach_wasi(store).unwrap();
  expect(ask(store, instance, "next") == 2 && ask(store, instance, "stop") == -1 && ask(store, instance, "next") == -1);
  whole.set_wasi(store, wasmtime::WasiConfig()).unwrap();
  copy.reset(store, instance).unwrap();
  expect(ask(store, instance, "next") == 2);

  Store other(engine);
  expect(!copy.instantiate(other, linker));
  whole.set_wasi(other, wasmtime::WasiConfig()).unwrap();
  expect(ask(other, copy.instantiate(other, linker).unwrap(), "next") == 2);

  auto bytes = whole.serialize().unwrap();
  auto loaded = ampoule::Snapshot::deserialize(engine, Span<const uint8_t>(bytes)).unwrap();
  auto again = ampoule::ComponentSnapshot::of_snapshot(loaded).unwrap();
  Store third(engine);
  loaded.set_wasi(third, wasmtime::WasiConfig()).unwrap();
  expect(ask(third, again.instantiate(third, linker).unwrap(), "next") == 2);
  expect(bool(linker.instantiate(third, again.component())));
  expect(!ampoule::ComponentSnapshot::take(store, Component::compile(engine, "(component)").unwrap(), instance));
  Store empty(engine);
  expect(!ampoule::ComponentSnapshot::of_snapshot(ampoule::Snapshot::take_all(empty).unwrap()));
}

int main() {
  RUN(plans_know_the_types);
  RUN(streams_futures_and_answers_of_another_thread);
  RUN(values_and_futures);
  RUN(a_call_is_cancelled_and_the_host_learns_it);
  RUN(instances_of_components_are_as_they_were);
  return test_summary();
}
