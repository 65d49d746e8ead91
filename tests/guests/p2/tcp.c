/* wasi:sockets/tcp and tcp-create-socket: a listener and a client on the loopback, and what each state forbids.
 *
 * options: --tcp
 */
#include "claims.h"

#define TCP(name) tcp_method_tcp_socket_##name

static network_borrow_network_t network;
static tcp_error_code_t error;

static tcp_own_tcp_socket_t new_socket(void) {
  tcp_own_tcp_socket_t socket;
  NEED(tcp_create_socket_create_tcp_socket(NETWORK_IP_ADDRESS_FAMILY_IPV4, &socket, &error));
  return socket;
}

static void wait_for(tcp_borrow_tcp_socket_t socket) {
  tcp_own_pollable_t ready = TCP(subscribe)(socket);
  poll_method_pollable_block(poll_borrow_pollable(ready));
  poll_pollable_drop_own(ready);
}

static tcp_ip_socket_address_t loopback(uint16_t port) {
  tcp_ip_socket_address_t address = {.tag = NETWORK_IP_SOCKET_ADDRESS_IPV4, .val.ipv4 = {port, {127, 0, 0, 1}}};
  return address;
}

static bool binds(tcp_borrow_tcp_socket_t socket, tcp_ip_socket_address_t address) {
  if (!TCP(start_bind)(socket, network, &address, &error)) return false;
  while (!TCP(finish_bind)(socket, &error)) {
    if (error != NETWORK_ERROR_CODE_WOULD_BLOCK) return false;
    wait_for(socket);
  }
  return true;
}

static bool listens(tcp_borrow_tcp_socket_t socket) {
  if (!TCP(start_listen)(socket, &error)) return false;
  while (!TCP(finish_listen)(socket, &error)) {
    if (error != NETWORK_ERROR_CODE_WOULD_BLOCK) return false;
    wait_for(socket);
  }
  return true;
}

static bool connects(tcp_borrow_tcp_socket_t socket, tcp_ip_socket_address_t address,
                     tcp_tuple2_own_input_stream_own_output_stream_t *streams) {
  if (!TCP(start_connect)(socket, network, &address, &error)) return false;
  while (!TCP(finish_connect)(socket, streams, &error)) {
    if (error != NETWORK_ERROR_CODE_WOULD_BLOCK) return false;
    wait_for(socket);
  }
  return true;
}

static void a_new_socket_can_do_little(void) {
  tcp_own_tcp_socket_t socket = new_socket();
  tcp_borrow_tcp_socket_t s = tcp_borrow_tcp_socket(socket);
  tcp_ip_socket_address_t address;
  tcp_tuple2_own_input_stream_own_output_stream_t streams;
  tcp_tuple3_own_tcp_socket_own_input_stream_own_output_stream_t accepted;
  CLAIM(TCP(address_family)(s) == NETWORK_IP_ADDRESS_FAMILY_IPV4);
  CLAIM(!TCP(is_listening)(s));
  FAILS(TCP(local_address)(s, &address, &error), NETWORK_ERROR_CODE_INVALID_STATE);
  FAILS(TCP(remote_address)(s, &address, &error), NETWORK_ERROR_CODE_INVALID_STATE);
  FAILS(TCP(finish_bind)(s, &error), NETWORK_ERROR_CODE_NOT_IN_PROGRESS);
  FAILS(TCP(finish_listen)(s, &error), NETWORK_ERROR_CODE_NOT_IN_PROGRESS);
  FAILS(TCP(finish_connect)(s, &streams, &error), NETWORK_ERROR_CODE_NOT_IN_PROGRESS);
  FAILS(TCP(start_listen)(s, &error), NETWORK_ERROR_CODE_INVALID_STATE);
  FAILS(TCP(accept)(s, &accepted, &error), NETWORK_ERROR_CODE_INVALID_STATE);
  FAILS(TCP(shutdown)(s, TCP_SHUTDOWN_TYPE_BOTH, &error), NETWORK_ERROR_CODE_INVALID_STATE);
  tcp_tcp_socket_drop_own(socket);
}

