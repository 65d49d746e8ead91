/* wasi:filesystem/types: files, directories, links and their errors.
 *
 * options: --dir SCRATCH::/data
 */
#include "claims.h"

#define FD(name) filesystem_method_descriptor_##name

enum {
  READ = FILESYSTEM_DESCRIPTOR_FLAGS_READ,
  WRITE = FILESYSTEM_DESCRIPTOR_FLAGS_WRITE,
  CREATE = FILESYSTEM_OPEN_FLAGS_CREATE,
  FOLLOW = FILESYSTEM_PATH_FLAGS_SYMLINK_FOLLOW
};

static filesystem_borrow_descriptor_t root;
static filesystem_error_code_t error;

static filesystem_own_descriptor_t open_file(const char *path, int open_flags, int flags) {
  filesystem_own_descriptor_t file;
  NEED(FD(open_at)(root, 0, TEXT(path), (uint8_t)open_flags, (uint8_t)flags, &file, &error));
  return file;
}

static bool opens(const char *path, int path_flags, int open_flags, int flags) {
  filesystem_own_descriptor_t file;
  if (!FD(open_at)(root, (uint8_t)path_flags, TEXT(path), (uint8_t)open_flags, (uint8_t)flags, &file, &error)) return false;
  filesystem_descriptor_drop_own(file);
  return true;
}

static uint64_t size_of(const char *path) {
  filesystem_descriptor_stat_t stat = {0};
  CLAIM(FD(stat_at)(root, 0, TEXT(path), &stat, &error));
  return stat.size;
}

static void files_are_written_and_read_at_offsets(void) {
  filesystem_own_descriptor_t file = open_file("file", CREATE | FILESYSTEM_OPEN_FLAGS_EXCLUSIVE, READ | WRITE);
  filesystem_borrow_descriptor_t f = filesystem_borrow_descriptor(file);
  filesystem_filesize_t written = 0;
  CLAIM(FD(write)(f, BYTES("hello"), 0, &written, &error) && written == 5);
  CLAIM(FD(write)(f, BYTES("!"), 10, &written, &error) && written == 1);
  guest_tuple2_list_u8_bool_t got;
  NEED(FD(read)(f, 5, 0, &got, &error));
  CLAIM(is_bytes(&got.f0, "hello"));
  NEED(FD(read)(f, 100, 5, &got, &error));
  CLAIM(got.f0.len == 6 && memcmp(got.f0.ptr, "\0\0\0\0\0!", 6) == 0);
  guest_list_u8_free(&got.f0);
  NEED(FD(read)(f, 1, 11, &got, &error));
  CLAIM(got.f0.len == 0 && got.f1);
  NEED(FD(read)(f, 1, UINT64_C(1) << 40, &got, &error));
  CLAIM(got.f0.len == 0 && got.f1);

  CLAIM(FD(set_size)(f, 3, &error) && size_of("file") == 3);
  CLAIM(FD(set_size)(f, 8, &error) && size_of("file") == 8);
  CLAIM(FD(sync)(f, &error) && FD(sync_data)(f, &error));
  CLAIM(FD(advise)(f, 0, 8, FILESYSTEM_ADVICE_SEQUENTIAL, &error));
  filesystem_descriptor_flags_t flags = 0;
  CLAIM(FD(get_flags)(f, &flags, &error) && (flags & (READ | WRITE)) == (READ | WRITE));
  filesystem_descriptor_type_t type = 0;
  CLAIM(FD(get_type)(f, &type, &error) && type == FILESYSTEM_DESCRIPTOR_TYPE_REGULAR_FILE);
  filesystem_descriptor_drop_own(file);
}

