// A host with fault handlers of its own, installed before the engine's or after: its faults reach it, the guest's are traps.
// valgrind: skip (the faults of guests and hosts are its subject)
//
// Handlers belong to the process, so each claim runs in a process of its own: this program, asked for one claim.

#include "test.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

// -- Faults of the host's own

static const size_t PAGE = 4096;
static char *forbidden; // a page that handlers allow
static volatile sig_atomic_t handled, unexpected;
static void *handler_frame; // where the last handler's frame was
static bool usr1_was_blocked, segv_was_blocked;

static void note_handler(void *frame) {
  sigset_t mask;
  handled++;
  handler_frame = frame;
  sigprocmask(SIG_BLOCK, NULL, &mask);
  usr1_was_blocked = sigismember(&mask, SIGUSR1);
  segv_was_blocked = sigismember(&mask, SIGSEGV);
}

static void allow(int signal, siginfo_t *info, void *context) {
  (void)context;
  if (signal == SIGSEGV && (char *)info->si_addr != forbidden) unexpected++;
  note_handler(&signal);
  mprotect(forbidden, PAGE, PROT_READ | PROT_WRITE);
}

static void allow_plainly(int signal) {
  note_handler(&signal);
  mprotect(forbidden, PAGE, PROT_READ | PROT_WRITE);
}

static void host_faults(void) {
  mprotect(forbidden, PAGE, PROT_NONE);
  *(volatile char *)forbidden = 1;
}

static struct sigaction old_actions[64];

static void install(int signal, void *handler, int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGUSR1);
  action.sa_flags = flags;
  if (flags & SA_SIGINFO)
    action.sa_sigaction = (void (*)(int, siginfo_t *, void *))handler;
  else
    action.sa_handler = (void (*)(int))handler;
  expect(!sigaction(signal, &action, &old_actions[signal]));
}

// -- Faults of a guest's

static const char *const FAULTING =
    "(module (import \"\" \"host\" (func $host)) (memory (export \"m\") 1)"
    "  (func (export \"segv\") (drop (i32.load (i32.const 65536))))"
    "  (func (export \"fpe\") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))"
    "  (func $deep (export \"deep\") call $deep)"
    "  (func (export \"host\") call $host)"
    "  (func (export \"host, then segv\") call $host (drop (i64.load (i32.const 70000)))))";

static void (*host_work)(void);

static wasm_trap_t *work(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                         wasmtime_val_t *results, size_t nresults) {
  (void)env, (void)caller, (void)args, (void)nargs, (void)results, (void)nresults;
  if (host_work) host_work();
  return NULL;
}

static wasmtime_instance_t faulting_in(wasmtime_context_t *in, wasm_engine_t *of) {
  wasm_functype_t *type = wasm_functype_new_0_0();
  wasmtime_func_t host;
  wasmtime_func_new(in, type, work, NULL, NULL, &host);
  wasm_functype_delete(type);
  wasmtime_extern_t import = func_extern(host);
  return instance_with(in, of, FAULTING, &import, 1);
}

static wasm_trap_t *run_in(wasmtime_context_t *in, const wasmtime_instance_t *instance, const char *name) {
  wasmtime_extern_t item = export_in(in, instance, name);
  wasm_trap_t *trap = NULL;
  wasmtime_val_t zero = i32_val(0), result;
  bool divides = !strcmp(name, "fpe");
  expect_ok(wasmtime_func_call(in, &item.of.func, &zero, divides, &result, divides, &trap));
  return trap;
}

