// A small binding of the C API, built as Go bindings are: handles are freed by finalizers, which Go runs on a thread of its own; a function of
// the host is an exported Go function that finds its closure by a number.
package main

/*
#include <stdlib.h>
#include <wasm.h>
#include <wasi.h>
#include <wasmtime.h>

extern wasm_trap_t *callGo(uintptr_t number, wasmtime_caller_t *caller, wasmtime_val_t *args, size_t nargs,
                           wasmtime_val_t *results, size_t nresults);
extern void dropGo(uintptr_t number);

static wasm_trap_t *call_go(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs,
                            wasmtime_val_t *results, size_t nresults) {
  return callGo((uintptr_t)env, caller, (wasmtime_val_t *)args, nargs, results, nresults);
}

static void drop_go(void *env) { dropGo((uintptr_t)env); }

// A number is no pointer that Go may see as one.
static wasmtime_error_t *define(wasmtime_linker_t *linker, const char *name, size_t len, wasm_functype_t *type, uintptr_t number) {
  return wasmtime_linker_define_func(linker, "host", 4, name, len, type, call_go, (void *)number, drop_go);
}

static void set_i64(wasmtime_val_t *val, int64_t i64) {
  val->kind = WASMTIME_I64;
  val->of.i64 = i64;
}

static int64_t get_i64(const wasmtime_val_t *val) { return val->of.i64; }

static wasm_functype_t *i64_to_i64(void) {
  return wasm_functype_new_1_1(wasm_valtype_new_i64(), wasm_valtype_new_i64());
}
*/
import "C"

import (
	"errors"
	"runtime"
	"sync"
	"unsafe"
)

type engine struct{ ptr *C.wasm_engine_t }

// Without a configuration, or with what `configure` makes of one.
func newEngine(configure func(*C.wasm_config_t)) *engine {
	config := C.wasm_config_new()
	if configure != nil {
		configure(config)
	}
	e := &engine{C.wasm_engine_new_with_config(config)}
	runtime.SetFinalizer(e, func(e *engine) { C.wasm_engine_delete(e.ptr) })
	return e
}

func withEpochs(config *C.wasm_config_t) { C.wasmtime_config_epoch_interruption_set(config, true) }

func (e *engine) tick() {
	C.wasmtime_engine_increment_epoch(e.ptr)
	runtime.KeepAlive(e)
}

type module struct {
	ptr    *C.wasmtime_module_t
	engine *engine
}

func newModule(e *engine, text string) (*module, error) {
	wat := C.CString(text)
	defer C.free(unsafe.Pointer(wat))
	var bytes C.wasm_byte_vec_t
	if err := take(C.wasmtime_wat2wasm(wat, C.size_t(len(text)), &bytes)); err != nil {
		return nil, err
	}
	defer C.wasm_byte_vec_delete(&bytes)
	m := &module{engine: e}
	if err := take(C.wasmtime_module_new(e.ptr, (*C.uint8_t)(unsafe.Pointer(bytes.data)), bytes.size, &m.ptr)); err != nil {
		return nil, err
	}
	runtime.SetFinalizer(m, func(m *module) { C.wasmtime_module_delete(m.ptr) })
	return m, nil
}

type store struct {
	ptr    *C.wasmtime_store_t
	engine *engine
}

func newStore(e *engine) *store {
	s := &store{C.wasmtime_store_new(e.ptr, nil, nil), e}
	runtime.SetFinalizer(s, func(s *store) { C.wasmtime_store_delete(s.ptr) })
	return s
}

func (s *store) context() *C.wasmtime_context_t { return C.wasmtime_store_context(s.ptr) }

func (s *store) setDeadline(ticks uint64) {
	C.wasmtime_context_set_epoch_deadline(s.context(), C.uint64_t(ticks))
}

func (s *store) setOutput(path string) error {
	config := C.wasi_config_new()
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if !C.wasi_config_set_stdout_file(config, name) {
		C.wasi_config_delete(config)
		return errors.New("the file can't be written")
	}
	return take(C.wasmtime_context_set_wasi(s.context(), config))
}

type linker struct {
	ptr    *C.wasmtime_linker_t
	engine *engine
}

func newLinker(e *engine) *linker {
	l := &linker{C.wasmtime_linker_new(e.ptr), e}
	runtime.SetFinalizer(l, func(l *linker) { C.wasmtime_linker_delete(l.ptr) })
	return l
}

func (l *linker) wasi() error { return take(C.wasmtime_linker_define_wasi(l.ptr)) }

