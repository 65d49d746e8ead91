// n: 80
/* Reads a page of HTML, some 100 KB, as tags, attributes and text, and writes it again with links made absolute, comments
 * dropped and text escaped: a state machine written as code, and short copies. */
#include "kernel.h"

enum { SIZE = 1 << 17 };
static char page[SIZE], output[SIZE * 2];
static uint32_t used;

static void put(const char *s) {
  while (*s) page[used++] = *s++;
}

static void write_page(random_t *random) {
  static const char *const parts[] = {
      "<p class=\"intro\">Some text & more of it, with 1 > 0.</p>\n", "<a href=\"/docs/page.html\" title='x'>link</a> ",
      "<!-- a comment that nobody needs -->\n",                      "<img src=picture.png width=100 height=50 />",
      "<ul><li>one<li>two</ul>\n",                                   "<DIV ID=main data-x=\"a b c\">",
      "</DIV>\n",                                                    "plain words between the tags, quite a few of them\n",
  };
  while (used < 100000) put(parts[random_next(random) & 7]);
}

typedef struct {
  const char *at, *end;
  char *out;
  uint32_t tags, attributes, links;
} rewriter_t;

static inline int is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
static inline int is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'; }
static inline char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static void emit(rewriter_t *r, const char *s) {
  while (*s) *r->out++ = *s++;
}

/* Copies a name in lower case; its hash. */
static uint32_t name(rewriter_t *r) {
  uint32_t hash = 2166136261u;
  for (; r->at < r->end && is_name(*r->at); r->at++) {
    char c = lower(*r->at);
    hash = (hash ^ (uint8_t)c) * 16777619u;
    *r->out++ = c;
  }
  return hash;
}

static uint32_t hash_of(const char *s) {
  uint32_t hash = 2166136261u;
  for (; *s; s++) hash = (hash ^ (uint8_t)*s) * 16777619u;
  return hash;
}

static void attribute(rewriter_t *r, uint32_t href) {
  uint32_t hash = name(r);
  r->attributes++;
  if (r->at == r->end || *r->at != '=') return;
  r->at++;
  emit(r, "=\"");
  char quote = *r->at == '"' || *r->at == '\'' ? *r->at++ : 0;
  if (hash == href && *r->at == '/') emit(r, "https://example.org"), r->links++;
  while (r->at < r->end && (quote ? *r->at != quote : !is_space(*r->at) && *r->at != '>')) *r->out++ = *r->at++;
  if (quote) r->at++;
  *r->out++ = '"';
}

static void rewrite(rewriter_t *r) {
  uint32_t href = hash_of("href");
  while (r->at < r->end) {
    char c = *r->at;
    if (c != '<') {
      r->at++;
      if (c == '&')
        emit(r, "&amp;");
      else if (c == '>')
        emit(r, "&gt;");
      else
        *r->out++ = c;
    } else if (r->at[1] == '!') {
      while (r->at < r->end && !(r->at[0] == '-' && r->at[1] == '-' && r->at[2] == '>')) r->at++;
      r->at += 3;
    } else {
      r->tags++;
      *r->out++ = *r->at++;
      if (*r->at == '/') *r->out++ = *r->at++;
      name(r);
      while (r->at < r->end && *r->at != '>') {
        if (is_name(*r->at)) {
          *r->out++ = ' ';
          attribute(r, href);
        } else {
          r->at++;
        }
      }
      *r->out++ = '>';
      r->at++;
    }
  }
}

uint64_t run(uint32_t n) {
  random_t random = random_new(36);
  used = 0;
  write_page(&random);
  uint64_t checksum = 0;
  for (uint32_t round = 0; round < n; round++) {
    rewriter_t rewriter = {.at = page, .end = page + used, .out = output};
    rewrite(&rewriter);
    uint32_t sum = 0;
    for (char *c = output; c < rewriter.out; c++) sum = sum * 33 + (uint8_t)*c;
    checksum = mix(checksum, sum);
    checksum = mix(checksum, (uint64_t)rewriter.tags << 40 | (uint64_t)rewriter.attributes << 20 | rewriter.links);
  }
  return checksum;
}
