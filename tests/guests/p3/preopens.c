/* wasi:filesystem/preopens of 0.3: the directories that were given, and nothing around them.
 *
 * sync: all
 * options: --dir SCRATCH::/data --dir SCRATCH::again
 */
#include "command.h"

static void program(void) {
  preopens_list_tuple2_own_descriptor_string_t given;
  preopens_get_directories(&given);
  NEED(given.len == 2);
  CLAIM(is_text(&given.ptr[0].f1, "/data") && is_text(&given.ptr[1].f1, "again"));
  filesystem_borrow_descriptor_t data = filesystem_borrow_descriptor(given.ptr[0].f0);
  CLAIM(filesystem_method_descriptor_is_same_object(data, filesystem_borrow_descriptor(given.ptr[1].f0)));

  filesystem_error_code_t error;
  filesystem_descriptor_type_t type;
  CLAIM(filesystem_method_descriptor_get_type(data, &type, &error) && type.tag == FILESYSTEM_DESCRIPTOR_TYPE_DIRECTORY);
  filesystem_own_descriptor_t opened;
  static const char *const outside[] = {"..", "../..", "/", "/etc/passwd", "sub/../../x"};
  for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
    CLAIM(!filesystem_method_descriptor_open_at(data, 0, TEXT(outside[i]), 0, FILESYSTEM_DESCRIPTOR_FLAGS_READ, &opened,
                                                &error));
  }
  FAILS_WITH(
      filesystem_method_descriptor_open_at(data, 0, TEXT(".."), 0, FILESYSTEM_DESCRIPTOR_FLAGS_READ, &opened, &error),
      FILESYSTEM_ERROR_CODE_NOT_PERMITTED);
}
