// What every C++ test shares: claims and expectations.
//
// A test file is a list of claims, each a function without parameters. `main` runs them with RUN and ends with
// `return test_summary();`. Each claim prints one line; a failed expectation prints where it stands, and the claim goes
// on. The same source runs against every library with this interface, as C++17 and as C++20.

#ifndef AMPOULE_TEST_HH
#define AMPOULE_TEST_HH

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

static const char *test_claim;
static bool test_claim_holds;
static int test_passed, test_failed;

#define expect(...) test_expect(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

static inline bool test_expect(bool holds, const char *what, const char *file, int line) {
  if (!holds) {
    std::printf("FAIL %s: %s:%d: %s\n", test_claim, file, line, what);
    test_claim_holds = false;
  }
  return holds;
}

// Expects that a `Result` is a failure whose message contains `part`.
#define expect_error_says(result, part) test_expect_says((result), (part), #result, __FILE__, __LINE__)

template <typename R>
static bool test_expect_says(R &&result, std::string_view part, const char *what, const char *file, int line) {
  if (result) {
    std::printf("FAIL %s: %s:%d: %s: no failure\n", test_claim, file, line, what);
    test_claim_holds = false;
    return false;
  }
  std::string message = result.err().message();
  if (message.find(part) != std::string::npos) return true;
  std::printf("FAIL %s: %s:%d: %s: says \"%s\"\n", test_claim, file, line, what, message.c_str());
  test_claim_holds = false;
  return false;
}

#define RUN(claim) test_run(#claim, claim)

// Says that a claim, or the rest of it, is not tested in this run, and why; `cargo xtask test` lists what was left out.
static inline void test_skip(const char *claim, const char *reason) { std::printf("skipped: %s: %s\n", claim, reason); }

// Runs `claim` unless valgrind watches, which takes the hardware faults that guests run into for errors of ours.
#define RUN_FAULTING(claim) (std::getenv("AMPOULE_VALGRIND") ? test_skip(#claim, "valgrind takes hardware faults for errors") : RUN(claim))

static inline void test_run(const char *name, void (*claim)()) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0); // so that nothing is lost when the process dies
  test_claim = name;
  test_claim_holds = true;
  claim();
  if (test_claim_holds) {
    test_passed++;
    std::printf("ok %s\n", name);
  } else {
    test_failed++;
  }
}

// Prints the last line and returns the exit status of the program.
static inline int test_summary() {
  std::printf("%d passed, %d failed\n", test_passed, test_failed);
  return test_failed != 0;
}

#ifdef WASMTIME_HH

// The world of a claim, with short ways to a module and what it exports. What cannot be made ends the process.
struct World {
  wasmtime::Engine engine;
  wasmtime::Store store;

  World() : store(engine) {}
  explicit World(wasmtime::Config config) : engine(std::move(config)), store(engine) {}

  wasmtime::Module module(std::string_view wat) { return wasmtime::Module::compile(engine, wat).unwrap(); }
  wasmtime::Instance instance(std::string_view wat, const std::vector<wasmtime::Extern> &imports = {}) {
    return wasmtime::Instance::create(store, module(wat), imports).unwrap();
  }
  template <typename T> T get(const wasmtime::Instance &instance, std::string_view name) {
    return std::get<T>(instance.get(store, name).value());
  }
};

#endif // WASMTIME_HH

#endif // AMPOULE_TEST_HH
