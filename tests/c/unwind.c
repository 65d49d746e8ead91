// Claims about native unwind information: the system's unwinder walks from host functions through guest frames to the
// host that called the guest.

#include "test.h"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#define NOINLINE __attribute__((noinline))

static NOINLINE wasm_trap_t *call_guest(const wasmtime_func_t *func);

// The stack pointer of the caller of `call_guest`.
static _Thread_local void *outer_cfa;
// Walks by host functions, and those that came to `call_guest` and its caller, at the right places of the stack.
static _Thread_local int walks, complete_walks;

struct walk {
  bool in_call_guest;
  bool complete;
};

static _Unwind_Reason_Code visit(struct _Unwind_Context *frame, void *data) {
  struct walk *walk = data;
  if (walk->in_call_guest && (void *)_Unwind_GetCFA(frame) == outer_cfa) walk->complete = true;
  walk->in_call_guest = _Unwind_FindEnclosingFunction((void *)_Unwind_GetIP(frame)) == (void *)call_guest;
  return _URC_NO_REASON;
}

static NOINLINE void walk_stack(void) {
  struct walk walk = {false, false};
  _Unwind_Backtrace(visit, &walk);
  walks++;
  complete_walks += walk.complete;
}

static NOINLINE wasm_trap_t *call_guest(const wasmtime_func_t *func) {
  void *before = outer_cfa;
  outer_cfa = __builtin_dwarf_cfa();
  wasm_trap_t *trap = call(func);
  outer_cfa = before;
  return trap;
}

// -- The host functions of the guests below

static wasm_trap_t *on_walk(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                            wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  walk_stack();
  return NULL;
}

static wasm_trap_t *on_walk_unchecked(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *args, size_t len) {
  (void)env, (void)caller, (void)args, (void)len;
  walk_stack();
  return NULL;
}

// Calls the guest again, whose function only walks.
static wasm_trap_t *on_again(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                             wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)args, (void)nargs, (void)results, (void)nresults;
  wasmtime_extern_t item;
  expect(wasmtime_caller_export_get(caller, "leaf", 4, &item));
  return call_guest(&item.of.func);
}

static wasmtime_error_t *on_deadline(wasmtime_context_t *context, void *data, uint64_t *delta,
                                     wasmtime_update_deadline_kind_t *kind) {
  (void)context, (void)data, (void)kind;
  walk_stack();
  *delta = 1000;
  return NULL;
}

static const char *const guest =
    "(module"
    "  (import \"\" \"walk\" (func $walk)) (import \"\" \"raw\" (func $raw)) (import \"\" \"again\" (func $again))"
    "  (type $v (func)) (table 1 funcref) (elem (i32.const 0) $indirect)"
    "  (func $leaf (export \"leaf\") call $walk)"
    // Enough of a frame for every register to be used.
    "  (func $deep (param i32 i64 f64) (result i32)"
    "    (if (i32.eqz (local.get 0)) (then call $walk call $raw (call_indirect (type $v) (i32.const 0)))"
    "      (else (drop (call $deep (i32.sub (local.get 0) (i32.const 1)) (local.get 1) (local.get 2)))))"
    "    (i32.add (i32.wrap_i64 (local.get 1)) (i32.trunc_sat_f64_s (local.get 2))))"
    "  (func $indirect call $again)"
    "  (func (export \"run\") (drop (call $deep (i32.const 20) (i64.const 1) (f64.const 2))))"
    "  (func (export \"count\") (loop (br_if 0 (i32.const 0)))))";

static wasmtime_func_t imported(wasmtime_func_callback_t callback) {
  wasmtime_func_t func;
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_new(ctx, type, callback, NULL, NULL, &func);
  wasm_functype_delete(type);
  return func;
}

static wasmtime_instance_t guest_of(wasmtime_module_t *module) {
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasmtime_func_t raw;
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_new_unchecked(ctx, type, on_walk_unchecked, NULL, NULL, &raw);
  wasm_functype_delete(type);
  wasmtime_extern_t imports[] = {func_extern(imported(on_walk)), func_extern(raw), func_extern(imported(on_again))};
  expect_ok(wasmtime_instance_new(ctx, module, imports, 3, &instance, &trap));
  expect_no_trap(trap);
  return instance;
}

// Runs the guest twice: at the second time, all of it is compiled, however lazy the engine is.
static void walk_in(wasmtime_module_t *module) {
  wasmtime_instance_t instance = guest_of(module);
  wasmtime_func_t run = func_of(&instance, "run");
  for (int round = 0; round < 2; round++) {
    walks = complete_walks = 0;
    expect_no_trap(call_guest(&run));
    expect(walks == 3);
    expect(complete_walks == 3);
  }
}

static void walks_pass_guest_frames(void) {
  wasmtime_module_t *module = module_of(guest);
  walk_in(module);
  wasmtime_module_delete(module);
}

static void walks_pass_the_frames_of_a_deserialized_module(void) {
  wasmtime_module_t *module = module_of(guest), *loaded = NULL;
  wasm_byte_vec_t bytes;
  expect_ok(wasmtime_module_serialize(module, &bytes));
  wasmtime_module_delete(module);
  expect_ok(wasmtime_module_deserialize(engine, (const uint8_t *)bytes.data, bytes.size, &loaded));
  wasm_byte_vec_delete(&bytes);
  if (!expect(loaded != NULL)) return;
  walk_in(loaded);
  wasmtime_module_delete(loaded);
}

