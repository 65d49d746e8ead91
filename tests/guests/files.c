/* Exercises files and directories inside one preopened directory, argv[1] (default "/data"), which must be empty and
 * writable. Each claim prints "ok <claim>" or "FAIL <claim>: <errno name>"; the exit status is the number of failures.
 * The directory is empty again at the end. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "errno_name.h"

static int failures;

static void claim(const char *what, int holds) {
  if (holds) {
    printf("ok %s\n", what);
  } else {
    printf("FAIL %s: %s\n", what, errno_name(errno));
    failures++;
  }
}

static int has_size(const char *path, off_t size) {
  struct stat st;
  return stat(path, &st) == 0 && st.st_size == size;
}

static int is_missing(const char *path) {
  struct stat st;
  return stat(path, &st) != 0 && errno == ENOENT;
}

static void a_file_is_written_and_read_back(void) {
  char text[32] = {0};
  int fd = open("story.txt", O_CREAT | O_EXCL | O_RDWR, 0644);
  claim("create", fd >= 0);
  claim("write", write(fd, "once upon a time", 16) == 16);
  claim("seek from the start", lseek(fd, 5, SEEK_SET) == 5);
  claim("read after a seek", read(fd, text, 4) == 4 && memcmp(text, "upon", 4) == 0);
  claim("tell", lseek(fd, 0, SEEK_CUR) == 9);
  claim("seek from the end", lseek(fd, -4, SEEK_END) == 12);
  claim("read to the end", read(fd, text, sizeof text) == 4 && memcmp(text, "time", 4) == 0);
  claim("read at the end", read(fd, text, sizeof text) == 0);
  errno = 0;
  claim("seek before the start is EINVAL", lseek(fd, -1, SEEK_SET) == -1 && errno == EINVAL);
  claim("pwrite", pwrite(fd, "ONCE", 4, 0) == 4);
  claim("pread", pread(fd, text, 9, 0) == 9 && memcmp(text, "ONCE upon", 9) == 0);
  claim("pread leaves the offset", lseek(fd, 0, SEEK_CUR) == 16);
  claim("write beyond the end fills with zeros", pwrite(fd, "!", 1, 20) == 1 && pread(fd, text, 5, 16) == 5 &&
                                                     memcmp(text, "\0\0\0\0!", 5) == 0);
  claim("truncate", ftruncate(fd, 9) == 0 && has_size("story.txt", 9));
  claim("sync", fsync(fd) == 0);
  claim("close", close(fd) == 0);
  errno = 0;
  claim("close twice is EBADF", close(fd) == -1 && errno == EBADF);
}

static void opening_follows_its_flags(void) {
  char text[32] = {0};
  errno = 0;
  claim("O_EXCL on what exists is EEXIST", open("story.txt", O_CREAT | O_EXCL | O_RDWR, 0644) == -1 && errno == EEXIST);
  errno = 0;
  claim("no O_CREAT on what is missing is ENOENT", open("missing.txt", O_RDONLY) == -1 && errno == ENOENT);
  int fd = open("story.txt", O_WRONLY | O_APPEND);
  claim("append", fd >= 0 && write(fd, " a time", 7) == 7 && close(fd) == 0 && has_size("story.txt", 16));
  fd = open("story.txt", O_RDONLY);
  claim("open to read", fd >= 0 && read(fd, text, sizeof text) == 16 && memcmp(text, "ONCE upon a time", 16) == 0);
  errno = 0;
  claim("writing what was opened to read fails", write(fd, "x", 1) == -1 && errno != 0);
  close(fd);
  fd = open("story.txt", O_WRONLY | O_TRUNC);
  claim("O_TRUNC", fd >= 0 && close(fd) == 0 && has_size("story.txt", 0));
  errno = 0;
  claim("O_DIRECTORY on a file is ENOTDIR", open("story.txt", O_RDONLY | O_DIRECTORY) == -1 && errno == ENOTDIR);
}

static void names_move_and_go(void) {
  struct stat st;
  struct timeval times[2] = {{.tv_sec = 1000000000, .tv_usec = 0}, {.tv_sec = 1234567890, .tv_usec = 500000}};
  claim("set times", utimes("story.txt", times) == 0 && stat("story.txt", &st) == 0 &&
                         st.st_mtim.tv_sec == 1234567890 && st.st_mtim.tv_nsec == 500000000);
  claim("a file is a regular file", stat("story.txt", &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1);
  claim("hard link", link("story.txt", "twin.txt") == 0 && stat("twin.txt", &st) == 0 && st.st_nlink == 2);
  claim("unlink one of two", unlink("twin.txt") == 0 && is_missing("twin.txt") && has_size("story.txt", 0));
  claim("rename", rename("story.txt", "tale.txt") == 0 && is_missing("story.txt") && has_size("tale.txt", 0));
  claim("mkdir", mkdir("shelf", 0755) == 0 && stat("shelf", &st) == 0 && S_ISDIR(st.st_mode));
  claim("rename into a directory", rename("tale.txt", "shelf/tale.txt") == 0 && has_size("shelf/tale.txt", 0));
  errno = 0;
  claim("rmdir on what is not empty is ENOTEMPTY", rmdir("shelf") == -1 && errno == ENOTEMPTY);
  errno = 0;
  claim("unlink on a directory fails", unlink("shelf") == -1 && errno != 0);
  claim("symlink inside", symlink("shelf/tale.txt", "short") == 0 && has_size("short", 0));
  char target[32] = {0};
  claim("readlink", readlink("short", target, sizeof target) == 14 && memcmp(target, "shelf/tale.txt", 14) == 0);
  claim("lstat sees the link", lstat("short", &st) == 0 && S_ISLNK(st.st_mode));
  claim("unlink the link", unlink("short") == 0 && has_size("shelf/tale.txt", 0));
  claim("unlink", unlink("shelf/tale.txt") == 0 && is_missing("shelf/tale.txt"));
  claim("rmdir", rmdir("shelf") == 0 && is_missing("shelf"));
}

/* Enough names that one readdir buffer does not hold them all. */
static void a_directory_lists_each_name_once(void) {
  enum { COUNT = 300 };
  static unsigned char seen[COUNT];
  char name[64];
  int made = 0, listed = 0, unexpected = 0;
  for (int i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "a-name-that-is-rather-long-%03d", i);
    int fd = open(name, O_CREAT | O_WRONLY, 0644);
    made += fd >= 0 && close(fd) == 0;
  }
  claim("create 300 files", made == COUNT);
  DIR *dir = opendir(".");
  claim("opendir", dir != NULL);
  for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
    int i = -1;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (sscanf(entry->d_name, "a-name-that-is-rather-long-%d", &i) == 1 && i >= 0 && i < COUNT && !seen[i]) {
      seen[i] = 1;
      listed += entry->d_type == DT_REG;
    } else {
      unexpected++;
    }
  }
  claim("readdir lists each name once", listed == COUNT && unexpected == 0);
  if (dir != NULL) closedir(dir);
  int removed = 0;
  for (int i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "a-name-that-is-rather-long-%03d", i);
    removed += unlink(name) == 0;
  }
  claim("remove 300 files", removed == COUNT);
}

int main(int argc, char **argv) {
  const char *root = argc > 1 ? argv[1] : "/data";
  if (chdir(root) != 0) {
    fprintf(stderr, "%s: %s\n", root, errno_name(errno));
    return 100;
  }
  a_file_is_written_and_read_back();
  opening_follows_its_flags();
  names_move_and_go();
  a_directory_lists_each_name_once();
  printf("%d failures\n", failures);
  return failures;
}
