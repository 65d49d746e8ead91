/* wasi:sockets/types of 0.3: datagrams between two sockets on the loopback.
 *
 * sync: all
 * options: --tcp
 */
#include "command.h"

#define UDP(name) sockets_method_udp_socket_##name

static sockets_error_code_t error;

static sockets_own_udp_socket_t new_socket(void) {
  sockets_own_udp_socket_t socket;
  NEED(sockets_static_udp_socket_create(SOCKETS_IP_ADDRESS_FAMILY_IPV4, &socket, &error));
  return socket;
}

static sockets_ip_socket_address_t loopback(uint16_t port) {
  return (sockets_ip_socket_address_t){.tag = SOCKETS_IP_SOCKET_ADDRESS_IPV4, .val.ipv4 = {port, {127, 0, 0, 1}}};
}

static void a_new_socket_has_no_address(void) {
  sockets_own_udp_socket_t socket = new_socket();
  sockets_borrow_udp_socket_t s = sockets_borrow_udp_socket(socket);
  sockets_ip_socket_address_t found, ipv6 = {.tag = SOCKETS_IP_SOCKET_ADDRESS_IPV6}, nowhere = loopback(0);
  sockets_tuple2_list_u8_ip_socket_address_t datagram;
  CLAIM(UDP(get_address_family)(s) == SOCKETS_IP_ADDRESS_FAMILY_IPV4);
  FAILS_WITH(UDP(get_local_address)(s, &found, &error), SOCKETS_ERROR_CODE_INVALID_STATE);
  FAILS_WITH(UDP(get_remote_address)(s, &found, &error), SOCKETS_ERROR_CODE_INVALID_STATE);
  FAILS_WITH(UDP(receive)(s, &datagram, &error), SOCKETS_ERROR_CODE_INVALID_STATE);
  FAILS_WITH(UDP(disconnect)(s, &error), SOCKETS_ERROR_CODE_INVALID_STATE);
  FAILS_WITH(UDP(bind)(s, &ipv6, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  FAILS_WITH(UDP(connect)(s, &nowhere, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  FAILS_WITH(UDP(send)(s, BYTES("x"), NULL, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  FAILS_WITH(UDP(set_unicast_hop_limit)(s, 0, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  FAILS_WITH(UDP(set_receive_buffer_size)(s, 0, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  FAILS_WITH(UDP(set_send_buffer_size)(s, 0, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  uint8_t hops = 0;
  CLAIM(UDP(set_unicast_hop_limit)(s, 7, &error) && UDP(get_unicast_hop_limit)(s, &hops, &error) && hops == 7);
  sockets_udp_socket_drop_own(socket);
}

static void receive(sockets_borrow_udp_socket_t socket, const char *text, uint16_t port) {
  sockets_tuple2_list_u8_ip_socket_address_t datagram;
  NEED(UDP(receive)(socket, &datagram, &error));
  CLAIM(is_bytes(&datagram.f0, text) && datagram.f1.val.ipv4.port == port);
}

static void datagrams_arrive_whole(void) {
  sockets_own_udp_socket_t a = new_socket(), b = new_socket();
  sockets_borrow_udp_socket_t at_a = sockets_borrow_udp_socket(a), at_b = sockets_borrow_udp_socket(b);
  sockets_ip_socket_address_t any = loopback(0), here, there, found;
  NEED(UDP(bind)(at_a, &any, &error) && UDP(bind)(at_b, &any, &error));
  FAILS_WITH(UDP(bind)(at_a, &any, &error), SOCKETS_ERROR_CODE_INVALID_STATE);
  NEED(UDP(get_local_address)(at_a, &here, &error) && UDP(get_local_address)(at_b, &there, &error));
  CLAIM(UDP(send)(at_a, BYTES("one"), &there, &error));
  receive(at_b, "one", here.val.ipv4.port);
  CLAIM(UDP(send)(at_b, BYTES(""), &here, &error));
  receive(at_a, "", there.val.ipv4.port);

  NEED(UDP(connect)(at_b, &here, &error));
  CLAIM(UDP(get_remote_address)(at_b, &found, &error) && found.val.ipv4.port == here.val.ipv4.port);
  CLAIM(UDP(send)(at_b, BYTES("connected"), NULL, &error));
  receive(at_a, "connected", there.val.ipv4.port);
  FAILS_WITH(UDP(send)(at_b, BYTES("elsewhere"), &there, &error), SOCKETS_ERROR_CODE_INVALID_ARGUMENT);
  CLAIM(UDP(disconnect)(at_b, &error));
  FAILS_WITH(UDP(get_remote_address)(at_b, &found, &error), SOCKETS_ERROR_CODE_INVALID_STATE);
  static uint8_t huge[70000];
  guest_list_u8_t too_much = {huge, sizeof huge};
  FAILS_WITH(UDP(send)(at_a, &too_much, &there, &error), SOCKETS_ERROR_CODE_DATAGRAM_TOO_LARGE);
  sockets_udp_socket_drop_own(a);
  sockets_udp_socket_drop_own(b);
}

static void program(void) {
  a_new_socket_has_no_address();
  datagrams_arrive_whole();
}
