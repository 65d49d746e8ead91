/* wasi:sockets of 0.3 without a network: sockets reach nobody, and no name is looked up.
 *
 * sync: all
 */
#include "command.h"

static void program(void) {
  sockets_ip_socket_address_t address = {.tag = SOCKETS_IP_SOCKET_ADDRESS_IPV4, .val.ipv4 = {80, {127, 0, 0, 1}}};
  ip_name_lookup_list_ip_address_t list;
  ip_name_lookup_error_code_t lookup_error;
  CLAIM(!ip_name_lookup_resolve_addresses(TEXT("localhost"), &list, &lookup_error));
  CLAIM(lookup_error.tag == IP_NAME_LOOKUP_ERROR_CODE_ACCESS_DENIED);

  sockets_error_code_t error;
  sockets_own_tcp_socket_t tcp;
  if (sockets_static_tcp_socket_create(SOCKETS_IP_ADDRESS_FAMILY_IPV4, &tcp, &error)) {
    FAILS_WITH(sockets_method_tcp_socket_connect(sockets_borrow_tcp_socket(tcp), &address, &error),
               SOCKETS_ERROR_CODE_ACCESS_DENIED);
    sockets_tcp_socket_drop_own(tcp);
  } else {
    CLAIM(error.tag == SOCKETS_ERROR_CODE_ACCESS_DENIED);
  }
  sockets_own_udp_socket_t udp;
  if (sockets_static_udp_socket_create(SOCKETS_IP_ADDRESS_FAMILY_IPV4, &udp, &error)) {
    FAILS_WITH(sockets_method_udp_socket_send(sockets_borrow_udp_socket(udp), BYTES("x"), &address, &error),
               SOCKETS_ERROR_CODE_ACCESS_DENIED);
    sockets_udp_socket_drop_own(udp);
  } else {
    CLAIM(error.tag == SOCKETS_ERROR_CODE_ACCESS_DENIED);
  }
}
