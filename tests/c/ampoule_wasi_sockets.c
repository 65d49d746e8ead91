// ampoule/wasi.h: networks that the host provides as tables, beneath a component.
#include "component.h"
#include "talker.h"
#include <ampoule.h>
#include <stddef.h>

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