static void guest_faults(const wasmtime_instance_t *instance) {
  expect_trap(run_in(ctx, instance, "segv"), WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
  expect_trap(run_in(ctx, instance, "fpe"), WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO);
  expect_trap(run_in(ctx, instance, "deep"), WASMTIME_TRAP_CODE_STACK_OVERFLOW);
}

// Makes what `RUN` makes, at the moment the claim chooses.
static wasmtime_instance_t begin(void) {
  engine = wasm_engine_new();
  store = wasmtime_store_new(engine, NULL, NULL);
  ctx = wasmtime_store_context(store);
  return faulting_in(ctx, engine);
}

// Host and guest take turns, also one inside of the other.
static void take_turns(const wasmtime_instance_t *instance) {
  handled = 0;
  guest_faults(instance);
  expect(handled == 0);
  host_faults();
  expect(handled == 1);
  guest_faults(instance);
  host_work = host_faults;
  expect_no_trap(run_in(ctx, instance, "host"));
  expect(handled == 2);
  expect_trap(run_in(ctx, instance, "host, then segv"), WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
  expect(handled == 3 && unexpected == 0);
  // Neither left a signal blocked.
  sigset_t mask;
  sigprocmask(SIG_BLOCK, NULL, &mask);
  expect(!sigismember(&mask, SIGSEGV) && !sigismember(&mask, SIGFPE) && !sigismember(&mask, SIGUSR1));
}

// -- Handlers before ours

static void a_handler_before_keeps_working(void) {
  install(SIGSEGV, allow, SA_SIGINFO);
  wasmtime_instance_t instance = begin();
  take_turns(&instance);
  expect(usr1_was_blocked && segv_was_blocked);
}

static void a_plain_handler_before_keeps_working(void) {
  install(SIGSEGV, allow_plainly, 0);
  wasmtime_instance_t instance = begin();
  take_turns(&instance);
  expect(usr1_was_blocked && segv_was_blocked);
}

static void a_handler_before_on_an_alternate_stack_keeps_working(void) {
  static char stack[64 << 10];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  expect(!sigaltstack(&alternate, NULL));
  install(SIGSEGV, allow, SA_SIGINFO | SA_ONSTACK);
  wasmtime_instance_t instance = begin();
  take_turns(&instance);
  expect((char *)handler_frame >= stack && (char *)handler_frame < stack + sizeof stack);
  // The stack is still the host's.
  stack_t now;
  expect(!sigaltstack(NULL, &now) && now.ss_sp == stack && now.ss_size == sizeof stack);
}

static void a_handler_before_without_an_alternate_stack_keeps_working(void) {
  stack_t none = {.ss_flags = SS_DISABLE};
  expect(!sigaltstack(&none, NULL));
  install(SIGSEGV, allow, SA_SIGINFO | SA_ONSTACK);
  wasmtime_instance_t instance = begin();
  take_turns(&instance);
}

static void a_handler_before_may_be_interrupted_by_its_own_signal(void) {
  install(SIGSEGV, allow, SA_SIGINFO | SA_NODEFER);
  wasmtime_instance_t instance = begin();
  take_turns(&instance);
  expect(usr1_was_blocked && !segv_was_blocked);
}

// SA_RESETHAND: the handler runs for the first of the host's faults; the next has the default.
static void a_handler_before_that_runs_once_runs_once(void) {
  install(SIGSEGV, allow, SA_SIGINFO | SA_RESETHAND);
  wasmtime_instance_t instance = begin();
  guest_faults(&instance);
  host_faults();
  expect(handled == 1);
  guest_faults(&instance);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    host_faults();
    _exit(0);
  }
  int status;
  expect(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void a_signal_that_somebody_sends_reaches_the_handler(void) {
  install(SIGSEGV, allow, SA_SIGINFO);
  wasmtime_instance_t instance = begin();
  raise(SIGSEGV);
  expect(handled == 1);
  guest_faults(&instance);
  expect(!kill(getpid(), SIGSEGV) && handled == 2);
}

static void without_a_handler_the_host_dies_of_its_faults(void) {
  wasmtime_instance_t instance = begin();
  guest_faults(&instance);
  fflush(stdout);
  for (int sent = 0; sent < 2; sent++) {
    pid_t child = fork();
    if (child == 0) {
      if (sent)
        raise(SIGFPE);
      else
        host_faults();
      _exit(0);
    }
    int status;
    expect(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == (sent ? SIGFPE : SIGSEGV));
  }
  guest_faults(&instance);
}

// -- Jumping out of a handler

static sigjmp_buf out;

static void jump(int signal, siginfo_t *info, void *context) {
  (void)info, (void)context;
  note_handler(&signal);
  siglongjmp(out, signal);
}

static void fault_and_come_back(void) {
  if (!sigsetjmp(out, 1)) {
    host_faults();
    expect(!"reached");
  }
}

static volatile int zero;

static void divide_and_come_back(void) {
  int signal = sigsetjmp(out, 1);
  if (!signal) {
    // The machine's own division: by the language's rules anything may happen.
    int quotient = 1, remainder = 0;
    __asm__ volatile("idivl %2" : "+a"(quotient), "+d"(remainder) : "r"(zero));
    expect(!"reached");
  }
  expect(signal == SIGFPE);
}

static void read_past_a_file_and_come_back(void) {
  FILE *file = tmpfile();
  char *mapped = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fileno(file), 0);
  int signal = sigsetjmp(out, 1);
  if (!signal) {
    (void)*(volatile char *)mapped;
    expect(!"reached");
  }
  expect(signal == SIGBUS);
  munmap(mapped, PAGE);
  fclose(file);
}

// Past the memory's end, where a guest's access would be a trap.
static void read_past_a_memory_and_come_back(const wasmtime_instance_t *instance) {
  wasmtime_extern_t memory = export_of(instance, "m");
  volatile char *data = (char *)wasmtime_memory_data(ctx, &memory.of.memory);
  if (!sigsetjmp(out, 1)) {
    (void)data[65536];
    expect(!"reached");
  }
}

static void a_handler_may_jump_out(void) {
  install(SIGSEGV, jump, SA_SIGINFO);
  install(SIGFPE, jump, SA_SIGINFO);
  install(SIGBUS, jump, SA_SIGINFO);
  wasmtime_instance_t instance = begin();
  for (int round = 0; round < 3; round++) {
    handled = 0;
    fault_and_come_back();
    divide_and_come_back();
    read_past_a_file_and_come_back();
    read_past_a_memory_and_come_back(&instance);
    expect(handled == 4);
    guest_faults(&instance);
    // In a function that the guest calls, to a place in the same function.
    host_work = divide_and_come_back;
    expect_no_trap(run_in(ctx, &instance, "host"));
    host_work = fault_and_come_back;
    expect_trap(run_in(ctx, &instance, "host, then segv"), WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
    expect(handled == 6);
  }
}

// -- Handlers after ours

static void pass_on(int signal, siginfo_t *info, void *context) {
  if ((char *)info->si_addr == forbidden && signal == SIGSEGV) {
    allow(signal, info, context);
    return;
  }
  const struct sigaction *old = &old_actions[signal];
  if (old->sa_flags & SA_SIGINFO)
    old->sa_sigaction(signal, info, context);
  else
    _exit(3);
}

static void a_handler_after_passes_on(void) {
  wasmtime_instance_t instance = begin();
  guest_faults(&instance);
  install(SIGSEGV, pass_on, SA_SIGINFO);
  install(SIGFPE, pass_on, SA_SIGINFO);
  take_turns(&instance);
  // New engines and stores don't push it away.
  wasm_engine_t *other = wasm_engine_new();
  wasmtime_store_t *other_store = wasmtime_store_new(other, NULL, NULL);
  wasmtime_instance_t inner = faulting_in(wasmtime_store_context(other_store), other);
  wasm_trap_t *trap = run_in(wasmtime_store_context(other_store), &inner, "segv");
  expect_trap(trap, WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS);
  struct sigaction now;
  expect(!sigaction(SIGSEGV, NULL, &now) && now.sa_sigaction == pass_on);
  wasmtime_store_delete(other_store);
  wasm_engine_delete(other);
}

static void handlers_before_and_after_keep_working(void) {
  install(SIGSEGV, jump, SA_SIGINFO | SA_NODEFER);
  wasmtime_instance_t instance = begin();
  install(SIGSEGV, pass_on, SA_SIGINFO | SA_ONSTACK | SA_NODEFER);
  take_turns(&instance);
  // What neither the later handler nor we know goes through both to the earliest.
  handled = 0;
  read_past_a_memory_and_come_back(&instance);
  expect(handled == 1);
  guest_faults(&instance);
}

// -- Threads

static void *host_and_guest(void *arg) {
  int number = *(int *)arg;
  stack_t none = {.ss_flags = SS_DISABLE}, alternate = {.ss_sp = malloc(64 << 10), .ss_size = 64 << 10};
  sigaltstack(number % 2 ? &none : &alternate, NULL);
  char *mine = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  wasmtime_store_t *other = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(other);
  wasmtime_instance_t instance = faulting_in(context, engine);
  intptr_t bad = 0;
  for (int round = 0; round < 50; round++) {
    wasm_trap_t *trap = run_in(context, &instance, round % 2 ? "segv" : "fpe");
    wasmtime_trap_code_t code = 0;
    if (!trap || !wasmtime_trap_code(trap, &code)) bad++;
    if (trap) wasm_trap_delete(trap);
    mprotect(mine, PAGE, PROT_NONE);
    *(volatile char *)mine = 1;
  }
  wasmtime_store_delete(other);
  munmap(mine, PAGE);
  sigaltstack(&none, NULL);
  free(alternate.ss_sp);
  return (void *)bad;
}

static void allow_any(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  mprotect((void *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE);
}

static void threads_of_host_and_guest_fault_at_once(void) {
  enum { THREADS = 6 };
  install(SIGSEGV, allow_any, SA_SIGINFO | SA_ONSTACK);
  begin();
  pthread_t ids[THREADS];
  int numbers[THREADS];
  for (int i = 0; i < THREADS; i++) {
    numbers[i] = i;
    expect(!pthread_create(&ids[i], NULL, host_and_guest, &numbers[i]));
  }
  for (int i = 0; i < THREADS; i++) {
    void *bad;
    pthread_join(ids[i], &bad);
    expect(bad == NULL);
  }
}

// -- A process for each claim

static const struct {
  const char *name;
  void (*claim)(void);
  bool here; // the reference library keeps neither masks, flags nor defaults of handlers before its own
} CLAIMS[] = {
#define CLAIM(claim) {#claim, claim, false}
#define CLAIM_HERE(claim) {#claim, claim, true}
    CLAIM_HERE(a_handler_before_keeps_working),
    CLAIM_HERE(a_plain_handler_before_keeps_working),
    CLAIM_HERE(a_handler_before_on_an_alternate_stack_keeps_working),
    CLAIM(a_handler_before_without_an_alternate_stack_keeps_working),
    CLAIM_HERE(a_handler_before_may_be_interrupted_by_its_own_signal),
    CLAIM_HERE(a_handler_before_that_runs_once_runs_once),
    CLAIM(a_signal_that_somebody_sends_reaches_the_handler),
    CLAIM_HERE(without_a_handler_the_host_dies_of_its_faults),
    CLAIM(a_handler_may_jump_out),
    CLAIM(a_handler_after_passes_on),
    CLAIM(handlers_before_and_after_keep_working),
    CLAIM(threads_of_host_and_guest_fault_at_once),
};

static int run_claim(size_t index) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  test_claim = CLAIMS[index].name;
  test_claim_holds = true;
  forbidden = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CLAIMS[index].claim();
  if (store) wasmtime_store_delete(store);
  if (engine) wasm_engine_delete(engine);
  return test_claim_holds ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc > 1) return run_claim((size_t)atoi(argv[1]));
  for (size_t i = 0; i < sizeof CLAIMS / sizeof *CLAIMS; i++) {
    if (CLAIMS[i].here && getenv("AMPOULE_AGAINST")) {
      test_skip(CLAIMS[i].name, "another library is tested");
      continue;
    }
    char number[8];
    snprintf(number, sizeof number, "%zu", i);
    pid_t child = fork();
    if (child == 0) {
      execl("/proc/self/exe", argv[0], number, (char *)NULL);
      _exit(127);
    }
    int status;
    waitpid(child, &status, 0);
    if (status) {
      printf("FAIL %s: status 0x%x\n", CLAIMS[i].name, status);
      test_failed++;
    } else {
      printf("ok %s\n", CLAIMS[i].name);
      test_passed++;
    }
  }
  printf("%d passed, %d failed\n", test_passed, test_failed);
  return test_failed != 0;
}
