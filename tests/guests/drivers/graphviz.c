/* Graphviz lays out a graph and renders it to SVG, through functions that take and return addresses. */
#include "host.h"

static struct program graphviz;

static const uint64_t EXPECTED_HASH = UINT64_C(0xae7047042e233fb8);

static void begin_graphviz(struct life *life) {
  const char *argv[] = {"graphviz", NULL};
  begin(life, &graphviz, world(argv));
  struct ending ending = instantiate(life, &graphviz);
  if (ending.failed || ending.trapped) give_up("graphviz.wasm", ending.message);
}

/* The rendered bytes; or nothing, and the complaint in `*error`. */
static struct bytes render(struct life *life, const char *dot, const char *engine, struct bytes *error) {
  struct bytes rendered = {NULL, 0};
  const uint32_t word_size = 4;
  uint32_t length = 0;
  uint32_t args[4] = {guest_string(life, dot), guest_string(life, "svg"), guest_string(life, engine),
                      ask(life, "malloc", &word_size, 1)};
  uint32_t result = ask(life, "graphviz_render", args, 4);
  if (result == 0) {
    const char *message = guest_bytes(life, ask(life, "graphviz_last_error", NULL, 0), 256);
    add_bytes(error, message, strnlen(message, 256));
  } else {
    memcpy(&length, guest_bytes(life, args[3], 4), 4);
    add_bytes(&rendered, guest_bytes(life, result, length), length);
    call(life, "graphviz_free", &result, 1, NULL);
  }
  for (int i = 0; i < 4; i++) call(life, "free", &args[i], 1, NULL);
  return rendered;
}

static int count(const char *text, const char *what) {
  int found = 0;
  for (; (text = strstr(text, what)) != NULL; text += strlen(what)) found++;
  return found;
}

static void a_graph_becomes_svg(void) {
  struct life life;
  struct bytes error = {NULL, 0};
  struct bytes dot = read_file(path_in(inputs_dir, "layers.dot"));
  begin_graphviz(&life);
  struct bytes svg = render(&life, dot.data, "dot", &error);
  if (CLAIM(svg.length != 0)) {
    CLAIM(strstr(svg.data, "<svg") != NULL && strstr(svg.data, "</svg>") != NULL);
    CLAIM(count(svg.data, "class=\"node\"") == 6);
    CLAIM(count(svg.data, "class=\"edge\"") == 8);
    CLAIM(count(svg.data, "class=\"cluster\"") == 1);
    CLAIM(strstr(svg.data, "#e0f0ff") != NULL);
    /* Layout is floating-point arithmetic, and the same to the last digit on every engine. */
    if (!CLAIM(hash_of(svg.data, svg.length) == EXPECTED_HASH)) {
      printf("hash is 0x%016llx\n", (unsigned long long)hash_of(svg.data, svg.length));
    }
  }
  struct bytes again = render(&life, dot.data, "dot", &error);
  CLAIM(again.length == svg.length && memcmp(again.data, svg.data, svg.length) == 0);
  free_bytes(&again);
  free_bytes(&svg);
  free_bytes(&dot);
  end(&life);
}

static void every_layout_engine_runs(void) {
  static const char *const engines[] = {"dot", "neato", "fdp", "circo", "twopi"};
  struct life life;
  begin_graphviz(&life);
  for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
    struct bytes error = {NULL, 0};
    struct bytes svg = render(&life, "graph { a -- b -- c -- a; c -- d }", engines[i], &error);
    if (!CLAIM(svg.length != 0 && count(svg.data, "class=\"node\"") == 4)) {
      printf("%s: %s\n", engines[i], error.data != NULL ? error.data : "other than 4 nodes");
    }
    free_bytes(&error);
    free_bytes(&svg);
  }
  end(&life);
}

static void a_malformed_graph_is_an_error_and_the_next_one_renders(void) {
  struct life life;
  struct bytes error = {NULL, 0};
  begin_graphviz(&life);
  struct bytes svg = render(&life, "digraph { a -> ", "dot", &error);
  CLAIM(svg.length == 0 && error.length != 0);
  svg = render(&life, "digraph { a -> b }", "dot", &error);
  CLAIM(svg.length != 0 && count(svg.data, "class=\"node\"") == 2);
  free_bytes(&svg);
  free_bytes(&error);
  end(&life);
}

int main(int argc, char **argv) {
  take_arguments(argc, argv);
  graphviz = load("graphviz.wasm");
  a_graph_becomes_svg();
  every_layout_engine_runs();
  a_malformed_graph_is_an_error_and_the_next_one_renders();
  unload(&graphviz);
  return claims_result("graphviz");
}
