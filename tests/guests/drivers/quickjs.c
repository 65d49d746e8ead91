/* QuickJS, a reactor: it is initialized once, and every evaluation goes through its exported functions. */
#include "host.h"

static struct program qjs;

static void begin_quickjs(struct life *life) {
  const char *argv[] = {"qjs", NULL};
  begin(life, &qjs, world(argv));
  struct ending ending = instantiate(life, &qjs);
  if (ending.failed || ending.trapped) give_up("qjs.wasm", ending.message);
  ending = call(life, "_initialize", NULL, 0, NULL);
  if (ending.failed || ending.trapped || ending.exited) give_up("_initialize", ending.message);
}

/* What `qjs -e <source>` does in a fresh runtime. `*result` is what `qjs_init_argv` returned: 0 when all went well. */
static struct ending evaluate(struct life *life, const char *source, uint32_t *result) {
  const char *words[] = {"qjs", "-e", source};
  uint32_t addresses[3], size = sizeof addresses;
  for (int i = 0; i < 3; i++) addresses[i] = guest_string(life, words[i]);
  uint32_t argv = ask(life, "malloc", &size, 1);
  if (argv == 0) give_up("malloc", "the guest is out of memory");
  memcpy(guest_bytes(life, argv, size), addresses, size);
  return call(life, "qjs_init_argv", (uint32_t[]){3, argv}, 2, result);
}

static bool came_back(const struct ending *ending) { return !ending->failed && !ending->trapped && !ending->exited; }

static void a_script_computes_and_prints(void) {
  struct life life;
  uint32_t result = 1;
  begin_quickjs(&life);
  struct ending ending = evaluate(&life,
                                  "const fib = n => n < 2n ? n : fib(n - 1n) + fib(n - 2n);\n"
                                  "console.log('fib', String(fib(20n)));\n"
                                  "console.log('big', String(2n ** 200n));\n"
                                  "const m = new Map([['b', 2], ['a', 1]]);\n"
                                  "console.log(JSON.stringify([...m].sort()));\n"
                                  "console.log('2024-02-30 ampoule'.replace(/(\\d+)-(\\d+)-(\\d+)/, '$3.$2.$1'));\n"
                                  "console.log([3, 1, 2].toSorted().join(), Math.hypot(3, 4), 0.1 + 0.2);\n"
                                  "console.log(new Float64Array([1.5, NaN, -0]).map(x => x * 2).join());\n"
                                  "class A { #x = 1; get x() { return this.#x; } }\n"
                                  "function* g() { yield* [1, 2]; return 3; }\n"
                                  "console.log(new A().x, [...g()].length, `${'\\u00e9'.normalize('NFD').length}`);\n",
                                  &result);
  CLAIM(came_back(&ending) && result == 0);
  if (!CLAIM(strcmp(life.out.data, "fib 6765\n"
                                   "big 1606938044258990275541962092341162602522202993782792835301376\n"
                                   "[[\"a\",1],[\"b\",2]]\n"
                                   "30.02.2024 ampoule\n"
                                   "1,2,3 5 0.30000000000000004\n"
                                   "3,NaN,0\n"
                                   "1 2 2\n") == 0)) {
    printf("%s%s", life.out.data, life.err.data);
  }
  ending = call(&life, "qjs_destroy", NULL, 0, NULL);
  CLAIM(came_back(&ending));
  end(&life);
}

static void one_instance_serves_many_runtimes(void) {
  struct life life;
  begin_quickjs(&life);
  for (int round = 0; round < 3; round++) {
    uint32_t result = 1;
    struct ending ending = evaluate(&life, "globalThis.n = (globalThis.n || 0) + 1; console.log('n', n)", &result);
    CLAIM(came_back(&ending) && result == 0);
    ending = call(&life, "qjs_destroy", NULL, 0, NULL);
    CLAIM(came_back(&ending));
  }
  CLAIM(strcmp(life.out.data, "n 1\nn 1\nn 1\n") == 0);
  end(&life);
}

static void an_exception_is_reported(void) {
  struct life life;
  uint32_t result = 0;
  begin_quickjs(&life);
  struct ending ending = evaluate(&life, "function f() { throw new TypeError('no such luck') } f()", &result);
  CLAIM(ending.exited ? ending.status != 0 : result != 0);
  CLAIM(strstr(life.err.data, "TypeError: no such luck") != NULL ||
        strstr(life.out.data, "TypeError: no such luck") != NULL);
  end(&life);
}

static void instances_do_not_share_memory(void) {
  struct life one, other;
  uint32_t size = 4;
  begin_quickjs(&one);
  begin_quickjs(&other);
  uint32_t address = ask(&one, "malloc", &size, 1);
  CLAIM(address == ask(&other, "malloc", &size, 1));
  memcpy(guest_bytes(&one, address, size), "this", size);
  memcpy(guest_bytes(&other, address, size), "that", size);
  CLAIM(memcmp(guest_bytes(&one, address, size), "this", size) == 0);
  end(&one);
  CLAIM(memcmp(guest_bytes(&other, address, size), "that", size) == 0);
  end(&other);
}

int main(int argc, char **argv) {
  take_arguments(argc, argv);
  qjs = load("qjs.wasm");
  a_script_computes_and_prints();
  one_instance_serves_many_runtimes();
  an_exception_is_reported();
  instances_do_not_share_memory();
  unload(&qjs);
  return claims_result("quickjs");
}
