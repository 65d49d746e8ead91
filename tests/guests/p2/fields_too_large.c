/* wasi:http/types of 0.2: fields that are larger than a host keeps for a guest stop it; 0.3 has an error for them.
 *
 * options: --http
 * stdout: appending\n
 * status: 1
 */
#include "claims.h"

int main(void) {
  printf("appending\n");
  fflush(stdout);
  http_own_fields_t fields = http_constructor_fields();
  static uint8_t bytes[10000];
  memset(bytes, 'x', sizeof bytes);
  http_field_value_t value = {bytes, sizeof bytes};
  http_header_error_t error;
  for (int i = 0; i < 100; i++) CLAIM(http_method_fields_append(http_borrow_fields(fields), TEXT("x-large"), &value, &error));
  printf("came back\n");
  return 0;
}
