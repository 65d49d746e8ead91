/* wasi:sockets/udp and udp-create-socket: datagrams between two sockets on the loopback.
 *
 * options: --tcp
 */
#include "claims.h"

#define UDP(name) udp_method_udp_socket_##name

typedef udp_tuple2_own_incoming_datagram_stream_own_outgoing_datagram_stream_t streams_t;

static network_borrow_network_t network;
static udp_error_code_t error;

static udp_ip_socket_address_t loopback(uint16_t port) {
  udp_ip_socket_address_t address = {.tag = NETWORK_IP_SOCKET_ADDRESS_IPV4, .val.ipv4 = {port, {127, 0, 0, 1}}};
  return address;
}

static udp_own_udp_socket_t new_socket(void) {
  udp_own_udp_socket_t socket;
  NEED(udp_create_socket_create_udp_socket(NETWORK_IP_ADDRESS_FAMILY_IPV4, &socket, &error));
  return socket;
}

static udp_own_udp_socket_t bound(udp_ip_socket_address_t *address) {
  udp_own_udp_socket_t socket = new_socket();
  udp_borrow_udp_socket_t s = udp_borrow_udp_socket(socket);
  udp_ip_socket_address_t any_port = loopback(0);
  NEED(UDP(start_bind)(s, network, &any_port, &error));
  NEED(UDP(finish_bind)(s, &error));
  FAILS(UDP(start_bind)(s, network, &any_port, &error), NETWORK_ERROR_CODE_INVALID_STATE);
  NEED(UDP(local_address)(s, address, &error) && address->val.ipv4.port != 0);
  return socket;
}

static void a_new_socket_has_no_address(void) {
  udp_own_udp_socket_t socket = new_socket();
  udp_borrow_udp_socket_t s = udp_borrow_udp_socket(socket);
  udp_ip_socket_address_t address;
  streams_t streams;
  CLAIM(UDP(address_family)(s) == NETWORK_IP_ADDRESS_FAMILY_IPV4);
  FAILS(UDP(local_address)(s, &address, &error), NETWORK_ERROR_CODE_INVALID_STATE);
  FAILS(UDP(remote_address)(s, &address, &error), NETWORK_ERROR_CODE_INVALID_STATE);
  FAILS(UDP(finish_bind)(s, &error), NETWORK_ERROR_CODE_NOT_IN_PROGRESS);
  FAILS(UDP(stream)(s, NULL, &streams, &error), NETWORK_ERROR_CODE_INVALID_STATE);
  udp_ip_socket_address_t ipv6 = {.tag = NETWORK_IP_SOCKET_ADDRESS_IPV6};
  FAILS(UDP(start_bind)(s, network, &ipv6, &error), NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  uint8_t hops;
  uint64_t size;
  FAILS(UDP(set_unicast_hop_limit)(s, 0, &error), NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  CLAIM(UDP(set_unicast_hop_limit)(s, 7, &error) && UDP(unicast_hop_limit)(s, &hops, &error) && hops == 7);
  FAILS(UDP(set_receive_buffer_size)(s, 0, &error), NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  FAILS(UDP(set_send_buffer_size)(s, 0, &error), NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  CLAIM(UDP(receive_buffer_size)(s, &size, &error) && size > 0 && UDP(send_buffer_size)(s, &size, &error) && size > 0);
  udp_udp_socket_drop_own(socket);
}

/* Sends one datagram, and says how many were. */
static uint64_t sent(udp_own_outgoing_datagram_stream_t stream, const char *text, const udp_ip_socket_address_t *to) {
  udp_borrow_outgoing_datagram_stream_t out = udp_borrow_outgoing_datagram_stream(stream);
  udp_own_pollable_t ready = udp_method_outgoing_datagram_stream_subscribe(out);
  poll_method_pollable_block(poll_borrow_pollable(ready));
  poll_pollable_drop_own(ready);
  uint64_t permitted = 0, count = 0;
  NEED(udp_method_outgoing_datagram_stream_check_send(out, &permitted, &error) && permitted >= 1);
  udp_outgoing_datagram_t datagram = {.data = *BYTES(text), .remote_address.is_some = to != NULL};
  if (to != NULL) datagram.remote_address.val = *to;
  udp_list_outgoing_datagram_t list = {&datagram, 1};
  return udp_method_outgoing_datagram_stream_send(out, &list, &count, &error) ? count : 0;
}

/* Waits for a datagram, which must be `text`, and notes where it came from. */
static void receive(udp_own_incoming_datagram_stream_t stream, const char *text, udp_ip_socket_address_t *from) {
  udp_borrow_incoming_datagram_stream_t in = udp_borrow_incoming_datagram_stream(stream);
  udp_own_pollable_t ready = udp_method_incoming_datagram_stream_subscribe(in);
  poll_method_pollable_block(poll_borrow_pollable(ready));
  poll_pollable_drop_own(ready);
  udp_list_incoming_datagram_t list;
  NEED(udp_method_incoming_datagram_stream_receive(in, 10, &list, &error));
  NEED(list.len == 1);
  CLAIM(is_bytes(&list.ptr[0].data, text));
  *from = list.ptr[0].remote_address;
}

static void datagrams_arrive_whole(void) {
  udp_ip_socket_address_t here, there, from;
  udp_own_udp_socket_t a = bound(&here), b = bound(&there);
  streams_t at_a, at_b;
  NEED(UDP(stream)(udp_borrow_udp_socket(a), NULL, &at_a, &error));
  NEED(UDP(stream)(udp_borrow_udp_socket(b), &here, &at_b, &error));
  CLAIM(UDP(remote_address)(udp_borrow_udp_socket(b), &from, &error) && from.val.ipv4.port == here.val.ipv4.port);
  FAILS(UDP(remote_address)(udp_borrow_udp_socket(a), &from, &error), NETWORK_ERROR_CODE_INVALID_STATE);

  udp_list_incoming_datagram_t none;
  CLAIM(udp_method_incoming_datagram_stream_receive(udp_borrow_incoming_datagram_stream(at_a.f0), 10, &none, &error) &&
        none.len == 0);
  CLAIM(sent(at_a.f1, "one", &there) == 1);
  receive(at_b.f0, "one", &from);
  CLAIM(from.val.ipv4.port == here.val.ipv4.port);
  CLAIM(sent(at_b.f1, "", NULL) == 1); /* to where it is connected; an empty one is one */
  receive(at_a.f0, "", &from);
  CLAIM(from.val.ipv4.port == there.val.ipv4.port);
  CLAIM(sent(at_b.f1, "same", &here) == 1);
  receive(at_a.f0, "same", &from);

  CLAIM(sent(at_a.f1, "whereto", NULL) == 0 && error == NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  CLAIM(sent(at_b.f1, "elsewhere", &there) == 0 && error == NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  udp_ip_socket_address_t nowhere = loopback(0);
  CLAIM(sent(at_a.f1, "nowhere", &nowhere) == 0 && error == NETWORK_ERROR_CODE_INVALID_ARGUMENT);

  udp_incoming_datagram_stream_drop_own(at_a.f0);
  udp_outgoing_datagram_stream_drop_own(at_a.f1);
  udp_incoming_datagram_stream_drop_own(at_b.f0);
  udp_outgoing_datagram_stream_drop_own(at_b.f1);
  udp_udp_socket_drop_own(a);
  udp_udp_socket_drop_own(b);
}

int main(void) {
  instance_network_own_network_t given = instance_network_instance_network();
  network = network_borrow_network(given);
  a_new_socket_has_no_address();
  datagrams_arrive_whole();
  return claims_result();
}