static void opening_keeps_to_its_flags(void) {
  CLAIM(!opens("file", 0, CREATE | FILESYSTEM_OPEN_FLAGS_EXCLUSIVE, WRITE) && error == FILESYSTEM_ERROR_CODE_EXIST);
  CLAIM(!opens("nothing", 0, 0, READ) && error == FILESYSTEM_ERROR_CODE_NO_ENTRY);
  CLAIM(!opens("file", 0, FILESYSTEM_OPEN_FLAGS_DIRECTORY, READ) && error == FILESYSTEM_ERROR_CODE_NOT_DIRECTORY);
  CLAIM(!opens("file/below", 0, 0, READ) && error == FILESYSTEM_ERROR_CODE_NOT_DIRECTORY);
  CLAIM(opens("file", 0, FILESYSTEM_OPEN_FLAGS_TRUNCATE, WRITE) && size_of("file") == 0);

  filesystem_filesize_t written;
  filesystem_own_descriptor_t file = open_file("file", 0, READ);
  FAILS(FD(write)(filesystem_borrow_descriptor(file), BYTES("x"), 0, &written, &error),
        FILESYSTEM_ERROR_CODE_BAD_DESCRIPTOR);
  CLAIM(!FD(set_size)(filesystem_borrow_descriptor(file), 1, &error) && size_of("file") == 0);
  filesystem_descriptor_drop_own(file);
  file = open_file("file", 0, WRITE);
  guest_tuple2_list_u8_bool_t got;
  FAILS(FD(read)(filesystem_borrow_descriptor(file), 1, 0, &got, &error), FILESYSTEM_ERROR_CODE_BAD_DESCRIPTOR);
  filesystem_descriptor_drop_own(file);
}

static void streams_begin_at_offsets(void) {
  filesystem_own_descriptor_t file = open_file("file", CREATE | FILESYSTEM_OPEN_FLAGS_TRUNCATE, READ | WRITE);
  filesystem_borrow_descriptor_t f = filesystem_borrow_descriptor(file);
  streams_own_output_stream_t out;
  streams_stream_error_t failure;
  NEED(FD(write_via_stream)(f, 2, &out, &error));
  CLAIM(streams_method_output_stream_blocking_write_and_flush(streams_borrow_output_stream(out), BYTES("cd"), &failure));
  CLAIM(streams_method_output_stream_blocking_write_and_flush(streams_borrow_output_stream(out), BYTES("ef"), &failure));
  streams_output_stream_drop_own(out);
  NEED(FD(append_via_stream)(f, &out, &error));
  CLAIM(streams_method_output_stream_blocking_write_and_flush(streams_borrow_output_stream(out), BYTES("gh"), &failure));
  streams_output_stream_drop_own(out);

  streams_own_input_stream_t in;
  guest_list_u8_t bytes;
  NEED(FD(read_via_stream)(f, 3, &in, &error));
  NEED(streams_method_input_stream_blocking_read(streams_borrow_input_stream(in), 100, &bytes, &failure));
  CLAIM(is_bytes(&bytes, "defgh"));
  CLAIM(!streams_method_input_stream_blocking_read(streams_borrow_input_stream(in), 1, &bytes, &failure));
  CLAIM(failure.tag == STREAMS_STREAM_ERROR_CLOSED);
  streams_input_stream_drop_own(in);
  filesystem_descriptor_drop_own(file);
}

static void directories_are_made_listed_and_removed(void) {
  CLAIM(FD(create_directory_at)(root, TEXT("sub"), &error));
  FAILS(FD(create_directory_at)(root, TEXT("sub"), &error), FILESYSTEM_ERROR_CODE_EXIST);
  CLAIM(opens("sub/inner", 0, CREATE, WRITE));
  FAILS(FD(remove_directory_at)(root, TEXT("sub"), &error), FILESYSTEM_ERROR_CODE_NOT_EMPTY);
  FAILS(FD(remove_directory_at)(root, TEXT("file"), &error), FILESYSTEM_ERROR_CODE_NOT_DIRECTORY);
  CLAIM(!FD(unlink_file_at)(root, TEXT("sub"), &error));

  filesystem_own_directory_entry_stream_t entries;
  filesystem_option_directory_entry_t entry;
  int files = 0, directories = 0;
  NEED(FD(read_directory)(root, &entries, &error));
  while (filesystem_method_directory_entry_stream_read_directory_entry(
             filesystem_borrow_directory_entry_stream(entries), &entry, &error) && entry.is_some) {
    files += entry.val.type == FILESYSTEM_DESCRIPTOR_TYPE_REGULAR_FILE && is_text(&entry.val.name, "file");
    directories += entry.val.type == FILESYSTEM_DESCRIPTOR_TYPE_DIRECTORY && is_text(&entry.val.name, "sub");
  }
  CLAIM(files == 1 && directories == 1);
  filesystem_directory_entry_stream_drop_own(entries);
  CLAIM(FD(unlink_file_at)(root, TEXT("sub/inner"), &error) && FD(remove_directory_at)(root, TEXT("sub"), &error));
}