// What the numbers that C has stand for.
var closures = struct {
	sync.Mutex
	next uintptr
	of   map[uintptr]func(int64) (int64, error)
}{of: map[uintptr]func(int64) (int64, error){}}

func numberOfClosures() int {
	closures.Lock()
	defer closures.Unlock()
	return len(closures.of)
}

func (l *linker) define(name string, closure func(int64) (int64, error)) error {
	closures.Lock()
	closures.next++
	number := closures.next
	closures.of[number] = closure
	closures.Unlock()
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	ty := C.i64_to_i64()
	defer C.wasm_functype_delete(ty)
	return take(C.define(l.ptr, text, C.size_t(len(name)), ty, C.uintptr_t(number)))
}

//export callGo
func callGo(number C.uintptr_t, caller *C.wasmtime_caller_t, args *C.wasmtime_val_t, nargs C.size_t, results *C.wasmtime_val_t, nresults C.size_t) *C.wasm_trap_t {
	closures.Lock()
	closure := closures.of[uintptr(number)]
	closures.Unlock()
	result, err := closure(int64(C.get_i64(args)))
	if err != nil {
		text := C.CString(err.Error())
		defer C.free(unsafe.Pointer(text))
		return C.wasmtime_trap_new(text, C.size_t(len(err.Error())))
	}
	C.set_i64(results, C.int64_t(result))
	return nil
}

//export dropGo
func dropGo(number C.uintptr_t) {
	closures.Lock()
	defer closures.Unlock()
	delete(closures.of, uintptr(number))
}

type function struct {
	of    C.wasmtime_func_t
	store *store
}

// Instantiates, and gives an exported function.
func (l *linker) function(s *store, m *module, name string) (*function, error) {
	var instance C.wasmtime_instance_t
	var trap *C.wasm_trap_t
	err := outcome(C.wasmtime_linker_instantiate(l.ptr, s.context(), m.ptr, &instance, &trap), trap)
	runtime.KeepAlive(m)
	if err != nil {
		return nil, err
	}
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	var item C.wasmtime_extern_t
	if !C.wasmtime_instance_export_get(s.context(), &instance, text, C.size_t(len(name)), &item) {
		return nil, errors.New("no export " + name)
	}
	defer C.wasmtime_extern_delete(&item)
	if item.kind != C.WASMTIME_EXTERN_FUNC {
		return nil, errors.New(name + " is no function")
	}
	return &function{*(*C.wasmtime_func_t)(unsafe.Pointer(&item.of)), s}, nil
}

// Calls a function from an i64 to an i64.
func (f *function) call(arg int64) (int64, error) {
	var val, result C.wasmtime_val_t
	C.set_i64(&val, C.int64_t(arg))
	var trap *C.wasm_trap_t
	err := outcome(C.wasmtime_func_call(f.store.context(), &f.of, &val, 1, &result, 1, &trap), trap)
	runtime.KeepAlive(f.store)
	return int64(C.get_i64(&result)), err
}

// Calls a function without parameters and results.
func (f *function) run() error {
	var trap *C.wasm_trap_t
	err := outcome(C.wasmtime_func_call(f.store.context(), &f.of, nil, 0, nil, 0, &trap), trap)
	runtime.KeepAlive(f.store)
	return err
}

// A trap, with its code where it has one.
type trapError struct {
	message string
	code    int
}

func (t *trapError) Error() string { return t.message }

func outcome(err *C.wasmtime_error_t, trap *C.wasm_trap_t) error {
	if trap == nil {
		return take(err)
	}
	defer C.wasm_trap_delete(trap)
	var message C.wasm_byte_vec_t
	C.wasm_trap_message(trap, &message)
	defer C.wasm_byte_vec_delete(&message)
	t := &trapError{C.GoStringN(message.data, C.int(message.size-1)), -1}
	var code C.wasmtime_trap_code_t
	if C.wasmtime_trap_code(trap, &code) {
		t.code = int(code)
	}
	return t
}

func take(err *C.wasmtime_error_t) error {
	if err == nil {
		return nil
	}
	defer C.wasmtime_error_delete(err)
	var message C.wasm_byte_vec_t
	C.wasmtime_error_message(err, &message)
	defer C.wasm_byte_vec_delete(&message)
	return errors.New(C.GoStringN(message.data, C.int(message.size)))
}

const (
	outOfBounds   = int(C.WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS)
	stackOverflow = int(C.WASMTIME_TRAP_CODE_STACK_OVERFLOW)
	divByZero     = int(C.WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO)
	interrupt     = int(C.WASMTIME_TRAP_CODE_INTERRUPT)
)
