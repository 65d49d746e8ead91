/* wasi:filesystem/types of 0.3: files, directories, links and their errors.
 *
 * sync: all
 * options: --dir SCRATCH::/data
 */
#include "command.h"

#define FD(name) filesystem_method_descriptor_##name

enum {
  READ = FILESYSTEM_DESCRIPTOR_FLAGS_READ,
  WRITE = FILESYSTEM_DESCRIPTOR_FLAGS_WRITE,
  CREATE = FILESYSTEM_OPEN_FLAGS_CREATE,
  FOLLOW = FILESYSTEM_PATH_FLAGS_SYMLINK_FOLLOW
};

static filesystem_borrow_descriptor_t root;
static filesystem_error_code_t error;

static bool opens(const char *path, int path_flags, int open_flags, int flags) {
  filesystem_own_descriptor_t file;
  if (!FD(open_at)(root, (uint8_t)path_flags, TEXT(path), (uint8_t)open_flags, (uint8_t)flags, &file, &error)) return false;
  filesystem_descriptor_drop_own(file);
  return true;
}

static bool is_refused(const char *path, int path_flags, int open_flags, int flags, uint8_t code) {
  return !opens(path, path_flags, open_flags, flags) && error.tag == code;
}

static uint64_t size_of(const char *path) {
  filesystem_descriptor_stat_t stat = {0};
  CLAIM(FD(stat_at)(root, 0, TEXT(path), &stat, &error));
  return stat.size;
}

static void files_have_sizes_flags_and_types(void) {
  filesystem_own_descriptor_t file;
  NEED(FD(open_at)(root, 0, TEXT("file"), CREATE | FILESYSTEM_OPEN_FLAGS_EXCLUSIVE, READ | WRITE, &file, &error));
  filesystem_borrow_descriptor_t f = filesystem_borrow_descriptor(file);
  filesystem_descriptor_stat_t stat = {0};
  CLAIM(FD(set_size)(f, 8, &error) && size_of("file") == 8);
  CLAIM(FD(set_size)(f, 3, &error) && FD(stat)(f, &stat, &error) && stat.size == 3 && stat.link_count == 1);
  CLAIM(FD(sync)(f, &error) && FD(sync_data)(f, &error) && FD(advise)(f, 0, 3, FILESYSTEM_ADVICE_WILL_NEED, &error));
  filesystem_descriptor_flags_t flags = 0;
  CLAIM(FD(get_flags)(f, &flags, &error) && (flags & (READ | WRITE)) == (READ | WRITE));
  filesystem_descriptor_type_t type;
  CLAIM(FD(get_type)(f, &type, &error) && type.tag == FILESYSTEM_DESCRIPTOR_TYPE_REGULAR_FILE);
  CLAIM(!FD(is_same_object)(f, root));
  filesystem_descriptor_drop_own(file);
}

static void opening_keeps_to_its_flags(void) {
  CLAIM(is_refused("file", 0, CREATE | FILESYSTEM_OPEN_FLAGS_EXCLUSIVE, WRITE, FILESYSTEM_ERROR_CODE_EXIST));
  CLAIM(is_refused("nothing", 0, 0, READ, FILESYSTEM_ERROR_CODE_NO_ENTRY));
  CLAIM(is_refused("file", 0, FILESYSTEM_OPEN_FLAGS_DIRECTORY, READ, FILESYSTEM_ERROR_CODE_NOT_DIRECTORY));
  CLAIM(is_refused("file/below", 0, 0, READ, FILESYSTEM_ERROR_CODE_NOT_DIRECTORY));
  CLAIM(is_refused("../file", 0, 0, READ, FILESYSTEM_ERROR_CODE_NOT_PERMITTED));
  CLAIM(opens("file", 0, FILESYSTEM_OPEN_FLAGS_TRUNCATE, WRITE) && size_of("file") == 0);
  filesystem_own_descriptor_t file;
  NEED(FD(open_at)(root, 0, TEXT("file"), 0, READ, &file, &error));
  CLAIM(!FD(set_size)(filesystem_borrow_descriptor(file), 1, &error) && size_of("file") == 0);
  filesystem_descriptor_drop_own(file);
}

