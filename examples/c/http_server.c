/* A server for HTTP/1.1 in one thread: connections, parsing and waiting are this program's, what is answered is a component's.
 *
 *     cc -std=c11 http_server.c $(pkg-config --cflags --libs ampoule) -lpthread -o http_server && ./http_server 8080
 *
 * Each request has a store of its own. The loop waits with poll() for sockets, and for the descriptors of stores; nothing else waits.
 * A client that reads slowly makes its guest wait, a guest that reads slowly its client; who closes a connection ends its guest.
 * Without a port the program asks itself a few things, and ends.
 *
 * http_guest.h has the component. What a server on the open internet needs besides (time limits, TLS, logs) is left out. */
#define _POSIX_C_SOURCE 200809L
#include <ampoule.h>
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http_guest.h"

enum { MAX_CONNECTIONS = 256, MAX_HEADERS = 64, BUFFER = 16 * 1024 };

static wasm_engine_t *engine;
static ampoule_http_handler_t *handler;

/* Where a body in the request stands. */
typedef enum { BODY_NONE, BODY_SIZED, BODY_CHUNK_HEAD, BODY_CHUNK, BODY_CHUNK_END, BODY_TRAILERS } body_t;

typedef struct {
  int fd;
  char in[BUFFER], out[BUFFER + 512];
  size_t in_len, out_len, out_sent;
  /* Of the request that is being answered. */
  wasmtime_store_t *store;
  ampoule_http_exchange_t *exchange;
  int wait_fd;
  body_t body;
  uint64_t body_left;
  bool is_head, keep_alive, given, done, head_sent, chunked, ending;
} connection_t;

static void must(wasmtime_error_t *error) {
  if (error == NULL) return;
  wasm_byte_vec_t message;
  wasmtime_error_message(error, &message);
  fprintf(stderr, "%.*s\n", (int)message.size, message.data);
  exit(1);
}

/* -- What the client sends */

static void take_in(connection_t *c, size_t len) {
  c->in_len -= len;
  memmove(c->in, c->in + len, c->in_len);
}

static void say(connection_t *c, const char *status) {
  c->out_len += (size_t)snprintf(c->out + c->out_len, sizeof c->out - c->out_len,
                                 "HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", status);
  c->ending = true;
}

/* Begins to answer a request, whose head is in the buffer, as soon as it is. False while it isn't. */
static bool begin(connection_t *c) {
  size_t head_len = 0;
  for (size_t i = 3; i < c->in_len && !head_len; i++)
    if (memcmp(c->in + i - 3, "\r\n\r\n", 4) == 0) head_len = i + 1;
  if (!head_len) {
    if (c->in_len == sizeof c->in) say(c, "431 Request Header Fields Too Large");
    return false;
  }
  if (memchr(c->in, 0, head_len)) return say(c, "400 Bad Request"), false;
  ampoule_http_header_t headers[MAX_HEADERS];
  ampoule_http_request_t request = {.scheme = "http", .scheme_len = 4, .headers = headers};
  char *at = c->in, *end = strstr(at, "\r\n"), *space = memchr(at, ' ', (size_t)(end - at));
  char *last = space ? memchr(space + 1, ' ', (size_t)(end - space - 1)) : NULL;
  if (!last || strncmp(last, " HTTP/1.", 8) != 0) return say(c, "400 Bad Request"), false;
  request.method = at, request.method_len = (size_t)(space - at);
  request.path = space + 1, request.path_len = (size_t)(last - space - 1);
  c->keep_alive = last[8] == '1';
  c->is_head = request.method_len == 4 && memcmp(at, "HEAD", 4) == 0;
  c->body = BODY_NONE;
  for (at = end + 2; (end = strstr(at, "\r\n")) != at; at = end + 2) {
    char *colon = memchr(at, ':', (size_t)(end - at));
    if (!colon || request.num_headers == MAX_HEADERS) return say(c, "400 Bad Request"), false;
    ampoule_http_header_t *header = &headers[request.num_headers++];
    header->name = at, header->name_len = (size_t)(colon - at);
    for (colon++; *colon == ' '; colon++) continue;
    header->value = colon, header->value_len = (size_t)(end - colon);
    if (header->name_len == 14 && strncasecmp(at, "content-length", 14) == 0) {
      if (c->body != BODY_NONE) return say(c, "400 Bad Request"), false;
      c->body = BODY_SIZED, c->body_left = strtoull(colon, NULL, 10); /* the library checks that it is a number */
    } else if (header->name_len == 17 && strncasecmp(at, "transfer-encoding", 17) == 0) {
      if (c->body != BODY_NONE || header->value_len != 7 || strncasecmp(colon, "chunked", 7) != 0)
        return say(c, "400 Bad Request"), false;
      c->body = BODY_CHUNK_HEAD;
    } else if (header->name_len == 10 && strncasecmp(at, "connection", 10) == 0) {
      c->keep_alive = header->value_len != 5 || strncasecmp(colon, "close", 5) != 0;
    }
  }

  c->store = wasmtime_store_new(engine, NULL, NULL);
  wasmtime_context_t *context = wasmtime_store_context(c->store);
  must(wasmtime_context_set_wasi(context, wasi_config_new()));
  must(ampoule_context_set_http(context, NULL));
  must(ampoule_context_wait_descriptor(context, &c->wait_fd));
  wasmtime_error_t *error = ampoule_http_exchange_new(handler, context, NULL, &request, &c->exchange);
  if (error) {
    wasmtime_error_delete(error);
    return say(c, "400 Bad Request"), false;
  }
  c->given = c->done = c->head_sent = c->chunked = false;
  take_in(c, head_len);
  return true;
}

