// Operations of capi.c on what a store has beside its guests: cancel tokens, limiters, tags and exceptions, 31-bit integers,
// native functions, statistics.

// -- Cancelling

static void op_cancel(int s) {
  wasmtime_context_t *context = stores[s].context;
  bool can = can_cancel(stores[s].engine);
  int at = pick_tokens(s);
  if (once_in(3)) {
    // The end of time is as far as the edges.
    static const uint64_t times[] = {0, 0, 0, 0, 1, 1000, 1000000, UINT64_MAX};
    wasmtime_error_t *error = ampoule_context_set_call_deadline(context, times[below(8)]);
    check(can == !error);
    drop_error(error);
    return;
  }
  if (at < 0 || once_in(4)) {
    ampoule_cancel_token_t *token = NULL;
    wasmtime_error_t *error = ampoule_cancel_token_new(context, &token);
    check(!error == !!token && (can || error));
    drop_error(error);
    if (token) keep_tokens(origin_of(s), token);
    return;
  }
  ampoule_cancel_token_t *token = tokens[at].it;
  uint64_t generation = ampoule_cancel_token_generation(token);
  if (!alive(tokens[at].origin)) {
    check(!generation && !ampoule_cancel(token, below(9)));
  } else {
    check(generation && !ampoule_cancel(token, generation + 1) && !ampoule_cancel(token, generation - 1));
    if (once_in(2)) check(ampoule_cancel(token, generation));
    if (tokens[at].origin.store == s && once_in(2)) {
      bool cancelled = ampoule_cancel(token, generation);
      check(cancelled && ampoule_cancelled(context));
    }
  }
  if (once_in(3)) keep_tokens(tokens[at].origin, ampoule_cancel_token_clone(token));
}

// -- Limiters

// What a limiter is given: who uses the store at the moment that it asks.
static struct limiter {
  int store;
} limiters[STORES];

static void finalize_limiter(void *env) {
  check((struct limiter *)env >= limiters && (struct limiter *)env < limiters + STORES);
  gifts[OF_LIMITER].finalized++;
}

static wasmtime_error_t *limiter_allow(void *env, const ampoule_limit_request_t *request, bool *allow) {
  int store = (int)((struct limiter *)env - limiters);
  check(request->kind <= AMPOULE_LIMIT_INSTANCE && !*allow);
  check(request->grows || !request->current || request->kind == AMPOULE_LIMIT_INSTANCE);
  // The host may make a table that is longer than its type allows.
  check(request->desired <= request->maximum || (request->kind == AMPOULE_LIMIT_TABLE && !request->grows));
  int at = pick_funcs(store);
  if (once_in(3) && at >= 0) {
    // It must not use the store, and is told so.
    wasm_trap_t *trap = NULL;
    wasmtime_func_t func = funcs[at].it;
    wasmtime_error_t *error = wasmtime_func_call(stores[store].context, &func, NULL, 0, NULL, 0, &trap);
    check(error);
    drop_error(error);
  }
  if (once_in(20)) return wasmtime_error_new("no more");
  *allow = !once_in(5);
  return NULL;
}

static void limiter_failed(void *env, const ampoule_limit_request_t *request, const wasmtime_error_t *reason) {
  (void)env;
  check(request->kind <= AMPOULE_LIMIT_INSTANCE);
  ampoule_error_info_t info = {.size = sizeof info};
  check(ampoule_error_info(reason, &info));
  check_info(&info);
}

static void op_limiter(int s) {
  gifts[OF_LIMITER].given++;
  drop_error(ampoule_store_set_limiter(stores[s].store, once_in(3) ? NULL : limiter_allow, once_in(2) ? limiter_failed : NULL,
                                       &limiters[s], finalize_limiter));
}

// -- Tags and exceptions

