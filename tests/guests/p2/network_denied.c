/* wasi:sockets without a network: sockets may be made, and reach nobody; no name is looked up. */
#include "claims.h"

int main(void) {
  instance_network_own_network_t given = instance_network_instance_network();
  network_borrow_network_t network = network_borrow_network(given);
  network_error_code_t error = 0;
  network_ip_socket_address_t address = {.tag = NETWORK_IP_SOCKET_ADDRESS_IPV4, .val.ipv4 = {80, {127, 0, 0, 1}}};

  ip_name_lookup_own_resolve_address_stream_t stream;
  CLAIM(!ip_name_lookup_resolve_addresses(network, TEXT("localhost"), &stream, &error));
  /* 44.0.0 says the second. */
  CLAIM(error == NETWORK_ERROR_CODE_ACCESS_DENIED || error == NETWORK_ERROR_CODE_PERMANENT_RESOLVER_FAILURE);

  tcp_own_tcp_socket_t tcp;
  if (tcp_create_socket_create_tcp_socket(NETWORK_IP_ADDRESS_FAMILY_IPV4, &tcp, &error)) {
    FAILS(tcp_method_tcp_socket_start_connect(tcp_borrow_tcp_socket(tcp), network, &address, &error) &&
              tcp_method_tcp_socket_finish_connect(
                  tcp_borrow_tcp_socket(tcp), &(tcp_tuple2_own_input_stream_own_output_stream_t){{0}, {0}}, &error),
          NETWORK_ERROR_CODE_ACCESS_DENIED);
    tcp_tcp_socket_drop_own(tcp);
  } else {
    CLAIM(error == NETWORK_ERROR_CODE_ACCESS_DENIED);
  }

  udp_own_udp_socket_t udp;
  if (udp_create_socket_create_udp_socket(NETWORK_IP_ADDRESS_FAMILY_IPV4, &udp, &error)) {
    FAILS(udp_method_udp_socket_start_bind(udp_borrow_udp_socket(udp), network, &address, &error),
          NETWORK_ERROR_CODE_ACCESS_DENIED);
    udp_udp_socket_drop_own(udp);
  } else {
    CLAIM(error == NETWORK_ERROR_CODE_ACCESS_DENIED);
  }
  return claims_result();
}