static void directories_are_made_listed_and_removed(void) {
  CLAIM(FD(create_directory_at)(root, TEXT("sub"), &error));
  FAILS_WITH(FD(create_directory_at)(root, TEXT("sub"), &error), FILESYSTEM_ERROR_CODE_EXIST);
  CLAIM(opens("sub/inner", 0, CREATE, WRITE));
  FAILS_WITH(FD(remove_directory_at)(root, TEXT("sub"), &error), FILESYSTEM_ERROR_CODE_NOT_EMPTY);
  FAILS_WITH(FD(remove_directory_at)(root, TEXT("file"), &error), FILESYSTEM_ERROR_CODE_NOT_DIRECTORY);
  CLAIM(!FD(unlink_file_at)(root, TEXT("sub"), &error));

  filesystem_tuple2_stream_directory_entry_future_result_void_error_code_t listing;
  FD(read_directory)(root, &listing);
  filesystem_directory_entry_t entries[4];
  int files = 0, directories = 0;
  for (;;) {
    guest_waitable_status_t status = settled(filesystem_stream_directory_entry_read(listing.f0, entries, 4), listing.f0);
    for (size_t i = 0; i < GUEST_WAITABLE_COUNT(status); i++) {
      files += entries[i].type.tag == FILESYSTEM_DESCRIPTOR_TYPE_REGULAR_FILE && is_text(&entries[i].name, "file");
      directories += entries[i].type.tag == FILESYSTEM_DESCRIPTOR_TYPE_DIRECTORY && is_text(&entries[i].name, "sub");
    }
    if (GUEST_WAITABLE_STATE(status) != GUEST_WAITABLE_COMPLETED) break;
  }
  CLAIM(files == 1 && directories == 1);
  filesystem_stream_directory_entry_drop_readable(listing.f0);
  filesystem_result_void_error_code_t result = {.is_err = true};
  settled(filesystem_future_result_void_error_code_read(listing.f1, &result), listing.f1);
  CLAIM(!result.is_err);
  filesystem_future_result_void_error_code_drop_readable(listing.f1);
  CLAIM(FD(unlink_file_at)(root, TEXT("sub/inner"), &error) && FD(remove_directory_at)(root, TEXT("sub"), &error));
}

static void links_lead_where_they_may(void) {
  CLAIM(FD(symlink_at)(root, TEXT("file"), TEXT("link"), &error));
  guest_string_t target;
  CLAIM(FD(readlink_at)(root, TEXT("link"), &target, &error) && is_text(&target, "file"));
  FAILS_WITH(FD(readlink_at)(root, TEXT("file"), &target, &error), FILESYSTEM_ERROR_CODE_INVALID);
  filesystem_descriptor_stat_t stat = {0};
  CLAIM(FD(stat_at)(root, 0, TEXT("link"), &stat, &error) && stat.type.tag == FILESYSTEM_DESCRIPTOR_TYPE_SYMBOLIC_LINK);
  CLAIM(FD(stat_at)(root, FOLLOW, TEXT("link"), &stat, &error) && stat.type.tag == FILESYSTEM_DESCRIPTOR_TYPE_REGULAR_FILE);
  CLAIM(opens("link", FOLLOW, 0, READ) && is_refused("link", 0, 0, READ, FILESYSTEM_ERROR_CODE_LOOP));
  CLAIM(FD(symlink_at)(root, TEXT("../up"), TEXT("up"), &error));
  CLAIM(is_refused("up", FOLLOW, CREATE, WRITE, FILESYSTEM_ERROR_CODE_NOT_PERMITTED));
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
  CLAIM(is_refused("file", 0, 0, READ, FILESYSTEM_ERROR_CODE_NO_ENTRY) && opens("renamed", 0, 0, READ));
  filesystem_new_timestamp_t at = {.tag = FILESYSTEM_NEW_TIMESTAMP_TIMESTAMP, .val.timestamp = {1000000000, 500}};
  filesystem_new_timestamp_t now = {.tag = FILESYSTEM_NEW_TIMESTAMP_NOW};
  CLAIM(FD(set_times_at)(root, 0, TEXT("renamed"), &now, &at, &error));
  filesystem_descriptor_stat_t stat = {0};
  CLAIM(FD(stat_at)(root, 0, TEXT("renamed"), &stat, &error));
  CLAIM(stat.data_modification_timestamp.is_some && stat.data_modification_timestamp.val.seconds == 1000000000 &&
        stat.data_modification_timestamp.val.nanoseconds == 500);
  CLAIM(stat.data_access_timestamp.is_some && stat.data_access_timestamp.val.seconds > 1577836800);
  CLAIM(FD(unlink_file_at)(root, TEXT("renamed"), &error));
  FAILS_WITH(FD(unlink_file_at)(root, TEXT("renamed"), &error), FILESYSTEM_ERROR_CODE_NO_ENTRY);
}

static void program(void) {
  preopens_list_tuple2_own_descriptor_string_t given;
  preopens_get_directories(&given);
  NEED(given.len == 1);
  root = filesystem_borrow_descriptor(given.ptr[0].f0);
  files_have_sizes_flags_and_types();
  opening_keeps_to_its_flags();
  directories_are_made_listed_and_removed();
  links_lead_where_they_may();
  names_and_times_change();
}
