/**
 * \file ampoule/http.hh
 *
 * \brief HTTP between a program and its guests, in C++: `ampoule/http.h` over
 * the classes of `wasmtime/component.hh`.
 *
 * What is said there about polling, bodies, ownership and threads holds here.
 */

#ifndef AMPOULE_HTTP_HH
#define AMPOULE_HTTP_HH

#include <ampoule/http.h>
#include <wasmtime/conf.h>

#if defined(WASMTIME_FEATURE_WASI_HTTP) &&                                     \
    defined(WASMTIME_FEATURE_COMPONENT_MODEL)

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <wasmtime/component.hh>
#include <wasmtime/error.hh>
#include <wasmtime/helpers.hh>
#include <wasmtime/span.hh>
#include <wasmtime/store.hh>

namespace ampoule {

/// \brief HTTP between a program and its guests; see `ampoule/http.h`.
namespace http {

namespace detail {
struct HandlerHandle {
  using Raw = ampoule_http_handler_t;
  static void destroy(Raw *raw) { ampoule_http_handler_delete(raw); }
};
struct ExchangeHandle {
  using Raw = ampoule_http_exchange_t;
  static void destroy(Raw *raw) { ampoule_http_exchange_delete(raw); }
};
struct OutgoingHandle {
  using Raw = ampoule_http_outgoing_t;
  static void destroy(Raw *raw) { ampoule_http_outgoing_delete(raw); }
};

/// A text of C's, which is absent where it is null.
inline std::optional<std::string_view> text(const char *begin, size_t len) {
  if (begin == nullptr) {
    return std::nullopt;
  }
  return std::string_view(begin, len);
}
/// The same of a text that ends with a NUL.
inline std::optional<std::string_view> text(const char *begin) {
  if (begin == nullptr) {
    return std::nullopt;
  }
  return std::string_view(begin);
}

/// Where a text begins for C; an empty one is there, too.
inline const char *begin_of(const std::optional<std::string_view> &text) {
  if (!text) {
    return nullptr;
  }
  return text->data() != nullptr ? text->data() : "";
}
inline size_t len_of(const std::optional<std::string_view> &text) {
  return text ? text->size() : 0;
}
struct NetworkHandle {
  using Raw = ampoule_http_network_t;
  static void destroy(Raw *raw) { ampoule_http_network_delete(raw); }
};
} // namespace detail

/// \brief A header or trailer: a view of texts that somebody else has.
class Header {
  ampoule_http_header_t raw;

public:
  /// Of these texts.
  Header(std::string_view name, std::string_view value)
      : raw{name.data(), name.size(), value.data(), value.size()} {}

  /// The name, in lower case where it was received.
  std::string_view name() const { return {raw.name, raw.name_len}; }
  /// The value.
  std::string_view value() const { return {raw.value, raw.value_len}; }

  /// C headers from an array of these.
  static const ampoule_http_header_t *to_capi(const Header *headers) {
    return reinterpret_cast<const ampoule_http_header_t *>(headers);
  }
  /// An array of these from C headers.
  static const Header *from_capi(const ampoule_http_header_t *headers) {
    static_assert(sizeof(Header) == sizeof(ampoule_http_header_t) &&
                  std::is_standard_layout_v<Header>);
    return reinterpret_cast<const Header *>(headers);
  }
};

/// A view of headers that somebody else has.
using Headers = wasmtime::Span<const Header>;

/// \brief The head of a request: views of what somebody else has.
struct Request {
  /// Such as `GET`, which it is when it is absent.
  std::optional<std::string_view> method;
  /// `http`, `https` or another one.
  std::optional<std::string_view> scheme;
  /// The host, with a port where there is one.
  std::optional<std::string_view> authority;
  /// The path and the query.
  std::optional<std::string_view> path;
  /// The headers.
  Headers headers = {};
};

/// \brief The head of a response.
struct Response {
  /// The status, 200 to 999.
  uint16_t status;
  /// The headers.
  Headers headers = {};
};

/// \brief What there is of a body.
enum class Reading : ampoule_http_reading_t {
  /// Nothing now; the guest has to be polled.
  Wait = AMPOULE_HTTP_READING_WAIT,
  /// Bytes.
  Bytes = AMPOULE_HTTP_READING_BYTES,
  /// The end, and the trailers.
  End = AMPOULE_HTTP_READING_END,
  /// No end: the rest will never come.
  Error = AMPOULE_HTTP_READING_ERROR,
};

/// \brief What `Reader::peek` has found.
struct Peeked {
  /// What there is.
  Reading reading;
  /// The bytes, which stay until some are consumed.
  wasmtime::Span<const uint8_t> bytes;
};

/// \brief A body that a guest writes. It belongs to an `Exchange` or `Outgoing`,
/// and is valid as long as that.
class Reader {
  ampoule_http_reader_t *raw;

public:
  /// A view of a C reader.
  explicit Reader(ampoule_http_reader_t *raw_) : raw(raw_) {}

