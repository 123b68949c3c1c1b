// stream_load: several streams of HTTP/1.1 requests at once, each at a constant rate of its own,
// with every request's latency: the load of tools/bench_waf.
//
//   stream_load PORT STREAM...        STREAM: NAME,FILE[,KEY=VALUE]...
//
//   FILE             the request's bytes, sent again and again
//   connections=N    of this stream alone, so that no stream waits for another's responses (16)
//   rate=R           requests a second, due at even intervals; 0: each connection sends as soon as
//   it
//                    has its response (0)
//   from=S until=S   seconds after the start (0, 10)
//   count=N          ends after so many requests as well (no limit)
//   spread           each request is due at a random moment of its interval, the same in every run
//   fresh            each request on a new connection; time counts from when connect(2) has
//   returned
//                    up to the first byte of the response
//
// With a rate the loop is open: a request's latency counts from when it was due, whether or not a
// connection was idle then, so a stall is charged to all who would have come during it.
//
// At the end it prints one line for each request: name, when it was due (CLOCK_MONOTONIC, ns),
// latency (ns), status; a status of 0: the connection ended without a response, or kGrace passed;
// -1: it was due, but never sent. One thread, one epoll loop; it trusts the server to send
// Content-Length.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace edge::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;
using namespace std::chrono_literals;

constexpr int kEventsMax = 256;
constexpr size_t kReadBytes = 64 << 10;
// For responses that are still out when the last stream has ended.
constexpr auto kGrace = 5s;
// Memory that is there before the start, so that growing costs no latency.
constexpr size_t kSamplesReserved = 1 << 18;

constexpr int kNoResponse = 0;
constexpr int kNeverSent = -1;

struct Sample {
  int64_t due_ns;
  int64_t latency_ns;
  int status;
};

struct StreamOptions {
  std::string name;
  std::string request;
  int connections = 16;
  double rate = 0;
  double from_s = 0;
  double until_s = 10;
  uint64_t count = UINT64_MAX;
  bool spread = false;
  bool fresh = false;
};

struct Stream;

struct Connection {
  Stream* stream = nullptr;
  int fd = -1;               // -1: closed, opened with the next request
  bool busy = false;         // a response is awaited
  std::string_view unsent;   // of the request
  std::string head;          // of the response, as far as it is here
  int status = kNoResponse;  // once the head is complete
  uint64_t body_left = 0;    // likewise
  bool close_after = false;  // likewise
  Clock::time_point due;
  Clock::time_point counted_from;
  Clock::time_point first_byte;  // if the stream is fresh
};

struct Stream {
  StreamOptions options;
  nanoseconds interval{0};  // 0: no rate
  Clock::time_point begin;
  Clock::time_point end;
  Clock::time_point slot;  // beginning of the interval in which the next request is due
  Clock::time_point due;   // the next request, if there is a rate
  uint64_t made = 0;       // requests sent, or given up
  std::minstd_rand random;
  std::vector<std::unique_ptr<Connection>> connections;
  std::deque<Connection*> idle;
  std::vector<Sample> samples;
};

class Load {
 public:
  explicit Load(int port) : port_(port), epoll_(epoll_create1(0)) {}

  bool Add(StreamOptions options);
  void Run();
  void Print() const;

 private:
  bool Open(Connection* connection);
  void Close(Connection* connection);
  // May this stream send another one that is due at `due`?
  bool Wants(const Stream& stream, Clock::time_point due) const;
  void Advance(Stream* stream);
  void SendDue(Stream* stream);
  void Begin(Connection* connection, Clock::time_point due);
  void Send(Connection* connection);
  void OnEvent(Connection* connection, uint32_t events);
  void OnReadable(Connection* connection);
  bool Consume(Connection* connection, std::string_view bytes);
  void Finish(Connection* connection, int status);
  void Watch(Connection* connection, bool writable, int operation);
  nanoseconds TimeToWait() const;
  bool AllDone() const;

  const int port_;
  const int epoll_;
  std::vector<std::unique_ptr<Stream>> streams_;
  Clock::time_point now_;
  char buffer_[kReadBytes];
};

// Connections of streams that are not fresh are open before the start.
bool Load::Add(StreamOptions options) {
  auto stream = std::make_unique<Stream>();
  stream->options = std::move(options);
  if (stream->options.rate > 0) {
    stream->interval = nanoseconds(static_cast<int64_t>(1e9 / stream->options.rate));
  }
  stream->samples.reserve(kSamplesReserved);
  for (int i = 0; i < stream->options.connections; ++i) {
    stream->connections.push_back(std::make_unique<Connection>());
    Connection* connection = stream->connections.back().get();
    connection->stream = stream.get();
    if (!stream->options.fresh && !Open(connection)) return false;
    stream->idle.push_back(connection);
  }
  streams_.push_back(std::move(stream));
  return true;
}

// Blocks until the kernel has completed the handshake, which on loopback it does at once.
bool Load::Open(Connection* connection) {
  connection->fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(connection->fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0) {
    close(connection->fd);
    connection->fd = -1;
    return false;
  }
  const int on = 1;
  setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  Watch(connection, false, EPOLL_CTL_ADD);
  return true;
}