// With a field of this kind, or none for 255.
static wasm_tagtype_t *new_tagtype(uint8_t kind) {
  wasm_valtype_vec_t params, results;
  wasm_valtype_vec_new_empty(&results);
  wasm_valtype_vec_new_uninitialized(&params, kind == 255 ? 0 : 1);
  if (params.size) params.data[0] = new_valtype(kind);
  return wasm_tagtype_new(wasm_functype_new(&params, &results));
}

// A value for the only field of the tag, mostly; returns how many there are.
static size_t some_field(int s, int tag_at, wasmtime_val_t *field) {
  static const uint8_t of[] = {WASMTIME_I32, WASMTIME_I64, WASMTIME_F32, WASMTIME_F64};
  uint8_t kind = WASMTIME_I32;
  size_t count = 1;
  if (belongs(tags[tag_at].origin, s)) {
    wasm_tagtype_t *type = wasmtime_tag_type(stores[s].context, &tags[tag_at].it);
    const wasm_valtype_vec_t *params = wasm_functype_params(wasm_tagtype_functype(type));
    count = params->size;
    if (count) {
      wasm_valkind_t found = wasm_valtype_kind(params->data[0]);
      kind = found < 4 ? of[found] : WASMTIME_EXTERNREF;
    }
    wasm_tagtype_delete(type);
  }
  *field = some_val(s, kind);
  return once_in(16) ? 1 - count : count;
}

static wasmtime_exn_t *new_exception(int s) {
  int at = pick_tags(s);
  if (at < 0) return NULL;
  wasmtime_val_t field;
  wasmtime_exn_t *exn = NULL;
  size_t count = some_field(s, at, &field);
  wasmtime_error_t *error = wasmtime_exn_new(stores[s].context, &tags[at].it, &field, count, &exn);
  check(!error == !!exn && (error || belongs(tags[at].origin, s)));
  drop_error(error);
  return exn;
}

static wasm_trap_t *throw_exception(int s) {
  if (stores[s].going) return NULL;
  wasmtime_exn_t *exn = new_exception(s);
  return exn ? wasmtime_context_set_exception(stores[s].context, exn) : NULL;
}

static void look_at_exception(int s, const wasmtime_exn_t *exn) {
  wasmtime_context_t *context = stores[s].context;
  wasmtime_tag_t tag;
  wasmtime_val_t val;
  wasmtime_error_t *error = wasmtime_exn_tag(context, exn, &tag);
  check(!error && wasmtime_tag_eq(context, &tag, &tag));
  size_t count = wasmtime_exn_field_count(context, exn);
  check(count <= 1);
  uint64_t index = below(3);
  error = wasmtime_exn_field(context, exn, index, &val);
  check(!error == (index < count));
  drop_error(error);
  if (!error) take_val(&val);
}

