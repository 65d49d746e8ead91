/**
 * \file ampoule/http.h
 *
 * \brief HTTP between a program and its guests: components that answer requests
 * which the program has received, and requests of components that the program
 * answers.
 *
 * For servers and proxies with connections and an event loop of their own:
 * nothing here blocks, or opens a connection unless a store is given the network,
 * and nothing is buffered beyond
 * 64 KiB a body. `ampoule_has("http")` tells whether the library has these
 * functions.
 *
 * \code
 * ampoule_http_exchange_new(handler, context, NULL, &request, &exchange);
 * ampoule_http_writer_t *body = ampoule_http_exchange_writer(exchange);
 * ampoule_http_writer_finish(body, NULL, 0); // a request without a body
 * while (!ampoule_http_exchange_poll(exchange, &error)) {
 *   // wait for the store's descriptor; see ampoule/wait.h
 * }
 * ampoule_http_response_t response;
 * if (ampoule_http_exchange_response(exchange, &response)) {
 *   // send the head; then what ampoule_http_exchange_reader has
 * }
 * \endcode
 *
 * **Polling.** A guest runs in #ampoule_http_exchange_poll, until it is done or
 * has to wait: for bytes of the request, for space for bytes of its response,
 * or for something else. The program polls again whenever it has given or
 * taken bytes, and when the store's descriptor or waker (ampoule/wait.h) says
 * so. A guest that computes is interrupted by epochs or fuel, where the store
 * is configured for that, as in asynchronous calls (wasmtime/async.h), of which
 * an exchange is one.
 *
 * **Bodies** have two ends. What a guest writes, the program takes from a
 * reader; what a guest reads, the program puts into a writer. Each holds 64 KiB
 * at most: a guest that has written as much waits until the program has consumed
 * some, and the program stops reading from its connection while there is no
 * room.
 *
 * **Ownership.** Texts and arrays that are passed are lent for the call. Those
 * that are received, readers and writers belong to the exchange or the outgoing
 * request, and are valid until that is deleted, or changed as their function
 * says.
 *
 * **Threads.** An exchange, with all that belongs to it, is used by the thread
 * that uses its store. An outgoing request may be used by any thread, by one at
 * a time.
 */

#ifndef AMPOULE_HTTP_H
#define AMPOULE_HTTP_H

#include <wasmtime/component/component.h>
#include <wasmtime/component/instance.h>
#include <wasmtime/component/linker.h>
#include <wasmtime/conf.h>
#include <wasmtime/error.h>
#include <wasmtime/store.h>

#ifdef WASMTIME_FEATURE_WASI_HTTP

