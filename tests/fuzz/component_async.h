// What `components.c` does with `ampoule/component.h`: calls that are started, let go on, cancelled and forgotten; ends of streams and futures
// that are read, written, given away and dropped, of this store and of others, also of stores that are gone; host functions that answer at once,
// later, from another thread, twice or never; and plans.

enum { CALLS = 16, ENDS = 16, COMPLETIONS = 12, PLANS = 6 };

// Kept after their store is gone, as functions are.
static struct {
  ampoule_component_call_t *call;
  unsigned long number;
  size_t nresults;
} calls[CALLS];
static struct {
  ampoule_component_reader_t *reader;
  unsigned long number;
} readers[ENDS];
static struct {
  ampoule_component_writer_t *writer;
  unsigned long number;
} writers[ENDS];
static ampoule_component_completion_t *completions[COMPLETIONS];
static struct {
  ampoule_component_plan_t *plan;
  unsigned long number;
  bool in_call, is_text;
} plans[PLANS];

static unsigned long started, finished, copied, answered, planned;

// The store of this number, or another one now and then.
static int store_for(unsigned long number) {
  int s = any_store();
  for (int i = 0; i < STORES && !once_in(12); i++)
    if (stores[i].store && stores[i].number == number) s = i;
  return s;
}

static bool is_of(int s, unsigned long number) { return stores[s].number == number; }

// -- Streams and futures

static void keep_reader(int s, ampoule_component_reader_t *reader) {
  size_t i = below(ENDS);
  ampoule_component_reader_delete(readers[i].reader);
  readers[i].reader = reader, readers[i].number = stores[s].number;
}

static void keep_writer(int s, ampoule_component_writer_t *writer) {
  size_t i = below(ENDS);
  ampoule_component_writer_delete(writers[i].writer);
  writers[i].writer = writer, writers[i].number = stores[s].number;
}

// A new pair, of which the writable end is kept.
static ampoule_component_reader_t *new_ends(int s, takes_t takes, bool of_fit) {
  static const wasmtime_component_valtype_kind_t kinds[] = {WASMTIME_COMPONENT_VALTYPE_U8, WASMTIME_COMPONENT_VALTYPE_U32,
                                                            WASMTIME_COMPONENT_VALTYPE_STRING};
  wasmtime_component_valtype_t type;
  memset(&type, 0, sizeof type);
  type.kind = of_fit ? kinds[takes == TAKES_FUTURE] : kinds[below(3)];
  const wasmtime_component_valtype_t *of = !of_fit && once_in(4) ? NULL : &type;
  ampoule_component_writer_t *writer;
  ampoule_component_reader_t *reader;
  bool is_future = of_fit ? takes == TAKES_FUTURE : once_in(2);
  wasmtime_error_t *error = is_future ? ampoule_component_future_new(context_of(s), of, &writer, &reader)
                                      : ampoule_component_stream_new(context_of(s), of, &writer, &reader);
  if (!drop_error(error)) return NULL;
  keep_writer(s, writer);
  return reader;
}

// The value of an end: one that fits mostly.
static val_t end_val(int s, takes_t takes) {
  ampoule_component_reader_t *reader = NULL;
  size_t i = below(ENDS);
  if (once_in(4)) {
    reader = readers[i].reader, readers[i].reader = NULL;
  }
  if (!reader) reader = new_ends(s, takes, !once_in(12));
  val_t val;
  memset(&val, 0, sizeof val);
  if (reader) ampoule_component_reader_into_val(reader, &val);
  return val;
}

// A result, which may hold an end.
static void take_result(int s, val_t *result) {
  ampoule_component_reader_t *reader;
  if ((result->kind >= AMPOULE_COMPONENT_STREAM ? !once_in(4) : once_in(16)) && drop_error(ampoule_component_reader_from_val(result, &reader))) {
    expect_error(ampoule_component_reader_from_val(result, &reader));
    keep_reader(s, reader);
  }
  wasmtime_component_val_delete(result);
}

static void check_copied(wasmtime_error_t *error, bool own, size_t count, size_t most, ampoule_component_flow_t flow) {
  // Of no elements of a future, nobody is asked; nor when its value was written, which is all that there is.
  check(own || error || most == 0 || flow == AMPOULE_COMPONENT_CLOSED);
  if (!drop_error(error)) return;
  check(count <= most && flow <= AMPOULE_COMPONENT_CLOSED && (flow == AMPOULE_COMPONENT_READY || count == 0));
  copied += count;
}

