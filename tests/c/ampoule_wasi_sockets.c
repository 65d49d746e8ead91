// ampoule/wasi.h: networks that the host provides as tables, beneath a component.
#include "component.h"
#include <ampoule.h>
#include <stddef.h>

// -- A guest: `talk` connects to 127.0.0.1 at a port, writes "ping", reads, and answers 256 times how many bytes that were, plus the first.
// What fails is 10,000 times the number of the step, plus the error code.

static const char *const TALKER =
    "(component"
    "  (import \"wasi:io/error@0.2.0\" (instance $errors (export \"error\" (type (sub resource)))))"
    "  (alias export $errors \"error\" (type $error))"
    "  (import \"wasi:io/streams@0.2.0\" (instance $streams"
    "    (alias outer 1 $error (type $outer)) (export \"error\" (type $error (eq $outer)))"
    "    (export \"input-stream\" (type $in (sub resource))) (export \"output-stream\" (type $out (sub resource)))"
    "    (type $failures (variant (case \"last-operation-failed\" (own $error)) (case \"closed\")))"
    "    (export \"stream-error\" (type $failure (eq $failures)))"
    "    (export \"[method]input-stream.blocking-read\" (func (param \"self\" (borrow $in)) (param \"len\" u64)"
    "      (result (result (list u8) (error $failure)))))"
    "    (export \"[method]output-stream.blocking-write-and-flush\" (func (param \"self\" (borrow $out))"
    "      (param \"contents\" (list u8)) (result (result (error $failure)))))))"
    "  (alias export $streams \"input-stream\" (type $in)) (alias export $streams \"output-stream\" (type $out))"
    "  (import \"wasi:sockets/network@0.2.0\" (instance $networks"
    "    (export \"network\" (type (sub resource)))"
    "    (type $codes (enum \"unknown\" \"access-denied\" \"not-supported\" \"invalid-argument\" \"out-of-memory\" \"timeout\""
    "      \"concurrency-conflict\" \"not-in-progress\" \"would-block\" \"invalid-state\" \"new-socket-limit\""
    "      \"address-not-bindable\" \"address-in-use\" \"remote-unreachable\" \"connection-refused\" \"connection-reset\""
    "      \"connection-aborted\" \"datagram-too-large\" \"name-unresolvable\" \"temporary-resolver-failure\""
    "      \"permanent-resolver-failure\"))"
    "    (export \"error-code\" (type (eq $codes)))"
    "    (type $families (enum \"ipv4\" \"ipv6\")) (export \"ip-address-family\" (type (eq $families)))"
    "    (type $four (tuple u8 u8 u8 u8)) (export \"ipv4-address\" (type $ipv4 (eq $four)))"
    "    (type $six (tuple u16 u16 u16 u16 u16 u16 u16 u16)) (export \"ipv6-address\" (type $ipv6 (eq $six)))"
    "    (type $fours (record (field \"port\" u16) (field \"address\" $ipv4)))"
    "    (export \"ipv4-socket-address\" (type $at4 (eq $fours)))"
    "    (type $sixes (record (field \"port\" u16) (field \"flow-info\" u32) (field \"address\" $ipv6) (field \"scope-id\" u32)))"
    "    (export \"ipv6-socket-address\" (type $at6 (eq $sixes)))"
    "    (type $addresses (variant (case \"ipv4\" $at4) (case \"ipv6\" $at6)))"
    "    (export \"ip-socket-address\" (type (eq $addresses)))))"
    "  (alias export $networks \"network\" (type $network)) (alias export $networks \"error-code\" (type $code))"
    "  (alias export $networks \"ip-address-family\" (type $family))"
    "  (alias export $networks \"ip-socket-address\" (type $address))"
    "  (import \"wasi:sockets/instance-network@0.2.0\" (instance $instance"
    "    (alias outer 1 $network (type $outer)) (export \"network\" (type $network (eq $outer)))"
    "    (export \"instance-network\" (func (result (own $network))))))"
    "  (import \"wasi:sockets/tcp@0.2.0\" (instance $tcp"
    "    (alias outer 1 $network (type $n)) (export \"network\" (type $network (eq $n)))"
    "    (alias outer 1 $code (type $c)) (export \"error-code\" (type $code (eq $c)))"
    "    (alias outer 1 $address (type $a)) (export \"ip-socket-address\" (type $address (eq $a)))"
    "    (alias outer 1 $in (type $i)) (export \"input-stream\" (type $in (eq $i)))"
    "    (alias outer 1 $out (type $o)) (export \"output-stream\" (type $out (eq $o)))"
    "    (export \"tcp-socket\" (type $socket (sub resource)))"
    "    (export \"[method]tcp-socket.start-connect\" (func (param \"self\" (borrow $socket)) (param \"network\" (borrow $network))"
    "      (param \"remote-address\" $address) (result (result (error $code)))))"
    "    (export \"[method]tcp-socket.finish-connect\" (func (param \"self\" (borrow $socket))"
    "      (result (result (tuple (own $in) (own $out)) (error $code)))))))"
    "  (alias export $tcp \"tcp-socket\" (type $socket))"
    "  (import \"wasi:sockets/tcp-create-socket@0.2.0\" (instance $create"
    "    (alias outer 1 $code (type $c)) (export \"error-code\" (type $code (eq $c)))"
    "    (alias outer 1 $family (type $f)) (export \"ip-address-family\" (type $family (eq $f)))"
    "    (alias outer 1 $socket (type $s)) (export \"tcp-socket\" (type $socket (eq $s)))"
    "    (export \"create-tcp-socket\" (func (param \"address-family\" $family) (result (result (own $socket) (error $code)))))))"
    "  (core module $libc (memory (export \"memory\") 1) (global $next (mut i32) (i32.const 1024))"
    "    (func (export \"realloc\") (param i32 i32 i32 i32) (result i32)"
    "      (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3)))))"
    "  (core instance $libc (instantiate $libc))"
    "  (alias core export $libc \"memory\" (core memory $memory)) (alias core export $libc \"realloc\" (core func $realloc))"
    "  (alias export $instance \"instance-network\" (func $network))"
    "  (alias export $create \"create-tcp-socket\" (func $create))"
    "  (alias export $tcp \"[method]tcp-socket.start-connect\" (func $start))"
    "  (alias export $tcp \"[method]tcp-socket.finish-connect\" (func $finish))"
    "  (alias export $streams \"[method]input-stream.blocking-read\" (func $read))"
    "  (alias export $streams \"[method]output-stream.blocking-write-and-flush\" (func $write))"
    "  (core func $network (canon lower (func $network)))"
    "  (core func $create (canon lower (func $create) (memory $memory)))"
    "  (core func $start (canon lower (func $start) (memory $memory)))"
    "  (core func $finish (canon lower (func $finish) (memory $memory)))"
    "  (core func $read (canon lower (func $read) (memory $memory) (realloc $realloc)))"
    "  (core func $write (canon lower (func $write) (memory $memory)))"
    "  (core func $drop-in (canon resource.drop $in)) (core func $drop-out (canon resource.drop $out))"
    "  (core func $drop-socket (canon resource.drop $socket))"
    "  (core module $m"
    "    (import \"libc\" \"memory\" (memory 1))"
    "    (import \"host\" \"network\" (func $network (result i32)))"
    "    (import \"host\" \"create\" (func $create (param i32 i32)))"
    "    (import \"host\" \"start\" (func $start (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"
    "    (import \"host\" \"finish\" (func $finish (param i32 i32)))"
    "    (import \"host\" \"read\" (func $read (param i32 i64 i32)))"
    "    (import \"host\" \"write\" (func $write (param i32 i32 i32 i32)))"
    "    (import \"host\" \"drop-in\" (func $drop-in (param i32))) (import \"host\" \"drop-out\" (func $drop-out (param i32)))"
    "    (import \"host\" \"drop-socket\" (func $drop-socket (param i32)))"
    "    (data (i32.const 0) \"ping\")"
    "    (func (export \"talk\") (param $port i32) (result i32) (local $socket i32) (local $answer i32)"
    "      (call $create (i32.const 0) (i32.const 16))"
    "      (if (i32.load8_u (i32.const 16)) (then (return (i32.add (i32.const 10000) (i32.load8_u (i32.const 20))))))"
    "      (local.set $socket (i32.load (i32.const 20)))"
    "      (call $start (local.get $socket) (call $network) (i32.const 0) (local.get $port) (i32.const 127) (i32.const 0)"
    "        (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)"
    "        (i32.const 16))"
    "      (if (i32.load8_u (i32.const 16)) (then (return (i32.add (i32.const 20000) (i32.load8_u (i32.const 17))))))"
    "      (loop $again"
    "        (call $finish (local.get $socket) (i32.const 16))"
    "        (if (i32.load8_u (i32.const 16)) (then"
    "          (br_if $again (i32.eq (i32.load8_u (i32.const 20)) (i32.const 8)))" // would-block
    "          (return (i32.add (i32.const 30000) (i32.load8_u (i32.const 20)))))))"
    "      (call $write (i32.load (i32.const 24)) (i32.const 0) (i32.const 4) (i32.const 32))"
    "      (if (i32.load8_u (i32.const 32)) (then (return (i32.add (i32.const 40000) (i32.load8_u (i32.const 36))))))"
    "      (call $read (i32.load (i32.const 20)) (i64.const 100) (i32.const 32))"
    "      (if (i32.load8_u (i32.const 32)) (then (return (i32.add (i32.const 50000) (i32.load8_u (i32.const 36))))))"
    "      (local.set $answer (i32.add (i32.shl (i32.load (i32.const 40)) (i32.const 8))"
    "        (i32.load8_u (i32.load (i32.const 36)))))"
    "      (call $drop-in (i32.load (i32.const 20))) (call $drop-out (i32.load (i32.const 24)))"
    "      (call $drop-socket (local.get $socket))"
    "      (local.get $answer)))"
    "  (core instance $i (instantiate $m (with \"libc\" (instance $libc)) (with \"host\" (instance"
    "    (export \"network\" (func $network)) (export \"create\" (func $create)) (export \"start\" (func $start))"
    "    (export \"finish\" (func $finish)) (export \"read\" (func $read)) (export \"write\" (func $write))"
    "    (export \"drop-in\" (func $drop-in)) (export \"drop-out\" (func $drop-out)) (export \"drop-socket\" (func $drop-socket))))))"
    "  (func (export \"talk\") (param \"port\" u32) (result u32) (canon lift (core func $i \"talk\"))))";

