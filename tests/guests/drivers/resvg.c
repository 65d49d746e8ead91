/* resvg renders an SVG file to a PNG file, in a preopened folder. As a module, and as a component. */
#include "host.h"

static struct program resvg;

static const uint64_t EXPECTED_HASH = UINT64_C(0x3f4bdef2a09ffdc9);

/* Runs `resvg <options> /files/<in> /files/<out>` where /files is `folder`. */
static struct ending render(struct life *life, const char *folder, const char *zoom, const char *in,
                            const char *out) {
  const char *argv[] = {"resvg", "--zoom", zoom, in, out, NULL};
  wasi_config_t *wasi = world(argv);
  CLAIM(wasi_config_preopen_dir(wasi, folder, "/files",
                                WASMTIME_WASI_DIR_PERMS_READ | WASMTIME_WASI_DIR_PERMS_WRITE,
                                WASMTIME_WASI_FILE_PERMS_READ | WASMTIME_WASI_FILE_PERMS_WRITE));
  begin(life, &resvg, wasi);
  return run_command(life, &resvg);
}

static uint32_t big_endian(const char *bytes) {
  const unsigned char *b = (const unsigned char *)bytes;
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void a_drawing_becomes_a_png(void) {
  struct life life;
  char *folder = new_scratch();
  struct bytes svg = read_file(path_in(inputs_dir, "ampoule.svg"));
  write_file(path_in(folder, "in.svg"), svg.data);
  struct ending ending = render(&life, folder, "2", "/files/in.svg", "/files/out.png");
  if (!CLAIM(ended_well(&ending))) printf("%s%s%s", ending.message, life.out.data, life.err.data);
  if (ended_well(&ending)) {
    struct bytes png = read_file(path_in(folder, "out.png"));
    if (CLAIM(png.length > 33)) {
      CLAIM(memcmp(png.data, "\x89PNG\r\n\x1a\n", 8) == 0);
      CLAIM(memcmp(png.data + 12, "IHDR", 4) == 0);
      CLAIM(big_endian(png.data + 16) == 2 * 96 && big_endian(png.data + 20) == 2 * 128);
      CLAIM(memcmp(png.data + png.length - 8, "IEND", 4) == 0);
      /* Rasterizing and deflating are deterministic: the file is the same on every engine. */
      if (!CLAIM(hash_of(png.data, png.length) == EXPECTED_HASH)) {
        printf("hash is 0x%016llx\n", (unsigned long long)hash_of(png.data, png.length));
      }
    }
    free_bytes(&png);
  }
  free_bytes(&svg);
  end(&life);
  remove_scratch(folder);
}

static void what_is_no_drawing_is_refused(void) {
  struct life life;
  char *folder = new_scratch();
  write_file(path_in(folder, "in.svg"), "<svg><unclosed");
  struct ending ending = render(&life, folder, "1", "/files/in.svg", "/files/out.png");
  CLAIM(ending.exited && ending.status != 0);
  CLAIM(life.err.length != 0);
  CLAIM(access(path_in(folder, "out.png"), F_OK) != 0);
  end(&life);
  remove_scratch(folder);
}

static void a_missing_file_is_an_error(void) {
  struct life life;
  char *folder = new_scratch();
  struct ending ending = render(&life, folder, "1", "/files/missing.svg", "/files/out.png");
  CLAIM(ending.exited && ending.status != 0);
  end(&life);
  remove_scratch(folder);
}

static void all_claims(void) {
  resvg = load("resvg.wasm");
  a_drawing_becomes_a_png();
  what_is_no_drawing_is_refused();
  a_missing_file_is_an_error();
  unload(&resvg);
}

int main(int argc, char **argv) {
  take_arguments(argc, argv);
  all_claims();
  as_components = true;
  puts("as a component:");
  all_claims();
  return claims_result("resvg");
}