static void op_exception(int s) {
  wasmtime_context_t *context = stores[s].context;
  if (stores[s].going) return; // which exceptions must not outlive
  int at = pick_tags(s);
  if (at < 0 || once_in(6)) {
    static const uint8_t kinds[] = {255, WASMTIME_I32, WASMTIME_EXTERNREF, WASMTIME_F64};
    wasm_tagtype_t *type = new_tagtype(kinds[below(4)]);
    wasmtime_tag_t tag;
    wasmtime_error_t *error = wasmtime_tag_new(context, type, &tag);
    check(!error);
    wasm_tagtype_delete(type);
    keep_tags(owner(tag.store_id), tag);
    return;
  }
  wasmtime_exn_t *exn = NULL;
  wasmtime_exnref_t ref, copy;
  wasmtime_val_t val;
  wasmtime_error_t *error;
  switch (below(6)) {
  case 0:
    if ((exn = new_exception(s))) keep_exns(origin_of(s), exn);
    break;
  case 1:
    if ((at = pick_exns(s)) >= 0 && belongs(exns[at].origin, s)) look_at_exception(s, exns[at].it);
    break;
  case 2:
    if ((at = pick_exns(s)) < 0 || !belongs(exns[at].origin, s)) break;
    exn = exns[at].it;
    remove_exns((size_t)at);
    drop_trap(wasmtime_context_set_exception(context, exn));
    check(wasmtime_context_has_exception(context));
    break;
  case 3: {
    bool has = wasmtime_context_has_exception(context);
    check(wasmtime_context_take_exception(context, &exn) == has && !has == !exn);
    if (!exn) break;
    look_at_exception(s, exn);
    keep_exns(origin_of(s), exn);
    break;
  }
  case 4: {
    size_t count = some_field(s, at, &val);
    error = wasmtime_exnref_new(context, &tags[at].it, &val, count, &ref);
    drop_error(error);
    if (!error) keep_exnrefs(origin_of(s), ref);
    break;
  }
  case 5: {
    if ((at = pick_exnrefs(s)) < 0) break;
    wasmtime_exnref_clone(&exnrefs[at].it, &ref);
    if (belongs(exnrefs[at].origin, s)) {
      wasmtime_tag_t tag;
      error = wasmtime_exnref_tag(context, &ref, &tag);
      check(!error && tag.store_id == stores[s].id);
      size_t index = below(3), count = wasmtime_exnref_field_count(context, &ref);
      error = wasmtime_exnref_field(context, &ref, index, &val);
      check(!error == (index < count));
      if (!error) take_val(&val);
      drop_error(error);
      wasmtime_exnref_from_raw(context, wasmtime_exnref_to_raw(context, &ref), &copy);
      check(!wasmtime_exnref_is_null(&copy));
      wasmtime_exnref_unroot(&copy);
    }
    // Any number is a raw reference of no exception, or of one.
    if (once_in(4)) {
      wasmtime_exnref_from_raw(context, (uint32_t)size_or_edge(9), &copy);
      wasmtime_exnref_unroot(&copy);
    }
    keep_exnrefs(exnrefs[at].origin, ref);
    break;
  }
  }
}

// -- 31-bit integers

static void op_integer(int s) {
  wasmtime_context_t *context = stores[s].context;
  wasmtime_anyref_t any, copy;
  wasmtime_eqref_t eq;
  uint32_t value = (uint32_t)size_or_edge(50), u;
  int32_t i;
  int at = pick_anyrefs(s);
  if (at < 0 || once_in(2)) {
    wasmtime_anyref_from_i31(context, value, &any);
    check(wasmtime_anyref_i31_get_u(context, &any, &u) && u == (value & 0x7fffffff));
    keep_anyrefs(origin_of(s), any);
    return;
  }
  wasmtime_anyref_clone(&anyrefs[at].it, &any);
  if (belongs(anyrefs[at].origin, s)) {
    check(wasmtime_anyref_is_i31(context, &any) && wasmtime_anyref_i31_get_s(context, &any, &i));
    check(wasmtime_anyref_as_eqref(context, &any, &eq) && wasmtime_eqref_i31_get_u(context, &eq, &u));
    check(u == ((uint32_t)i & 0x7fffffff));
    wasmtime_anyref_from_raw(context, wasmtime_anyref_to_raw(context, &any), &copy);
    check(wasmtime_anyref_is_i31(context, &copy) && !wasmtime_eqref_is_struct(context, &eq));
    wasmtime_anyref_unroot(&copy);
    wasmtime_eqref_unroot(&eq);
  }
  keep_anyrefs(anyrefs[at].origin, any);
}

// -- Native functions, of signatures 0 and 1

static void end_native(int store) {
  wasmtime_context_t *context = stores[store].context;
  callback_ops(store);
  if (once_in(10))
    ampoule_native_raise_trap(context, wasmtime_trap_new("native no", 9));
  else if (once_in(10))
    ampoule_native_raise_error(context, wasmtime_error_new("native no"));
}