static void walks_from_a_deadline_callback_pass_guest_frames(void) {
  wasmtime_module_t *module = module_of(guest);
  wasmtime_instance_t instance = guest_of(module);
  wasmtime_func_t count = func_of(&instance, "count");
  wasmtime_store_epoch_deadline_callback(store, on_deadline, NULL, NULL);
  wasmtime_context_set_epoch_deadline(ctx, 1);
  wasmtime_engine_increment_epoch(engine);
  walks = complete_walks = 0;
  expect_no_trap(call_guest(&count));
  expect(walks == 1);
  expect(complete_walks == 1);
  wasmtime_module_delete(module);
}

static void walks_survive_modules_that_come_and_go(void) {
  for (int i = 0; i < 50; i++) walks_pass_guest_frames();
}

static void *walk_in_thread(void *module) {
  // Threads other than the first don't touch what claims share.
  wasmtime_store_t *mine = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(mine);
  wasmtime_extern_t imports[3], item;
  wasmtime_instance_t instance;
  wasm_trap_t *trap = NULL;
  wasm_functype_t *type = wasm_functype_new_0_0();
  for (int i = 0; i < 3; i++) {
    imports[i].kind = WASMTIME_EXTERN_FUNC;
    wasmtime_func_new(context, type, on_walk, NULL, NULL, &imports[i].of.func);
  }
  wasm_functype_delete(type);
  bool complete = !wasmtime_instance_new(context, module, imports, 3, &instance, &trap) && !trap &&
                  wasmtime_instance_export_get(context, &instance, "run", 3, &item);
  walks = 0;
  if (complete && wasmtime_func_call(context, &item.of.func, NULL, 0, NULL, 0, &trap)) complete = false;
  complete = complete && !trap && walks == 3;
  wasmtime_store_delete(mine);
  return complete ? module : NULL;
}

static void threads_walk_at_the_same_time(void) {
  wasmtime_module_t *module = module_of(guest);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) expect(!pthread_create(&threads[i], NULL, walk_in_thread, module));
  for (int i = 0; i < 4; i++) {
    void *complete = NULL;
    pthread_join(threads[i], &complete);
    expect(complete == module);
  }
  wasmtime_module_delete(module);
}

static void a_forked_child_walks_too(void) {
  wasmtime_module_t *module = module_of(guest);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    wasmtime_instance_t instance = guest_of(module);
    wasmtime_func_t run = func_of(&instance, "run");
    walks = complete_walks = 0;
    wasm_trap_t *trap = call_guest(&run);
    _exit(!trap && walks == 3 && complete_walks == 3 ? 0 : 1);
  }
  int status = -1;
  expect(waitpid(child, &status, 0) == child);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  wasmtime_module_delete(module);
}

#ifndef AMPOULE_AGAINST // The reference library ends the process in a way of its own.

static wasm_trap_t *on_raise(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *vals, size_t len) {
  (void)env, (void)caller, (void)vals, (void)len;
  static struct _Unwind_Exception exception;
  _Unwind_RaiseException(&exception);
  return NULL; // nobody wanted it
}

// In a child: a call into a guest whose host function throws what C++ or another language might.
static void expect_no_exception_through(bool unchecked) {
  int ends[2];
  char text[1000] = {0};
  expect(!pipe(ends));
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], 2);
    wasm_functype_t *type = wasm_functype_new_0_0();
    wasmtime_func_t host;
    wasmtime_func_new_unchecked(ctx, type, on_raise, NULL, NULL, &host);
    wasm_functype_delete(type);
    wasmtime_extern_t import = func_extern(host);
    wasmtime_instance_t instance =
        instance_with(ctx, engine, "(module (import \"\" \"\" (func $h)) (func (export \"nothing\")) (func (export \"run\") call $h))",
                      &import, 1);
    wasmtime_func_t run = func_of(&instance, "run"), nothing = func_of(&instance, "nothing");
    wasmtime_val_raw_t none[1];
    wasm_trap_t *trap = NULL;
    // So that the call that counts has nothing to find out.
    expect_ok(wasmtime_func_call_unchecked(ctx, &nothing, none, 0, &trap));
    if (unchecked)
      wasmtime_func_call_unchecked(ctx, &run, none, 0, &trap);
    else
      wasmtime_func_call(ctx, &run, NULL, 0, NULL, 0, &trap);
    _exit(0);
  }
  close(ends[1]);
  size_t len = 0;
  for (ssize_t n; (n = read(ends[0], text + len, sizeof text - 1 - len)) > 0;) len += (size_t)n;
  close(ends[0]);
  int status = 0;
  expect(waitpid(child, &status, 0) == child);
  expect(WIFSIGNALED(status));
  if (!expect(strstr(text, "an exception has left a host function"))) printf("status 0x%x: %s\n", status, text);
}

static void an_exception_through_a_guest_ends_the_process(void) {
  expect_no_exception_through(false);
  expect_no_exception_through(true);
}

#endif

static void eager(wasm_config_t *config) { wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_CRANELIFT); }

static void epochs(wasm_config_t *config) { wasmtime_config_epoch_interruption_set(config, true); }

int main(void) {
  RUN(walks_pass_guest_frames);
  RUN_WITH(eager, walks_pass_guest_frames);
  RUN(walks_pass_the_frames_of_a_deserialized_module);
  RUN_WITH(epochs, walks_from_a_deadline_callback_pass_guest_frames);
  RUN(walks_survive_modules_that_come_and_go);
  RUN(threads_walk_at_the_same_time);
  // Valgrind searches a child for leaks too, where what other threads had is lost.
  RUN_UNWATCHED(a_forked_child_walks_too);
#ifndef AMPOULE_AGAINST
  RUN_UNWATCHED(an_exception_through_a_guest_ends_the_process);
#endif
  return test_summary();
}
