/* wasi:sockets/ip-name-lookup of 0.3: names become lists of addresses.
 *
 * sync: all
 * options: --tcp
 */
#include "command.h"

static ip_name_lookup_error_code_t error;

/* Counts the addresses of `name`, and how many are of the loopback. */
static bool looks_up(const char *name, size_t *addresses, size_t *loopback) {
  ip_name_lookup_list_ip_address_t list;
  if (!ip_name_lookup_resolve_addresses(TEXT(name), &list, &error)) return false;
  *addresses = list.len;
  *loopback = 0;
  for (size_t i = 0; i < list.len; i++) {
    bool is_v4 = list.ptr[i].tag == SOCKETS_IP_ADDRESS_IPV4;
    *loopback += is_v4 ? list.ptr[i].val.ipv4.f0 == 127 : list.ptr[i].val.ipv6.f7 == 1;
  }
  ip_name_lookup_list_ip_address_free(&list);
  return true;
}

static void program(void) {
  size_t addresses, loopback;
  CLAIM(looks_up("127.0.0.1", &addresses, &loopback) && addresses == 1 && loopback == 1);
  CLAIM(looks_up("::1", &addresses, &loopback) && addresses == 1 && loopback == 1);
  CLAIM(looks_up("localhost", &addresses, &loopback) && addresses >= 1 && loopback == addresses);
  static const char *const no_names[] = {"", "no spaces", "127.0.0.1:80", "http://localhost/"};
  for (size_t i = 0; i < sizeof no_names / sizeof *no_names; i++) {
    CLAIM(!looks_up(no_names[i], &addresses, &loopback) && error.tag == IP_NAME_LOOKUP_ERROR_CODE_INVALID_ARGUMENT);
  }
}
