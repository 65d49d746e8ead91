// ampoule/wasi.hh: file systems, standard input, clocks and randomness of the host's, in C++.
#include <ampoule.hh>
#include <arpa/inet.h>
#include <map>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "../c/talker.h"
#include "test.hh"

using namespace wasmtime;

static int alive;

// Files by name, which can only be read. Nodes are 1 for the directory, and on from 2.
using Files = std::map<std::string, std::string, std::less<>>;

class Texts : public ampoule::FileSystem {
  Files files;

  const std::string &text(Node node) { return std::next(files.begin(), static_cast<long>(node) - 2)->second; }

public:
  explicit Texts(Files files) : files(std::move(files)) { alive++; }
  ~Texts() override { alive--; }

  Error lookup(Node, std::string_view name, Node &node, ampoule_wasi_type_t &type) override {
    if (name == "bad") throw std::runtime_error("not this one");
    auto found = files.find(name);
    if (found == files.end()) return AMPOULE_WASI_ENOENT;
    node = 2 + static_cast<Node>(std::distance(files.begin(), found));
    type = AMPOULE_WASI_TYPE_REGULAR_FILE;
    return AMPOULE_WASI_OK;
  }
  Error stat(Node node, ampoule_wasi_stat_t &stat) override {
    stat.type = node == 1 ? AMPOULE_WASI_TYPE_DIRECTORY : AMPOULE_WASI_TYPE_REGULAR_FILE;
    stat.size = node == 1 ? 0 : text(node).size();
    return AMPOULE_WASI_OK;
  }
  Error read(Node file, uint64_t offset, Span<uint8_t> buffer, size_t &count) override {
    const std::string &all = text(file);
    if (offset < all.size()) count = all.copy(reinterpret_cast<char *>(buffer.data()), buffer.size(), offset);
    return AMPOULE_WASI_OK;
  }
};

// A guest whose functions are those of preview 1.
static const char *const guest =
    "(module"
    "  (import \"wasi_snapshot_preview1\" \"path_open\""
    "    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"
    "  (import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))"
    "  (import \"wasi_snapshot_preview1\" \"random_get\" (func $random (param i32 i32) (result i32)))"
    "  (import \"wasi_snapshot_preview1\" \"clock_time_get\" (func $time (param i32 i64 i32) (result i32)))"
    "  (memory (export \"memory\") 1) (data (i32.const 0) \"\\00\\01\\00\\00\\40\\00\\00\\00\") (data (i32.const 16) \"abad\")"
    "  (func (export \"open\") (param i32 i32) (result i32)"
    "    (call $open (i32.const 3) (i32.const 0) (local.get 0) (local.get 1) (i32.const 0) (i64.const 2) (i64.const 0)"
    "      (i32.const 0) (i32.const 8)))"
    "  (func (export \"read\") (param i32) (result i32) (call $read (local.get 0) (i32.const 0) (i32.const 1) (i32.const 12)))"
    "  (func (export \"random\") (result i32) (call $random (i32.const 256) (i32.const 4)))"
    "  (func (export \"time\") (param i32) (result i32) (call $time (local.get 0) (i64.const 0) (i32.const 256))))";

struct Program {
  World world;
  Instance instance;

  static Instance start(World &world, WasiConfig config) {
    Linker linker(world.engine);
    linker.define_wasi().unwrap();
    world.store.context().set_wasi(std::move(config)).unwrap();
    return linker.instantiate(world.store, Module::compile(world.engine, guest).unwrap()).unwrap();
  }

  explicit Program(WasiConfig config) : instance(start(world, std::move(config))) {}

  int32_t call(const char *name, std::vector<Val> args = {}) {
    return world.get<Func>(instance, name).call(world.store, args).unwrap()[0].i32();
  }
  template <typename T> T at(size_t address) {
    T value;
    memcpy(&value, world.get<Memory>(instance, "memory").data(world.store).data() + address, sizeof value);
    return value;
  }
};

static void a_file_system_is_a_class() {
  {
    WasiConfig config;
    ampoule::preopen_virtual_dir(config, std::make_unique<Texts>(Files{{"a", "hello"}, {"b", ""}}), 1, "/",
                                 WASMTIME_WASI_DIR_PERMS_READ, WASMTIME_WASI_FILE_PERMS_READ)
        .unwrap();
    Program program(std::move(config));
    expect(program.call("open", {16, 1}) == 0);
    expect(program.call("read", {program.at<int32_t>(8)}) == 0 && program.at<uint32_t>(12) == 5);
    expect(program.at<char>(256) == 'h' && program.at<char>(260) == 'o');
    expect(program.call("open", {18, 2}) == 44);
    expect(program.call("open", {17, 3}) == 29);
    expect(alive == 1);
  }
  expect(alive == 0);
  WasiConfig config;
  expect(!ampoule::preopen_virtual_dir(config, std::make_unique<Texts>(Files{}), 1, "/", 64, 64));
  expect(alive == 0);
}

static void input_and_randomness_are_callables() {
  WasiConfig config;
  std::string input = "in";
  ampoule::stdin_custom(config, [input](Span<uint8_t> buffer, size_t &count) mutable {
    count = input.copy(reinterpret_cast<char *>(buffer.data()), buffer.size());
    input.erase(0, count);
    return AMPOULE_WASI_OK;
  }).unwrap();
  ampoule::random(config, [calls = 0](Span<uint8_t> buffer) mutable {
    if (calls++ > 0) throw 7;
    for (uint8_t &byte : buffer) byte = 4;
    return AMPOULE_WASI_OK;
  }).unwrap();
  Program program(std::move(config));
  expect(program.call("read", {0}) == 0 && program.at<uint32_t>(12) == 2 && program.at<char>(257) == 'n');
  expect(program.call("read", {0}) == 0 && program.at<uint32_t>(12) == 0);
  expect(program.call("random") == 0 && program.at<uint32_t>(256) == 0x04040404);
  expect(program.call("random") == 29);
}