/* Gives the guest what there is of the body, as far as it has room. False where the client sends none. */
static bool feed(connection_t *c) {
  ampoule_http_writer_t *writer = ampoule_http_exchange_writer(c->exchange);
  while (c->body == BODY_SIZED || c->body == BODY_CHUNK) {
    size_t len = c->in_len < c->body_left ? c->in_len : (size_t)c->body_left, written = 0;
    must(ampoule_http_writer_write(writer, (const uint8_t *)c->in, len, &written));
    take_in(c, written);
    c->body_left -= written;
    if (c->body_left > 0) return true;
    c->body = c->body == BODY_CHUNK ? BODY_CHUNK_END : BODY_NONE;
  }
  char *end;
  while (c->body != BODY_NONE && (end = memchr(c->in, '\n', c->in_len)) != NULL) {
    size_t len = (size_t)(end - c->in) + 1;
    bool empty = len <= 2;
    if (c->body == BODY_CHUNK_HEAD) {
      if (!isxdigit((unsigned char)c->in[0])) return false;
      c->body_left = strtoull(c->in, NULL, 16);
      c->body = c->body_left ? BODY_CHUNK : BODY_TRAILERS;
    } else if (c->body == BODY_CHUNK_END) {
      if (!empty) return false;
      c->body = BODY_CHUNK_HEAD;
    } else if (empty) {
      c->body = BODY_NONE; /* the trailers are over */
    }
    take_in(c, len);
    if (c->body == BODY_CHUNK) return feed(c);
  }
  return c->body == BODY_NONE || c->in_len < sizeof c->in;
}

/* -- What the client gets */

static void put(connection_t *c, const void *data, size_t len) {
  memcpy(c->out + c->out_len, data, len);
  c->out_len += len;
}

static bool put_headers(connection_t *c, const ampoule_http_header_t *headers, size_t count, bool *has_length) {
  for (size_t i = 0; i < count; i++) {
    if (c->out_len + headers[i].name_len + headers[i].value_len + 4 > BUFFER) return false;
    if (headers[i].name_len == 14 && memcmp(headers[i].name, "content-length", 14) == 0) *has_length = true;
    put(c, headers[i].name, headers[i].name_len);
    put(c, ": ", 2);
    put(c, headers[i].value, headers[i].value_len);
    put(c, "\r\n", 2);
  }
  return true;
}

