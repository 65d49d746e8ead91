// tree-sitter with grammars in WebAssembly: what they make of a text is what the same grammar makes of it as machine code.
//
//   tree_sitter GRAMMAR.wasm FILE...
//
// The grammar is Python's. It has a scanner of its own in C, so the guest calls what the host lends it, and it keeps state between calls. A file that isn't Python shows
// that both recover from errors in the same way.

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tree_sitter/api.h>
#include <wasm.h>

const TSLanguage *tree_sitter_python(void);

static int passed, failed;

static bool check(bool holds, const char *what, const char *about) {
  if (!holds) printf("FAIL %s (%s)\n", what, about);
  if (holds) passed++;
  else failed++;
  return holds;
}

typedef struct {
  char *bytes;
  uint32_t size;
} Text;

static Text read_file(const char *path) {
  Text text = {NULL, 0};
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
    perror(path);
    exit(2);
  }
  text.size = (uint32_t)ftell(file);
  rewind(file);
  text.bytes = malloc(text.size + 1);
  if (fread(text.bytes, 1, text.size, file) != text.size) exit(2);
  fclose(file);
  return text;
}

static bool same_node(TSNode a, TSNode b) {
  return strcmp(ts_node_type(a), ts_node_type(b)) == 0 && ts_node_start_byte(a) == ts_node_start_byte(b) &&
         ts_node_end_byte(a) == ts_node_end_byte(b) && ts_node_is_named(a) == ts_node_is_named(b) &&
         ts_node_is_missing(a) == ts_node_is_missing(b);
}

// How many nodes two trees have in common, or 0 when they differ anywhere.
static size_t common_nodes(TSTree *one, TSTree *other) {
  TSTreeCursor a = ts_tree_cursor_new(ts_tree_root_node(one)), b = ts_tree_cursor_new(ts_tree_root_node(other));
  size_t nodes = 0;
  bool same = true, more = true;
  while (same && more) {
    same = same_node(ts_tree_cursor_current_node(&a), ts_tree_cursor_current_node(&b));
    nodes++;
    bool down = ts_tree_cursor_goto_first_child(&a);
    same = same && ts_tree_cursor_goto_first_child(&b) == down;
    more = down;
    bool root = false;
    while (same && !more && !root) {
      more = ts_tree_cursor_goto_next_sibling(&a);
      same = ts_tree_cursor_goto_next_sibling(&b) == more;
      if (same && !more) {
        root = !ts_tree_cursor_goto_parent(&a);
        same = ts_tree_cursor_goto_parent(&b) == !root;
      }
    }
  }
  ts_tree_cursor_delete(&a);
  ts_tree_cursor_delete(&b);
  return same ? nodes : 0;
}

// Parses the text as a whole, and again after a line was put into its middle, which reuses the tree from before.
static void compare(TSParser *guest, TSParser *native, Text text, const char *path) {
  TSTree *ours = ts_parser_parse_string(guest, NULL, text.bytes, text.size);
  TSTree *theirs = ts_parser_parse_string(native, NULL, text.bytes, text.size);
  if (!check(ours != NULL && theirs != NULL, "the text is parsed", path)) return;
  size_t nodes = common_nodes(ours, theirs);
  check(nodes > 1 && nodes >= text.size / 40, "the trees are the same", path);
  bool python = strcmp(path + strlen(path) - 3, ".py") == 0;
  check(ts_node_has_error(ts_tree_root_node(ours)) != python, "Python is in the language, and else nothing", path);

  const char line[] = "\nclass Added(object):\n    def method(self): return f\"{self!r:>{10}}\"\n";
  char *after_lines = memchr(text.bytes + text.size / 2, '\n', text.size - text.size / 2);
  if (after_lines == NULL) after_lines = text.bytes + text.size;
  uint32_t at = (uint32_t)(after_lines - text.bytes), added = sizeof line - 1;
  char *edited = malloc(text.size + added);
  memcpy(edited, text.bytes, at);
  memcpy(edited + at, line, added);
  memcpy(edited + at + added, text.bytes + at, text.size - at);
  TSPoint point = {0, 0};
  for (uint32_t i = 0; i < at; i++) {
    point.column++;
    if (text.bytes[i] == '\n') point = (TSPoint){point.row + 1, 0};
  }
  TSInputEdit edit = {at, at, at + added, point, point, {point.row + 3, 0}};
  ts_tree_edit(ours, &edit);
  ts_tree_edit(theirs, &edit);
  TSTree *ours_after = ts_parser_parse_string(guest, ours, edited, text.size + added);
  TSTree *theirs_after = ts_parser_parse_string(native, theirs, edited, text.size + added);
  check(common_nodes(ours_after, theirs_after) > 1, "the trees are the same after an edit", path);
  printf("%s: %zu nodes\n", path, nodes);
  free(edited);
  ts_tree_delete(ours_after);
  ts_tree_delete(theirs_after);
  ts_tree_delete(ours);
  ts_tree_delete(theirs);
}

static void refused(TSWasmStore *store, const char *bytes, uint32_t size, TSWasmErrorKind kind) {
  TSWasmError error = {TSWasmErrorKindNone, NULL};
  const TSLanguage *language = ts_wasm_store_load_language(store, "python", bytes, size, &error);
  check(language == NULL && error.kind == kind, "what is no grammar is refused", error.message ? error.message : "no message");
  free(error.message);
}

int main(int count, char **arguments) {
  if (count < 3) return 2;
  wasm_engine_t *engine = wasm_engine_new();
  TSWasmError error = {TSWasmErrorKindNone, NULL};
  TSWasmStore *store = ts_wasm_store_new(engine, &error);
  if (!check(store != NULL, "there is a store", error.message ? error.message : "")) return 1;
  Text grammar = read_file(arguments[1]);
  refused(store, "\0asm\2\0\0\0", 8, TSWasmErrorKindParse);
  refused(store, grammar.bytes, grammar.size / 2, TSWasmErrorKindCompile);
  const TSLanguage *language = ts_wasm_store_load_language(store, "python", grammar.bytes, grammar.size, &error);
  if (!check(language != NULL, "the grammar is loaded", error.message ? error.message : "")) return 1;
  check(ts_language_is_wasm(language) && ts_wasm_store_language_count(store) == 1, "it is a guest's", arguments[1]);
  check(ts_language_symbol_count(language) == ts_language_symbol_count(tree_sitter_python()), "it is whole", arguments[1]);

  TSParser *guest = ts_parser_new(), *native = ts_parser_new();
  ts_parser_set_wasm_store(guest, store);
  check(ts_parser_set_language(guest, language), "a parser takes it", arguments[1]);
  ts_parser_set_language(native, tree_sitter_python());
  for (int i = 2; i < count; i++) {
    Text text = read_file(arguments[i]);
    compare(guest, native, text, arguments[i]);
    // The language moves on to another store, in which it is instantiated anew.
    TSWasmStore *next = ts_wasm_store_new(engine, &error);
    ts_wasm_store_delete(ts_parser_take_wasm_store(guest));
    ts_parser_set_wasm_store(guest, next);
    check(ts_parser_set_language(guest, language), "another store takes it", arguments[i]);
    free(text.bytes);
  }
  ts_parser_delete(guest);
  ts_parser_delete(native);
  ts_language_delete(language);
  free(grammar.bytes);
  wasm_engine_delete(engine);
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}