enum { CREATING = 10000, CONNECTING = 20000, CONNECTED = 30000, WRITING = 40000, READING = 50000 };

// -- A network with an echo at port 7, which takes its time

static struct {
  int open, closed, connects, sends, receives, finalized;
  char bytes[64];
  size_t len;
  size_t extra; // added to every count
  ampoule_wasi_error_t error;
} net;

static ampoule_wasi_socket_t last_socket;

static ampoule_wasi_error_t net_open(void *env, bool datagrams, uint8_t family, ampoule_wasi_socket_t *socket) {
  expect(env == &net && !datagrams && family == 4);
  net.open++;
  *socket = ++last_socket;
  return AMPOULE_WASI_OK;
}

static void net_close(void *env, ampoule_wasi_socket_t socket) {
  (void)env;
  expect(socket >= 1 && socket <= last_socket);
  net.closed++;
}

static ampoule_wasi_error_t net_connect(void *env, ampoule_wasi_socket_t socket, const ampoule_wasi_address_t *address) {
  (void)env, (void)socket;
  expect(address->family == 4 && !memcmp(address->ip, "\x7f\0\0\1", 4));
  if (net.error) return net.error;
  if (address->port != 7) return AMPOULE_WASI_ECONNREFUSED;
  return ++net.connects % 3 ? AMPOULE_WASI_EAGAIN : AMPOULE_WASI_OK;
}

