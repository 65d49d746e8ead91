// Operations of capi.c on futures: calls and instantiations that wait, are polled from everywhere, and dropped midway.

// What counts for the stack that we are on, while a future runs on its own.
struct here {
  int depth, current_store, active;
  struct pending *current;
};

static struct here leave_for(struct pending *it, struct origin origin) {
  struct here here = {.depth = depth, .current_store = current_store, .current = current};
  if (alive(origin)) here.active = stores[origin.store].active++;
  depth++, current = it, current_store = origin.store;
  it->running = true;
  return here;
}

// Other stores' guests may still be on the future's stack.
static void come_back(struct pending *it, struct origin origin, const struct here *here) {
  it->running = false;
  depth = here->depth, current_store = here->current_store, current = here->current;
  if (alive(origin)) stores[origin.store].active = here->active;
}

static void drop_pending(struct pending **pending) {
  struct pending *it = *pending;
  struct origin origin = {0, UINT_MAX};
  for (size_t i = 0; i < num_futures; i++)
    if (futures[i].it == it) origin = futures[i].origin;
  check(!it->running);
  struct here here = leave_for(it, origin);
  wasmtime_call_future_delete(it->future);
  come_back(it, origin, &here);
  check(!it->error && !it->trap);
  free(it);
}

static void begin_future(int s) {
  struct pending *it = calloc(1, sizeof *it);
  wasmtime_context_t *context = stores[s].context;
  int at = -1, module_at = pick_modules(s);
  uint64_t what = below(6);
  if (what == 0 && module_at >= 0 && (at = pick_linkers(s)) >= 0) {
    it->instantiates = true;
    it->future = wasmtime_linker_instantiate_async(linkers[at].it, context, modules[module_at].it, &it->instance, &it->trap,
                                                   &it->error);
  } else if (what == 1 && (at = pick_pres(s)) >= 0) {
    it->instantiates = true;
    it->future = wasmtime_instance_pre_instantiate_async(pres[at].it, context, &it->instance, &it->trap, &it->error);
  } else if ((at = pick_funcs(s)) >= 0) {
    wasmtime_func_t func = funcs[at].it;
    uint8_t kinds[16] = {0};
    wasmtime_val_t args[16];
    size_t nargs = below(4);
    it->nresults = below(3);
    if (belongs(funcs[at].origin, s)) kinds_of(s, &func, kinds, &nargs, &it->nresults);
    for (size_t i = 0; i < nargs; i++) args[i] = some_val(s, kinds[i]);
    it->future = wasmtime_func_call_async(context, &func, args, nargs, it->results, it->nresults, &it->trap, &it->error);
    memset(args, 0xee, sizeof args); // they were copied
  } else {
    free(it);
    return;
  }
  check(it->future && !it->error && !it->trap);
  keep_futures(origin_of(s), it);
}

// Polls, and takes what the end brings.
static void poll_future(struct origin origin, struct pending *it) {
  it->begun = true;
  struct here here = leave_for(it, origin);
  it->done = wasmtime_call_future_poll(it->future);
  come_back(it, origin, &here);
  if (!it->done) {
    check(alive(origin) && !it->error && !it->trap);
    waited++;
    return;
  }
  note(it->error, it->trap, it->instantiates ? &instantiated : &called);
  check(!(it->error && it->trap) && (it->error || alive(origin)));
  if (!it->error && !it->trap) {
    if (it->instantiates)
      take_instance(origin.store, &it->instance);
    else
      for (size_t i = 0; i < it->nresults; i++) take_val(&it->results[i]);
  }
  drop_error(it->error);
  drop_trap(it->trap);
  it->error = NULL;
  it->trap = NULL;
}

static void op_future(int s) {
  int at = pick_futures(s);
  if (at < 0 || once_in(4)) return begin_future(s);
  struct pending *it = futures[at].it;
  struct origin origin = futures[at].origin;
  if (it->running) return;
  if (!it->done && !once_in(6)) {
    uint64_t times = 1 + below(3);
    while (times-- > 0 && !it->done) poll_future(origin, it);
    return;
  }
  // It stays in its place until it is gone: what ends with it may look at the others.
  drop_pending(&futures[at].it);
  for (size_t i = 0; i < num_futures; i++)
    if (futures[i].it == it) return remove_futures(i);
}

// Those that are being polled on the stack of another end with that.
static void end_futures(void) {
  for (bool more = true; more;) {
    more = false;
    for (size_t i = num_futures; i-- > 0;) {
      if (futures[i].it->running) {
        more = true;
        continue;
      }
      drop_pending(&futures[i].it);
      remove_futures(i);
      i = num_futures;
    }
  }
}