static void use_ends(void) {
  size_t i = below(ENDS), count = 0, most = below(9);
  bool reads = once_in(2);
  for (int tries = 0; tries < 8 && !lives(reads ? readers[i].number : writers[i].number); tries++) i = below(ENDS);
  unsigned long number = reads ? readers[i].number : writers[i].number;
  int s = store_for(number);
  if (s < 0 || once_in(6)) {
    if (s >= 0) {
      ampoule_component_reader_t *reader = new_ends(s, TAKES_VALUE, false);
      if (reader) keep_reader(s, reader);
    }
    return;
  }
  if (reads ? !readers[i].reader : !writers[i].writer) return;
  bool own = is_of(s, number);
  ampoule_component_flow_t flow = 0;
  wasmtime_component_valtype_t type;
  uint64_t block[8] = {rnd(), rnd()};
  val_t vals[8];
  memset(vals, 0, sizeof vals);
  most = most > 8 ? 8 : most;
  switch (below(8)) {
  case 0:
    if (reads) {
      ampoule_component_reader_delete(readers[i].reader), readers[i].reader = NULL;
    } else {
      ampoule_component_writer_delete(writers[i].writer), writers[i].writer = NULL;
    }
    break;
  case 1:
    if (reads ? ampoule_component_reader_type(readers[i].reader, &type) : ampoule_component_writer_type(writers[i].writer, &type))
      wasmtime_component_valtype_delete(&type);
    break;
  case 2:
  case 3:
  case 4: {
    wasmtime_error_t *error =
        reads ? ampoule_component_read_block(readers[i].reader, context_of(s), block, most, &count, &flow)
              : ampoule_component_write_block(writers[i].writer, context_of(s), block, most, &count, &flow);
    check_copied(error, own, count, most, flow);
    break;
  }
  default:
    for (size_t v = 0; !reads && v < most; v++) vals[v] = any_val(0);
    wasmtime_error_t *error = reads ? ampoule_component_read(readers[i].reader, context_of(s), vals, most, &count, &flow)
                                    : ampoule_component_write(writers[i].writer, context_of(s), vals, most, &count, &flow);
    check_copied(error, own, count, most, flow);
    for (size_t v = 0; v < most; v++) wasmtime_component_val_delete(&vals[v]);
  }
}

// -- Calls

// What a function is called with, which fits mostly.
static val_t arg_for(int s, size_t f);

static void start_call(void) {
  size_t f = below(FUNCS);
  for (int tries = 0; tries < 16 && !lives(funcs[f].number); tries++) f = below(FUNCS);
  if (!funcs[f].number) return;
  int s = store_for(funcs[f].number);
  if (s < 0) return;
  val_t arg = arg_for(s, f);
  size_t nargs = once_in(12) ? below(2) : funcs[f].nargs;
  ampoule_component_call_t *call = NULL;
  wasmtime_error_t *error = ampoule_component_call_start(context_of(s), &funcs[f].func, &arg, nargs, &call);
  check(error || is_of(s, funcs[f].number));
  if (drop_error_of(s, error)) {
    started++;
    check(nargs == 0 || arg.kind == WASMTIME_COMPONENT_BOOL);
    size_t i = below(CALLS);
    ampoule_component_call_delete(calls[i].call);
    calls[i].call = call, calls[i].number = stores[s].number, calls[i].nresults = funcs[f].nresults;
  }
  wasmtime_component_val_delete(&arg);
}

