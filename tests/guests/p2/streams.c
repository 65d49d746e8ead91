/* wasi:io/streams: permits, flushing, zeroes, skipping and splicing, over files.
 *
 * options: --dir SCRATCH::/data
 */
#include "claims.h"

#define IN(name) streams_method_input_stream_##name
#define OUT(name) streams_method_output_stream_##name

static filesystem_own_descriptor_t directory;
static streams_stream_error_t error;

static filesystem_own_descriptor_t file_named(const char *name) {
  filesystem_own_descriptor_t file;
  filesystem_error_code_t code;
  NEED(filesystem_method_descriptor_open_at(
      filesystem_borrow_descriptor(directory), 0, TEXT(name), FILESYSTEM_OPEN_FLAGS_CREATE,
      FILESYSTEM_DESCRIPTOR_FLAGS_READ | FILESYSTEM_DESCRIPTOR_FLAGS_WRITE, &file, &code));
  return file;
}

static streams_own_output_stream_t output_to(const char *name, uint64_t offset) {
  filesystem_own_descriptor_t file = file_named(name);
  streams_own_output_stream_t out;
  filesystem_error_code_t code;
  NEED(filesystem_method_descriptor_write_via_stream(filesystem_borrow_descriptor(file), offset, &out, &code));
  filesystem_descriptor_drop_own(file); /* the stream outlives it */
  return out;
}

static streams_own_input_stream_t input_from(const char *name, uint64_t offset) {
  filesystem_own_descriptor_t file = file_named(name);
  streams_own_input_stream_t in;
  filesystem_error_code_t code;
  NEED(filesystem_method_descriptor_read_via_stream(filesystem_borrow_descriptor(file), offset, &in, &code));
  filesystem_descriptor_drop_own(file);
  return in;
}

static void writes_are_permitted_first(void) {
  streams_own_output_stream_t stream = output_to("a", 0);
  streams_borrow_output_stream_t out = streams_borrow_output_stream(stream);
  uint64_t permitted = 0;
  streams_own_pollable_t ready = OUT(subscribe)(out);
  poll_method_pollable_block(poll_borrow_pollable(ready));
  CLAIM(OUT(check_write)(out, &permitted, &error) && permitted >= 4);
  CLAIM(OUT(write)(out, BYTES("abcd"), &error));
  CLAIM(OUT(flush)(out, &error));
  poll_method_pollable_block(poll_borrow_pollable(ready));
  CLAIM(OUT(check_write)(out, &permitted, &error) && permitted >= 3);
  CLAIM(OUT(write_zeroes)(out, 3, &error));
  CLAIM(OUT(blocking_flush)(out, &error));
  CLAIM(OUT(blocking_write_and_flush)(out, BYTES(""), &error));
  CLAIM(OUT(blocking_write_zeroes_and_flush)(out, 4096, &error));
  CLAIM(OUT(blocking_write_and_flush)(out, BYTES("end"), &error));
  poll_pollable_drop_own(ready);
  streams_output_stream_drop_own(stream);
}

static void reads_end_with_the_file(void) {
  streams_own_input_stream_t stream = input_from("a", 0);
  streams_borrow_input_stream_t in = streams_borrow_input_stream(stream);
  guest_list_u8_t bytes;
  uint64_t skipped = 0;
  CLAIM(IN(read)(in, 0, &bytes, &error) && bytes.len == 0);
  CLAIM(IN(blocking_read)(in, 2, &bytes, &error) && is_bytes(&bytes, "ab"));
  CLAIM(IN(blocking_skip)(in, 5, &skipped, &error) && skipped >= 1 && skipped <= 5);
  for (uint64_t left = 5 - skipped + 4096; left > 0; left -= skipped) {
    NEED(IN(blocking_skip)(in, left, &skipped, &error) && skipped >= 1 && skipped <= left);
  }
  streams_own_pollable_t ready = IN(subscribe)(in);
  poll_method_pollable_block(poll_borrow_pollable(ready));
  poll_pollable_drop_own(ready);
  CLAIM(IN(read)(in, 100, &bytes, &error) && is_bytes(&bytes, "end"));
  CLAIM(!IN(blocking_read)(in, 1, &bytes, &error) && error.tag == STREAMS_STREAM_ERROR_CLOSED);
  CLAIM(!IN(read)(in, 0, &bytes, &error) && error.tag == STREAMS_STREAM_ERROR_CLOSED);
  CLAIM(!IN(skip)(in, 1, &skipped, &error) && error.tag == STREAMS_STREAM_ERROR_CLOSED);
  streams_input_stream_drop_own(stream);
}

static void a_read_may_ask_for_everything(void) {
  streams_own_input_stream_t stream = input_from("a", 4 + 3 + 4096);
  guest_list_u8_t bytes;
  CLAIM(IN(blocking_read)(streams_borrow_input_stream(stream), UINT64_MAX, &bytes, &error) && is_bytes(&bytes, "end"));
  streams_input_stream_drop_own(stream);
}

static void splicing_moves_bytes(void) {
  streams_own_input_stream_t from = input_from("a", 0);
  streams_own_output_stream_t to = output_to("b", 0);
  uint64_t moved = 0, total = 0;
  CLAIM(OUT(blocking_splice)(streams_borrow_output_stream(to), streams_borrow_input_stream(from), 3, &moved, &error));
  CLAIM(moved >= 1 && moved <= 3);
  for (total = moved;
       OUT(blocking_splice)(streams_borrow_output_stream(to), streams_borrow_input_stream(from), 1 << 20, &moved, &error);) {
    total += moved;
  }
  CLAIM(error.tag == STREAMS_STREAM_ERROR_CLOSED && total == 4 + 3 + 4096 + 3);
  CLAIM(OUT(blocking_flush)(streams_borrow_output_stream(to), &error));
  CLAIM(!OUT(splice)(streams_borrow_output_stream(to), streams_borrow_input_stream(from), 1, &moved, &error));
  streams_input_stream_drop_own(from);
  streams_output_stream_drop_own(to);
  from = input_from("b", 4 + 3 + 4096);
  guest_list_u8_t bytes;
  CLAIM(IN(blocking_read)(streams_borrow_input_stream(from), 100, &bytes, &error) && is_bytes(&bytes, "end"));
  streams_input_stream_drop_own(from);
}

int main(void) {
  preopens_list_tuple2_own_descriptor_string_t given;
  preopens_get_directories(&given);
  NEED(given.len == 1);
  directory = given.ptr[0].f0;
  writes_are_permitted_first();
  reads_end_with_the_file();
  a_read_may_ask_for_everything();
  splicing_moves_bytes();
  return claims_result();
}
