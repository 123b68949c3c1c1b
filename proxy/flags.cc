#include "proxy/flags.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "http/message_head.h"
#include "proxy/address.h"
#include "proxy/config_file.h"
#include "uring/operation.h"

namespace edge::proxy {
namespace {

using Apply = std::function<absl::Status(Config&, std::string_view)>;

struct Setting {
  const char* name;
  const char* default_value;
  const char* help;
  Apply apply;
  bool boolean = false;
};

absl::Status Expected(std::string_view found, std::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat("found '", found, "', expected ", expected));
}

Apply Number(uint32_t Config::*field, uint32_t least, uint32_t most) {
  return [=](Config& config, std::string_view text) {
    uint32_t value = 0;
    if (!absl::SimpleAtoi(text, &value) || value < least || value > most) {
      return Expected(text, absl::StrCat("a number from ", least, " to ", most));
    }
    config.*field = value;
    return absl::OkStatus();
  };
}

Apply Number64(uint64_t Config::*field, uint64_t least) {
  return [=](Config& config, std::string_view text) {
    uint64_t value = 0;
    if (!absl::SimpleAtoi(text, &value) || value < least) {
      return Expected(text, absl::StrCat("a number of at least ", least));
    }
    config.*field = value;
    return absl::OkStatus();
  };
}

Apply Bytes(uint64_t Config::*field) {
  return [=](Config& config, std::string_view text) {
    uint64_t value = 0;
    if (!absl::SimpleAtoi(text, &value)) return Expected(text, "a number of bytes, 0 for no limit");
    config.*field = value;
    return absl::OkStatus();
  };
}

Apply Duration(absl::Duration Config::*field, absl::Duration least) {
  return [=](Config& config, std::string_view text) {
    absl::Duration value;
    if (!absl::ParseDuration(text, &value) || value < least || value > absl::Hours(24 * 365)) {
      return Expected(text, absl::StrCat("a duration of at least ", absl::FormatDuration(least),
                                         ", such as 500ms, 10s or 2m"));
    }
    config.*field = value;
    return absl::OkStatus();
  };
}

Apply Text(std::string Config::*field) {
  return [=](Config& config, std::string_view text) {
    config.*field = std::string(text);
    return absl::OkStatus();
  };
}

Apply Paths(std::vector<std::string> Config::*field) {
  return [=](Config& config, std::string_view text) {
    config.*field = absl::StrSplit(text, ',', absl::SkipWhitespace());
    return absl::OkStatus();
  };
}

Apply OneOf(std::string Config::*field, const std::vector<std::string>& choices) {
  return [=](Config& config, std::string_view text) {
    if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
      return Expected(text, absl::StrJoin(choices, " or "));
    }
    config.*field = std::string(text);
    return absl::OkStatus();
  };
}

// Takes "http://" or "https://" off the front of `text`; false if another scheme stands there.
bool TakeScheme(std::string_view& text, bool& tls) {
  if (absl::ConsumePrefix(&text, "https://")) {
    tls = true;
  } else if (absl::ConsumePrefix(&text, "http://")) {
    tls = false;
  }
  return text.find("://") == text.npos;
}

absl::Status ApplyListen(Config& config, std::string_view text) {
  config.listen.clear();
  for (const std::string_view item : absl::StrSplit(text, ',')) {
    std::string_view rest = item;
    ListenSpec spec;
    spec.proxy_protocol = absl::ConsumePrefix(&rest, "proxy+");
    const bool has_scheme = rest.find("://") != rest.npos;
    absl::StatusOr<HostPort> host_port =
        (has_scheme || !spec.proxy_protocol) && TakeScheme(rest, spec.tls)
            ? ParseHostPort(rest)
            : absl::InvalidArgumentError("");
    if (!host_port.ok()) return Expected(item, "[[proxy+]https://|[proxy+]http://][host]:port");
    spec.host = host_port->host;
    spec.port = host_port->port;
    config.listen.push_back(std::move(spec));
  }
  return absl::OkStatus();
}