/* The head of the response. How long the body is, is known where the guest has said so, or is done. */
static bool put_head(connection_t *c, const ampoule_http_response_t *response, const ampoule_http_reader_t *reader) {
  c->out_len = (size_t)sprintf(c->out, "HTTP/1.1 %u %s\r\n", response->status,
                               response->status == 200 ? "OK" : "-");
  bool has_length = false;
  if (!put_headers(c, response->headers, response->num_headers, &has_length)) return false;
  uint64_t length;
  if (!has_length && ampoule_http_reader_length(reader, &length)) {
    c->out_len += (size_t)sprintf(c->out + c->out_len, "content-length: %llu\r\n", (unsigned long long)length);
  } else if (!has_length) {
    c->chunked = true;
    put(c, "transfer-encoding: chunked\r\n", 28);
  }
  if (!c->keep_alive) put(c, "connection: close\r\n", 19);
  put(c, "\r\n", 2);
  return c->head_sent = true;
}

static void end_exchange(connection_t *c) {
  if (c->exchange) ampoule_http_exchange_delete(c->exchange);
  if (c->store) wasmtime_store_delete(c->store);
  c->exchange = NULL, c->store = NULL, c->wait_fd = -1;
}

/* Fills the buffer of output, which is empty, with what the guest has. False where the rest of the response is lost. */
static bool answer(connection_t *c) {
  ampoule_http_response_t response;
  ampoule_http_reader_t *reader = ampoule_http_exchange_reader(c->exchange);
  if (!reader) {
    if (c->done) say(c, "500 Internal Server Error");
    return true;
  }
  if (!c->head_sent) return ampoule_http_exchange_response(c->exchange, &response) && put_head(c, &response, reader);
  const uint8_t *data;
  size_t len, count;
  switch (c->is_head ? AMPOULE_HTTP_READING_END : ampoule_http_reader_peek(reader, &data, &len)) {
  case AMPOULE_HTTP_READING_BYTES:
    if (len > BUFFER) len = BUFFER;
    if (c->chunked) c->out_len = (size_t)sprintf(c->out, "%zx\r\n", len);
    put(c, data, len);
    if (c->chunked) put(c, "\r\n", 2);
    ampoule_http_reader_consume(reader, len);
    return true;
  case AMPOULE_HTTP_READING_END:
    if (c->chunked && !c->is_head) {
      const ampoule_http_header_t *trailers = ampoule_http_reader_trailers(reader, &count);
      put(c, "0\r\n", 3);
      if (!put_headers(c, trailers, count, &(bool){false})) return false;
      put(c, "\r\n", 2);
    }
    /* The rest of a body that the guest has not read is not waited for. */
    if (!c->keep_alive || c->body != BODY_NONE) c->ending = true;
    end_exchange(c);
    return true;
  case AMPOULE_HTTP_READING_ERROR: return false;
  default: return true;
  }
}

/* -- Connections */

/* Does what can be done without waiting. False where the connection is over. */
static bool advance(connection_t *c) {
  for (;;) {
    while (c->out_sent < c->out_len) {
      ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      c->out_sent += (size_t)sent;
    }
    c->out_sent = c->out_len = 0;
    if (c->ending) return false;
    if (!c->exchange && !begin(c)) {
      if (c->out_len == 0) return true; /* until there is a request */
      continue;
    }
    size_t in_len = c->in_len;
    if (!feed(c)) return false;
    if (c->body == BODY_NONE && !c->given) {
      must(ampoule_http_writer_finish(ampoule_http_exchange_writer(c->exchange), NULL, 0));
      c->given = true;
    }
    wasmtime_error_t *error = NULL;
    if (!c->done) c->done = ampoule_http_exchange_poll(c->exchange, &error);
    if (error) wasmtime_error_delete(error); /* a server with a log would keep it */
    if (!answer(c)) return false;
    /* The guest waits; and has read, perhaps, so that there is room for more. */
    if (c->exchange && c->out_len == 0 && c->in_len == in_len) return true;
  }
}

static void close_connection(connection_t *c) {
  end_exchange(c);
  close(c->fd);
  free(c);
}