static void use_call(void) {
  size_t i = below(CALLS);
  for (int tries = 0; tries < 8 && (!calls[i].call || !lives(calls[i].number)); tries++) i = below(CALLS);
  if (!calls[i].call) return;
  int s = store_for(calls[i].number);
  // Others may be put in its place meanwhile.
  ampoule_component_call_t *call = calls[i].call;
  unsigned long number = calls[i].number;
  size_t nresults = calls[i].nresults;
  if (s < 0 || once_in(12)) {
    ampoule_component_call_delete(call);
    calls[i].call = NULL;
    return;
  }
  bool own = is_of(s, number), over = ampoule_component_call_is_over(call, context_of(s));
  check(own || !over);
  if (once_in(8)) {
    calls[i].call = NULL;
    stores[s].active++;
    wasmtime_error_t *error = ampoule_component_call_cancel(call, context_of(s));
    stores[s].active--;
    check(own || error);
    drop_error(error);
    ampoule_component_call_delete(calls[i].call);
    calls[i].call = call, calls[i].number = number, calls[i].nresults = nresults;
    return;
  }
  val_t result;
  memset(&result, 0, sizeof result);
  wasmtime_error_t *error = ampoule_component_call_finish(call, context_of(s), &result, once_in(12) ? below(2) : nresults);
  check(over || error);
  if (drop_error(error)) finished++;
  if (over) expect_error(ampoule_component_call_finish(call, context_of(s), &result, 2));
  take_result(s, &result);
}

static void let_go_on(void) {
  int s = any_store();
  if (s < 0) return;
  stores[s].active++;
  if (once_in(8)) {
    // Ended by the store's check, where nothing else does.
    drop_error(ampoule_component_wait(context_of(s)));
  } else if (once_in(8)) {
    size_t i = below(CALLS);
    ampoule_component_call_t *call = once_in(2) && calls[i].number == stores[s].number ? calls[i].call : NULL;
    if (call) calls[i].call = NULL;
    wasmtime_error_t *error = NULL;
    wasmtime_call_future_t *future = ampoule_component_run_async(context_of(s), call, &error);
    bool done = false;
    for (size_t polls = below(4); polls > 0 && !done; polls--) done = wasmtime_call_future_poll(future);
    wasmtime_call_future_delete(future);
    if (error) drop_error(error);
    ampoule_component_call_delete(call);
  } else {
    bool idle;
    drop_error(ampoule_component_run(context_of(s), once_in(2) ? &idle : NULL));
  }
  stores[s].active--;
}

// -- Host functions that answer later

static void note_cancel(void *env) { check(env == &given); }

static void answer(ampoule_component_completion_t *completion) {
  val_t val = any_val(0);
  for (int tries = 0; tries < 8 && val.kind != WASMTIME_COMPONENT_U32 && !once_in(20); tries++) {
    wasmtime_component_val_delete(&val);
    val = any_val(0);
  }
  bool is_answer;
  if (once_in(20)) {
    is_answer = ampoule_component_fail(completion, wasmtime_error_new("the host does not know"));
  } else {
    is_answer = ampoule_component_complete(completion, once_in(30) ? NULL : &val);
  }
  check(!is_answer || !ampoule_component_complete(completion, NULL));
  answered += is_answer;
  wasmtime_component_val_delete(&val);
}

static void *answer_elsewhere(void *completion) { return answer(completion), NULL; }

static void later(void *data, wasmtime_context_t *context, const wasmtime_component_func_type_t *type, val_t *args,
                  size_t nargs, ampoule_component_completion_t *completion) {
  check(data == &given && nargs == 1 && args[0].kind == WASMTIME_COMPONENT_U32);
  check(wasmtime_component_func_type_param_count(type) == 1);
  store_of(context);
  callback_ops();
  if (once_in(3)) ampoule_component_completion_on_cancel(completion, note_cancel, gift(), finalize);
  if (once_in(3)) answer(completion);
  size_t i = below(COMPLETIONS);
  ampoule_component_completion_delete(completions[i]);
  completions[i] = completion;
}

static void use_completion(void) {
  size_t i = below(COMPLETIONS);
  if (!completions[i]) return;
  switch (below(6)) {
  case 0:
    ampoule_component_completion_delete(completions[i]);
    completions[i] = NULL;
    break;
  case 1: ampoule_component_completion_on_cancel(completions[i], note_cancel, gift(), finalize); break;
  case 2: ampoule_component_completion_is_cancelled(completions[i]); break;
  case 3: {
    pthread_t thread;
    check(!pthread_create(&thread, NULL, answer_elsewhere, completions[i]));
    pthread_join(thread, NULL);
    break;
  }
  default: answer(completions[i]);
  }
}

// -- Plans

typedef struct {
  const char *ptr;
  size_t len;
} text_t;