static ampoule_wasi_error_t net_send(void *env, ampoule_wasi_socket_t socket, const uint8_t *bytes, size_t len,
                                     const ampoule_wasi_address_t *to, size_t *count) {
  (void)env, (void)socket;
  expect(to == NULL && len > 0);
  if (++net.sends % 3) return AMPOULE_WASI_EAGAIN;
  // A byte at a time.
  if (net.len < sizeof net.bytes) net.bytes[net.len++] = (char)*bytes;
  *count = 1 + net.extra;
  return AMPOULE_WASI_OK;
}

static ampoule_wasi_error_t net_receive(void *env, ampoule_wasi_socket_t socket, uint8_t *buffer, size_t len, size_t *count,
                                        ampoule_wasi_address_t *from) {
  (void)env, (void)socket;
  expect(from->family == 0);
  if (++net.receives % 3) return AMPOULE_WASI_EAGAIN;
  size_t some = net.len < len ? net.len : len;
  memcpy(buffer, net.bytes, some);
  net.len = 0;
  *count = some + net.extra;
  return AMPOULE_WASI_OK;
}

static void net_finalize(void *env) {
  (void)env;
  net.finalized++;
}

static ampoule_wasi_sockets_t table(void) {
  memset(&net, 0, sizeof net);
  return (ampoule_wasi_sockets_t){.size = sizeof(ampoule_wasi_sockets_t),
                                  .env = &net,
                                  .finalizer = net_finalize,
                                  .open = net_open,
                                  .close = net_close,
                                  .connect = net_connect,
                                  .receive = net_receive,
                                  .send = net_send};
}