static void serve(int listener, const volatile bool *stop) {
  static connection_t *connections[MAX_CONNECTIONS];
  static struct pollfd fds[1 + 2 * MAX_CONNECTIONS];
  size_t count = 0;
  while (!*stop) {
    fds[0] = (struct pollfd){.fd = count < MAX_CONNECTIONS ? listener : -1, .events = POLLIN};
    for (size_t i = 0; i < count; i++) {
      connection_t *c = connections[i];
      short events = c->in_len < sizeof c->in ? POLLIN : 0;
      if (c->out_sent < c->out_len) events |= POLLOUT;
      fds[1 + 2 * i] = (struct pollfd){.fd = c->fd, .events = events};
      /* While the client doesn't take what it has, the guest can wait, too. */
      fds[2 + 2 * i] = (struct pollfd){.fd = c->exchange && c->out_len == 0 ? c->wait_fd : -1, .events = POLLIN};
    }
    if (poll(fds, 1 + 2 * count, 100) < 0) continue;
    for (size_t i = count; i-- > 0;) {
      connection_t *c = connections[i];
      bool open = !(fds[1 + 2 * i].revents & (POLLHUP | POLLERR));
      if (open && fds[1 + 2 * i].revents & POLLIN) {
        ssize_t got = recv(c->fd, c->in + c->in_len, sizeof c->in - c->in_len, 0);
        if (got > 0) c->in_len += (size_t)got;
        open = got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
      }
      if (open && (fds[1 + 2 * i].revents || fds[2 + 2 * i].revents)) open = advance(c);
      if (!open) {
        close_connection(c);
        connections[i] = connections[--count];
      }
    }
    int fd = fds[0].revents ? accept(listener, NULL, NULL) : -1;
    if (fd >= 0) {
      fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
      connection_t *c = calloc(1, sizeof *c);
      c->fd = fd, c->wait_fd = -1;
      connections[count++] = c;
    }
  }
  while (count > 0) close_connection(connections[--count]);
}

/* -- A client, for a run without a port */

typedef struct {
  uint16_t port;
  volatile bool over;
} client_t;

static void ask(uint16_t port, const char *const *pieces) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) exit(1);
  for (; *pieces; pieces++) {
    if (send(fd, *pieces, strlen(*pieces), 0) < 0) exit(1);
    nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
  }
  static char answer[4096];
  size_t len = 0;
  for (ssize_t got; (got = recv(fd, answer + len, sizeof answer - 1 - len, 0)) > 0;) len += (size_t)got;
  answer[len] = 0;
  close(fd);
  char *body = strstr(answer, "\r\n\r\n") + 4;
  if (!strstr(answer, "chunked")) body = answer + len;
  for (char *at = answer; at < body; at++)
    if (*at != '\r') putchar(*at);
  for (size_t size; *body && (size = strtoul(body, &body, 16)) > 0; body += size + 2) printf("%.*s", (int)size, body += 2);
}

static void *be_client(void *arg) {
  client_t *client = arg;
  /* One after the other on a connection; the second has no body. */
  ask(client->port, (const char *[]){"POST /one HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhello",
                                     "GET /two HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n", NULL});
  /* In pieces. */
  ask(client->port, (const char *[]){"POST /three HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
                                     "5\r\nslow", "l\r\n1\r\ny\r\n", "0\r\n\r\n", NULL});
  ask(client->port, (const char *[]){"what is this?\r\n\r\n", NULL});
  client->over = true;
  return NULL;
}

int main(int argc, char **argv) {
  engine = wasm_engine_new();
  wasmtime_component_t *component;
  must(wasmtime_component_new(engine, (const uint8_t *)http_guest, sizeof http_guest - 1, &component));
  wasmtime_component_linker_t *linker = wasmtime_component_linker_new(engine);
  must(wasmtime_component_linker_add_wasip2(linker));
  must(wasmtime_component_linker_add_wasi_http(linker));
  must(ampoule_http_handler_new(linker, component, &handler));
  wasmtime_component_linker_delete(linker);
  wasmtime_component_delete(component);

  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t len = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) != 0 || listen(listener, 128) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &len) != 0) {
    perror("cannot listen");
    return 1;
  }
  fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK);

  client_t client = {.port = ntohs(address.sin_port)};
  pthread_t thread;
  if (argc > 1) printf("serving on http://127.0.0.1:%d\n", client.port);
  else if (pthread_create(&thread, NULL, be_client, &client) != 0) return 1;
  serve(listener, &client.over);
  if (argc <= 1) pthread_join(thread, NULL);
  close(listener);
  ampoule_http_handler_delete(handler);
  wasm_engine_delete(engine);
  return 0;
}