#ifdef __cplusplus
extern "C" {
#endif

/// \brief A header or trailer. Names are in lower case when they are received,
/// and may be in any case when they are given.
typedef struct ampoule_http_header {
  /// The name, of `name_len` bytes.
  const char *name;
  /// How long the name is.
  size_t name_len;
  /// The value: any bytes but control characters.
  const char *value;
  /// How long the value is.
  size_t value_len;
} ampoule_http_header_t;

/// The head of a request. A text that is null is absent.
typedef struct ampoule_http_request {
  /// Such as `GET`, which it is when it is absent.
  const char *method;
  /// How long it is.
  size_t method_len;
  /// `http`, `https` or another one.
  const char *scheme;
  /// How long it is.
  size_t scheme_len;
  /// The host, with a port where there is one. Where it is absent, it is the
  /// value of the header `host`.
  const char *authority;
  /// How long it is.
  size_t authority_len;
  /// The path and the query.
  const char *path;
  /// How long it is.
  size_t path_len;
  /// The headers.
  const ampoule_http_header_t *headers;
  /// How many there are.
  size_t num_headers;
} ampoule_http_request_t;

/// The head of a response.
typedef struct ampoule_http_response {
  /// The status, 200 to 999.
  uint16_t status;
  /// The headers.
  const ampoule_http_header_t *headers;
  /// How many there are.
  size_t num_headers;
} ampoule_http_response_t;

/// \brief A body that a guest writes.
typedef struct ampoule_http_reader ampoule_http_reader_t;

/// \brief A body that a guest reads.
typedef struct ampoule_http_writer ampoule_http_writer_t;

/// One of #ampoule_http_reading_enum.
typedef uint8_t ampoule_http_reading_t;

/// What there is of a body.
enum ampoule_http_reading_enum {
  /// Nothing now; the guest has to be polled.
  AMPOULE_HTTP_READING_WAIT = 0,
  /// Bytes.
  AMPOULE_HTTP_READING_BYTES = 1,
  /// The end: all was consumed, and the trailers are there.
  AMPOULE_HTTP_READING_END = 2,
  /// No end: the rest of the body will never come. Whoever the body is for
  /// must not take it for a whole one.
  AMPOULE_HTTP_READING_ERROR = 3,
};

/// \brief Sets `*data` and `*len` to the bytes that are there, at least one with
/// `AMPOULE_HTTP_READING_BYTES`, otherwise none.
///
/// They stay where they are until some are consumed.
WASM_API_EXTERN ampoule_http_reading_t ampoule_http_reader_peek(
    ampoule_http_reader_t *reader, const uint8_t **data, size_t *len);

/// \brief Takes `len` of the bytes that #ampoule_http_reader_peek has told, which
/// makes space for others.
WASM_API_EXTERN void
ampoule_http_reader_consume(ampoule_http_reader_t *reader, size_t len);

/// \brief Sets `*len` to how many bytes are still to be read, and returns true,
/// where that is known: the headers have said so, or the body is complete.
WASM_API_EXTERN bool
ampoule_http_reader_length(const ampoule_http_reader_t *reader, uint64_t *len);

/// \brief The trailers, at the end; sets `*count` to how many there are. Null
/// where there are none.
WASM_API_EXTERN const ampoule_http_header_t *ampoule_http_reader_trailers(
    const ampoule_http_reader_t *reader, size_t *count);

/// \brief With `AMPOULE_HTTP_READING_ERROR`, the name of the error among those of
/// `wasi:http`, such as `HTTP-response-incomplete`; otherwise null.
WASM_API_EXTERN const char *
ampoule_http_reader_error(const ampoule_http_reader_t *reader);

/// How many bytes can be written now.
WASM_API_EXTERN size_t
ampoule_http_writer_room(const ampoule_http_writer_t *writer);

/// \brief Whether the guest reads no more of the body, before it was ended.
///
/// What is written then is thrown away.
WASM_API_EXTERN bool
ampoule_http_writer_is_closed(const ampoule_http_writer_t *writer);

/// \brief Writes as many of these bytes as there is room for, and sets `*written`
/// to how many: all of them where the guest reads no more.
///
/// An error when the body has ended, or becomes longer than the header
/// `content-length` has said; then it ends, and the guest is told an error.
WASM_API_EXTERN wasmtime_error_t *ampoule_http_writer_write(
    ampoule_http_writer_t *writer, const uint8_t *data, size_t len,
    size_t *written);

/// \brief Ends the body, with `count` trailers.
///
/// An error when it has ended before or a trailer cannot be; nothing happens
/// then. An error, too, when the body is shorter than `content-length` has said;
/// it ends, and the guest is told an error.
WASM_API_EXTERN wasmtime_error_t *ampoule_http_writer_finish(
    ampoule_http_writer_t *writer, const ampoule_http_header_t *trailers,
    size_t count);

/// \brief Ends the body as one of which the rest was lost, unless it has ended:
/// the guest is told `connection-terminated`.
WASM_API_EXTERN void ampoule_http_writer_abort(ampoule_http_writer_t *writer);

/// \brief Adds the interfaces of `wasi:http` 0.3 to a linker, which may have those
/// of 0.2, too (`wasmtime_component_linker_add_wasi_http`).
///
/// An error when it has one of them.
WASM_API_EXTERN wasmtime_error_t *ampoule_component_linker_add_wasip3_http(
    wasmtime_component_linker_t *linker);

/// \brief A component that answers requests, in any number of stores of its
/// engine.
typedef struct ampoule_http_handler ampoule_http_handler_t;

/// \brief Sets `*handler` to one that answers by this component, with what the
/// linker has for its imports. Owned by the caller.
///
/// The linker and the component may be deleted afterwards. Threads may share a
/// handler.
///
/// An error when the component exports neither `wasi:http/incoming-handler` of a
/// version 0.2 nor `wasi:http/handler` of a version 0.3.
WASM_API_EXTERN wasmtime_error_t *ampoule_http_handler_new(
    const wasmtime_component_linker_t *linker,
    const wasmtime_component_t *component, ampoule_http_handler_t **handler);

/// Frees a handler. Exchanges are not concerned.
WASM_API_EXTERN void ampoule_http_handler_delete(
    ampoule_http_handler_t *handler);

/// \brief A request that a guest answers.
typedef struct ampoule_http_exchange ampoule_http_exchange_t;

/// \brief Sets `*exchange` to a new one of this request, in this store. Owned by
/// the caller, who deletes it before the store.
///
/// The guest begins with the first poll: in a new instance of the component, or,
/// where `instance` is not null, in that one of the handler's component. The
/// store has a WASI configuration (`wasmtime_context_set_wasi`) and one of HTTP
/// (#ampoule_context_set_http). One exchange of a store is polled at a time: the
/// next begins when the one before is over.
///
/// The request has a body, which is written by
/// #ampoule_http_exchange_writer; where there is none, it is ended at once. The
/// guest does not see headers that concern the connection (`connection`,
/// `keep-alive`, `proxy-…`, `transfer-encoding`, `upgrade`, `host`,
/// `http2-settings`).
///
/// An error when a part of the request cannot be, when its headers are larger
/// than the host allows (128 KiB), when the store lacks a configuration, or the
/// instance is another component's.
WASM_API_EXTERN wasmtime_error_t *ampoule_http_exchange_new(
    const ampoule_http_handler_t *handler, wasmtime_context_t *context,
    const wasmtime_component_instance_t *instance,
    const ampoule_http_request_t *request, ampoule_http_exchange_t **exchange);

/// \brief Runs the guest until it is done or waits. True once it is done;
/// another poll changes nothing then.
///
/// Sets `*error` to null, or, when a trap or another failure has ended the guest,
/// to an error owned by the caller.
///
/// A response may be there long before the guest is done.
WASM_API_EXTERN bool ampoule_http_exchange_poll(
    ampoule_http_exchange_t *exchange, wasmtime_error_t **error);

/// Where the body of the request is written.
WASM_API_EXTERN ampoule_http_writer_t *
ampoule_http_exchange_writer(ampoule_http_exchange_t *exchange);

/// \brief Sets `*response` to the head of the response and returns true, once there
/// is one.
///
/// A guest that is done and has given none has failed: with the error that
/// #ampoule_http_exchange_error tells, with a trap, or by forgetting it.
WASM_API_EXTERN bool ampoule_http_exchange_response(
    const ampoule_http_exchange_t *exchange, ampoule_http_response_t *response);

/// Where the body of the response is read; null while there is no response.
WASM_API_EXTERN ampoule_http_reader_t *
ampoule_http_exchange_reader(ampoule_http_exchange_t *exchange);

/// \brief The name of the error that the guest has answered in place of a response,
/// such as `internal-error`; null where there is none.
WASM_API_EXTERN const char *
ampoule_http_exchange_error(const ampoule_http_exchange_t *exchange);

/// \brief Frees an exchange, at any time but while it is being polled.
///
/// A guest that has begun and is not done ends as by a trap: no component of its
/// store can be called any more.
WASM_API_EXTERN void ampoule_http_exchange_delete(
    ampoule_http_exchange_t *exchange);

/// \brief A request that a guest sends.
typedef struct ampoule_http_outgoing ampoule_http_outgoing_t;

/// \brief What guests of a store have of HTTP.
typedef struct ampoule_http_config {
  /// `sizeof(ampoule_http_config_t)`
  size_t size;
  /// Passed to the function.
  void *env;
  /// Called with `env` when nothing can call the function any more, on any thread;
  /// may be null. It is called also when the configuration is refused.
  void (*finalizer)(void *env);
  /// Gets a request that a guest sends, which is the function's to delete. It is
  /// called by the thread that uses the store, while a guest runs: it must not
  /// use the store, nor throw or jump out. The request may be answered at once,
  /// or later. Null: guests send no requests, and are told `HTTP-request-denied`.
  void (*send)(void *env, ampoule_http_outgoing_t *outgoing);
  /// How many bytes the library holds for the guests of the store: headers, and
  /// for each body and outgoing request a fixed number. 0 for 64 MiB.
  size_t max_bytes;
} ampoule_http_config_t;

/// \brief Gives the guests of a store HTTP, in place of what they had: messages to
/// answer, and requests that the program answers, where it does. No connection
/// to anywhere is made by the library, other than with
/// #ampoule_context_set_http_network or `wasmtime_context_set_wasi_http`.
///
/// Null instead of a configuration is one without a function. An error when it is
/// smaller than what it begins with.
WASM_API_EXTERN wasmtime_error_t *ampoule_context_set_http(
    wasmtime_context_t *context, const ampoule_http_config_t *config);

/// \brief The system's network, for requests of the guests of any number of
/// stores, on any threads.
typedef struct ampoule_http_network ampoule_http_network_t;

/// How guests' requests go to the network. What is zero has its default.
typedef struct ampoule_http_network_config {
  /// `sizeof(ampoule_http_network_config_t)`
  size_t size;
  /// As in #ampoule_http_config_t, for each store.
  size_t max_bytes;
  /// How many connections without a request are kept for further requests to the
  /// same host, of all stores that are given this network. 0: each request has a
  /// connection of its own. A server that binds a permission to a connection, as
  /// with NTLM, gives it to all of these stores.
  size_t max_idle;
  /// For how many nanoseconds each is kept. 0 for 90 seconds.
  uint64_t idle_timeout;
  /// Certificates, each in DER, that are trusted besides the roots that Mozilla
  /// trusts.
  const wasm_byte_vec_t *roots;
  /// How many there are.
  size_t num_roots;
} ampoule_http_network_config_t;

/// \brief Makes a network; `*network` is the caller's to delete.
///
/// Null instead of a configuration is one with all defaults. An error when a root
/// is no certificate.
WASM_API_EXTERN wasmtime_error_t *
ampoule_http_network_new(const ampoule_http_network_config_t *config,
                         ampoule_http_network_t **network);

/// How many connections are kept.
WASM_API_EXTERN size_t
ampoule_http_network_idle(const ampoule_http_network_t *network);

/// Stores that were given the network keep what they need of it.
WASM_API_EXTERN void
ampoule_http_network_delete(ampoule_http_network_t *network);

/// \brief Gives the guests of a store HTTP, in place of what they had: messages to
/// answer, and requests that go to the network. `wasmtime_context_set_wasi_http`
/// is the same with a network that has all defaults.
///
/// Where requests may go is the store's WASI configuration's to say: see
/// ampoule/wasi.h.
WASM_API_EXTERN void
ampoule_context_set_http_network(wasmtime_context_t *context,
                                 const ampoule_http_network_t *network);

/// \brief Sets `*request` to the head.
///
/// All texts are there; a path that the guest has not given is empty. The headers
/// are those of the guest, without `host`.
WASM_API_EXTERN void ampoule_http_outgoing_request(
    const ampoule_http_outgoing_t *outgoing, ampoule_http_request_t *request);

/// How long a guest wants to wait, in nanoseconds. The program may obey.
typedef struct ampoule_http_timeouts {
  /// For a connection.
  uint64_t connect;
  /// For the head of the response.
  uint64_t first_byte;
  /// For each piece of its body.
  uint64_t between_bytes;
} ampoule_http_timeouts_t;

/// Sets `*timeouts` to how long the guest wants to wait.
WASM_API_EXTERN void ampoule_http_outgoing_timeouts(
    const ampoule_http_outgoing_t *outgoing, ampoule_http_timeouts_t *timeouts);

/// Where the body of the request is read.
WASM_API_EXTERN ampoule_http_reader_t *
ampoule_http_outgoing_reader(ampoule_http_outgoing_t *outgoing);

/// \brief Whether the guest wants the response, or the rest of it. Otherwise the
/// request may be broken off.
WASM_API_EXTERN bool
ampoule_http_outgoing_is_awaited(const ampoule_http_outgoing_t *outgoing);

/// \brief Answers, and sets `*writer` to where the body of the response is written.
///
/// An error when there was an answer before, or a part of the response cannot
/// be; nothing happens then.
WASM_API_EXTERN wasmtime_error_t *ampoule_http_outgoing_respond(
    ampoule_http_outgoing_t *outgoing, const ampoule_http_response_t *response,
    ampoule_http_writer_t **writer);

/// \brief Answers that there is no response, because of the error of this name
/// among those of `wasi:http`, such as `connection-refused`.
///
/// An error when there was an answer before or the name is none; nothing happens
/// then.
WASM_API_EXTERN wasmtime_error_t *ampoule_http_outgoing_fail(
    ampoule_http_outgoing_t *outgoing, const char *code);

/// \brief Frees an outgoing request.
///
/// A guest that waits for the response, or for the rest of it, is told
/// `connection-terminated`.
WASM_API_EXTERN void ampoule_http_outgoing_delete(
    ampoule_http_outgoing_t *outgoing);

#ifdef __cplusplus
} // extern "C"
#endif

#endif // WASMTIME_FEATURE_WASI_HTTP

#endif // AMPOULE_HTTP_H