  /// What there is.
  Peeked peek() const {
    const uint8_t *data = nullptr;
    size_t len = 0;
    auto reading = Reading(ampoule_http_reader_peek(raw, &data, &len));
    return Peeked{reading, wasmtime::Span<const uint8_t>(data, len)};
  }
  /// Takes bytes that `peek` has told.
  void consume(size_t len) const { ampoule_http_reader_consume(raw, len); }
  /// How many bytes are still to be read, where that is known.
  std::optional<uint64_t> length() const {
    uint64_t len = 0;
    if (!ampoule_http_reader_length(raw, &len)) {
      return std::nullopt;
    }
    return len;
  }
  /// The trailers, at the end.
  Headers trailers() const {
    size_t count = 0;
    const auto *trailers = ampoule_http_reader_trailers(raw, &count);
    return Headers(Header::from_capi(trailers), count);
  }
  /// The name of the error, with `Reading::Error`.
  std::optional<std::string_view> error() const {
    return detail::text(ampoule_http_reader_error(raw));
  }

  /// The C reader.
  ampoule_http_reader_t *capi() const { return raw; }
};

/// \brief A body that a guest reads. It belongs to an `Exchange` or `Outgoing`,
/// and is valid as long as that.
class Writer {
  ampoule_http_writer_t *raw;

public:
  /// A view of a C writer.
  explicit Writer(ampoule_http_writer_t *raw_) : raw(raw_) {}

  /// How many bytes can be written now.
  size_t room() const { return ampoule_http_writer_room(raw); }
  /// Whether the guest reads no more of the body.
  bool is_closed() const { return ampoule_http_writer_is_closed(raw); }
  /// Writes as many bytes as there is room for, and says how many.
  wasmtime::Result<size_t> write(wasmtime::Span<const uint8_t> bytes) const {
    size_t written = 0;
    auto *error =
        ampoule_http_writer_write(raw, bytes.data(), bytes.size(), &written);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return written;
  }
  /// The same of a text.
  wasmtime::Result<size_t> write(std::string_view text) const {
    return write(wasmtime::Span<const uint8_t>(
        reinterpret_cast<const uint8_t *>(text.data()), text.size()));
  }
  /// Ends the body.
  wasmtime::Result<std::monostate> finish(Headers trailers = {}) const {
    return wasmtime::detail::check(ampoule_http_writer_finish(
        raw, Header::to_capi(trailers.data()), trailers.size()));
  }
  /// Ends the body as one of which the rest was lost, unless it has ended.
  void abort() const { ampoule_http_writer_abort(raw); }

  /// The C writer.
  ampoule_http_writer_t *capi() const { return raw; }
};

/// \brief Adds the interfaces of `wasi:http` 0.3 to a linker. An error when it
/// has one of them.
inline wasmtime::Result<std::monostate>
add_wasip3_http(wasmtime::component::Linker &linker) {
  return wasmtime::detail::check(
      ampoule_component_linker_add_wasip3_http(linker.capi()));
}

/// \brief A component that answers requests, in any number of stores of its
/// engine, on any threads.
class Handler : public wasmtime::detail::Owned<detail::HandlerHandle> {
public:
  using Owned::Owned;

