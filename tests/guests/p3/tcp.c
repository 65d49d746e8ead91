/* wasi:sockets/types of 0.3: a listener and a client on the loopback, and what each state forbids.
 *
 * sync: all
 * options: --tcp
 */
#include "command.h"

#define TCP(name) sockets_method_tcp_socket_##name

static sockets_error_code_t error;

static sockets_own_tcp_socket_t new_socket(void) {
  sockets_own_tcp_socket_t socket;
  NEED(sockets_static_tcp_socket_create(SOCKETS_IP_ADDRESS_FAMILY_IPV4, &socket, &error));
  return socket;
}

static sockets_ip_socket_address_t *address(uint8_t first, uint8_t last, uint16_t port) {
  static sockets_ip_socket_address_t address;
  address = (sockets_ip_socket_address_t){.tag = SOCKETS_IP_SOCKET_ADDRESS_IPV4, .val.ipv4 = {port, {first, 0, 0, last}}};
  return &address;
}

static bool ended_well(sockets_future_result_void_error_code_t future) {
  sockets_result_void_error_code_t result = {.is_err = true};
  settled(sockets_future_result_void_error_code_read(future, &result), future);
  sockets_future_result_void_error_code_drop_readable(future);
  if (result.is_err) error = result.val.err;
  return !result.is_err;
}

/* Begins to send, and returns where the bytes are written; `*end` tells how it ended. */
static sockets_stream_u8_writer_t begin_sending(sockets_borrow_tcp_socket_t socket,
                                                sockets_future_result_void_error_code_t *end) {
  sockets_stream_u8_writer_t writer;
  *end = TCP(send)(socket, sockets_stream_u8_new(&writer));
  return writer;
}

static void a_new_socket_can_do_little(void) {
  sockets_own_tcp_socket_t socket = new_socket();
  sockets_borrow_tcp_socket_t s = sockets_borrow_tcp_socket(socket);
  sockets_ip_socket_address_t found;
  CLAIM(TCP(get_address_family)(s) == SOCKETS_IP_ADDRESS_FAMILY_IPV4 && !TCP(get_is_listening)(s));
  FAILS_WITH(TCP(get_local_address)(s, &found, &error), SOCKETS_ERROR_CODE_INVALID_STATE);
  FAILS_WITH(TCP(get_remote_address)(s, &found, &error), SOCKETS_ERROR_CODE_INVALID_STATE);

  sockets_tuple2_stream_u8_future_result_void_error_code_t in;
  TCP(receive)(s, &in);
  CLAIM(reads(sockets_stream_u8_read, in.f0, ""));
  sockets_stream_u8_drop_readable(in.f0);
  CLAIM(!ended_well(in.f1) && error.tag == SOCKETS_ERROR_CODE_INVALID_STATE);
  sockets_future_result_void_error_code_t end;
  sockets_stream_u8_writer_t writer = begin_sending(s, &end);
  CLAIM(write_all(sockets_stream_u8_write, writer, "x", 1) == 0);
  sockets_stream_u8_drop_writable(writer);
  CLAIM(!ended_well(end) && error.tag == SOCKETS_ERROR_CODE_INVALID_STATE);
  sockets_tcp_socket_drop_own(socket);
}

