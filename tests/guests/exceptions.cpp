// Exceptions of C++, compiled to those of WebAssembly, in both encodings (see README.md).
//
//     exceptions [uncaught | noexcept | exit]
//
// Without an argument it makes claims, prints those that do not hold, and exits with their number. `uncaught` throws what nobody
// catches: it leaves the module, since WebAssembly looks for no handler before it unwinds. `noexcept` throws out of a function that may
// not, which ends in std::terminate, whose handler here says so and exits with 3.
// `exit` leaves by exit(7) from inside of a handler.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>

static int failed;
static std::string trail;

#define CLAIM(condition)                                        \
  do {                                                          \
    if (!(condition)) {                                         \
      std::printf("line %d: does not hold: %s\n", __LINE__, #condition); \
      failed++;                                                 \
    }                                                           \
  } while (0)

// Notes its construction and its destruction.
struct Traced {
  explicit Traced(char name) : name(name) { trail += name; }
  ~Traced() { trail += static_cast<char>(name - 'a' + 'A'); }
  Traced(const Traced &) = delete;
  char name;
};

struct Refused : std::runtime_error {
  Refused(const std::string &what, int code) : std::runtime_error(what), code(code) {}
  int code;
};

#define APART __attribute__((noinline))

APART static int dive(int depth, int limit) {
  Traced traced('d');
  if (depth == limit) throw Refused("at " + std::to_string(limit), limit);
  return dive(depth + 1, limit) + 1;
}

static void across_frames() {
  for (int limit = 0; limit < 200; limit++) {
    trail.clear();
    bool caught = false;
    try {
      dive(0, limit);
    } catch (const Refused &refused) {
      caught = refused.code == limit && refused.what() == "at " + std::to_string(limit);
    }
    CLAIM(caught);
    CLAIM(trail == std::string(limit + 1, 'd') + std::string(limit + 1, 'D'));
  }
}

static void nothing_thrown_is_nothing_caught() {
  trail.clear();
  try {
    Traced a('a');
  } catch (...) {
    CLAIM(!"caught");
  }
  CLAIM(trail == "aA");
}

// ---- Which handler

APART static void throw_kind(int kind) {
  switch (kind) {
  case 0: throw 42;
  case 1: throw 2.5;
  case 2: throw "text";
  case 3: throw std::string("string");
  case 4: throw Refused("refused", 4);
  case 5: throw std::out_of_range("range");
  case 6: throw std::bad_alloc();
  case 7: throw std::unique_ptr<int>(new int(7));
  }
}

APART static std::string handler_of(int kind) {
  try {
    throw_kind(kind);
  } catch (int number) {
    return "int " + std::to_string(number);
  } catch (double number) {
    return number == 2.5 ? "double" : "wrong";
  } catch (const char *text) {
    return text;
  } catch (std::string &text) {
    return text;
  } catch (const std::logic_error &error) {
    return std::string("logic ") + error.what();
  } catch (const std::exception &error) {
    return dynamic_cast<const Refused *>(&error) != nullptr ? "refused" : typeid(error) == typeid(std::bad_alloc) ? "memory" : "other";
  } catch (...) {
    return "anything";
  }
  return "nothing";
}

static void the_first_handler_that_fits_is_chosen() {
  const char *expected[] = {"int 42", "double", "text", "string", "refused", "logic range", "memory", "anything", "nothing"};
  for (int kind = 0; kind < 9; kind++) CLAIM(handler_of(kind) == expected[kind]);
}

// ---- Throwing again

APART static void rethrows(int depth) {
  Traced traced('r');
  try {
    if (depth == 0) throw Refused("deep", 1);
    rethrows(depth - 1);
  } catch (Refused &refused) {
    refused.code++;
    throw;
  }
}

static void what_is_rethrown_is_the_same_object() {
  trail.clear();
  int code = 0;
  try {
    rethrows(9);
  } catch (const Refused &refused) {
    code = refused.code;
  }
  CLAIM(code == 11);
  CLAIM(trail == std::string(10, 'r') + std::string(10, 'R'));
}

static void a_handler_may_throw_another() {
  std::string seen;
  try {
    try {
      throw 1;
    } catch (int) {
      Traced traced('h');
      throw std::string("two");
    }
  } catch (const std::string &text) {
    seen = text;
  }
  CLAIM(seen == "two");
}

static void exceptions_are_nested() {
  std::string seen;
  try {
    try {
      throw std::runtime_error("inner");
    } catch (...) {
      std::throw_with_nested(std::logic_error("outer"));
    }
  } catch (const std::exception &outer) {
    seen = outer.what();
    try {
      std::rethrow_if_nested(outer);
    } catch (const std::exception &inner) {
      seen += inner.what();
    }
  }
  CLAIM(seen == "outerinner");
}

static void a_pointer_keeps_an_exception() {
  std::exception_ptr kept;
  try {
    throw Refused("kept", 5);
  } catch (...) {
    kept = std::current_exception();
  }
  CLAIM(std::uncaught_exceptions() == 0);
  for (int i = 0; i < 3; i++) {
    int code = 0;
    try {
      std::rethrow_exception(kept);
    } catch (const Refused &refused) {
      code = refused.code;
    }
    CLAIM(code == 5);
  }
}

// ---- Objects that are half made

struct Member {
  Member(char name, bool fails) : traced(name) {
    if (fails) throw name;
  }
  Traced traced;
};

struct Whole : Member {
  explicit Whole(int fails) : Member('a', fails == 0), b('b', fails == 1), c('c', fails == 2) {
    if (fails == 3) throw 'w';
  }
  Member b, c;
};

APART static char made(int fails) {
  try {
    Whole whole(fails);
  } catch (char name) {
    return name;
  }
  return '-';
}

static void what_was_made_is_destroyed_when_a_constructor_throws() {
  const char *trails[] = {"aA", "abBA", "abcCBA", "abcCBA", "abcCBA"};
  for (int fails = 0; fails < 5; fails++) {
    trail.clear();
    CLAIM(made(fails) == "abcw-"[fails]);
    CLAIM(trail == trails[fails]);
  }
}

static int elements_made;

struct Element {
  Element() {
    if (++elements_made == 4) throw elements_made;
    trail += '+';
  }
  ~Element() { trail += '-'; }
};

static void so_are_the_elements_of_an_array() {
  trail.clear();
  bool caught = false;
  try {
    std::unique_ptr<Element[]> elements(new Element[6]);
  } catch (int made) {
    caught = made == 4;
  }
  CLAIM(caught && trail == "+++---");
}

// ---- Destructors that look

static void a_destructor_knows_that_it_unwinds() {
  struct Looks {
    explicit Looks(int *seen) : seen(seen) {}
    ~Looks() {
      *seen = std::uncaught_exceptions();
      try {
        throw 1;
      } catch (int) {
      }
    }
    int *seen;
  };
  int unwinding = -1, leaving = -1;
  try {
    Looks looks(&unwinding);
    throw 2;
  } catch (int number) {
    CLAIM(number == 2);
  }
  { Looks looks(&leaving); }
  CLAIM(unwinding == 1 && leaving == 0);
}

// ---- Through the library

static void through_a_callback_of_the_library() {
  std::vector<int> numbers;
  for (int i = 0; i < 500; i++) numbers.push_back(i * 37 % 500);
  int compared = 0;
  bool caught = false;
  try {
    std::sort(numbers.begin(), numbers.end(), [&](int a, int b) {
      if (++compared == 1000) throw std::runtime_error("enough");
      return a < b;
    });
  } catch (const std::runtime_error &error) {
    caught = std::strcmp(error.what(), "enough") == 0;
  }
  CLAIM(caught && compared == 1000);
  std::sort(numbers.begin(), numbers.end());
  CLAIM(numbers.size() == 500 && std::is_sorted(numbers.begin(), numbers.end()));
}

static int compare(const void *a, const void *b) {
  int left = *static_cast<const int *>(a), right = *static_cast<const int *>(b);
  if (left == 13 || right == 13) throw left + right;
  return left - right;
}

static void through_a_callback_of_c() {
  int numbers[] = {5, 3, 13, 1};
  int caught = 0;
  try {
    std::qsort(numbers, 4, sizeof *numbers, compare);
  } catch (int sum) {
    caught = sum;
  }
  CLAIM(caught > 13);
}

static void what_the_library_throws() {
  bool range = false, missing = false, argument = false, memory = false, function = false, cast = false;
  try {
    (void)std::string("short").at(10);
  } catch (const std::out_of_range &) {
    range = true;
  }
  try {
    (void)std::map<std::string, int>().at("missing");
  } catch (const std::out_of_range &) {
    missing = true;
  }
  try {
    (void)std::stoi("no number");
  } catch (const std::invalid_argument &) {
    argument = true;
  }
  try {
    volatile std::size_t huge = static_cast<std::size_t>(-1) - 4096;
    char *volatile block = new char[huge];
    delete[] block;
  } catch (const std::bad_alloc &) {
    memory = true;
  }
  try {
    std::function<void()>()();
  } catch (const std::bad_function_call &) {
    function = true;
  }
  try {
    struct Base {
      virtual ~Base() = default;
    };
    struct Derived : Base {};
    Base base;
    (void)dynamic_cast<Derived &>(base);
  } catch (const std::bad_cast &) {
    cast = true;
  }
  CLAIM(range);
  CLAIM(missing);
  CLAIM(argument);
  CLAIM(memory);
  CLAIM(function);
  CLAIM(cast);
}

// ---- Many

static void many_in_a_row() {
  int sum = 0;
  for (int i = 0; i < 20000; i++) {
    try {
      if (i % 3 == 0) throw i;
      if (i % 3 == 1) throw std::to_string(i);
    } catch (int number) {
      sum += number % 7;
    } catch (const std::string &text) {
      sum += static_cast<int>(text.size());
    }
  }
  CLAIM(sum == 49634);
}

APART static void may_not_throw() noexcept { dive(0, 3); }

int main(int argc, char **argv) {
  std::string mode = argc > 1 ? argv[1] : "";
  if (!mode.empty()) {
    std::set_terminate([] {
      std::puts("terminated");
      std::fflush(stdout);
      std::_Exit(3);
    });
  }
  if (mode == "uncaught") dive(0, 3);
  if (mode == "noexcept") may_not_throw();
  if (mode == "exit") {
    try {
      dive(0, 3);
    } catch (const Refused &) {
      std::puts("leaving");
      std::exit(7);
    }
  }
  across_frames();
  nothing_thrown_is_nothing_caught();
  the_first_handler_that_fits_is_chosen();
  what_is_rethrown_is_the_same_object();
  a_handler_may_throw_another();
  exceptions_are_nested();
  a_pointer_keeps_an_exception();
  what_was_made_is_destroyed_when_a_constructor_throws();
  so_are_the_elements_of_an_array();
  a_destructor_knows_that_it_unwinds();
  through_a_callback_of_the_library();
  through_a_callback_of_c();
  what_the_library_throws();
  many_in_a_row();
  std::printf("%d claims do not hold\n", failed);
  return failed;
}
