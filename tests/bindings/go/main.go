// What a Go program needs of the library. Go has threads that move between goroutines, signal handlers of its own, finalizers that run on any
// thread, and stacks that C code gets from the system.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

const guest = `(module
  (import "host" "f" (func $f (param i64) (result i64)))
  (memory 1)
  (func (export "add") (param i64) (result i64) (i64.add (local.get 0) (i64.const 1)))
  (func (export "ask") (param i64) (result i64) (call $f (local.get 0)))
  (func (export "load") (param i64) (result i64) (i64.load (i32.wrap_i64 (local.get 0))))
  (func (export "divide") (param i64) (result i64) (i64.div_s (i64.const 1) (local.get 0)))
  (func $deep (export "deep") (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 0))
      (else (i64.add (i64.const 1) (call $deep (i64.sub (local.get 0) (i64.const 1)))))))
  (func (export "spin") (param i64) (result i64) (loop $again (br $again)) (i64.const 0)))`

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func check(holds bool, format string, args ...any) {
	if !holds {
		panic(fmt.Sprintf(format, args...))
	}
}

func double(value int64) (int64, error) { return 2 * value, nil }

func functionOf(e *engine, name string, host func(int64) (int64, error)) *function {
	l := newLinker(e)
	if err := l.define("f", host); err != nil {
		panic(err)
	}
	return must(l.function(newStore(e), must(newModule(e, guest)), name))
}

func expectTrap(err error, code int) {
	var trap *trapError
	check(errors.As(err, &trap) && trap.code == code, "%v is not the trap %d", err, code)
}

func functionsCallEachOther() {
	e := newEngine(nil)
	check(must(functionOf(e, "add", double).call(41)) == 42, "add")
	check(must(functionOf(e, "ask", double).call(21)) == 42, "ask")
	// From Go to a guest to Go to another guest, in another store.
	inner := functionOf(e, "add", double)
	outer := functionOf(e, "ask", func(value int64) (int64, error) { return inner.call(value) })
	check(must(outer.call(1)) == 2, "nested")
}

func errorsOfGoPassThroughGuests() {
	ask := functionOf(newEngine(nil), "ask", func(int64) (int64, error) { return 0, errors.New("no such thing") })
	_, err := ask.call(1)
	check(err != nil && strings.Contains(err.Error(), "no such thing"), "%v", err)
	_, err = newModule(newEngine(nil), "(module (func (result i32)))")
	check(err != nil && strings.Contains(err.Error(), "type mismatch"), "%v", err)
}

func faultsOfGuestsAreTrapsAndThoseOfGoPanics() {
	e := newEngine(nil)
	load, divide := functionOf(e, "load", double), functionOf(e, "divide", double)
	for range 100 {
		_, err := load.call(1 << 20)
		expectTrap(err, outOfBounds)
		_, err = divide.call(0)
		expectTrap(err, divByZero)
		check(must(load.call(0)) == 0, "the store is of use afterwards")
		check(nilIsAPanic(), "a fault of Go's own was lost")
	}
	// A fault of Go's inside a function that a guest calls is recovered there.
	ask := functionOf(e, "ask", func(int64) (int64, error) {
		if !nilIsAPanic() {
			return 0, errors.New("it was lost")
		}
		return 7, nil
	})
	check(must(ask.call(1)) == 7, "ask")
}

var nothing *int

func nilIsAPanic() (recovered bool) {
	defer func() { recovered = recover() != nil }()
	*nothing = 1
	return false
}

func deepRecursionIsATrapOnAnyThread() {
	e := newEngine(nil)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			deep := functionOf(e, "deep", double)
			check(must(deep.call(1000)) == 1000, "deep enough")
			_, err := deep.call(100_000_000)
			expectTrap(err, stackOverflow)
			check(must(deep.call(1000)) == 1000, "deep enough again")
		})
	}
	all.Wait()
}

func goroutinesUseStoresOnWhateverThreadTheyAre() {
	e := newEngine(nil)
	m := must(newModule(e, guest))
	var all sync.WaitGroup
	for number := range 64 {
		all.Go(func() {
			l := newLinker(e)
			if err := l.define("f", func(value int64) (int64, error) {
				// Others run, and this goroutine goes on where there is room.
				runtime.Gosched()
				return value + int64(number), nil
			}); err != nil {
				panic(err)
			}
			ask := must(l.function(newStore(e), m, "ask"))
			for value := range int64(200) {
				check(must(ask.call(value)) == value+int64(number), "of goroutine %d", number)
				runtime.Gosched()
			}
		})
	}
	all.Wait()
}

func anotherGoroutineInterrupts() {
	e := newEngine(withEpochs)
	spin := functionOfWithDeadline(e)
	go func() {
		time.Sleep(20 * time.Millisecond)
		e.tick()
	}()
	_, err := spin.call(0)
	expectTrap(err, interrupt)
}

func functionOfWithDeadline(e *engine) *function {
	l := newLinker(e)
	if err := l.define("f", double); err != nil {
		panic(err)
	}
	s := newStore(e)
	s.setDeadline(1)
	return must(l.function(s, must(newModule(e, guest)), "spin"))
}

func programsWriteToFiles() {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("ampoule-go-%d", os.Getpid()))
	defer os.Remove(path)
	e := newEngine(nil)
	l, s := newLinker(e), newStore(e)
	if err := errors.Join(l.wasi(), s.setOutput(path)); err != nil {
		panic(err)
	}
	start := must(l.function(s, must(newModule(e, `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\0d\00\00\00hello, gopher")
  (func (export "_start") (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)) (then unreachable))))`)), "_start"))
	if err := start.run(); err != nil {
		panic(err)
	}
	check(string(must(os.ReadFile(path))) == "hello, gopher", "the file")
}

// Last: whatever the claims above have made is garbage by now.
func finalizersFreeEverything() {
	for range 500 {
		if runtime.GC(); numberOfClosures() == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	panic(fmt.Sprintf("%d functions were not dropped", numberOfClosures()))
}

func main() {
	claims := []struct {
		name  string
		claim func()
	}{
		{"functions call each other", functionsCallEachOther},
		{"errors of Go pass through guests", errorsOfGoPassThroughGuests},
		{"faults of guests are traps, and those of Go panics", faultsOfGuestsAreTrapsAndThoseOfGoPanics},
		{"deep recursion is a trap on any thread", deepRecursionIsATrapOnAnyThread},
		{"goroutines use stores on whatever thread they are", goroutinesUseStoresOnWhateverThreadTheyAre},
		{"another goroutine interrupts", anotherGoroutineInterrupts},
		{"programs write to files", programsWriteToFiles},
		{"finalizers free everything", finalizersFreeEverything},
	}
	for _, claim := range claims {
		claim.claim()
		fmt.Println("ok", claim.name)
	}
	fmt.Printf("%d passed, 0 failed\n", len(claims))
}