void Load::Close(Connection* connection) {
  if (connection->fd >= 0) close(connection->fd);
  connection->fd = -1;
  connection->unsent = {};
}

void Load::Watch(Connection* connection, bool writable, int operation) {
  epoll_event event = {.events = EPOLLIN, .data = {.ptr = connection}};
  if (writable) event.events |= EPOLLOUT;
  epoll_ctl(epoll_, operation, connection->fd, &event);
}

void Load::Run() {
  now_ = Clock::now();
  Clock::time_point last_end = now_;
  for (const auto& stream : streams_) {
    const auto after = [this](double seconds) {
      return now_ + std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(seconds));
    };
    stream->begin = stream->slot = stream->due = after(stream->options.from_s);
    stream->end = after(stream->options.until_s);
    last_end = std::max(last_end, stream->end);
  }
  epoll_event events[kEventsMax];
  while (!AllDone() && now_ < last_end + kGrace) {
    const nanoseconds wait = TimeToWait();
    const timespec timeout = {.tv_sec = 0, .tv_nsec = wait.count()};
    const int count = epoll_pwait2(epoll_, events, kEventsMax, &timeout, nullptr);
    for (int i = 0; i < count; ++i) {
      OnEvent(static_cast<Connection*>(events[i].data.ptr), events[i].events);
    }
    now_ = Clock::now();
    for (const auto& stream : streams_) SendDue(stream.get());
  }
  for (const auto& stream : streams_) {
    for (const auto& connection : stream->connections) {
      if (connection->busy) Finish(connection.get(), kNoResponse);
    }
  }
}

bool Load::AllDone() const {
  return std::all_of(streams_.begin(), streams_.end(), [this](const auto& stream) {
    const bool over = now_ >= stream->end || stream->made >= stream->options.count;
    return over && stream->idle.size() == stream->connections.size();
  });
}

nanoseconds Load::TimeToWait() const {
  nanoseconds wait = 100ms;
  for (const auto& stream : streams_) {
    if (stream->idle.empty() || stream->made >= stream->options.count || now_ >= stream->end)
      continue;
    const Clock::time_point next = stream->interval > 0ns ? stream->due : stream->begin;
    wait = std::clamp(next - now_, nanoseconds(0), wait);
  }
  return wait;
}

bool Load::Wants(const Stream& stream, Clock::time_point due) const {
  return due <= now_ && due < stream.end && stream.made < stream.options.count;
}

void Load::Advance(Stream* stream) {
  stream->slot += stream->interval;
  stream->due = stream->slot;
  if (!stream->options.spread) return;
  stream->due += nanoseconds(static_cast<int64_t>(
      std::uniform_real_distribution<>(0, 1)(stream->random) * stream->interval.count()));
}

void Load::SendDue(Stream* stream) {
  if (stream->interval == 0ns) {
    if (now_ < stream->begin) return;
    for (size_t left = stream->idle.size(); left > 0 && Wants(*stream, now_); --left) {
      Connection* connection = stream->idle.front();
      stream->idle.pop_front();
      Begin(connection, now_);
    }
    return;
  }
  while (!stream->idle.empty() && Wants(*stream, stream->due)) {
    Connection* connection = stream->idle.front();
    stream->idle.pop_front();
    Begin(connection, stream->due);
    Advance(stream);
  }
  // Due before the end, but nobody was idle until the end.
  if (now_ < stream->end) return;
  for (; Wants(*stream, stream->due); Advance(stream)) {
    ++stream->made;
    stream->samples.push_back({.due_ns = stream->due.time_since_epoch().count(),
                               .latency_ns = (now_ - stream->due).count(),
                               .status = kNeverSent});
  }
}

void Load::Begin(Connection* connection, Clock::time_point due) {
  Stream* stream = connection->stream;
  ++stream->made;
  connection->busy = true;
  connection->due = connection->counted_from = due;
  connection->head.clear();
  connection->status = kNoResponse;
  connection->body_left = 0;
  connection->close_after = stream->options.fresh;
  connection->first_byte = {};
  if (connection->fd < 0 && !Open(connection)) return Finish(connection, kNoResponse);
  if (stream->options.fresh) connection->counted_from = Clock::now();
  connection->unsent = stream->options.request;
  return Send(connection);
}

void Load::Send(Connection* connection) {
  const bool watched = connection->unsent.size() < connection->stream->options.request.size();
  const ssize_t sent =
      send(connection->fd, connection->unsent.data(), connection->unsent.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) {
    // What the server said before it closed is read yet.
    connection->unsent = {};
    connection->close_after = true;
    return;
  }
  if (sent > 0) connection->unsent.remove_prefix(sent);
  const bool more = !connection->unsent.empty();
  if (more != watched) Watch(connection, more, EPOLL_CTL_MOD);
}

void Load::OnEvent(Connection* connection, uint32_t events) {
  if (connection->fd < 0) return;
  if ((events & EPOLLOUT) != 0 && !connection->unsent.empty()) Send(connection);
  if ((events & ~uint32_t{EPOLLOUT}) != 0) return OnReadable(connection);
}

