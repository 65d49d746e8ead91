/* The programs that use files, on a file system that the host keeps in memory: they can't tell the difference. */
#include "host.h"

#include "../../../examples/c/memory_fs.h"

static struct ending run_in(struct life *life, const char *name, const ampoule_wasi_filesystem_t *fs) {
  char file[64];
  snprintf(file, sizeof file, "%s.wasm", name);
  struct program program = load(file);
  const char *argv[] = {name, "/data", NULL};
  wasi_config_t *wasi = world(argv);
  must("preopening", ampoule_wasi_config_preopen_virtual_dir(
                         wasi, fs, "/data", WASMTIME_WASI_DIR_PERMS_READ | WASMTIME_WASI_DIR_PERMS_WRITE,
                         WASMTIME_WASI_FILE_PERMS_READ | WASMTIME_WASI_FILE_PERMS_WRITE));
  begin(life, &program, wasi);
  struct ending ending = run_command(life, &program);
  unload(&program);
  return ending;
}

/* The same file system for one more guest. */
static ampoule_wasi_filesystem_t lent(const ampoule_wasi_filesystem_t *fs) {
  ampoule_wasi_filesystem_t copy = *fs;
  copy.finalizer = NULL;
  return copy;
}

static bool has(const ampoule_wasi_filesystem_t *fs, const char *name) {
  ampoule_wasi_node_t node;
  ampoule_wasi_type_t type;
  if (fs->lookup(fs->env, fs->root, name, strlen(name), &node, &type) != AMPOULE_WASI_OK) return false;
  fs->release(fs->env, node);
  return true;
}

static void files_behave_as_posix_says(void) {
  ampoule_wasi_filesystem_t fs = memory_fs_new(16 << 20), borrowed = lent(&fs);
  struct memory_fs *memory = fs.env;
  size_t room = memory->room;
  struct life life;
  struct ending ending = run_in(&life, "files", &borrowed);
  if (!CLAIM(ended_well(&ending))) printf("%s%s%s\n", life.out.data, life.err.data, ending.message);
  end(&life);
  CLAIM(memory->root.entries == NULL && memory->room == room); /* the program left it empty, and every node was released */
  fs.finalizer(fs.env);
}

static void nothing_escapes_from_it(void) {
  ampoule_wasi_filesystem_t fs = memory_fs_new(1 << 20);
  memory_fs_put(&fs, "inside.txt", "inside");
  const char *links[][2] = {{"inside.txt", "link-inside"},
                            {"/etc/passwd", "link-absolute"},
                            {"../secret.txt", "link-up"},
                            {"..", "link-dir"},
                            {"link-loop", "link-loop"}};
  bool ready = fs.create_dir(fs.env, fs.root, "sub", 3) == AMPOULE_WASI_OK;
  for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
    const char *target = links[i][0], *name = links[i][1];
    ready = ready && fs.symlink(fs.env, target, strlen(target), fs.root, name, strlen(name)) == AMPOULE_WASI_OK;
  }
  CLAIM(ready);
  ampoule_wasi_filesystem_t borrowed = lent(&fs);
  struct life life;
  struct ending ending = run_in(&life, "escape", &borrowed);
  struct bytes expected = read_file(path_in(inputs_dir, "escape.expected"));
  if (!CLAIM(ended_well(&ending))) printf("%s%s%s\n", life.out.data, life.err.data, ending.message);
  if (!CLAIM(strcmp(life.out.data, expected.data) == 0)) printf("%s", life.out.data);
  free_bytes(&expected);
  end(&life);
  CLAIM(has(&fs, "inside.txt") && !has(&fs, "stolen") && !has(&fs, "planted"));
  fs.finalizer(fs.env);
}

int main(int argc, char **argv) {
  take_arguments(argc, argv);
  files_behave_as_posix_says();
  nothing_escapes_from_it();
  return claims_result("virtual_files");
}