  /// Of a component, with what the linker has for its imports. An error when it
  /// exports no handler of requests.
  static wasmtime::Result<Handler>
  create(const wasmtime::component::Linker &linker,
         const wasmtime::component::Component &component) {
    ampoule_http_handler_t *handler = nullptr;
    auto *error =
        ampoule_http_handler_new(linker.capi(), component.capi(), &handler);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return Handler(handler);
  }
};

/// \brief A request that a guest answers. Destroying it, before its store, ends
/// the guest in the middle of whatever it does.
class Exchange : public wasmtime::detail::Owned<detail::ExchangeHandle> {
public:
  using Owned::Owned;

  /// Of a request, in this store: by a new instance of the handler's component,
  /// or by the one that is given. An error when the request cannot be, or the
  /// store lacks a configuration of WASI or HTTP.
  static wasmtime::Result<Exchange>
  create(const Handler &handler, wasmtime::Store::Context cx,
         const Request &request,
         const wasmtime::component::Instance *instance = nullptr) {
    ampoule_http_request_t raw = {};
    raw.method = detail::begin_of(request.method);
    raw.method_len = detail::len_of(request.method);
    raw.scheme = detail::begin_of(request.scheme);
    raw.scheme_len = detail::len_of(request.scheme);
    raw.authority = detail::begin_of(request.authority);
    raw.authority_len = detail::len_of(request.authority);
    raw.path = detail::begin_of(request.path);
    raw.path_len = detail::len_of(request.path);
    raw.headers = Header::to_capi(request.headers.data());
    raw.num_headers = request.headers.size();
    ampoule_http_exchange_t *exchange = nullptr;
    auto *error = ampoule_http_exchange_new(
        handler.capi(), cx.capi(),
        instance != nullptr ? instance->capi() : nullptr, &raw, &exchange);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return Exchange(exchange);
  }

  /// Runs the guest until it is done, which is true, or waits. An error is what
  /// has ended the guest, which is done then.
  wasmtime::Result<bool> poll() {
    wasmtime_error_t *error = nullptr;
    bool done = ampoule_http_exchange_poll(capi(), &error);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return done;
  }
  /// Where the body of the request is written.
  Writer writer() { return Writer(ampoule_http_exchange_writer(capi())); }
  /// The head of the response, once there is one.
  std::optional<Response> response() const {
    ampoule_http_response_t raw = {};
    if (!ampoule_http_exchange_response(capi(), &raw)) {
      return std::nullopt;
    }
    return Response{raw.status,
                    Headers(Header::from_capi(raw.headers), raw.num_headers)};
  }
  /// Where the body of the response is read, once there is one.
  std::optional<Reader> reader() {
    auto *raw = ampoule_http_exchange_reader(capi());
    if (raw == nullptr) {
      return std::nullopt;
    }
    return Reader(raw);
  }
  /// The name of the error that the guest has answered in place of a response.
  std::optional<std::string_view> error() const {
    return detail::text(ampoule_http_exchange_error(capi()));
  }
};

/// \brief How long a guest wants to wait for an answer to its request.
struct Timeouts {
  /// For a connection.
  std::chrono::nanoseconds connect;
  /// For the head of the response.
  std::chrono::nanoseconds first_byte;
  /// For each piece of its body.
  std::chrono::nanoseconds between_bytes;
};

/// \brief A request that a guest sends. Any thread may use it, one at a time;
/// destroying it breaks it off.
class Outgoing : public wasmtime::detail::Owned<detail::OutgoingHandle> {
public:
  using Owned::Owned;

