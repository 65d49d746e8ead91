/* wasi:io/streams: a write of more than `check-write` permits stops the guest.
 *
 * options: --dir SCRATCH::/data
 * stdout: writing\n
 * status: 1
 * differs: 44.0.0 takes any number of bytes for a file
 */
#include "claims.h"

int main(void) {
  preopens_list_tuple2_own_descriptor_string_t given;
  preopens_get_directories(&given);
  filesystem_own_descriptor_t file;
  filesystem_error_code_t code;
  NEED(filesystem_method_descriptor_open_at(filesystem_borrow_descriptor(given.ptr[0].f0), 0, TEXT("file"),
                                            FILESYSTEM_OPEN_FLAGS_CREATE, FILESYSTEM_DESCRIPTOR_FLAGS_WRITE, &file, &code));
  streams_own_output_stream_t stream;
  NEED(filesystem_method_descriptor_write_via_stream(filesystem_borrow_descriptor(file), 0, &stream, &code));
  uint64_t permitted;
  streams_stream_error_t error;
  NEED(streams_method_output_stream_check_write(streams_borrow_output_stream(stream), &permitted, &error));
  printf("writing\n");
  fflush(stdout);
  guest_list_u8_t bytes = {malloc(permitted + 1), permitted + 1};
  NEED(bytes.ptr != NULL);
  memset(bytes.ptr, 0, bytes.len);
  streams_method_output_stream_write(streams_borrow_output_stream(stream), &bytes, &error);
  printf("came back\n");
  return 0;
}
