/* Tries to reach what lies outside of the preopened directory argv[1] (default "/data"), in every way that WASI's path
 * calls offer. The raw imports are called, because libc would refuse some of these paths before they reach the host.
 *
 * The test that runs this prepares, on the host:
 *   <dir>/inside.txt           a file the guest may read
 *   <dir>/link-inside          -> inside.txt
 *   <dir>/link-absolute        -> an absolute host path that exists
 *   <dir>/link-up              -> ../secret.txt, which exists beside <dir>
 *   <dir>/link-dir             -> .. (a directory outside)
 *   <dir>/link-loop            -> link-loop
 *   <dir>/sub/                 an empty directory
 *
 * Each attempt prints "<what>: <errno name>". An attempt that reached the outside prints "<what>: ESCAPED", and the exit
 * status is the number of those. Attempts on the inside must print OK: a sandbox that refuses everything is no use. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

#include "errno_name.h"

static int escapes;
static __wasi_fd_t root = 3;

static void refused(const char *what, __wasi_errno_t error) {
  if (error == 0) escapes++;
  printf("%s: %s\n", what, error == 0 ? "ESCAPED" : errno_name(error));
}

static void allowed(const char *what, __wasi_errno_t error) { printf("%s: %s\n", what, errno_name(error)); }

static __wasi_errno_t open_path(const char *path, __wasi_oflags_t flags, __wasi_rights_t rights) {
  __wasi_fd_t fd;
  __wasi_errno_t error =
      __wasi_path_open(root, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, flags, rights, rights, 0, &fd);
  if (error == 0) (void)__wasi_fd_close(fd);
  return error;
}

static __wasi_errno_t open_to_read(const char *path) { return open_path(path, 0, __WASI_RIGHTS_FD_READ); }

static __wasi_errno_t stat_path(const char *path) {
  __wasi_filestat_t stat;
  return __wasi_path_filestat_get(root, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, &stat);
}

static __wasi_errno_t link_to(const char *old_path, const char *new_path) {
  return __wasi_path_link(root, 0, old_path, root, new_path);
}

static void attempts_on_the_inside(void) {
  allowed("open a file", open_to_read("inside.txt"));
  allowed("open through a link", open_to_read("link-inside"));
  allowed("open through .. that stays inside", open_to_read("sub/../inside.txt"));
  allowed("open with needless dots", open_to_read("./sub/.././inside.txt"));
  allowed("stat the root", stat_path("."));
  allowed("make a link to the inside", __wasi_path_symlink("inside.txt", root, "made-inside"));
  allowed("open through the made link", open_to_read("made-inside"));
  allowed("remove the made link", __wasi_path_unlink_file(root, "made-inside"));
}

static void attempts_by_path(void) {
  refused("open ..", open_path("..", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR));
  refused("open ../secret.txt", open_to_read("../secret.txt"));
  refused("open sub/../../secret.txt", open_to_read("sub/../../secret.txt"));
  refused("open sub/../../<dir>/inside.txt", open_to_read("sub/../../data/inside.txt"));
  refused("open /etc/passwd", open_to_read("/etc/passwd"));
  refused("open //etc/passwd", open_to_read("//etc/passwd"));
  refused("open /", open_path("/", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR));
  refused("open the empty path", open_to_read(""));
  refused("create ../planted", open_path("../planted", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_WRITE));
  refused("stat ../secret.txt", stat_path("../secret.txt"));
  refused("stat /etc/passwd", stat_path("/etc/passwd"));
  refused("mkdir ../planted", __wasi_path_create_directory(root, "../planted"));
  refused("unlink ../secret.txt", __wasi_path_unlink_file(root, "../secret.txt"));
  refused("rmdir ../victim", __wasi_path_remove_directory(root, "../victim"));
  refused("rename to the outside", __wasi_path_rename(root, "inside.txt", root, "../planted"));
  refused("rename from the outside", __wasi_path_rename(root, "../secret.txt", root, "stolen"));
  refused("hard link from the outside", link_to("../secret.txt", "stolen"));
  refused("hard link to the outside", link_to("inside.txt", "../planted"));
}

static void attempts_by_link(void) {
  char buffer[256];
  __wasi_size_t length;
  refused("open link-absolute", open_to_read("link-absolute"));
  refused("open link-up", open_to_read("link-up"));
  refused("open link-dir/secret.txt", open_to_read("link-dir/secret.txt"));
  refused("open link-dir", open_path("link-dir", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR));
  refused("open link-loop", open_to_read("link-loop"));
  refused("stat link-up", stat_path("link-up"));
  refused("truncate link-up", open_path("link-up", __WASI_OFLAGS_TRUNC, __WASI_RIGHTS_FD_WRITE));
  refused("create link-dir/planted", open_path("link-dir/planted", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_WRITE));
  refused("mkdir link-dir/planted", __wasi_path_create_directory(root, "link-dir/planted"));
  refused("unlink link-dir/secret.txt", __wasi_path_unlink_file(root, "link-dir/secret.txt"));
  refused("rename into link-dir", __wasi_path_rename(root, "inside.txt", root, "link-dir/planted"));
  refused("readlink of an absolute target",
          __wasi_path_readlink(root, "link-absolute", (uint8_t *)buffer, sizeof buffer, &length));
  refused("make an absolute link", __wasi_path_symlink("/etc/passwd", root, "made-absolute"));
  /* A link that points up may be made, as long as it can't be followed. */
  (void)__wasi_path_symlink("../secret.txt", root, "made-up");
  refused("open a made link to the outside", open_to_read("made-up"));
  (void)__wasi_path_unlink_file(root, "made-up");
}

static void attempts_by_descriptor(void) {
  __wasi_fd_t fd;
  __wasi_filestat_t stat;
  __wasi_errno_t error = __wasi_path_open(root, 0, "sub", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_PATH_OPEN,
                                          __WASI_RIGHTS_FD_READ, 0, &fd);
  allowed("open a subdirectory", error);
  if (error == 0) {
    __wasi_fd_t up;
    refused("open .. from a subdirectory", __wasi_path_open(fd, 0, "..", __WASI_OFLAGS_DIRECTORY, 0, 0, 0, &up));
    refused("stat ../inside.txt from a subdirectory", __wasi_path_filestat_get(fd, 0, "../inside.txt", &stat));
    (void)__wasi_fd_close(fd);
  }
  refused("stat relative to stdout", __wasi_path_filestat_get(1, 0, "inside.txt", &stat));
  refused("stat relative to a closed descriptor", __wasi_path_filestat_get(77, 0, "inside.txt", &stat));
}

/* Finds the preopened directory whose guest path is `name`. */
static int find_root(const char *name) {
  for (__wasi_fd_t fd = 3;; fd++) {
    char path[256] = {0};
    __wasi_prestat_t prestat;
    if (__wasi_fd_prestat_get(fd, &prestat) != 0) return 0;
    if (prestat.u.dir.pr_name_len >= sizeof path) continue;
    if (__wasi_fd_prestat_dir_name(fd, (uint8_t *)path, prestat.u.dir.pr_name_len) != 0) return 0;
    if (strcmp(path, name) == 0) {
      root = fd;
      return 1;
    }
  }
}

int main(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : "/data";
  if (!find_root(name)) {
    fprintf(stderr, "%s is not preopened\n", name);
    return 100;
  }
  attempts_on_the_inside();
  attempts_by_path();
  attempts_by_link();
  attempts_by_descriptor();
  printf("%d escapes\n", escapes);
  return escapes;
}