static void options_are_checked(void) {
  sockets_own_tcp_socket_t socket = new_socket();
  sockets_borrow_tcp_socket_t s = sockets_borrow_tcp_socket(socket);
  FAILS_WITH(TCP(set_listen_backlog_size)(s, 0, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  FAILS_WITH(TCP(set_hop_limit)(s, 0, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  FAILS_WITH(TCP(set_keep_alive_idle_time)(s, 0, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  FAILS_WITH(TCP(set_keep_alive_interval)(s, 0, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  FAILS_WITH(TCP(set_keep_alive_count)(s, 0, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  FAILS_WITH(TCP(set_receive_buffer_size)(s, 0, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  FAILS_WITH(TCP(set_send_buffer_size)(s, 0, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  bool enabled = false;
  uint8_t hops = 0;
  uint64_t number = 0;
  CLAIM(TCP(set_keep_alive_enabled)(s, true, &error) && TCP(get_keep_alive_enabled)(s, &enabled, &error) && enabled);
  CLAIM(TCP(set_hop_limit)(s, 42, &error) && TCP(get_hop_limit)(s, &hops, &error) && hops == 42);
  CLAIM(TCP(set_keep_alive_idle_time)(s, 30 * SECOND, &error) && TCP(get_keep_alive_idle_time)(s, &number, &error));
  CLAIM(number == 30 * SECOND);
  sockets_tcp_socket_drop_own(socket);
}

static void addresses_are_checked(void) {
  sockets_own_tcp_socket_t socket = new_socket();
  sockets_borrow_tcp_socket_t s = sockets_borrow_tcp_socket(socket);
  sockets_ip_socket_address_t ipv6 = {.tag = SOCKETS_IP_SOCKET_ADDRESS_IPV6};
  FAILS_WITH(TCP(bind)(s, &ipv6, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  FAILS_WITH(TCP(bind)(s, address(224, 1, 0), &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  FAILS_WITH(TCP(bind)(s, address(192, 1, 0), &error), SOCKETS_ERROR_CODE_ADDRESS_NOT_BINDABLE);
  FAILS_WITH(TCP(connect)(s, address(0, 0, 80), &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  sockets_tcp_socket_drop_own(socket);
  socket = new_socket();
  FAILS_WITH(TCP(connect)(sockets_borrow_tcp_socket(socket), address(127, 1, 0), &error),
             SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  sockets_tcp_socket_drop_own(socket);
}

static void both_ends_talk(void) {
  sockets_own_tcp_socket_t listener = new_socket(), client = new_socket(), accepted;
  sockets_borrow_tcp_socket_t l = sockets_borrow_tcp_socket(listener), c = sockets_borrow_tcp_socket(client);
  sockets_ip_socket_address_t here, seen, peer;
  sockets_stream_own_tcp_socket_t connections, again;
  NEED(TCP(bind)(l, address(127, 1, 0), &error));
  FAILS_WITH(TCP(bind)(l, address(127, 1, 0), &error), SOCKETS_ERROR_CODE_INVALID_STATE);
  NEED(TCP(get_local_address)(l, &here, &error) && here.val.ipv4.port != 0);
  NEED(TCP(listen)(l, &connections, &error));
  CLAIM(TCP(get_is_listening)(l));
  FAILS_WITH(TCP(listen)(l, &again, &error), SOCKETS_ERROR_CODE_INVALID_STATE);
  FAILS_WITH(TCP(connect)(l, &here, &error), SOCKETS_ERROR_CODE_INVALID_STATE);

  NEED(TCP(connect)(c, &here, &error));
  FAILS_WITH(TCP(connect)(c, &here, &error), SOCKETS_ERROR_CODE_INVALID_STATE);
  guest_waitable_status_t status =
      settled(sockets_stream_own_tcp_socket_read(connections, &accepted, 1), connections);
  NEED(GUEST_WAITABLE_COUNT(status) == 1);
  sockets_borrow_tcp_socket_t a = sockets_borrow_tcp_socket(accepted);
  CLAIM(TCP(get_remote_address)(c, &seen, &error) && seen.val.ipv4.port == here.val.ipv4.port);
  CLAIM(TCP(get_local_address)(c, &seen, &error) && TCP(get_remote_address)(a, &peer, &error));
  CLAIM(peer.val.ipv4.port == seen.val.ipv4.port && peer.val.ipv4.address.f0 == 127);

  sockets_future_result_void_error_code_t there_end, back_end;
  sockets_stream_u8_writer_t there = begin_sending(c, &there_end), back = begin_sending(a, &back_end);
  sockets_tuple2_stream_u8_future_result_void_error_code_t at_a, at_c, second;
  TCP(receive)(a, &at_a);
  TCP(receive)(c, &at_c);
  TCP(receive)(c, &second);
  CLAIM(reads(sockets_stream_u8_read, second.f0, ""));
  sockets_stream_u8_drop_readable(second.f0);
  CLAIM(!ended_well(second.f1) && error.tag == SOCKETS_ERROR_CODE_INVALID_STATE);

  char few[4];
  CLAIM(write_all(sockets_stream_u8_write, there, "ping", 4) == 4);
  CLAIM(read_all(sockets_stream_u8_read, at_a.f0, few, 4) == 4 && memcmp(few, "ping", 4) == 0);
  CLAIM(write_all(sockets_stream_u8_write, back, "pong", 4) == 4);
  CLAIM(read_all(sockets_stream_u8_read, at_c.f0, few, 4) == 4 && memcmp(few, "pong", 4) == 0);
  /* Each direction ends by itself; the streams outlive their sockets. */
  CLAIM(write_all(sockets_stream_u8_write, there, " and more", 9) == 9);
  sockets_stream_u8_drop_writable(there);
  CLAIM(ended_well(there_end));
  sockets_tcp_socket_drop_own(client);
  sockets_tcp_socket_drop_own(accepted);
  CLAIM(reads(sockets_stream_u8_read, at_a.f0, " and more"));
  sockets_stream_u8_drop_readable(at_a.f0);
  CLAIM(ended_well(at_a.f1));
  CLAIM(write_all(sockets_stream_u8_write, back, "end", 3) == 3);
  sockets_stream_u8_drop_writable(back);
  CLAIM(ended_well(back_end) && reads(sockets_stream_u8_read, at_c.f0, "end"));
  sockets_stream_u8_drop_readable(at_c.f0);
  CLAIM(ended_well(at_c.f1));

  /* Nobody listens there once both the socket and its connections are gone. */
  sockets_stream_own_tcp_socket_drop_readable(connections);
  sockets_tcp_socket_drop_own(listener);
  client = new_socket();
  FAILS_WITH(TCP(connect)(sockets_borrow_tcp_socket(client), &here, &error), SOCKETS_ERROR_CODE_CONNECTION_REFUSED);
  sockets_tcp_socket_drop_own(client);
}

static void program(void) {
  a_new_socket_can_do_little();
  options_are_checked();
  addresses_are_checked();
  both_ends_talk();
}
