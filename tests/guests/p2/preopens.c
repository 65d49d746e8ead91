/* wasi:filesystem/preopens: the directories that were given, under their names, and nothing around them.
 *
 * options: --dir SCRATCH::/data --dir SCRATCH::again
 */
#include "claims.h"

int main(void) {
  preopens_list_tuple2_own_descriptor_string_t given;
  preopens_get_directories(&given);
  NEED(given.len == 2);
  CLAIM(is_text(&given.ptr[0].f1, "/data") && is_text(&given.ptr[1].f1, "again"));
  filesystem_borrow_descriptor_t data = filesystem_borrow_descriptor(given.ptr[0].f0);
  filesystem_borrow_descriptor_t again = filesystem_borrow_descriptor(given.ptr[1].f0);
  CLAIM(filesystem_method_descriptor_is_same_object(data, again));

  filesystem_error_code_t error = 0;
  filesystem_descriptor_type_t type;
  CLAIM(filesystem_method_descriptor_get_type(data, &type, &error) && type == FILESYSTEM_DESCRIPTOR_TYPE_DIRECTORY);

  filesystem_own_descriptor_t opened;
  static const char *const outside[] = {"..", "../..", "/", "/etc/passwd", "sub/../../x"};
  for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
    CLAIM(!filesystem_method_descriptor_open_at(data, 0, TEXT(outside[i]), 0, FILESYSTEM_DESCRIPTOR_FLAGS_READ, &opened,
                                                &error));
  }
  FAILS(filesystem_method_descriptor_open_at(data, 0, TEXT(".."), 0, FILESYSTEM_DESCRIPTOR_FLAGS_READ, &opened, &error),
        FILESYSTEM_ERROR_CODE_NOT_PERMITTED);
  FAILS(filesystem_method_descriptor_open_at(data, 0, TEXT("missing"), 0, FILESYSTEM_DESCRIPTOR_FLAGS_READ, &opened,
                                             &error),
        FILESYSTEM_ERROR_CODE_NO_ENTRY);

  /* Asking again gives them again, and what was opened before stays open. */
  preopens_list_tuple2_own_descriptor_string_t second;
  preopens_get_directories(&second);
  NEED(second.len == 2);
  CLAIM(filesystem_method_descriptor_is_same_object(data, filesystem_borrow_descriptor(second.ptr[0].f0)));
  filesystem_descriptor_drop_own(second.ptr[0].f0);
  CLAIM(filesystem_method_descriptor_get_type(data, &type, &error));
  return claims_result();
}