absl::Status ApplyUpstream(Config& config, std::string_view text) {
  config.upstream.clear();
  if (text.empty()) return absl::OkStatus();
  for (const std::string_view item : absl::StrSplit(text, ',')) {
    std::string_view rest = item;
    UpstreamSpec spec;
    if (absl::ConsumePrefix(&rest, "proxy1+")) {
      spec.proxy_protocol = ProxyProtocol::kV1;
    } else if (absl::ConsumePrefix(&rest, "proxy2+")) {
      spec.proxy_protocol = ProxyProtocol::kV2;
    }
    const bool has_scheme = rest.find("://") != rest.npos;
    absl::StatusOr<HostPort> host_port = has_scheme && TakeScheme(rest, spec.tls)
                                             ? ParseHostPort(absl::StripSuffix(rest, "/"))
                                             : absl::InvalidArgumentError("");
    if (!host_port.ok() || host_port->host.empty() || host_port->port == 0) {
      return Expected(item, "[proxy1+|proxy2+]http://host:port");
    }
    if (spec.tls) {
      return absl::InvalidArgumentError(absl::StrCat(
          "found '", item, "', but TLS to origins is not there yet: expected http://host:port"));
    }
    spec.host = host_port->host;
    spec.port = host_port->port;
    config.upstream.push_back(std::move(spec));
  }
  return absl::OkStatus();
}

absl::Status ApplyAdmin(Config& config, std::string_view text) {
  if (!text.empty()) {
    if (absl::StatusOr<HostPort> parsed = ParseHostPort(text); !parsed.ok()) return parsed.status();
  }
  config.admin = std::string(text);
  return absl::OkStatus();
}

absl::Status ApplyWaf(Config& config, std::string_view text) {
  if (text == "off") {
    config.waf = WafMode::kOff;
  } else if (text == "detect") {
    config.waf = WafMode::kDetect;
  } else if (text == "block") {
    config.waf = WafMode::kBlock;
  } else {
    return Expected(text, "off, detect or block");
  }
  return absl::OkStatus();
}

Apply AddressBlocks(std::vector<std::string> Config::*field) {
  return [=](Config& config, std::string_view text) {
    (config.*field).clear();
    for (const std::string_view item : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
      if (absl::StatusOr<AddressBlock> block = AddressBlock::Parse(item); !block.ok()) {
        return block.status();
      }
      (config.*field).emplace_back(item);
    }
    return absl::OkStatus();
  };
}

Apply Switch(bool Config::*field) {
  return [=](Config& config, std::string_view text) {
    if (text != "true" && text != "false") return Expected(text, "true or false");
    config.*field = text == "true";
    return absl::OkStatus();
  };
}

