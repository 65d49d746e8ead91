/* A design in Verilog becomes the configuration of a small FPGA: yosys synthesizes it, nextpnr places and routes it, icepack packs the
 * bits. All three are C++ with exceptions. What they make is deterministic: hashes tell whether it is right. */
#include "host.h"

static const uint64_t ASC_HASH = UINT64_C(0x9e291c4beab9d868);
static const uint64_t BITSTREAM_HASH = UINT64_C(0xf5c985eea01e5d0f);

static char *work;
static struct program yosys, nextpnr, icepack;

static struct program load_with_exceptions(const char *name) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_wasm_exceptions_set(config, true);
  return load_with(config, name);
}

/* Runs one of the programs, with its own `share` folder where it has one, and the work folder as /work and /tmp. */
static struct ending run(struct life *life, struct program *program, const char *share, const char *const *argv) {
  wasi_config_t *wasi = world(argv);
  size_t all_dir = WASMTIME_WASI_DIR_PERMS_READ | WASMTIME_WASI_DIR_PERMS_WRITE;
  size_t all_file = WASMTIME_WASI_FILE_PERMS_READ | WASMTIME_WASI_FILE_PERMS_WRITE;
  CLAIM(wasi_config_preopen_dir(wasi, work, "/work", all_dir, all_file));
  CLAIM(wasi_config_preopen_dir(wasi, work, "/tmp", all_dir, all_file));
  if (share != NULL) {
    CLAIM(wasi_config_preopen_dir(wasi, path_in(guests_dir, share), "/share", WASMTIME_WASI_DIR_PERMS_READ,
                                  WASMTIME_WASI_FILE_PERMS_READ));
  }
  begin(life, program, wasi);
  struct ending ending = run_command(life, program);
  if (life->err.length != 0) add_bytes(&life->out, life->err.data, life->err.length);
  return ending;
}

static bool says(const struct bytes *text, const char *line) {
  if (strstr(text->data, line) != NULL) return true;
  printf("no \"%s\" in:\n%s\n", line, text->data);
  return false;
}

static void a_design_is_synthesized(void) {
  struct life life;
  const char *argv[] = {"yosys", "-q", "-p",
                        "read_verilog /work/design.v; synth_ice40 -top top -json /work/design.json; tee -o /work/stat.txt stat",
                        NULL};
  struct ending ending = run(&life, &yosys, "yosys-share", argv);
  if (CLAIM(ended_well(&ending))) {
    struct bytes stat = read_file(path_in(work, "stat.txt"));
    CLAIM(says(&stat, "95 cells"));
    CLAIM(says(&stat, "15   SB_CARRY"));
    CLAIM(says(&stat, "20   SB_DFF\n"));
    CLAIM(says(&stat, "4   SB_DFFE\n"));
    CLAIM(says(&stat, "2   SB_DFFESR\n"));
    CLAIM(says(&stat, "54   SB_LUT4\n"));
    free_bytes(&stat);
  } else {
    printf("%s\n%s\n", life.out.data, ending.message);
  }
  end(&life);
}

/* yosys throws where it finds the error, and catches in its main. */
static void a_faulty_design_is_refused(void) {
  struct life life;
  const char *argv[] = {"yosys", "-q", "-p", "read_verilog /work/faulty.v", NULL};
  write_file(path_in(work, "faulty.v"), "module top(input a, output b);\n  assign b = a +;\nendmodule\n");
  struct ending ending = run(&life, &yosys, "yosys-share", argv);
  CLAIM(ending.exited && ending.status == 1);
  CLAIM(says(&life.out, "/work/faulty.v:2: ERROR: syntax error"));
  end(&life);
}

static void the_netlist_is_placed_and_routed(void) {
  struct life life;
  const char *argv[] = {"nextpnr-ice40", "--lp384",           "--package", "qn32",   "--json", "/work/design.json",
                        "--asc",         "/work/design.asc",  "--seed",    "1",      "--pcf-allow-unconstrained", NULL};
  struct ending ending = run(&life, &nextpnr, "nextpnr-ice40-share", argv);
  if (CLAIM(ended_well(&ending))) {
    CLAIM(says(&life.out, "Program finished normally."));
    struct bytes asc = read_file(path_in(work, "design.asc"));
    if (!CLAIM(hash_of(asc.data, asc.length) == ASC_HASH)) {
      printf("hash is 0x%016llx\n", (unsigned long long)hash_of(asc.data, asc.length));
    }
    free_bytes(&asc);
  } else {
    printf("%s\n%s\n", life.out.data, ending.message);
  }
  end(&life);
}

static void a_netlist_that_is_none_is_refused(void) {
  struct life life;
  const char *argv[] = {"nextpnr-ice40", "--lp384", "--package", "qn32", "--json", "/work/design.v", NULL};
  struct ending ending = run(&life, &nextpnr, "nextpnr-ice40-share", argv);
  CLAIM(ending.exited && ending.status != 0);
  CLAIM(says(&life.out, "ERROR: Failed to parse JSON file"));
  end(&life);
}

static void the_bits_are_packed(void) {
  struct life life;
  const char *argv[] = {"icepack", "/work/design.asc", "/work/design.bin", NULL};
  struct ending ending = run(&life, &icepack, NULL, argv);
  if (CLAIM(ended_well(&ending))) {
    struct bytes bitstream = read_file(path_in(work, "design.bin"));
    if (!CLAIM(hash_of(bitstream.data, bitstream.length) == BITSTREAM_HASH)) {
      printf("hash is 0x%016llx\n", (unsigned long long)hash_of(bitstream.data, bitstream.length));
    }
    free_bytes(&bitstream);
  } else {
    printf("%s\n%s\n", life.out.data, ending.message);
  }
  end(&life);
}

int main(int argc, char **argv) {
  take_arguments(argc, argv);
  work = new_scratch();
  struct bytes design = read_file(path_in(inputs_dir, "ice40.v"));
  write_file(path_in(work, "design.v"), design.data);
  free_bytes(&design);
  yosys = load_with_exceptions("yosys.wasm");
  a_design_is_synthesized();
  a_faulty_design_is_refused();
  unload(&yosys);
  nextpnr = load_with_exceptions("nextpnr-ice40.wasm");
  the_netlist_is_placed_and_routed();
  a_netlist_that_is_none_is_refused();
  unload(&nextpnr);
  icepack = load_with_exceptions("icepack.wasm");
  the_bits_are_packed();
  unload(&icepack);
  remove_scratch(work);
  return claims_result("ice40");
}
