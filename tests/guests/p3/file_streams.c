/* wasi:filesystem/types of 0.3: a file's bytes, which are read and written by streams only.
 *
 * sync: all
 * options: --dir SCRATCH::/data
 */
#include "command.h"

enum { MANY = 300000 };

static filesystem_borrow_descriptor_t root;

static filesystem_own_descriptor_t file_for(int flags) {
  filesystem_own_descriptor_t file;
  filesystem_error_code_t error;
  NEED(filesystem_method_descriptor_open_at(root, 0, TEXT("file"), FILESYSTEM_OPEN_FLAGS_CREATE, (uint8_t)flags, &file,
                                            &error));
  return file;
}

/* What a future of a stream's end says. */
static bool ended_well(filesystem_future_result_void_error_code_t future, filesystem_error_code_t *error) {
  filesystem_result_void_error_code_t result = {.is_err = true};
  settled(filesystem_future_result_void_error_code_read(future, &result), future);
  filesystem_future_result_void_error_code_drop_readable(future);
  if (result.is_err) *error = result.val.err;
  return !result.is_err;
}

static bool writes(filesystem_borrow_descriptor_t file, uint64_t offset, const void *bytes, size_t length,
                   filesystem_error_code_t *error) {
  filesystem_stream_u8_writer_t writer;
  filesystem_stream_u8_t reader = filesystem_stream_u8_new(&writer);
  filesystem_future_result_void_error_code_t future =
      offset == UINT64_MAX ? filesystem_method_descriptor_append_via_stream(file, reader)
                           : filesystem_method_descriptor_write_via_stream(file, reader, offset);
  write_all(filesystem_stream_u8_write, writer, bytes, length);
  filesystem_stream_u8_drop_writable(writer);
  return ended_well(future, error);
}

static bool file_reads(filesystem_borrow_descriptor_t file, uint64_t offset, const char *text) {
  filesystem_tuple2_stream_u8_future_result_void_error_code_t out;
  filesystem_error_code_t error;
  filesystem_method_descriptor_read_via_stream(file, offset, &out);
  bool same = reads(filesystem_stream_u8_read, out.f0, text);
  filesystem_stream_u8_drop_readable(out.f0);
  return ended_well(out.f1, &error) && same;
}

static void bytes_go_where_they_should(void) {
  filesystem_own_descriptor_t file = file_for(FILESYSTEM_DESCRIPTOR_FLAGS_READ | FILESYSTEM_DESCRIPTOR_FLAGS_WRITE);
  filesystem_borrow_descriptor_t f = filesystem_borrow_descriptor(file);
  filesystem_error_code_t error;
  CLAIM(writes(f, 0, "abcdef", 6, &error) && file_reads(f, 0, "abcdef"));
  CLAIM(writes(f, 2, "XY", 2, &error) && file_reads(f, 1, "bXYef"));
  CLAIM(writes(f, UINT64_MAX, "gh", 2, &error) && file_reads(f, 4, "efgh"));
  CLAIM(writes(f, 0, "", 0, &error) && file_reads(f, 0, "abXYefgh"));
  CLAIM(file_reads(f, 8, "") && file_reads(f, UINT64_C(1) << 40, ""));
  filesystem_descriptor_drop_own(file);
}

static void streams_outlive_their_descriptor(void) {
  filesystem_own_descriptor_t file = file_for(FILESYSTEM_DESCRIPTOR_FLAGS_READ | FILESYSTEM_DESCRIPTOR_FLAGS_WRITE);
  static char bytes[MANY], back[MANY + 1];
  filesystem_error_code_t error;
  for (size_t i = 0; i < MANY; i++) bytes[i] = (char)(i * 31 + (i >> 8));
  CLAIM(writes(filesystem_borrow_descriptor(file), 0, bytes, MANY, &error));
  filesystem_tuple2_stream_u8_future_result_void_error_code_t out;
  filesystem_method_descriptor_read_via_stream(filesystem_borrow_descriptor(file), 0, &out);
  filesystem_descriptor_drop_own(file);
  CLAIM(read_all(filesystem_stream_u8_read, out.f0, back, sizeof back) == MANY && memcmp(bytes, back, MANY) == 0);
  filesystem_stream_u8_drop_readable(out.f0);
  CLAIM(ended_well(out.f1, &error));
}

static void a_reader_may_stop(void) {
  filesystem_own_descriptor_t file = file_for(FILESYSTEM_DESCRIPTOR_FLAGS_READ);
  filesystem_tuple2_stream_u8_future_result_void_error_code_t out;
  filesystem_error_code_t error;
  filesystem_method_descriptor_read_via_stream(filesystem_borrow_descriptor(file), 0, &out);
  char few[10];
  CLAIM(read_all(filesystem_stream_u8_read, out.f0, few, sizeof few) == sizeof few);
  filesystem_stream_u8_drop_readable(out.f0);
  CLAIM(ended_well(out.f1, &error));
  filesystem_descriptor_drop_own(file);
}

static void flags_are_obeyed(void) {
  filesystem_error_code_t error;
  filesystem_own_descriptor_t file = file_for(FILESYSTEM_DESCRIPTOR_FLAGS_READ);
  CLAIM(!writes(filesystem_borrow_descriptor(file), 0, "x", 1, &error));
  CLAIM(error.tag == FILESYSTEM_ERROR_CODE_BAD_DESCRIPTOR || error.tag == FILESYSTEM_ERROR_CODE_NOT_PERMITTED);
  filesystem_descriptor_drop_own(file);
  file = file_for(FILESYSTEM_DESCRIPTOR_FLAGS_WRITE);
  CLAIM(!file_reads(filesystem_borrow_descriptor(file), 0, ""));
  filesystem_descriptor_drop_own(file);
  CLAIM(!file_reads(root, 0, ""));
  CLAIM(!writes(root, 0, "x", 1, &error));
}

static void program(void) {
  preopens_list_tuple2_own_descriptor_string_t given;
  preopens_get_directories(&given);
  NEED(given.len == 1);
  root = filesystem_borrow_descriptor(given.ptr[0].f0);
  bytes_go_where_they_should();
  streams_outlive_their_descriptor();
  a_reader_may_stop();
  flags_are_obeyed();
}