const std::vector<Setting>& Settings() {
  static const auto* settings = new std::vector<Setting>{
      {"listen", ":8443",
       "comma list of [https://|http://][host]:port; without a scheme https; without a host every\n"
       "address; port 0: one port for all workers, printed; proxy+https:// or proxy+http://: each\n"
       "connection begins with a PROXY header, version 1 or 2",
       ApplyListen},
      {"upstream", "",
       "comma list of http://host:port, load-balanced; none: a built-in welcome origin;\n"
       "proxy1+http:// or proxy2+http://: it gets a PROXY header of that version",
       ApplyUpstream},
      {"proxy_protocol_from", "",
       "comma list of address blocks that may connect to proxy+ listeners; others are closed",
       AddressBlocks(&Config::proxy_protocol_from)},
      {"tls_cert", "", "comma list of PEM files; none: a self-signed certificate made at start",
       Paths(&Config::tls_cert)},
      {"tls_key", "", "comma list of PEM files, paired with --tls_cert", Paths(&Config::tls_key)},
      {"cores", "auto", "auto, a count, or a list like 0-3,6: one worker each",
       Text(&Config::cores)},
      {"ring_entries", "1024", "submission queue entries of a worker's ring",
       Number(&Config::ring_entries, 64, 32768)},
      {"cq_entries", "16384", "completion queue entries of a worker's ring",
       Number(&Config::cq_entries, 128, 65536)},
      {"buffer_size", "4096", "bytes of a buffer for heads",
       Number(&Config::buffer_size, 1024, 65536)},
      {"buffers", "4096", "buffers for heads, per worker: half for clients, half for origins",
       Number(&Config::buffers, 16, uring::kBuffersPerGroupMax)},
      {"body_buffer_size", "65536", "bytes of a buffer for bodies",
       Number(&Config::body_buffer_size, 16384, 1 << 20)},
      {"body_buffers", "512", "buffers for bodies, per worker",
       Number(&Config::body_buffers, 8, uring::kBuffersPerGroupMax)},
      {"max_connections", "65536",
       "client connections per worker, lowered to what RLIMIT_NOFILE allows; at the limit those\n"
       "idle for longest are closed first, then accepting pauses",
       Number(&Config::max_connections, 1, 1 << 20)},
      {"waf", "off",
       "inspection of requests: off, detect (a copy, while the request goes on) or block",
       ApplyWaf},
      {"waf_rules", "", "comma list of SecLang files or globs; none: a built-in set",
       Paths(&Config::waf_rules)},
      {"waf_threads", "1", "inspection threads per NUMA node", Number(&Config::waf_threads, 1, 64)},
      {"waf_queue", "1024",
       "requests under inspection per NUMA node; a quarter as many again are copies (detect)",
       Number(&Config::waf_queue, 1, 65536)},
      {"waf_overload", "reject",
       "requests that find the queue full, or wait in it for too long: reject (503) or pass",
       OneOf(&Config::waf_overload, {"reject", "pass"})},
      {"waf_deadline", "50ms", "for how long a request may wait in the queue, and be inspected",
       Duration(&Config::waf_deadline, absl::Milliseconds(1))},
      {"waf_placement", "pool",
       "pool: on the inspection threads; inline: on the worker, to measure what that costs",
       OneOf(&Config::waf_placement, {"pool", "inline"})},
      {"waf_body_bytes_max", "131072", "of a request's body that is inspected",
       Number(&Config::waf_body_bytes_max, 0, 16 << 20)},
      {"waf_oversize", "pass",
       "requests whose inspected part may pass, but whose body is longer: pass or reject (413)",
       OneOf(&Config::waf_oversize, {"pass", "reject"})},
      {"waf_memory_bytes_max", "67108864",
       "of requests under inspection, per worker; beyond it as --waf_overload says",
       Number64(&Config::waf_memory_bytes_max, 1 << 20)},
      {"admin", "127.0.0.1:9901", "address of /healthz /readyz /metrics; empty: off", ApplyAdmin},
      {"access_log", "", "path, or - for standard output: one JSON object a line",
       Text(&Config::access_log)},
      {"drain_delay", "0s", "on SIGTERM: readiness fails at once, accepting goes on for this long",
       Duration(&Config::drain_delay, absl::ZeroDuration())},
      {"drain_timeout", "30s", "then requests in flight get this long to finish",
       Duration(&Config::drain_timeout, absl::ZeroDuration())},
      {"header_timeout", "10s",
       "for a whole request head, and for the PROXY header and the TLS handshake together",
       Duration(&Config::header_timeout, absl::Milliseconds(10))},
      {"tls_handshake_timeout", "0s",
       "for the PROXY header and the TLS handshake together; 0s: as --header_timeout",
       Duration(&Config::tls_handshake_timeout, absl::ZeroDuration())},
      {"idle_timeout", "60s",
       "for a kept-alive connection between requests, for a tunnel, and for a client that does "
       "not\n"
       "send the body it announced or read its response",
       Duration(&Config::idle_timeout, absl::Milliseconds(10))},
      {"request_body_timeout", "0s",
       "for a client that does not send the body it announced; 0s: as --idle_timeout",
       Duration(&Config::request_body_timeout, absl::ZeroDuration())},
      {"response_write_timeout", "0s",
       "for a client that does not read its response; 0s: as --idle_timeout",
       Duration(&Config::response_write_timeout, absl::ZeroDuration())},
      {"connect_timeout", "5s", "for a connection to an origin",
       Duration(&Config::connect_timeout, absl::Milliseconds(10))},
      {"upstream_timeout", "60s", "for an origin's first byte, then between its bytes",
       Duration(&Config::upstream_timeout, absl::Milliseconds(10))},
      {"upstream_first_byte_timeout", "0s",
       "for an origin's first byte, and for it to take the request; 0s: as --upstream_timeout",
       Duration(&Config::upstream_first_byte_timeout, absl::ZeroDuration())},
      {"upstream_idle_max", "1024", "unused connections kept per worker and origin",
       Number(&Config::upstream_idle_max, 0, 65536)},
      {"upstream_idle_timeout", "60s", "for how long an unused connection to an origin is kept",
       Duration(&Config::upstream_idle_timeout, absl::Milliseconds(10))},
      {"upstream_age_max", "1h", "age after which a connection to an origin is not kept any more",
       Duration(&Config::upstream_age_max, absl::Milliseconds(10))},
      {"request_line_bytes_max", "8192", "of a request line; beyond it 414",
       Number(&Config::request_line_bytes_max, 64, 32768)},
      {"head_bytes_max", "32768",
       "of a message head; beyond it 431, from an origin 502; lowered to half of a body buffer",
       Number(&Config::head_bytes_max, 8192, http::MessageHead::kBlockBytesMax)},
      {"fields_max", "128", "fields of a message head; beyond it 431, from an origin 502",
       Number(&Config::fields_max, 8, http::MessageHead::kFieldsMax)},
      {"body_bytes_max", "0", "of a request's body; beyond it 413; 0: no limit",
       Bytes(&Config::body_bytes_max)},
      {"chunk_extensions_bytes_max", "16384",
       "of all chunk extensions of a body; beyond it 400, from an origin the response is cut",
       Number(&Config::chunk_extensions_bytes_max, 0, 1 << 20)},
      {"trailer_bytes_max", "8192", "of a trailer section, of which 2048 may be forwarded",
       Number(&Config::trailer_bytes_max, 0, 65536)},
      {"interim_responses_max", "16", "1xx responses to one request; beyond it 502",
       Number(&Config::interim_responses_max, 1, 1024)},
      {"underscore_names", "drop",
       "request fields with _ in their names, which CGI takes for -: drop, refuse or pass",
       OneOf(&Config::underscore_names, {"drop", "refuse", "pass"})},
      {"client_rate_min", "240",
       "bytes a second that a client has to send of a body, and to take of a response: each earns\n"
       "it a part of a second, up to the time-out of its direction; 0: one byte earns all of it",
       Number(&Config::client_rate_min, 0, 1 << 30)},
      {"connection_requests_max", "100000",
       "requests on one client connection, of which the last is answered with close; 0: no limit",
       Number(&Config::connection_requests_max, 0, UINT32_MAX)},
      {"connection_age_max", "1h",
       "after that a client connection ends behind the response that is next; 0s: no limit",
       Duration(&Config::connection_age_max, absl::ZeroDuration())},
      {"response_time_max", "24h", "from a response's first byte to its last; 0s: no limit",
       Duration(&Config::response_time_max, absl::ZeroDuration())},
      {"trusted_proxies", "",
       "comma list of address blocks whose X-Forwarded-* and X-Request-Id fields are kept",
       AddressBlocks(&Config::trusted_proxies)},
      {"forwarded_fields", "replace",
       "X-Forwarded-* fields of other clients: replace, append or drop",
       OneOf(&Config::forwarded_fields, {"replace", "append", "drop"})},
      {"check", "false", "validate configuration and kernel, print what was found, and exit",
       Switch(&Config::check), true},
      {"explain", "false",
       "read one raw request from standard input, print what edge makes of it, and exit",
       Switch(&Config::explain), true},
  };
  return *settings;
}