static void links_lead_where_they_may(void) {
  CLAIM(FD(symlink_at)(root, TEXT("file"), TEXT("link"), &error));
  guest_string_t target;
  CLAIM(FD(readlink_at)(root, TEXT("link"), &target, &error) && is_text(&target, "file"));
  FAILS(FD(readlink_at)(root, TEXT("file"), &target, &error), FILESYSTEM_ERROR_CODE_INVALID);
  filesystem_descriptor_stat_t stat = {0};
  CLAIM(FD(stat_at)(root, 0, TEXT("link"), &stat, &error) && stat.type == FILESYSTEM_DESCRIPTOR_TYPE_SYMBOLIC_LINK);
  CLAIM(FD(stat_at)(root, FOLLOW, TEXT("link"), &stat, &error) && stat.type == FILESYSTEM_DESCRIPTOR_TYPE_REGULAR_FILE);
  CLAIM(opens("link", FOLLOW, 0, READ));
  CLAIM(!opens("link", 0, 0, READ) && error == FILESYSTEM_ERROR_CODE_LOOP);
  CLAIM(!FD(symlink_at)(root, TEXT("/etc/passwd"), TEXT("absolute"), &error));
  CLAIM(FD(symlink_at)(root, TEXT("../up"), TEXT("up"), &error));
  CLAIM(!opens("up", FOLLOW, CREATE, WRITE) && error == FILESYSTEM_ERROR_CODE_NOT_PERMITTED);

  CLAIM(FD(link_at)(root, 0, TEXT("file"), root, TEXT("second"), &error));
  CLAIM(FD(stat_at)(root, 0, TEXT("second"), &stat, &error) && stat.link_count == 2);
  filesystem_metadata_hash_value_t a, b;
  CLAIM(FD(metadata_hash_at)(root, 0, TEXT("file"), &a, &error) && FD(metadata_hash_at)(root, 0, TEXT("second"), &b, &error));
  CLAIM(a.lower == b.lower && a.upper == b.upper);
  CLAIM(FD(metadata_hash)(root, &b, &error) && (a.lower != b.lower || a.upper != b.upper));
  CLAIM(FD(unlink_file_at)(root, TEXT("second"), &error) && FD(unlink_file_at)(root, TEXT("link"), &error));
  CLAIM(FD(unlink_file_at)(root, TEXT("up"), &error));
}

static void names_and_times_change(void) {
  CLAIM(FD(rename_at)(root, TEXT("file"), root, TEXT("renamed"), &error));
  CLAIM(!opens("file", 0, 0, READ) && opens("renamed", 0, 0, READ));
  FAILS(FD(rename_at)(root, TEXT("file"), root, TEXT("other"), &error), FILESYSTEM_ERROR_CODE_NO_ENTRY);
  filesystem_new_timestamp_t at = {.tag = FILESYSTEM_NEW_TIMESTAMP_TIMESTAMP, .val.timestamp = {1000000000, 500}};
  filesystem_new_timestamp_t same = {.tag = FILESYSTEM_NEW_TIMESTAMP_NO_CHANGE};
  CLAIM(FD(set_times_at)(root, 0, TEXT("renamed"), &at, &at, &error));
  filesystem_new_timestamp_t now = {.tag = FILESYSTEM_NEW_TIMESTAMP_NOW};
  CLAIM(FD(set_times_at)(root, 0, TEXT("renamed"), &now, &same, &error));
  filesystem_descriptor_stat_t stat = {0};
  CLAIM(FD(stat_at)(root, 0, TEXT("renamed"), &stat, &error));
  CLAIM(stat.data_modification_timestamp.is_some && stat.data_modification_timestamp.val.seconds == 1000000000 &&
        stat.data_modification_timestamp.val.nanoseconds == 500);
  CLAIM(stat.data_access_timestamp.is_some && stat.data_access_timestamp.val.seconds > 1577836800);
  CLAIM(FD(unlink_file_at)(root, TEXT("renamed"), &error));
  FAILS(FD(unlink_file_at)(root, TEXT("renamed"), &error), FILESYSTEM_ERROR_CODE_NO_ENTRY);
}

int main(void) {
  preopens_list_tuple2_own_descriptor_string_t given;
  preopens_get_directories(&given);
  NEED(given.len == 1);
  root = filesystem_borrow_descriptor(given.ptr[0].f0);
  files_are_written_and_read_at_offsets();
  opening_keeps_to_its_flags();
  streams_begin_at_offsets();
  directories_are_made_listed_and_removed();
  links_lead_where_they_may();
  names_and_times_change();
  return claims_result();
}