  /// The head, all texts of which are there.
  Request request() const {
    ampoule_http_request_t raw = {};
    ampoule_http_outgoing_request(capi(), &raw);
    return Request{detail::text(raw.method, raw.method_len),
                   detail::text(raw.scheme, raw.scheme_len),
                   detail::text(raw.authority, raw.authority_len),
                   detail::text(raw.path, raw.path_len),
                   Headers(Header::from_capi(raw.headers), raw.num_headers)};
  }
  /// How long the guest wants to wait.
  Timeouts timeouts() const {
    ampoule_http_timeouts_t raw = {};
    ampoule_http_outgoing_timeouts(capi(), &raw);
    // More than the longest time that there is for C++ is that.
    auto time = [](uint64_t nanoseconds) {
      auto most = std::chrono::nanoseconds::max();
      return nanoseconds < static_cast<uint64_t>(most.count())
                 ? std::chrono::nanoseconds(static_cast<int64_t>(nanoseconds))
                 : most;
    };
    return Timeouts{time(raw.connect), time(raw.first_byte),
                    time(raw.between_bytes)};
  }
  /// Where the body of the request is read.
  Reader reader() { return Reader(ampoule_http_outgoing_reader(capi())); }
  /// Whether the guest wants the response, or the rest of it.
  bool is_awaited() const { return ampoule_http_outgoing_is_awaited(capi()); }
  /// Answers, and says where the body is written. An error when there was an
  /// answer before, or the response cannot be.
  wasmtime::Result<Writer> respond(const Response &response) {
    ampoule_http_response_t raw = {};
    raw.status = response.status;
    raw.headers = Header::to_capi(response.headers.data());
    raw.num_headers = response.headers.size();
    ampoule_http_writer_t *writer = nullptr;
    auto *error = ampoule_http_outgoing_respond(capi(), &raw, &writer);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return Writer(writer);
  }
  /// Answers that there is no response, because of the error of this name. An
  /// error when there was an answer before, or there is no such name.
  wasmtime::Result<std::monostate> fail(const std::string &code) {
    return wasmtime::detail::check(
        ampoule_http_outgoing_fail(capi(), code.c_str()));
  }
};

/// \brief Gives the guests of a store HTTP, without requests of their own.
///
/// `max_bytes` is how many bytes the library holds for them, 0 for 64 MiB.
inline wasmtime::Result<std::monostate> provide(wasmtime::Store::Context cx,
                                                size_t max_bytes = 0) {
  ampoule_http_config_t config = {};
  config.size = sizeof config;
  config.max_bytes = max_bytes;
  return wasmtime::detail::check(ampoule_context_set_http(cx.capi(), &config));
}

/// \brief The same, with requests that the program answers: `send(Outgoing)` is
/// called with each, at once or later, and must not use the store nor throw.
template <
    typename F,
    std::enable_if_t<std::is_invocable_v<std::decay_t<F> &, Outgoing>, bool> =
        true>
wasmtime::Result<std::monostate> provide(wasmtime::Store::Context cx, F &&send,
                                         size_t max_bytes = 0) {
  using Host = std::decay_t<F>;
  ampoule_http_config_t config = {};
  config.size = sizeof config;
  config.env = new Host(std::forward<F>(send));
  config.finalizer = wasmtime::detail::finalize<Host>;
  config.send = [](void *env, ampoule_http_outgoing_t *outgoing) {
    (*static_cast<Host *>(env))(Outgoing(outgoing));
  };
  config.max_bytes = max_bytes;
  return wasmtime::detail::check(ampoule_context_set_http(cx.capi(), &config));
}

/// \brief The system's network, for requests of the guests of any number of
/// stores, on any threads. Stores keep what they need of it.
class Network : public wasmtime::detail::Owned<detail::NetworkHandle> {
public:
  using Owned::Owned;

  /// With the settings of `ampoule_http_network_config_t`, whose size is set
  /// here. An error when a root is no certificate.
  static wasmtime::Result<Network>
  create(ampoule_http_network_config_t config = {}) {
    config.size = sizeof config;
    ampoule_http_network_t *network = nullptr;
    auto *error = ampoule_http_network_new(&config, &network);
    if (error != nullptr) {
      return wasmtime::Error(error);
    }
    return Network(network);
  }

  /// How many connections are kept for further requests.
  size_t idle() const { return ampoule_http_network_idle(capi()); }
};

/// \brief Gives the guests of a store HTTP, with requests that go to a network.
inline void provide(wasmtime::Store::Context cx, const Network &network) {
  ampoule_context_set_http_network(cx.capi(), network.capi());
}

} // namespace http
} // namespace ampoule

#endif // WASMTIME_FEATURE_WASI_HTTP && WASMTIME_FEATURE_COMPONENT_MODEL

#endif // AMPOULE_HTTP_HH