static void clocks_are_a_class() {
  struct Fixed : ampoule::Clocks {
    uint64_t realtime() override { return 7; }
    uint64_t monotonic() override { return 9; }
  };
  WasiConfig config;
  ampoule::clocks(config, std::make_unique<Fixed>()).unwrap();
  Program program(std::move(config));
  expect(program.call("time", {0}) == 0 && program.at<uint64_t>(256) == 7);
  expect(program.call("time", {1}) == 0 && program.at<uint64_t>(256) == 9);
}

// An echo, at every address but those with port 9.
struct Echo : ampoule::Network {
  std::string bytes;

  Echo() { alive++; }
  ~Echo() override { alive--; }

  Error open(bool datagrams, uint8_t family, Socket &socket) override {
    socket = 5;
    return datagrams || family != 4 ? AMPOULE_WASI_ENOTSUP : AMPOULE_WASI_OK;
  }
  Error connect(Socket socket, const Address *address) override {
    if (address->port == 9) throw std::runtime_error("nobody listens");
    return socket == 5 ? AMPOULE_WASI_OK : AMPOULE_WASI_EIO;
  }
  Error send(Socket, Span<const uint8_t> sent, const Address *, size_t &count) override {
    bytes.append(reinterpret_cast<const char *>(sent.data()), count = sent.size());
    return AMPOULE_WASI_OK;
  }
  Error receive(Socket, Span<uint8_t> buffer, size_t &count, Address &) override {
    count = bytes.copy(reinterpret_cast<char *>(buffer.data()), buffer.size());
    return AMPOULE_WASI_OK;
  }
};

static void a_network_is_a_class() {
  {
    Engine engine;
    Store store(engine);
    component::Linker linker(engine);
    linker.add_wasip2().unwrap();
    ampoule::add_wasip3(linker).unwrap();
    WasiConfig config;
    ampoule::network(config, std::make_unique<Echo>()).unwrap();
    store.context().set_wasi(std::move(config)).unwrap();
    component::Instance instance = linker.instantiate(store, component::Component::compile(engine, TALKER).unwrap()).unwrap();
    component::ExportIndex index = instance.get_export_index(store, nullptr, "talk").value();
    component::Func talk = instance.get_func(store, index).value();
    component::Val answer(false), ports[] = {component::Val(uint32_t(7)), component::Val(uint32_t(9))};
    talk.call(store, Span<component::Val>(&ports[0], 1), Span<component::Val>(&answer, 1)).unwrap();
    expect(answer.get_u32() == (4 << 8) + 'p');
    talk.call(store, Span<component::Val>(&ports[1], 1), Span<component::Val>(&answer, 1)).unwrap();
    expect(answer.get_u32() == CONNECTING);
    expect(alive == 1);
  }
  expect(alive == 0);
}

// The system's network, at 127.0.0.1: whoever connects gets back what comes first.
class Listener {
  int listener = socket(AF_INET, SOCK_STREAM, 0);

public:
  uint16_t port = 0;

  Listener() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    auto *any = reinterpret_cast<sockaddr *>(&address);
    expect(bind(listener, any, len) == 0 && listen(listener, 4) == 0 && getsockname(listener, any, &len) == 0);
    port = ntohs(address.sin_port);
  }
  ~Listener() { close(listener); }
  Listener(const Listener &) = delete;
  Listener &operator=(const Listener &) = delete;

  void echo_once() const {
    char bytes[16];
    int connection = accept(listener, nullptr, nullptr);
    ssize_t len = read(connection, bytes, sizeof bytes);
    expect(len > 0 && write(connection, bytes, static_cast<size_t>(len)) == len);
    close(connection);
  }
};

static uint32_t talk_to(uint16_t port, WasiConfig config) {
  Engine engine;
  Store store(engine);
  component::Linker linker(engine);
  linker.add_wasip2().unwrap();
  store.context().set_wasi(std::move(config)).unwrap();
  component::Instance instance = linker.instantiate(store, component::Component::compile(engine, TALKER).unwrap()).unwrap();
  component::ExportIndex index = instance.get_export_index(store, nullptr, "talk").value();
  component::Val answer(false), argument(uint32_t{port});
  instance.get_func(store, index).value().call(store, Span<component::Val>(&argument, 1), Span<component::Val>(&answer, 1)).unwrap();
  return answer.get_u32();
}

static void rules_open_one_part_of_the_network() {
  constexpr uint32_t access_denied = 1;
  Listener listed, other;
  WasiConfig config;
  ampoule::allow_net(config, "127.0.0.1:" + std::to_string(listed.port)).unwrap();
  std::thread echo([&] { listed.echo_once(); });
  expect(talk_to(listed.port, std::move(config)) == (4 << 8) + 'p');
  echo.join();
  WasiConfig again;
  ampoule::allow_net(again, "127.0.0.1:" + std::to_string(listed.port)).unwrap();
  expect(talk_to(other.port, std::move(again)) == CONNECTING + access_denied);
  WasiConfig none;
  expect(!ampoule::allow_net(none, "not a rule"));
  expect(talk_to(listed.port, std::move(none)) == CREATING + access_denied);
}

int main() {
  RUN(a_file_system_is_a_class);
  RUN(input_and_randomness_are_callables);
  RUN(clocks_are_a_class);
  RUN(a_network_is_a_class);
  RUN(rules_open_one_part_of_the_network);
  return test_summary();
}