const Setting* FindSetting(std::string_view name) {
  for (const Setting& setting : Settings()) {
    if (name == setting.name) return &setting;
  }
  return nullptr;
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

std::string Suggestion(std::string_view name, std::string_view prefix) {
  const Setting* best = nullptr;
  size_t best_distance = 4;  // further away it is not a slip of the keyboard
  for (const Setting& setting : Settings()) {
    const size_t distance = EditDistance(name, setting.name);
    if (distance < best_distance) {
      best_distance = distance;
      best = &setting;
    }
  }
  return best == nullptr ? "see --help" : absl::StrCat("did you mean ", prefix, best->name, "?");
}

void ResolvePath(const std::string& base_directory, std::string& path) {
  if (base_directory.empty() || path.empty() || path.front() == '/' || path == "-") return;
  path = absl::StrCat(base_directory, "/", path);
}

// The least number of bodies under inspection that a worker has memory for.
constexpr uint64_t kWafBodies = 16;

absl::Status CheckTogether(const Config& config) {
  if (config.tls_cert.size() != config.tls_key.size()) {
    return absl::InvalidArgumentError(absl::StrCat("--tls_key: found ", config.tls_key.size(),
                                                   " files for ", config.tls_cert.size(),
                                                   " of --tls_cert, expected one for each"));
  }
  if (config.waf != WafMode::kOff &&
      config.waf_memory_bytes_max < kWafBodies * config.waf_body_bytes_max) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--waf_memory_bytes_max: found ", config.waf_memory_bytes_max, ", expected room for ",
        kWafBodies, " bodies of --waf_body_bytes_max, ", kWafBodies * config.waf_body_bytes_max));
  }
  std::set<std::string> seen;
  for (const ListenSpec& spec : config.listen) {
    if (spec.proxy_protocol && config.proxy_protocol_from.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--proxy_protocol_from: found nothing, expected the address blocks that may "
                       "connect to '",
                       spec.ToString(), "'"));
    }
    if (spec.port != 0 && !seen.insert(absl::StrCat(spec.host, ":", spec.port)).second) {
      return absl::InvalidArgumentError(absl::StrCat("--listen: found '", spec.ToString(),
                                                     "' twice, expected each address once"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(std::span<const char* const> arguments,
                                             const std::string& base_directory) {
  CommandLine command_line;
  std::map<std::string, std::string, std::less<>> given;
  std::string config_path;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      command_line.action = CommandLine::Action::kHelp;
      return command_line;
    }
    if (argument == "--version") {
      command_line.action = CommandLine::Action::kVersion;
      return command_line;
    }
    std::string_view name = argument;
    if (!absl::ConsumePrefix(&name, "--") || name.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("found '", argument, "', expected a flag such as --listen=:8443"));
    }
    std::string_view value;
    const size_t equals = name.find('=');
    const bool has_value = equals != name.npos;
    if (has_value) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    }
    const Setting* setting = FindSetting(name);
    if (setting == nullptr && name != "config") {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, ": unknown flag, ", Suggestion(name, "--")));
    }
    if (!has_value) {
      if (setting != nullptr && setting->boolean) {
        value = "true";
      } else if (i + 1 < arguments.size()) {
        value = arguments[++i];
      } else {
        return absl::InvalidArgumentError(
            absl::StrCat("--", name, ": found nothing after it, expected a value"));
      }
    }
    if (setting == nullptr) {
      config_path = std::string(value);
      continue;
    }
    given[std::string(name)] = std::string(value);
  }

  Config& config = command_line.config;
  for (const Setting& setting : Settings()) {
    CHECK_OK(setting.apply(config, setting.default_value)) << setting.name;
  }
  if (!config_path.empty()) {
    ResolvePath(base_directory, config_path);
    absl::StatusOr<std::vector<ConfigEntry>> entries = ReadConfigFile(config_path);
    if (!entries.ok()) return entries.status();
    for (const ConfigEntry& entry : *entries) {
      const Setting* setting = FindSetting(entry.key);
      if (setting == nullptr) {
        return absl::InvalidArgumentError(absl::StrCat(config_path, ":", entry.line, ": ",
                                                       entry.key, ": unknown key, ",
                                                       Suggestion(entry.key, "")));
      }
      if (given.contains(entry.key)) continue;
      if (absl::Status status = setting->apply(config, entry.value); !status.ok()) {
        return absl::InvalidArgumentError(
            absl::StrCat(config_path, ":", entry.line, ": ", entry.key, ": ", status.message()));
      }
    }
  }
  for (const auto& [name, value] : given) {
    if (absl::Status status = FindSetting(name)->apply(config, value); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, ": ", status.message()));
    }
  }
  for (std::string& path : config.tls_cert) ResolvePath(base_directory, path);
  for (std::string& path : config.tls_key) ResolvePath(base_directory, path);
  for (std::string& path : config.waf_rules) ResolvePath(base_directory, path);
  ResolvePath(base_directory, config.access_log);
  if (absl::Status status = CheckTogether(config); !status.ok()) return status;
  return command_line;
}

std::string HelpText() {
  std::string text =
      "edge: an HTTP edge proxy on io_uring\n\n"
      "  edge [--flag=value ...]\n\n"
      "  --config=PATH\n      YAML file whose keys are these flags; a flag given overrides its "
      "key\n";
  for (const Setting& setting : Settings()) {
    absl::StrAppend(&text, "  --", setting.name, "=", setting.default_value, "\n      ",
                    absl::StrReplaceAll(setting.help, {{"\n", "\n      "}}), "\n");
  }
  absl::StrAppend(
      &text,
      "\nSignals: TERM drains, a second TERM or INT stops at once.\n"
      "Exit status: 0 drained or stopped, 1 failed at run time, 2 a mistake in flags or\n"
      "configuration or an unusable kernel. With --explain: 0 accepted, 1 refused or "
      "incomplete.\n");
  return text;
}

}  // namespace edge::proxy