static int32_t native_plain(int32_t argument) { return argument + 1; }
static int32_t native_env(void *env, int32_t argument) {
  check(is_gift(env, OF_FUNC) || is_gift(env, OF_LINKER));
  return argument + 1;
}
static int32_t native_caller(wasmtime_caller_t *caller, int32_t argument) {
  end_native(store_of(wasmtime_caller_context(caller)));
  return argument + 1;
}
static int32_t native_both(void *env, wasmtime_caller_t *caller, int32_t argument) {
  check(is_gift(env, OF_FUNC) || is_gift(env, OF_LINKER));
  return native_caller(caller, argument);
}
static void native_nothing(wasmtime_caller_t *caller) { end_native(store_of(wasmtime_caller_context(caller))); }

static ampoule_native_t some_native(size_t signature, ampoule_native_takes_t *takes) {
  static const ampoule_native_t of[] = {(ampoule_native_t)native_plain, (ampoule_native_t)native_env,
                                        (ampoule_native_t)native_caller, (ampoule_native_t)native_both};
  *takes = signature ? (ampoule_native_takes_t)below(4) : AMPOULE_NATIVE_TAKES_CALLER;
  return signature ? of[*takes] : (ampoule_native_t)native_nothing;
}

static void import_native(int s) {
  size_t signature = below(2);
  char name[3] = {'f', (char)('0' + signature), 0};
  wasm_functype_t *type = new_functype(once_in(8) ? 2 : signature);
  ampoule_native_takes_t takes;
  ampoule_native_t import = some_native(signature, &takes);
  int at = pick_linkers(s);
  if (at >= 0 && once_in(2)) {
    drop_error(ampoule_linker_define_native(linkers[at].it, "env", 3, name, 2, type, import, takes, give_away(OF_LINKER),
                                            finalize));
  } else {
    wasmtime_func_t func;
    wasmtime_error_t *error =
        ampoule_func_new_native(stores[s].context, type, import, takes, give_away(OF_FUNC), finalize, &func);
    if (!error) keep_funcs(owner(func.store_id), func);
    drop_error(error);
  }
  wasm_functype_delete(type);
}

static void call_native(int s, struct native native) {
  wasmtime_context_t *context = stores[s].context;
  bool entry = enter(s);
  int32_t argument = (int32_t)size_or_edge(70000);
  if (native.signature)
    ((int32_t(*)(int32_t))native.entry)(argument);
  else
    native.entry();
  leave(s, entry);
  if (once_in(4)) return; // what failed is told later
  wasmtime_error_t *error = NULL;
  wasm_trap_t *trap = NULL;
  bool failed = *ampoule_native_failed(context);
  bool taken = ampoule_native_take_failure(context, &error, once_in(4) ? NULL : &trap);
  check(failed == taken && taken == (error || trap) && !(error && trap));
  note(error, trap, &called);
  drop_error(error);
  drop_trap(trap);
}

static void op_native(int s) {
  if (once_in(4)) return import_native(s);
  int at = pick_natives(s);
  if (at >= 0 && !once_in(3)) {
    if (belongs(natives[at].origin, s)) call_native(s, natives[at].it);
    return;
  }
  if ((at = pick_funcs(s)) < 0) return;
  struct native native = {NULL, below(2)};
  bool ours = belongs(funcs[at].origin, s);
  wasm_functype_t *type = new_functype(once_in(10) ? 3 : native.signature);
  wasmtime_error_t *error = ampoule_func_native(stores[s].context, &funcs[at].it, type, &native.entry);
  check(!error == !!native.entry && (ours || error));
  drop_error(error);
  wasm_functype_delete(type);
  if (!error) keep_natives(origin_of(s), native);
}

// -- Statistics

static void op_statistics(int s) {
  ampoule_statistics_t numbers = {.size = sizeof numbers};
  ampoule_context_statistics(stores[s].context, &numbers);
  check(numbers.size == sizeof numbers && numbers.memory_bytes <= numbers.memory_reserved_bytes);
  check(numbers.gc_longest_ns <= numbers.gc_time_ns && numbers.gc_major_collections <= numbers.gc_minor_collections);
  check(numbers.fuel_used == 0 || has_fuel(stores[s].engine));
}