static uint32_t talk_with(wasi_config_t *config, uint32_t port) {
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  expect_ok(wasmtime_component_linker_add_wasip2(linker));
  expect_ok(wasmtime_context_set_wasi(ctx, config));
  wasmtime_component_instance_t instance = instance_with_linker(linker, TALKER);
  wasmtime_component_func_t func = func_named(&instance, "talk");
  val_t arg = u32_val(port), back = bool_val(false);
  expect_ok(wasmtime_component_func_call(&func, ctx, &arg, 1, &back, 1));
  wasmtime_component_linker_delete(linker);
  return back.of.u32;
}

static uint32_t talk(const ampoule_wasi_sockets_t *sockets, uint32_t port) {
  wasi_config_t *config = wasi_config_new();
  expect_ok(ampoule_wasi_config_set_sockets(config, sockets));
  return talk_with(config, port);
}

static void a_connection_goes_through_the_host(void) {
  ampoule_wasi_sockets_t sockets = table();
  expect(talk(&sockets, 7) == (4 << 8) + 'p');
  expect(net.open == 1 && net.closed == 1 && net.connects >= 3 && net.sends >= 12);
  expect(net.finalized == 0);
  wasmtime_store_delete(store);
  store = NULL;
  expect(net.finalized == 1);
}

static void its_errors_are_told(void) {
  ampoule_wasi_sockets_t sockets = table();
  expect(talk(&sockets, 8) == CONNECTING + 14);
  sockets = table();
  net.error = 1234;
  expect(talk(&sockets, 7) == CONNECTING + 0);
  sockets = table();
  sockets.connect = NULL;
  expect(talk(&sockets, 7) == CONNECTING + 2);
  sockets = table();
  sockets.send = NULL;
  expect(talk(&sockets, 7) == WRITING + 0);
  // Without a table there is no network.
  expect(talk_with(wasi_config_new(), 7) == CREATING + 1);
}

static void what_it_counts_wrongly_is_an_error(void) {
  size_t extras[] = {4, 1 << 20, SIZE_MAX - 1};
  for (int i = 0; i < 3; i++) {
    ampoule_wasi_sockets_t sockets = table();
    net.extra = extras[i];
    expect(talk(&sockets, 7) == WRITING + 0);
  }
}

static void a_table_needs_a_way_to_open(void) {
  ampoule_wasi_sockets_t sockets = table();
  sockets.open = NULL;
  wasi_config_t *config = wasi_config_new();
  expect_error_says(ampoule_wasi_config_set_sockets(config, &sockets), "no function `open`");
  expect(net.finalized == 1);
  wasi_config_delete(config);
}

int main(void) {
  RUN(a_connection_goes_through_the_host);
  RUN(its_errors_are_told);
  RUN(what_it_counts_wrongly_is_an_error);
  RUN(a_table_needs_a_way_to_open);
  return test_summary();
}
