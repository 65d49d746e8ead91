// ampoule/http.hh: components that answer requests, and whose requests are answered, in C++.
#include <ampoule.hh>
#include <memory>
#include <string>
#include <vector>

#include "../c/http_guest.h"
#include "test.hh"

using namespace ampoule::http;
using wasmtime::Engine;
using wasmtime::Store;
using wasmtime::WasiConfig;
using wasmtime::component::Component;
using wasmtime::component::Linker;

struct Server {
  Engine engine;
  Store store;
  Handler handler;

  Server() : store(engine), handler(make(engine)) { store.context().set_wasi(WasiConfig()).unwrap(); }

  static Handler make(Engine &engine) {
    Linker linker(engine);
    linker.add_wasip2().unwrap();
    linker.add_wasi_http().unwrap();
    add_wasip3_http(linker).unwrap();
    return Handler::create(linker, Component::compile(engine, HTTP_GUEST).unwrap()).unwrap();
  }

  Exchange ask(std::string_view path, Headers headers = {}) {
    return Exchange::create(handler, store, Request{"POST", "http", "example.com", path, headers}).unwrap();
  }
};

// What there is of a body, which is taken.
static std::string take(Reader reader) {
  std::string text;
  for (Peeked peeked = reader.peek(); peeked.reading == Reading::Bytes; peeked = reader.peek()) {
    text.append(reinterpret_cast<const char *>(peeked.bytes.data()), peeked.bytes.size());
    reader.consume(peeked.bytes.size());
  }
  return text;
}

static void bodies_go_both_ways() {
  Server server;
  provide(server.store).unwrap();
  std::vector<Header> headers = {Header("x-one", "1"), Header("content-type", "text/plain")};
  Exchange exchange = server.ask("/back", headers);
  expect(!exchange.response() && !exchange.reader() && !exchange.error());
  expect(!exchange.poll().unwrap());
  Response response = exchange.response().value();
  expect(response.status == 200 && response.headers.size() == 1);
  expect(response.headers[0].name() == "x-guest" && response.headers[0].value() == "yes");
  Reader reader = exchange.reader().value();
  expect(reader.peek().reading == Reading::Wait && !reader.length());
  Writer writer = exchange.writer();
  expect(writer.room() == 65536 && !writer.is_closed());
  expect(writer.write("hello").unwrap() == 5 && !exchange.poll().unwrap() && take(reader) == "hello");
  writer.finish().unwrap();
  expect(exchange.poll().unwrap() && reader.peek().reading == Reading::End);
  expect(reader.trailers().size() == 1 && reader.trailers()[0].value() == "yes" && !reader.error());
  expect_error_says(writer.write("more"), "the body has ended");
}

static void what_fails_says_so() {
  Server server;
  expect_error_says(Exchange::create(server.handler, server.store, Request{}), "");
  provide(server.store).unwrap();
  expect_error_says(Exchange::create(server.handler, server.store, Request{"G T", "http", "a", "/", {}}), "method");
  Exchange wrong = server.ask("/error");
  wrong.writer().finish().unwrap();
  expect(wrong.poll().unwrap() && wrong.error() && !wrong.response());
}

static void a_trap_ends_the_response_in_the_middle() {
  Server server;
  provide(server.store, 1 << 20).unwrap();
  Exchange exchange = server.ask("/trap");
  exchange.writer().finish().unwrap();
  expect_error_says(exchange.poll(), "unreachable");
  Reader reader = exchange.reader().value();
  expect(exchange.response()->status == 200 && take(reader) == "yes" && reader.peek().reading == Reading::Error);
  expect(reader.error() == "HTTP-response-incomplete");
}

static void the_program_answers_what_a_guest_asks() {
  Server server;
  auto kept = std::make_shared<std::optional<Outgoing>>();
  auto watched = std::make_shared<int>(0);
  provide(server.store, [kept, watched](Outgoing outgoing) { *kept = std::move(outgoing); }).unwrap();
  expect(watched.use_count() == 2);
  Exchange exchange = server.ask("/ask");
  exchange.writer().finish().unwrap();
  expect(!exchange.poll().unwrap() && kept->has_value());
  Outgoing &outgoing = **kept;
  Request request = outgoing.request();
  expect(request.method == "GET" && request.authority == "upstream:80" && request.path == "");
  expect(outgoing.timeouts().connect == std::chrono::seconds(600) && outgoing.is_awaited());
  expect(outgoing.reader().peek().reading != Reading::Error);
  expect_error_says(outgoing.fail("no-such-error"), "");
  std::vector<Header> headers = {Header("x-up", "stream")};
  Writer writer = outgoing.respond(Response{200, headers}).unwrap();
  expect_error_says(outgoing.respond(Response{200, {}}), "");
  expect(writer.write("from above").unwrap() == 10);
  writer.finish().unwrap();
  while (!exchange.poll().unwrap()) {
  }
  expect(take(exchange.reader().value()) == "from above");
  // What the program was is kept no longer than it is needed.
  provide(server.store).unwrap();
  expect(watched.use_count() == 1);
}

static void a_network_is_for_any_number_of_stores() {
  Server server, other;
  ampoule_http_network_config_t config = {};
  config.max_idle = 4;
  Network network = Network::create(config).unwrap();
  expect(network.idle() == 0);
  provide(server.store, network);
  provide(other.store, network);
  wasm_byte_vec_t root = {0, nullptr};
  config.roots = &root, config.num_roots = 1;
  expect_error_says(Network::create(config), "certificate");
}

int main() {
  RUN(bodies_go_both_ways);
  RUN(what_fails_says_so);
  RUN_FAULTING(a_trap_ends_the_response_in_the_middle);
  RUN(the_program_answers_what_a_guest_asks);
  RUN(a_network_is_for_any_number_of_stores);
  return test_summary();
}
