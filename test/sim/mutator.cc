#include "test/sim/mutator.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"

namespace edge::sim {
namespace {

using std::string_view;

template <size_t kCount>
string_view OneOf(const string_view (&choices)[kCount], Random& random) {
  return choices[random.Below(kCount)];
}

size_t AnyOffset(string_view message, Random& random) { return random.Below(message.size() + 1); }

size_t HeadSize(string_view message) {
  const size_t end = message.find("\r\n\r\n");
  return end == string_view::npos ? message.size() : end + 2;
}

std::string AnyBytes(size_t bytes, Random& random) {
  std::string text(bytes, 0);
  for (char& c : text) c = static_cast<char>(random.Next());
  return text;
}

// A line of the head, but not the first.
void InsertLine(std::string& message, string_view line, Random& random) {
  std::vector<size_t> begins;
  const size_t end = HeadSize(message);
  for (size_t i = message.find("\r\n"); i < end; i = message.find("\r\n", i + 2)) {
    begins.push_back(i + 2);
  }
  if (begins.empty()) return;
  message.insert(begins[random.Below(begins.size())], absl::StrCat(line, "\r\n"));
}

// Where the value of the field begins, and its size; npos if there is none.
size_t FindValue(string_view message, string_view name, size_t* size) {
  const size_t field = message.substr(0, HeadSize(message)).find(absl::StrCat("\r\n", name, ":"));
  if (field == string_view::npos) return field;
  const size_t begin = field + name.size() + 3;
  *size = message.find("\r\n", begin) - begin;
  return begin;
}

void ReplaceOrInsertField(std::string& message, string_view name, string_view value,
                          Random& random) {
  size_t size = 0;
  const size_t begin = FindValue(message, name, &size);
  if (begin != string_view::npos && random.Chance(0.7)) {
    message.replace(begin, size, value);
  } else {
    InsertLine(message, absl::StrCat(name, ":", value), random);
  }
}

void ReplaceStartLine(std::string& message, string_view line) {
  message.replace(0, std::min(message.find("\r\n"), message.size()), line);
}

// Offsets of lines that begin a chunk, as far as one can tell by looking at the text.
std::vector<size_t> ChunkLines(string_view message) {
  std::vector<size_t> begins;
  const size_t head = HeadSize(message);
  if (message.substr(0, head).find("chunked") == string_view::npos) return begins;
  for (size_t i = head; i + 2 < message.size(); i = message.find("\r\n", i + 2)) {
    if (i == string_view::npos) break;
    const size_t end = message.find("\r\n", i + 2);
    if (end == string_view::npos) break;
    const string_view line = message.substr(i + 2, end - i - 2);
    if (!line.empty() && line.size() < 8 &&
        line.find_first_not_of("0123456789abcdef") == string_view::npos) {
      begins.push_back(i + 2);
    }
  }
  return begins;
}

void AtChunkLine(std::string& message, Random& random, bool replace, string_view text) {
  const std::vector<size_t> begins = ChunkLines(message);
  if (begins.empty()) return;
  const size_t begin = begins[random.Below(begins.size())];
  const size_t end = message.find("\r\n", begin);
  if (replace) {
    message.replace(begin, end - begin, text);
  } else {
    message.insert(end, text);
  }
}

// --- Anywhere

void Flip(std::string& message, string_view, Random& random) {
  if (message.empty()) return;
  for (uint64_t n = random.Skewed(4); n > 0; --n) {
    message[random.Below(message.size())] ^= static_cast<char>(1u << random.Below(8));
  }
}
// In the head, where every byte counts.
void FlipHead(std::string& message, string_view, Random& random) {
  if (message.empty()) return;
  message[random.Below(HeadSize(message))] ^= static_cast<char>(1u << random.Below(8));
}
void Insert(std::string& message, string_view, Random& random) {
  constexpr string_view kBytes[] = {"\r\n", "\n", "\r",   " ",  "\t",       "\r\n\r\n",  ":",
                                    ";",    ",",  "\x7f", "0",  "\r\n ",    "0\r\n\r\n", "\xff",
                                    "/",    "%",  "\"",   "\\", "HTTP/1.1", "\r\r\n"};
  message.insert(AnyOffset(message, random), random.Chance(0.5)
                                                 ? std::string(OneOf(kBytes, random))
                                                 : AnyBytes(random.Skewed(16), random));
}
void Delete(std::string& message, string_view, Random& random) {
  const size_t offset = AnyOffset(message, random);
  message.erase(offset, random.Skewed(random.Chance(0.5) ? 4 : 2000));
}
void Duplicate(std::string& message, string_view, Random& random) {
  const size_t offset = AnyOffset(message, random);
  const std::string piece = message.substr(offset, random.Skewed(2000));
  message.insert(random.Chance(0.5) ? offset : AnyOffset(message, random), piece);
}
void Truncate(std::string& message, string_view, Random& random) {
  message.resize(random.Below(message.size() + 1));
}
void TruncateHead(std::string& message, string_view, Random& random) {
  message.resize(random.Below(HeadSize(message) + 1));
}
void Splice(std::string& message, string_view other, Random& random) {
  message.resize(AnyOffset(message, random));
  message += other.substr(AnyOffset(other, random));
}
void Twice(std::string& message, string_view, Random&) { message += std::string(message); }
void Garbage(std::string& message, string_view, Random& random) {
  message = AnyBytes(random.Skewed(5000), random);
}
void ExtraBytes(std::string& message, string_view other, Random& random) {
  constexpr string_view kExtras[] = {
      "\r\n", "x", "HTTP/1.1 200 OK\r\n\r\n", "GET / HTTP/1.1\r\n", "0\r\n\r\n", "\n"};
  if (random.Chance(0.4)) {
    message += other;
  } else {
    message += random.Chance(0.5) ? std::string(OneOf(kExtras, random))
                                  : AnyBytes(random.Skewed(3000), random);
  }
}
void LineEnd(std::string& message, string_view, Random& random) {
  constexpr string_view kEnds[] = {"\n",     "\r",    "\n\r",   "\r\r\n",
                                   "\r\n\n", " \r\n", "\t\r\n", "\r \n"};
  std::vector<size_t> ends;
  for (size_t i = message.find("\r\n"); i != string_view::npos; i = message.find("\r\n", i + 2)) {
    ends.push_back(i);
  }
  if (!ends.empty()) message.replace(ends[random.Below(ends.size())], 2, OneOf(kEnds, random));
}
void AllLineEnds(std::string& message, string_view, Random&) { std::erase(message, '\r'); }
void Nul(std::string& message, string_view, Random& random) {
  message.insert(random.Below(HeadSize(message) + 1), 1, '\0');
}

// --- Fields

void Fold(std::string& message, string_view, Random& random) {
  InsertLine(message, random.Chance(0.5) ? " folded" : "\tx: y", random);
}
void BadField(std::string& message, string_view, Random& random) {
  constexpr string_view kLines[] = {"X-A : b",
                                    ": empty",
                                    "X A: b",
                                    "X-A",
                                    "X-A\t: b",
                                    "\x01: b",
                                    "X-\xe4: b",
                                    "X_A: b",
                                    "X-A:",
                                    "X-A:  \t b \t",
                                    "X-A: a\rb",
                                    "X-A: \x7f",
                                    "X@: b",
                                    "=: b",
                                    "X-A: \xff\xfe",
                                    "Content_Length: 5",
                                    "Proxy: http://attacker/"};
  InsertLine(message, OneOf(kLines, random), random);
}
void LongLine(std::string& message, string_view, Random& random) {
  InsertLine(message, absl::StrCat("X-Long: ", std::string(random.Skewed(100'000), 'l')), random);
}
void ManyFields(std::string& message, string_view, Random& random) {
  std::string fields;
  for (uint64_t n = random.Skewed(2000); n > 0; --n) absl::StrAppend(&fields, "X-", n, ": 1\r\n");
  InsertLine(message, absl::StrCat(fields, "X-Last: 1"), random);
}
void ConnectionOptions(std::string& message, string_view, Random& random) {
  constexpr string_view kOptions[] = {"close",
                                      "keep-alive",
                                      "close, keep-alive",
                                      "Host",
                                      "Content-Length, Transfer-Encoding",
                                      "X-Sim-Mark",
                                      "X-Forwarded-For, Via",
                                      ",,,",
                                      "close\x01",
                                      "TE, Trailer",
                                      "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,aa,ab,"
                                      "ac,ad,ae,af,ag,ah"};
  InsertLine(message, absl::StrCat("Connection: ", OneOf(kOptions, random)), random);
}

// --- Framing

void TwoFramings(std::string& message, string_view, Random& random) {
  size_t size = 0;
  if (FindValue(message, "Transfer-Encoding", &size) != string_view::npos) {
    InsertLine(message, absl::StrCat("Content-Length: ", random.Below(100)), random);
  } else {
    InsertLine(message, "Transfer-Encoding: chunked", random);
    if (random.Chance(0.5)) {
      InsertLine(message, absl::StrCat("Content-Length: ", random.Below(100)), random);
    }
  }
}
void TwoLengths(std::string& message, string_view, Random& random) {
  size_t size = 0;
  const size_t begin = FindValue(message, "Content-Length", &size);
  const bool same = begin != string_view::npos && random.Chance(0.5);
  const std::string value =
      same ? message.substr(begin, size) : absl::StrCat(" ", random.Below(100));
  InsertLine(message, absl::StrCat("Content-Length:", value), random);
  if (begin == string_view::npos) InsertLine(message, "Content-Length: 3", random);
}
void Coding(std::string& message, string_view, Random& random) {
  constexpr string_view kValues[] = {" chunked, chunked",
                                     " gzip, chunked",
                                     " chunked, gzip",
                                     " xchunked",
                                     "",
                                     " ",
                                     "   chunked \t ",
                                     " Chunked",
                                     " identity",
                                     " \x0b"
                                     "chunked",
                                     " chunked;q=1",
                                     " ,chunked",
                                     " chunked,",
                                     "\tchunked",
                                     " \"chunked\"",
                                     " identity, chunked"};
  ReplaceOrInsertField(message, "Transfer-Encoding", OneOf(kValues, random), random);
}
void CodingName(std::string& message, string_view, Random& random) {
  constexpr string_view kLines[] = {
      "Transfer-Encoding : chunked",      "Transfer_Encoding: chunked",
      " Transfer-Encoding: chunked",      "Transfer-Encoding\t: chunked",
      "X: y\rTransfer-Encoding: chunked", "X: y\nContent-Length: 3",
      "transfer-encoding: chunked",       "TRANSFER-ENCODING: chunked"};
  InsertLine(message, OneOf(kLines, random), random);
}
void Length(std::string& message, string_view, Random& random) {
  constexpr string_view kValues[] = {" +5",
                                     " 05",
                                     " 5 ",
                                     " 0x5",
                                     " 5,5",
                                     " -1",
                                     "",
                                     " 5 5",
                                     " 5.0",
                                     " 1e3",
                                     " ٥",
                                     " \t7",
                                     " 0",
                                     " 00",
                                     " 18446744073709551617",
                                     " 9223372036854775807",
                                     " 9223372036854775808",
                                     " 5\r\n 5",
                                     " 99999999999"};
  ReplaceOrInsertField(message, "Content-Length", OneOf(kValues, random), random);
}
// One more or less than there is, or anything: the rest is another message, or is missing.
void WrongLength(std::string& message, string_view, Random& random) {
  const size_t body = message.size() - std::min(HeadSize(message) + 2, message.size());
  const size_t length = random.Chance(0.5) ? random.Below(body + 2)
                                           : body + 1 - random.Below(std::min<size_t>(body + 2, 3));
  ReplaceOrInsertField(message, "Content-Length", absl::StrCat(" ", length), random);
}

// --- Chunks

void ChunkSize(std::string& message, string_view, Random& random) {
  constexpr string_view kSizes[] = {"000",
                                    "0x5",
                                    "-1",
                                    "",
                                    "5 ",
                                    " 5",
                                    "ffffffffffffffff",
                                    "10000000000000000",
                                    "5\n",
                                    "G",
                                    "+5",
                                    "00000000000000000005",
                                    "7fffffffffffffff",
                                    "1",
                                    "0"};
  AtChunkLine(message, random, true, OneOf(kSizes, random));
}
void ChunkLineEnd(std::string& message, string_view, Random& random) {
  constexpr string_view kEnds[] = {"\n", "\r", "\n\r", "\r\r\n", "", " \r\n"};
  const std::vector<size_t> begins = ChunkLines(message);
  if (begins.empty()) return;
  const size_t end = message.find("\r\n", begins[random.Below(begins.size())]);
  message.replace(end, 2, OneOf(kEnds, random));
}
void ChunkCase(std::string& message, string_view, Random& random) {
  for (const size_t begin : ChunkLines(message)) {
    for (size_t i = begin; message[i] != '\r'; ++i) {
      if (message[i] >= 'a' && random.Chance(0.5)) message[i] = static_cast<char>(message[i] - 32);
    }
  }
}
void ChunkExtension(std::string& message, string_view, Random& random) {
  constexpr string_view kExtensions[] = {";a=b",      ";a",     ";a=\"q;\\\"\\\\\"", ";",
                                         ";\x01",     ";=b",    " ; a = b",          ";a=\"b",
                                         ";a=\"\r\"", ";a=b\n", ";a;b;c=d",          "; a=\xe4",
                                         " ",         "\t;x",   ";a=\"\n\"",         ";a b"};
  AtChunkLine(message, random, false, OneOf(kExtensions, random));
}
void EndlessExtension(std::string& message, string_view, Random& random) {
  AtChunkLine(message, random, false, absl::StrCat(";", std::string(random.Skewed(40'000), 'e')));
}
void ChunkEnd(std::string& message, string_view, Random& random) {
  std::vector<size_t> begins = ChunkLines(message);
  if (begins.size() < 2) return;
  begins.erase(begins.begin());
  // What precedes a size but for the first is the end of a chunk.
  const size_t end = begins[random.Below(begins.size())] - 2;
  constexpr string_view kEnds[] = {"", "\n", "\r", "x\r\n", "\r\n\r\n", "XX"};
  message.replace(end, 2, OneOf(kEnds, random));
}
void Trailers(std::string& message, string_view, Random& random) {
  constexpr string_view kLines[] = {
      "Content-Length: 5\r\n", "Host: other\r\n",       "Transfer-Encoding: chunked\r\n",
      "X-Trailer: t\r\n",      "X-Trailer : t\r\n",     " folded\r\n",
      "X-T: a\nX-U: b\r\n",    "Connection: close\r\n", "\x01: b\r\n",
      "X-Request-Id: 1\r\n",   "Set-Cookie: a=b\r\n",   "X-Forwarded-For: 1.2.3.4\r\n"};
  if (!message.ends_with("\r\n\r\n") || ChunkLines(message).empty()) return;
  message.insert(message.size() - 2, OneOf(kLines, random));
}
void EndlessTrailers(std::string& message, string_view, Random& random) {
  if (!message.ends_with("\r\n\r\n") || ChunkLines(message).empty()) return;
  std::string trailers;
  for (uint64_t n = random.Skewed(3000); n > 0; --n) absl::StrAppend(&trailers, "X-", n, ": 1\r\n");
  message.insert(message.size() - 2, trailers);
}

// --- Requests

void RequestLine(std::string& message, string_view, Random& random) {
  const size_t end = std::min(message.find("\r\n"), message.size());
  const std::string line = message.substr(0, end);
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == string_view::npos || first == last) return;
  const std::string method = line.substr(0, first);
  const std::string target = line.substr(first + 1, last - first - 1);
  const std::string lines[] = {
      absl::StrCat(method, "  ", target, " HTTP/1.1"),
      absl::StrCat(method, "\t", target, " HTTP/1.1"),
      absl::StrCat("get ", target, " HTTP/1.1"),
      absl::StrCat("BREW ", target, " HTTP/1.1"),
      absl::StrCat("CONNECT ", target, " HTTP/1.1"),
      absl::StrCat("CONNECT sim.test:443 HTTP/1.1"),
      absl::StrCat("TRACE ", target, " HTTP/1.1"),
      absl::StrCat("OPTIONS * HTTP/1.1"),
      absl::StrCat("OPTIONS http://sim.test HTTP/1.1"),
      absl::StrCat(method, " * HTTP/1.1"),
      absl::StrCat(method, " ", target),
      absl::StrCat(method, " ", target, " "),
      absl::StrCat(method, " ", target, " HTTP/1.2"),
      absl::StrCat(method, " ", target, " HTTP/2.0"),
      absl::StrCat(method, " ", target, " HTTP/0.9"),
      absl::StrCat(method, " ", target, " HTTP/1.0"),
      absl::StrCat(method, " ", target, " http/1.1"),
      absl::StrCat(method, " ", target, " HTTP/1.1 "),
      absl::StrCat(method, " ", target, " ICE/1.0"),
      absl::StrCat(method, " ", target, " HTTP/1.1 x"),
      absl::StrCat(method, " http://other.test", target, " HTTP/1.1"),
      absl::StrCat(method, " http://other.test:99999", target, " HTTP/1.1"),
      absl::StrCat(method, " http://user@other.test", target, " HTTP/1.1"),
      absl::StrCat(method, " ftp://other.test", target, " HTTP/1.1"),
      absl::StrCat(method, " HTTPS://[::1]:8080", target, "?q HTTP/1.1"),
      absl::StrCat(method, " http://other.test?", target, " HTTP/1.1"),
      absl::StrCat(method, " http:/", target, " HTTP/1.1"),
      absl::StrCat(method, " other.test:80 HTTP/1.1"),
      absl::StrCat(method, " ", target, "#fragment HTTP/1.1"),
      absl::StrCat(method, " ", target, "\\.. HTTP/1.1"),
      absl::StrCat(method, " /", target, " HTTP/1.1"),
      absl::StrCat(method, " ", target, "%00 HTTP/1.1"),
      absl::StrCat(method, " ", target, "%zz HTTP/1.1"),
      absl::StrCat(method, " ", target, "\x80 HTTP/1.1"),
      absl::StrCat(method, " ", target, "?", std::string(random.Skewed(20'000), 'q'), " HTTP/1.1"),
      absl::StrCat(" ", line),
      absl::StrCat("\r\n", line),
      absl::StrCat("\r\n\r\n\r\n\r\n", line),
      absl::StrCat("\n", line),
      absl::StrCat("\xef\xbb\xbf", line),
  };
  ReplaceStartLine(message, lines[random.Below(std::size(lines))]);
}
void Host(std::string& message, string_view, Random& random) {
  size_t size = 0;
  const size_t begin = FindValue(message, "Host", &size);
  if (begin == string_view::npos) return;
  constexpr string_view kHosts[] = {
      "",      " ",           " a b", " sim.test, x", " [::1]", " x:99999",
      " x:",   " u@x",        " x/y", " \xe4",        " a%20b", " a%zz",
      " [::1", " other.test", " *",   " sim.test\t",  " x:0"};
  if (random.Chance(0.2)) {
    InsertLine(message, "Host: other.test", random);
  } else if (random.Chance(0.2)) {
    message.erase(begin - 5, size + 7);
  } else {
    message.replace(begin, size, OneOf(kHosts, random));
  }
}
void Expect(std::string& message, string_view, Random& random) {
  constexpr string_view kValues[] = {"100-continue", "100-Continue", "100-continue, x", "200-ok",
                                     ""};
  InsertLine(message, absl::StrCat("Expect: ", OneOf(kValues, random)), random);
}
void Upgrade(std::string& message, string_view, Random& random) {
  constexpr string_view kProtocols[] = {"sim",     "h2c",      "websocket", "HTTP/2.0",
                                        "TLS/1.2", "sim, h2c", "",          "sim/1"};
  InsertLine(message, absl::StrCat("Upgrade: ", OneOf(kProtocols, random)), random);
  if (random.Chance(0.8)) InsertLine(message, "Connection: Upgrade", random);
}
void ForgedFields(std::string& message, string_view, Random& random) {
  constexpr string_view kLines[] = {"X-Forwarded-For: 1.2.3.4",
                                    "X-Forwarded-Host: evil",
                                    "Forwarded: for=1.2.3.4",
                                    "X-Request-Id: forged",
                                    "Via: 1.1 forged",
                                    "X-Forwarded-Port: 1",
                                    "TE: trailers",
                                    "TE: gzip",
                                    "Keep-Alive: 5",
                                    "Proxy-Connection: keep-alive",
                                    "Max-Forwards: 5",
                                    "Max-Forwards: 05x",
                                    "Trailer: Host"};
  InsertLine(message, OneOf(kLines, random), random);
}

// --- Responses

void StatusLine(std::string& message, string_view, Random& random) {
  constexpr string_view kLines[] = {"HTTP/1.1 200",
                                    "HTTP/1.1 099 x",
                                    "HTTP/1.1 99 x",
                                    "HTTP/1.1 1000 x",
                                    "HTTP/1.1 000 x",
                                    "ICY 200 OK",
                                    "HTTP/2.0 200 OK",
                                    "HTTP/1.1  200 OK",
                                    "http/1.1 200 OK",
                                    "HTTP/1.1 200 \x01",
                                    "HTTP/1.1\t200 OK",
                                    "HTTP/1.1 600 x",
                                    "HTTP/1.1 2x0 x",
                                    "HTTP/1.1",
                                    "",
                                    "HTTP/1.1 200 \xe4\t\xff",
                                    " HTTP/1.1 200 OK",
                                    "\r\nHTTP/1.1 200 OK",
                                    "HTTP/1.0 200 OK",
                                    "HTTP/1.1 200OK",
                                    "HTTP/1.1 599 ",
                                    "<html>"};
  ReplaceStartLine(message, OneOf(kLines, random));
}
void InterimFlood(std::string& message, string_view, Random& random) {
  std::string flood;
  constexpr string_view kInterims[] = {"HTTP/1.1 100 Continue\r\n\r\n",
                                       "HTTP/1.1 102 Processing\r\n\r\n",
                                       "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
                                       "HTTP/1.1 199 x\r\n\r\n", "HTTP/1.0 100 Continue\r\n\r\n"};
  for (uint64_t n = random.Skewed(1000); n > 0; --n) flood += OneOf(kInterims, random);
  message.insert(0, flood);
}
void BadInterim(std::string& message, string_view, Random& random) {
  constexpr string_view kInterims[] = {
      "HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\n",
      "HTTP/1.1 100 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 103 x\r\nConnection: close\r\n\r\n",
      "HTTP/1.1 103 x\r\nX : y\r\n\r\n",
      "HTTP/1.1 103 x\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: sim\r\n\r\n",
      "HTTP/1.1 101 x\r\nUpgrade: sim\r\n\r\n"};
  message.insert(0, OneOf(kInterims, random));
}
void EndlessInterim(std::string& message, string_view, Random& random) {
  std::string head = "HTTP/1.1 103 Early Hints\r\n";
  for (uint64_t n = random.Skewed(60); n > 0; --n) {
    absl::StrAppend(&head, "Link: ", std::string(random.Skewed(1000), 'l'), "\r\n");
  }
  message.insert(0, head + "\r\n");
}
void EndlessBody(std::string& message, string_view, Random& random) {
  message += AnyBytes(random.Skewed(600'000), random);
}
void NoBodyStatus(std::string& message, string_view, Random& random) {
  constexpr string_view kLines[] = {"HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified",
                                    "HTTP/1.1 205 Reset Content", "HTTP/1.1 101 Switching"};
  ReplaceStartLine(message, OneOf(kLines, random));
}

constexpr Mutation kMutations[] = {
    {"flip", true, true, Flip},
    {"flip-head", true, true, FlipHead},
    {"insert", true, true, Insert},
    {"delete", true, true, Delete},
    {"duplicate", true, true, Duplicate},
    {"truncate", true, true, Truncate},
    {"truncate-head", true, true, TruncateHead},
    {"splice", true, true, Splice},
    {"twice", true, true, Twice},
    {"garbage", true, true, Garbage},
    {"extra-bytes", true, true, ExtraBytes},
    {"line-end", true, true, LineEnd},
    {"all-line-ends", true, true, AllLineEnds},
    {"nul", true, true, Nul},
    {"fold", true, true, Fold},
    {"bad-field", true, true, BadField},
    {"long-line", true, true, LongLine},
    {"many-fields", true, true, ManyFields},
    {"connection-options", true, true, ConnectionOptions},
    {"two-framings", true, true, TwoFramings},
    {"two-lengths", true, true, TwoLengths},
    {"coding", true, true, Coding},
    {"coding-name", true, true, CodingName},
    {"length", true, true, Length},
    {"wrong-length", true, true, WrongLength},
    {"chunk-size", true, true, ChunkSize},
    {"chunk-line-end", true, true, ChunkLineEnd},
    {"chunk-case", true, true, ChunkCase},
    {"chunk-extension", true, true, ChunkExtension},
    {"endless-extension", true, true, EndlessExtension},
    {"chunk-end", true, true, ChunkEnd},
    {"trailers", true, true, Trailers},
    {"endless-trailers", true, true, EndlessTrailers},
    {"request-line", true, false, RequestLine},
    {"host", true, false, Host},
    {"expect", true, false, Expect},
    {"upgrade", true, true, Upgrade},
    {"forged-fields", true, false, ForgedFields},
    {"status-line", false, true, StatusLine},
    {"interim-flood", false, true, InterimFlood},
    {"bad-interim", false, true, BadInterim},
    {"endless-interim", false, true, EndlessInterim},
    {"endless-body", false, true, EndlessBody},
    {"no-body-status", false, true, NoBodyStatus},
};

}  // namespace

std::span<const Mutation> AllMutations() { return kMutations; }

const Mutation& Mutate(MessageKind kind, std::string& message, std::string_view other,
                       Random& random) {
  for (;;) {
    const Mutation& mutation = kMutations[random.Below(std::size(kMutations))];
    if (!(kind == MessageKind::kRequest ? mutation.requests : mutation.responses)) continue;
    mutation.apply(message, other, random);
    return mutation;
  }
}

}  // namespace edge::sim