// -- Reasons to yield

static void op_yielding(int s) {
  wasmtime_context_t *context = stores[s].context;
  if (once_in(2))
    drop_error(wasmtime_context_fuel_async_yield_interval(context, size_or_edge(500)));
  else if (has_epochs(stores[s].engine))
    drop_error(wasmtime_context_epoch_deadline_async_yield_and_update(context, size_or_edge(3)));
}

// A host function that isn't ready for a while.
struct later {
  uint64_t asks_left;
  size_t nresults;
  wasmtime_val_t *results;
  wasm_trap_t **trap;
};

static bool is_ready(void *env) {
  struct later *later = env;
  if (later->asks_left-- > 0) return false;
  if (once_in(8)) {
    *later->trap = wasmtime_trap_new("late no", 7);
    return true;
  }
  for (size_t i = 0; i < later->nresults; i++) later->results[i] = (wasmtime_val_t){.kind = WASMTIME_I32, .of.i32 = 5};
  return true;
}

static void end_later(void *env) {
  gifts[OF_LATER].finalized++;
  free(env);
}

// For signatures 0 and 1.
static void async_callback(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                           wasmtime_val_t *results, size_t nresults, wasm_trap_t **trap_ret,
                           wasmtime_async_continuation_t *continuation_ret) {
  check(is_gift(env, OF_LINKER) && nargs == nresults && nargs <= 1 && !*trap_ret);
  check(!nargs || args[0].kind == WASMTIME_I32);
  callback_ops(store_of(wasmtime_caller_context(caller)));
  struct later *later = malloc(sizeof *later);
  *later = (struct later){below(4), nresults, results, trap_ret};
  gifts[OF_LATER].given++;
  *continuation_ret = (wasmtime_async_continuation_t){is_ready, later, end_later};
}

static void op_later(int s) {
  int at = pick_linkers(s);
  if (at < 0) return;
  size_t signature = below(2);
  char name[3] = {'f', (char)('0' + signature), 0};
  wasm_functype_t *type = new_functype(signature);
  drop_error(wasmtime_linker_define_async_func(linkers[at].it, "env", 3, name, 2, type, async_callback, give_away(OF_LINKER),
                                               finalize));
  wasm_functype_delete(type);
}

// Something to wait for: a store that yields often, or whose guests have host functions that aren't ready.
static void prepare_waiting(int s) {
  int engine = stores[s].engine;
  wasmtime_context_t *context = stores[s].context;
  if (has_fuel(engine)) {
    drop_error(wasmtime_context_set_fuel(context, 1000000));
    drop_error(wasmtime_context_fuel_async_yield_interval(context, 1 + below(20)));
  }
  if (has_epochs(engine)) {
    drop_error(wasmtime_context_epoch_deadline_async_yield_and_update(context, below(2)));
    wasmtime_context_set_epoch_deadline(context, 0);
  }
  wasmtime_linker_t *linker = wasmtime_linker_new(engines[engine]);
  wasmtime_linker_allow_shadowing(linker, true);
  for (size_t signature = 0; signature < NUM_SIGNATURES; signature++) {
    char name[3] = {'f', (char)('0' + signature), 0};
    wasm_functype_t *type = new_functype(signature);
    wasmtime_error_t *error =
        signature < 2 && !once_in(3)
            ? wasmtime_linker_define_async_func(linker, "env", 3, name, 2, type, async_callback, give_away(OF_LINKER), finalize)
            : wasmtime_linker_define_func(linker, "env", 3, name, 2, type, callback, give_away(OF_LINKER), finalize);
    check(!error);
    wasm_functype_delete(type);
  }
  // Calls that wait: of imports f0 and f1, also by tail calls and in a start function, and a loop.
  static const int waiting_guests[] = {4, 12, 6};
  for (int i = 0; i < 3; i++) {
    const wasm_byte_vec_t *bytes = &guests[waiting_guests[i]];
    wasmtime_module_t *module;
    check(!wasmtime_module_new(engines[engine], (const uint8_t *)bytes->data, bytes->size, &module));
    struct pending *it = calloc(1, sizeof *it);
    it->instantiates = true;
    it->future = wasmtime_linker_instantiate_async(linker, context, module, &it->instance, &it->trap, &it->error);
    keep_futures(origin_of(s), it);
    while (!it->done) poll_future(origin_of(s), it);
    wasmtime_call_future_delete(it->future);
    for (size_t at = 0; at < num_futures; at++)
      if (futures[at].it == it) remove_futures(at);
    free(it);
    keep_modules(made_in(engine), module);
  }
  keep_linkers(made_in(engine), linker);
}