static void options_are_checked(void) {
  tcp_own_tcp_socket_t socket = new_socket();
  tcp_borrow_tcp_socket_t s = tcp_borrow_tcp_socket(socket);
  FAILS(TCP(set_listen_backlog_size)(s, 0, &error), NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  FAILS(TCP(set_hop_limit)(s, 0, &error), NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  FAILS(TCP(set_keep_alive_idle_time)(s, 0, &error), NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  FAILS(TCP(set_keep_alive_interval)(s, 0, &error), NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  FAILS(TCP(set_keep_alive_count)(s, 0, &error), NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  FAILS(TCP(set_receive_buffer_size)(s, 0, &error), NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  FAILS(TCP(set_send_buffer_size)(s, 0, &error), NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  bool enabled = true;
  uint8_t hops = 0;
  uint32_t count = 0;
  uint64_t number = 0;
  CLAIM(TCP(keep_alive_enabled)(s, &enabled, &error) && !enabled);
  CLAIM(TCP(set_keep_alive_enabled)(s, true, &error) && TCP(keep_alive_enabled)(s, &enabled, &error) && enabled);
  CLAIM(TCP(set_hop_limit)(s, 42, &error) && TCP(hop_limit)(s, &hops, &error) && hops == 42);
  CLAIM(TCP(set_keep_alive_count)(s, 3, &error) && TCP(keep_alive_count)(s, &count, &error) && count == 3);
  CLAIM(TCP(set_keep_alive_idle_time)(s, 30 * SECOND, &error) && TCP(keep_alive_idle_time)(s, &number, &error));
  CLAIM(number == 30 * SECOND);
  CLAIM(TCP(set_keep_alive_interval)(s, 1, &error)); /* rounded up to what there is */
  CLAIM(TCP(keep_alive_interval)(s, &number, &error) && number >= 1);
  CLAIM(TCP(set_send_buffer_size)(s, 65536, &error) && TCP(send_buffer_size)(s, &number, &error) && number > 0);
  CLAIM(TCP(set_receive_buffer_size)(s, 65536, &error) && TCP(receive_buffer_size)(s, &number, &error) && number > 0);
  tcp_tcp_socket_drop_own(socket);
}

static void addresses_are_checked(void) {
  tcp_own_tcp_socket_t socket = new_socket();
  tcp_borrow_tcp_socket_t s = tcp_borrow_tcp_socket(socket);
  tcp_ip_socket_address_t ipv6 = {.tag = NETWORK_IP_SOCKET_ADDRESS_IPV6};
  tcp_ip_socket_address_t multicast = {.tag = NETWORK_IP_SOCKET_ADDRESS_IPV4, .val.ipv4 = {0, {224, 0, 0, 1}}};
  tcp_ip_socket_address_t foreign = {.tag = NETWORK_IP_SOCKET_ADDRESS_IPV4, .val.ipv4 = {0, {192, 0, 2, 1}}};
  tcp_ip_socket_address_t anywhere = {.tag = NETWORK_IP_SOCKET_ADDRESS_IPV4, .val.ipv4 = {80, {0, 0, 0, 0}}};
  tcp_tuple2_own_input_stream_own_output_stream_t streams;
  CLAIM(!binds(s, ipv6) && error == NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  CLAIM(!binds(s, multicast) && error == NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  CLAIM(!binds(s, foreign) && error == NETWORK_ERROR_CODE_ADDRESS_NOT_BINDABLE);
  CLAIM(!connects(s, anywhere, &streams) && error == NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  tcp_tcp_socket_drop_own(socket);
  socket = new_socket();
  CLAIM(!connects(tcp_borrow_tcp_socket(socket), loopback(0), &streams) && error == NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  tcp_tcp_socket_drop_own(socket);
}

static bool sends(streams_own_output_stream_t out, const char *text) {
  streams_stream_error_t failure;
  return streams_method_output_stream_blocking_write_and_flush(streams_borrow_output_stream(out), BYTES(text), &failure);
}

/* Reads until the end. */
static bool receives(streams_own_input_stream_t in, const char *text) {
  guest_list_u8_t bytes;
  streams_stream_error_t failure;
  size_t got = 0;
  bool same = true;
  while (streams_method_input_stream_blocking_read(streams_borrow_input_stream(in), 100, &bytes, &failure)) {
    same = same && got + bytes.len <= strlen(text) && memcmp(bytes.ptr, text + got, bytes.len) == 0;
    got += bytes.len;
    guest_list_u8_free(&bytes);
  }
  return same && got == strlen(text) && failure.tag == STREAMS_STREAM_ERROR_CLOSED;
}

static void both_ends_talk(void) {
  tcp_own_tcp_socket_t listener = new_socket(), client = new_socket();
  tcp_borrow_tcp_socket_t l = tcp_borrow_tcp_socket(listener), c = tcp_borrow_tcp_socket(client);
  tcp_ip_socket_address_t address, seen;
  NEED(binds(l, loopback(0)));
  CLAIM(!binds(l, loopback(0)) && error == NETWORK_ERROR_CODE_INVALID_STATE);
  NEED(TCP(local_address)(l, &address, &error) && address.val.ipv4.port != 0);
  NEED(listens(l));
  CLAIM(TCP(is_listening)(l));
  CLAIM(!listens(l) && error == NETWORK_ERROR_CODE_INVALID_STATE);
  tcp_tuple2_own_input_stream_own_output_stream_t near;
  CLAIM(!connects(l, address, &near) && error == NETWORK_ERROR_CODE_INVALID_STATE);
  tcp_tuple3_own_tcp_socket_own_input_stream_own_output_stream_t far;
  FAILS(TCP(accept)(l, &far, &error), NETWORK_ERROR_CODE_WOULD_BLOCK);

  NEED(connects(c, address, &near));
  wait_for(l);
  NEED(TCP(accept)(l, &far, &error));
  tcp_borrow_tcp_socket_t f = tcp_borrow_tcp_socket(far.f0);
  CLAIM(TCP(remote_address)(c, &seen, &error) && seen.val.ipv4.port == address.val.ipv4.port);
  tcp_ip_socket_address_t peer;
  CLAIM(TCP(local_address)(c, &seen, &error) && TCP(remote_address)(f, &peer, &error));
  CLAIM(peer.val.ipv4.port == seen.val.ipv4.port && peer.val.ipv4.address.f0 == 127);
  CLAIM(!TCP(is_listening)(f) && TCP(address_family)(f) == NETWORK_IP_ADDRESS_FAMILY_IPV4);

  guest_list_u8_t bytes;
  streams_stream_error_t failure;
  CLAIM(streams_method_input_stream_read(streams_borrow_input_stream(far.f1), 10, &bytes, &failure) && bytes.len == 0);
  CLAIM(sends(near.f1, "ping") && sends(near.f1, " and more"));
  CLAIM(TCP(shutdown)(c, TCP_SHUTDOWN_TYPE_SEND, &error));
  CLAIM(!sends(near.f1, "too late"));
  CLAIM(receives(far.f1, "ping and more"));
  CLAIM(sends(far.f2, "pong"));
  streams_input_stream_drop_own(far.f1);
  streams_output_stream_drop_own(far.f2);
  tcp_tcp_socket_drop_own(far.f0);
  CLAIM(receives(near.f0, "pong"));
  streams_input_stream_drop_own(near.f0);
  streams_output_stream_drop_own(near.f1);
  tcp_tcp_socket_drop_own(client);
  tcp_tcp_socket_drop_own(listener);

  /* Nobody listens there any more. */
  client = new_socket();
  CLAIM(!connects(tcp_borrow_tcp_socket(client), address, &near) && error == NETWORK_ERROR_CODE_CONNECTION_REFUSED);
  tcp_tcp_socket_drop_own(client);
}

int main(void) {
  instance_network_own_network_t given = instance_network_instance_network();
  network = network_borrow_network(given);
  a_new_socket_can_do_little();
  options_are_checked();
  addresses_are_checked();
  both_ends_talk();
  return claims_result();
}