static void use_plan(void) {
  size_t i = below(PLANS), f = below(FUNCS);
  if (!plans[i].plan || (once_in(4) && !plans[i].in_call)) {
    for (int tries = 0; tries < 16 && (!funcs[f].kind || !lives(funcs[f].number)); tries++) f = below(FUNCS);
    int s = store_for(funcs[f].number);
    if (s < 0 || !funcs[f].number) return;
    bool is_text = funcs[f].kind == WASMTIME_COMPONENT_STRING, whole = !once_in(6);
    size_t size = whole ? is_text ? sizeof(text_t) : 4 : below(20);
    ampoule_component_plan_t *plan;
    wasmtime_error_t *error =
        ampoule_component_plan_new(context_of(s), &funcs[f].func, &size, 1, whole ? size : below(20), &plan);
    check(error || is_of(s, funcs[f].number));
    if (!drop_error(error)) return;
    // What doesn't fit is refused: whatever the sizes were, these are the function's.
    if (size != (is_text ? sizeof(text_t) : 4) || !funcs[f].kind) {
      ampoule_component_plan_delete(plan);
      return;
    }
    ampoule_component_plan_delete(plans[i].plan);
    plans[i].plan = plan, plans[i].number = stores[s].number, plans[i].is_text = is_text;
    return;
  }
  int s = store_for(plans[i].number);
  if (s < 0 || plans[i].in_call) return;
  uint32_t number = (uint32_t)rnd();
  text_t text = {"h\xc3\xa9llo \xff", once_in(4) ? 8 : below(7)}, got_text = {NULL, 0};
  const void *args[] = {plans[i].is_text ? (const void *)&text : (const void *)&number};
  uint64_t result[8] = {0};
  plans[i].in_call = true;
  stores[s].active++;
  wasmtime_error_t *error = ampoule_component_plan_call(plans[i].plan, context_of(s), args, result);
  stores[s].active--;
  plans[i].in_call = false;
  check(error || is_of(s, plans[i].number));
  if (!drop_error(error)) return;
  planned++;
  memcpy(&got_text, result, sizeof got_text);
  // All of it can be read.
  for (size_t at = 0; plans[i].is_text && at < got_text.len; at++) check(got_text.ptr[at] != '\xff');
}

// -- What ends a store's calls

static bool stop_waiting(void *asked) { return ++*(unsigned *)asked % 2 == 0; }

// Small fuel, time and limits now and then; a store's waits end soon in any case.
static void bound_store(int s, unsigned *asked) {
  wasmtime_context_t *context = context_of(s);
  *asked = 0;
  ampoule_context_set_interrupt_check(context, stop_waiting, asked, NULL);
  if (stores[s].engine == METERED) {
    check(!wasmtime_context_set_fuel(context, once_in(4) ? below(2000) : 1000000000));
    wasmtime_context_set_epoch_deadline(context, once_in(4) ? 1 + below(3) : 1u << 30);
    if (once_in(6)) check(!ampoule_context_set_call_deadline(context, 1000000 + below(3000000)));
  }
  if (once_in(8))
    wasmtime_store_limiter(stores[s].store, (int64_t)(below(6) * 65536), -1, (int64_t)below(8), -1, (int64_t)below(6));
}

static wasm_engine_t *new_engine(bool metered) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_wasm_component_model_async_set(config, true);
  wasmtime_config_wasm_component_model_async_stackful_set(config, true);
  wasmtime_config_wasm_component_model_more_async_builtins_set(config, true);
  if (metered) {
    wasmtime_config_consume_fuel_set(config, true);
    wasmtime_config_epoch_interruption_set(config, true);
    ampoule_config_cancellation_set(config, true);
  }
  return wasm_engine_new_with_config(config);
}

static void forget_all(void) {
  for (int i = 0; i < CALLS; i++) ampoule_component_call_delete(calls[i].call);
  for (int i = 0; i < ENDS; i++) {
    ampoule_component_reader_delete(readers[i].reader);
    ampoule_component_writer_delete(writers[i].writer);
  }
  for (int i = 0; i < COMPLETIONS; i++) ampoule_component_completion_delete(completions[i]);
  for (int i = 0; i < PLANS; i++) ampoule_component_plan_delete(plans[i].plan);
  memset(calls, 0, sizeof calls), memset(readers, 0, sizeof readers), memset(writers, 0, sizeof writers);
  memset(completions, 0, sizeof completions), memset(plans, 0, sizeof plans);
}
