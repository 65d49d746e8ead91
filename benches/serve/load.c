/* A client for the bench of servers: so many connections that each ask again as soon as they are answered, on one thread.
 *
 *   load PORT PATH CONNECTIONS SECONDS     requests: prints a line of JSON with requests per second and latencies
 *   load PORT PATH CONNECTIONS idle        one request on each connection, then a line `idle`, and waits until its input ends
 *
 * Any answer but a whole one with status 200 ends it: a wrong answer is not worth timing. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_BYTES = 16 << 10, MAX_SAMPLES = 1 << 23 };

typedef struct {
  int socket;
  size_t len; /* of the answer, as far as it has come */
  double asked;
  char answer[ANSWER_BYTES + 1];
} connection_t;

static char request[4096];
static size_t request_len;

_Noreturn static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static void connect_to(connection_t *connection, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connection->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection->socket < 0 || connect(connection->socket, (struct sockaddr *)&address, sizeof address))
    fail("cannot connect: %s", strerror(errno));
  int on = 1;
  setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(connection->socket, F_SETFL, O_NONBLOCK);
}

static void ask(connection_t *connection) {
  connection->len = 0;
  connection->asked = now_us();
  /* A request is small, and nothing else is under way: it fits into the socket's buffer. */
  if (write(connection->socket, request, request_len) != (ssize_t)request_len) fail("cannot write: %s", strerror(errno));
}

/* Whether the answer is whole. Its body has a length, or comes in chunks, of which the last is empty. */
static bool is_whole(connection_t *connection) {
  char *answer = connection->answer;
  answer[connection->len] = 0;
  char *body = strstr(answer, "\r\n\r\n");
  if (!body) return false;
  if (strncmp(answer, "HTTP/1.1 200", 12) != 0) fail("the answer is %.40s", answer);
  *body = 0;
  char *length = strcasestr(answer, "\r\ncontent-length:");
  bool chunked = strcasestr(answer, "\r\ntransfer-encoding: chunked") != NULL;
  *body = '\r';
  body += 4;
  size_t have = (size_t)(answer + connection->len - body);
  if (length) return have >= (size_t)strtoul(length + 17, NULL, 10);
  if (!chunked) fail("the answer has no length: %.200s", answer);
  return have >= 5 && memcmp(body + have - 5, "0\r\n\r\n", 5) == 0;
}

/* Reads what has come. Whether the answer is whole. */
static bool receive(connection_t *connection) {
  for (;;) {
    if (connection->len == ANSWER_BYTES) fail("the answer is too long");
    ssize_t got = read(connection->socket, connection->answer + connection->len, ANSWER_BYTES - connection->len);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) fail("the connection was closed: %s", got ? strerror(errno) : "end of file");
    connection->len += (size_t)got;
    if (is_whole(connection)) return true;
  }
}

static int compare_floats(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static void run(int epoll, connection_t *connections, int count, double seconds) {
  float *samples = malloc(MAX_SAMPLES * sizeof *samples);
  size_t sampled = 0;
  for (int i = 0; i < count; i++) ask(&connections[i]);
  /* The first third warms up. */
  double begin = now_us(), counted = begin + seconds * 1e6 / 3, end = begin + seconds * 1e6;
  for (double now = begin; now < end; now = now_us()) {
    struct epoll_event events[256];
    int ready = epoll_wait(epoll, events, 256, 100);
    for (int i = 0; i < ready; i++) {
      connection_t *connection = events[i].data.ptr;
      if (!receive(connection)) continue;
      double answered = now_us();
      if (answered >= counted && sampled < MAX_SAMPLES) samples[sampled++] = (float)(answered - connection->asked);
      ask(connection);
    }
  }
  if (!sampled) fail("nothing was answered");
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double busy = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  qsort(samples, sampled, sizeof *samples, compare_floats);
  printf("{\"requests_per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"client_busy\": %.3f}\n",
         sampled / (seconds * 2 / 3), samples[sampled / 2], samples[sampled * 99 / 100], busy / seconds);
}

static void stay_idle(connection_t *connections, int count) {
  for (int i = 0; i < count; i++) {
    ask(&connections[i]);
    while (!receive(&connections[i])) usleep(20);
  }
  printf("idle\n");
  fflush(stdout);
  while (getchar() != EOF) continue;
}

int main(int argc, char **argv) {
  if (argc != 5) fail("usage: load PORT PATH CONNECTIONS SECONDS|idle");
  int port = atoi(argv[1]), count = atoi(argv[3]);
  request_len = (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nuser-agent: load\r\naccept: */*\r\n\r\n", argv[2], port);
  if (request_len >= sizeof request) fail("the path is too long");
  connection_t *connections = calloc((size_t)count, sizeof *connections);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < count; i++) {
    connect_to(&connections[i], port);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
    epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].socket, &event);
  }
  if (strcmp(argv[4], "idle") == 0)
    stay_idle(connections, count);
  else
    run(epoll, connections, count, atof(argv[4]));
  return 0;
}
