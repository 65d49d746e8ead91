/* wasi:sockets/ip-name-lookup, network and instance-network: names become addresses, one after another.
 *
 * options: --tcp
 */
#include "claims.h"

static network_borrow_network_t network;
static ip_name_lookup_error_code_t error;

/* Counts the addresses of `name`, and how many are of the loopback; false where there are none. */
static bool looks_up(const char *name, int *addresses, int *loopback) {
  ip_name_lookup_own_resolve_address_stream_t stream;
  if (!ip_name_lookup_resolve_addresses(network, TEXT(name), &stream, &error)) return false;
  ip_name_lookup_borrow_resolve_address_stream_t borrowed = ip_name_lookup_borrow_resolve_address_stream(stream);
  ip_name_lookup_option_ip_address_t next;
  *addresses = *loopback = 0;
  bool ok;
  for (;;) {
    ok = ip_name_lookup_method_resolve_address_stream_resolve_next_address(borrowed, &next, &error);
    if (ok && !next.is_some) break;
    if (ok) {
      ++*addresses;
      *loopback += next.val.tag == NETWORK_IP_ADDRESS_IPV4 ? next.val.val.ipv4.f0 == 127 : next.val.val.ipv6.f7 == 1;
      continue;
    }
    if (error != NETWORK_ERROR_CODE_WOULD_BLOCK) break;
    ip_name_lookup_own_pollable_t ready = ip_name_lookup_method_resolve_address_stream_subscribe(borrowed);
    poll_method_pollable_block(poll_borrow_pollable(ready));
    poll_pollable_drop_own(ready);
  }
  /* The end is the end, each time. */
  if (ok) {
    CLAIM(ip_name_lookup_method_resolve_address_stream_resolve_next_address(borrowed, &next, &error) && !next.is_some);
  }
  ip_name_lookup_resolve_address_stream_drop_own(stream);
  return ok;
}

int main(void) {
  instance_network_own_network_t given = instance_network_instance_network();
  network = network_borrow_network(given);
  int addresses, loopback;
  CLAIM(looks_up("127.0.0.1", &addresses, &loopback) && addresses == 1 && loopback == 1);
  CLAIM(looks_up("::1", &addresses, &loopback) && addresses == 1 && loopback == 1);
  CLAIM(looks_up("localhost", &addresses, &loopback) && addresses >= 1 && loopback == addresses);
  CLAIM(!looks_up("", &addresses, &loopback) && error == NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  CLAIM(!looks_up("no spaces", &addresses, &loopback) && error == NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  CLAIM(!looks_up("127.0.0.1:80", &addresses, &loopback) && error == NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  CLAIM(!looks_up("http://localhost/", &addresses, &loopback) && error == NETWORK_ERROR_CODE_INVALID_ARGUMENT);
  return claims_result();
}