void Load::OnReadable(Connection* connection) {
  const ssize_t count = recv(connection->fd, buffer_, sizeof(buffer_), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  const bool usable = count > 0 && connection->busy;
  if (usable && connection->first_byte == Clock::time_point{}) {
    connection->first_byte = Clock::now();
  }
  if (usable && Consume(connection, {buffer_, static_cast<size_t>(count)})) return;
  // The end, or bytes that nobody has asked for.
  Close(connection);
  if (connection->busy) return Finish(connection, kNoResponse);
}

// Takes bytes of a response. False: they are none.
bool Load::Consume(Connection* connection, std::string_view bytes) {
  if (connection->status == kNoResponse) {
    connection->head.append(bytes);
    const size_t end = connection->head.find("\r\n\r\n");
    if (end == std::string::npos) return connection->head.size() < kReadBytes;
    std::string head = connection->head.substr(0, end + 2);
    bytes = bytes.substr(bytes.size() - (connection->head.size() - end - 4));
    std::transform(head.begin(), head.end(), head.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    constexpr std::string_view kVersion = "http/1.1 ";
    constexpr std::string_view kLength = "\r\ncontent-length: ";
    const size_t length = head.find(kLength);
    const char* last = head.data() + head.size();
    if (!head.starts_with(kVersion) || length == std::string::npos ||
        std::from_chars(head.data() + kVersion.size(), last, connection->status).ec !=
            std::errc() ||
        std::from_chars(head.data() + length + kLength.size(), last, connection->body_left).ec !=
            std::errc()) {
      return false;
    }
    if (head.find("\r\nconnection: close\r\n") != std::string::npos) connection->close_after = true;
  }
  if (bytes.size() > connection->body_left) return false;
  connection->body_left -= bytes.size();
  if (connection->body_left > 0) return true;
  // An answer to a request that is not sent whole: the connection is of no use any more.
  if (!connection->unsent.empty()) connection->close_after = true;
  Finish(connection, connection->status);
  return true;
}

void Load::Finish(Connection* connection, int status) {
  Stream* stream = connection->stream;
  const Clock::time_point end =
      stream->options.fresh && status != kNoResponse ? connection->first_byte : Clock::now();
  stream->samples.push_back({.due_ns = connection->due.time_since_epoch().count(),
                             .latency_ns = (end - connection->counted_from).count(),
                             .status = status});
  connection->busy = false;
  if (connection->close_after) Close(connection);
  stream->idle.push_back(connection);
}

void Load::Print() const {
  for (const auto& stream : streams_) {
    for (const Sample& sample : stream->samples) {
      std::printf("%s %lld %lld %d\n", stream->options.name.c_str(),
                  static_cast<long long>(sample.due_ns), static_cast<long long>(sample.latency_ns),
                  sample.status);
    }
  }
}

template <typename T>
bool ParseNumber(std::string_view text, T* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && *value >= 0;
}

bool ParseOption(std::string_view word, StreamOptions* options) {
  const size_t equals = word.find('=');
  const std::string_view key = word.substr(0, equals);
  const std::string_view value = equals == word.npos ? "" : word.substr(equals + 1);
  if (key == "connections") return ParseNumber(value, &options->connections);
  if (key == "rate") return ParseNumber(value, &options->rate);
  if (key == "from") return ParseNumber(value, &options->from_s);
  if (key == "until") return ParseNumber(value, &options->until_s);
  if (key == "count") return ParseNumber(value, &options->count);
  if (key == "spread") return options->spread = true;
  if (key == "fresh") return options->fresh = true;
  return false;
}

bool ParseStream(std::string_view text, StreamOptions* options) {
  std::vector<std::string_view> words;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    words.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  if (words.size() < 2) return false;
  options->name = words[0];
  std::ifstream file{std::string(words[1]), std::ios::binary};
  options->request.assign(std::istreambuf_iterator<char>(file), {});
  return !options->request.empty() &&
         std::all_of(words.begin() + 2, words.end(),
                     [options](std::string_view word) { return ParseOption(word, options); });
}

}  // namespace
}  // namespace edge::bench

int main(int argc, char** argv) {
  // A thread that is not of a real-time class is woken up to 50 us late otherwise.
  prctl(PR_SET_TIMERSLACK, 1);
  int port = 0;
  if (argc < 3 || !edge::bench::ParseNumber(argv[1], &port)) {
    std::fprintf(stderr, "usage: stream_load PORT NAME,FILE[,KEY=VALUE]...\n");
    return 2;
  }
  edge::bench::Load load(port);
  for (int i = 2; i < argc; ++i) {
    edge::bench::StreamOptions options;
    if (!edge::bench::ParseStream(argv[i], &options)) {
      std::fprintf(stderr, "stream_load: bad stream, or no such file: %s\n", argv[i]);
      return 2;
    }
    if (!load.Add(std::move(options))) {
      std::perror("stream_load: cannot open its connections");
      return 1;
    }
  }
  load.Run();
  load.Print();
}
