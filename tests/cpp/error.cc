// wasmtime/error.hh, wasmtime/trap.hh and wasmtime/span.hh: failures, backtraces, views.
#include <array>
#include <cstring>
#include <sstream>
#include <wasmtime.hh>

#include "test.hh"

using namespace wasmtime;

static void errors_have_a_message() {
  Error error("something is wrong");
  expect(error.message() == "something is wrong");
  std::ostringstream out;
  out << error;
  expect(out.str() == error.message());
  expect(!error.i32_exit());
  expect(error.trace().size() == 0);
  Error moved(std::move(error));
  Error raw(moved.capi_release());
  expect(raw.message() == "something is wrong" && raw.capi() != nullptr);
}

static void results_are_a_value_or_a_failure() {
  Result<std::string> good(std::string("yes"));
  expect(good && good.ok_ref() == "yes" && good.unwrap() == "yes");
  Result<std::string> bad(Error("no"));
  expect(!bad && bad.err_ref().message() == "no");
  Error taken = bad.err();
  expect(taken.message() == "no");
  Result<std::string> other(std::string("a"));
  expect(other.ok() == "a");
}

static void traps_have_message_and_code() {
  Trap own("my own");
  expect(own.message() == "my own" && !own.code() && own.trace().size() == 0);
  Trap coded(WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  expect(coded.code() == WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  expect(coded.message().find("unreachable") != std::string::npos);
  std::ostringstream out;
  out << own;
  expect(out.str() == "my own");
  TrapError either(std::move(own)), other(Error("an error"));
  expect(either.message() == "my own" && other.message() == "an error");
  out << other;
  expect(out.str() == "my ownan error");
}

static void a_backtrace_names_functions() {
  World world;
  Instance instance = world.instance("(module $m (func $inner unreachable) (func $outer (export \"f\") call $inner))");
  auto result = world.get<Func>(instance, "f").call(world.store, {});
  expect(!result);
  TrapError error = result.err();
  Trap &trap = std::get<Trap>(error.data);
  expect(trap.code() == WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED);
  expect(error.message().find("wasm backtrace") != std::string::npos);
  auto trace = trap.trace();
  expect(trace.size() == 2);
  const char *names[] = {"inner", "outer"};
  uint32_t index = 0;
  for (auto &frame : trace) {
    expect(frame.func_index() == index);
    expect(frame.func_name() == std::string_view(names[index]));
    expect(frame.module_name() == std::string_view("m"));
    expect(frame.module_offset() > 0 && frame.func_offset() < frame.module_offset());
    index++;
  }
}

#ifdef WASMTIME_FEATURE_WASI
static void an_exit_is_an_error_with_a_status() {
  World world;
  Linker linker(world.engine);
  linker.define_wasi().unwrap();
  world.store.context().set_wasi(WasiConfig()).unwrap();
  Module module = world.module("(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))"
                               "  (memory (export \"memory\") 1) (func (export \"_start\") (call $exit (i32.const 7))))");
  Instance instance = linker.instantiate(world.store, module).unwrap();
  auto result = world.get<Func>(instance, "_start").call(world.store, {});
  TrapError error = result.err();
  expect(std::get<Error>(error.data).i32_exit() == 7);
  expect(std::get<Error>(error.data).trace().size() == 1);
}
#endif

static void spans_view_what_others_own() {
  std::vector<uint8_t> bytes{1, 2, 3};
  Span<uint8_t> all(bytes);
  Span<const uint8_t> constant = all;
  expect(all.size() == 3 && all.data() == bytes.data() && constant[2] == 3 && !all.empty());
  all[0] = 9;
  expect(bytes[0] == 9 && constant.front() == 9 && constant.back() == 3 && all.size_bytes() == 3);
  expect(all.subspan(1).size() == 2 && all.subspan(1, 1)[0] == 2);
  int sum = 0;
  for (uint8_t byte : constant) sum += byte;
  expect(sum == 14 && *all.rbegin() == 3 && *(all.rend() - 1) == 9);
  int array[] = {4, 5};
  Span<int> ints(array);
  std::array<int, 2> standard{6, 7};
  Span<const int> more = standard;
  expect(ints.size() == 2 && more[1] == 7 && Span<int>().empty() && Span<int>(array, 1).size() == 1);
#ifdef __cpp_lib_span
  static_assert(std::is_same_v<Span<int>, std::span<int>>);
#else
  static_assert(IsSpan<Span<int>>::value && !IsSpan<int>::value);
#endif
}

int main() {
  RUN(errors_have_a_message);
  RUN(results_are_a_value_or_a_failure);
  RUN(traps_have_message_and_code);
  RUN_FAULTING(a_backtrace_names_functions);
#ifdef WASMTIME_FEATURE_WASI
  RUN(an_exit_is_an_error_with_a_status);
#endif
  RUN(spans_view_what_others_own);
  return test_summary();
}
