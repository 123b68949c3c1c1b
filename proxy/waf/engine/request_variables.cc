#include "proxy/waf/engine/request_variables.h"

#include <charconv>
#include <cstring>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace edge::waf {
namespace {

// As many as arguments may be by default; browsers keep 180 for a site.
constexpr size_t kCookiesMax = 1000;
constexpr size_t kFullRequestBytesMax = 4 << 20;  // it is a copy

constexpr std::string_view kNoFilesError =
    "Request body excluding files is bigger than the maximum expected.";

void AddFlag(bool flag, std::vector<Member>& members) {
  members.push_back({.key = {}, .value = flag ? "1" : "0"});
}

}  // namespace

void RequestVariables::Begin(const EngineSettings* settings, TextArena* arena) {
  settings_ = settings;
  arena_ = arena;
  request_ = {};
  response_ = {};
  target_ = {};
  cookies_.clear();
  query_arguments_.clear();
  parsed_.Clear();
  default_processor_ = processor_ = BodyProcessor::kNone;
  content_type_ = auth_type_ = remote_user_ = server_name_ = {};
  full_request_.reset();
  request_body_ = response_body_ = response_content_type_ = {};
  query_encoding_error_ = no_files_over_limit_ = body_error_ = false;
  request_body_over_limit_ = response_body_over_limit_ = limits_exceeded_ = false;
}

void RequestVariables::SetRequest(const RequestView& request) {
  request_ = request;
  target_ = SplitTarget(request.target, *arena_);
  const UrlEncodedResult result =
      SplitUrlEncoded(target_.query, settings_->argument_separator, settings_->arguments_max,
                      *arena_, query_arguments_);
  query_encoding_error_ = result.encoding_error;
  limits_exceeded_ |= result.arguments_limit_exceeded;
  ReadFields();
}

void RequestVariables::ReadFields() {
  for (const FieldView& field : request_.fields) {
    switch (field.name.size()) {
      case 4:
        if (absl::EqualsIgnoreCase(field.name, "host")) server_name_ = HostName(field.value);
        break;
      case 6:
        if (absl::EqualsIgnoreCase(field.name, "cookie")) {
          limits_exceeded_ |= !SplitCookies(field.value, kCookiesMax, cookies_);
        }
        break;
      case 12:
        if (absl::EqualsIgnoreCase(field.name, "content-type")) {
          if (content_type_.empty()) content_type_ = field.value;
          const BodyProcessor processor = DefaultBodyProcessor(field.value);
          const bool chosen = (processor != BodyProcessor::kJson || settings_->chooses_json) &&
                              (processor != BodyProcessor::kXml || settings_->chooses_xml);
          if (processor != BodyProcessor::kNone && chosen) default_processor_ = processor;
        }
        break;
      case 13:
        if (absl::EqualsIgnoreCase(field.name, "authorization")) {
          auth_type_ = AuthType(field.value);
          remote_user_ = BasicUser(field.value, *arena_);
        }
        break;
      default:
        break;
    }
  }
}

void RequestVariables::SetRequestBody(BodyProcessor processor) {
  processor_ = processor;
  full_request_.reset();
  request_body_ = request_.body;
  if (settings_->request_body_bytes_max &&
      request_body_.size() > *settings_->request_body_bytes_max) {
    request_body_over_limit_ = true;
    request_body_ = request_body_.substr(0, *settings_->request_body_bytes_max);
  }
  if (processor != BodyProcessor::kMultipart && processor != BodyProcessor::kNone &&
      settings_->request_body_no_files_bytes_max &&
      request_body_.size() > *settings_->request_body_no_files_bytes_max) {
    no_files_over_limit_ = true;
    body_error_ = true;
    return;
  }
  BodyLimits limits;
  limits.arguments_max = settings_->arguments_max - std::min(settings_->arguments_max,  //
                                                             query_arguments_.size());
  limits.depth_max = settings_->json_depth_max;
  if (settings_->upload_keep_files && settings_->upload_files_max > 0) {
    limits.files_max = settings_->upload_files_max;
  }
  switch (processor) {
    case BodyProcessor::kNone:
      break;
    case BodyProcessor::kUrlEncoded:
      ParseUrlEncoded(request_body_, settings_->argument_separator, limits, *arena_, parsed_);
      break;
    case BodyProcessor::kMultipart:
      ParseMultipart(content_type_, request_body_, limits, *arena_, parsed_);
      break;
    case BodyProcessor::kJson:
      if (!request_body_.empty()) ParseJson(request_body_, limits, *arena_, parsed_);
      break;
    case BodyProcessor::kXml:
      if (!request_body_.empty()) ParseXml(request_body_, limits, *arena_, parsed_);
      break;
  }
  limits_exceeded_ |= parsed_.arguments_limit_exceeded;
  const bool cut = request_.body_cut || request_body_over_limit_;
  body_error_ = parsed_.error && !(cut && parsed_.ends_early);
  if (processor == BodyProcessor::kMultipart && !body_error_ &&
      settings_->request_body_no_files_bytes_max &&
      parsed_.no_files_bytes > *settings_->request_body_no_files_bytes_max) {
    no_files_over_limit_ = true;
    body_error_ = true;
  }
}

void RequestVariables::SetResponse(const ResponseView& response) {
  response_ = response;
  for (const FieldView& field : response.fields) {
    if (!absl::EqualsIgnoreCase(field.name, "content-type")) continue;
    response_content_type_ = field.value.substr(0, field.value.find(';'));
    while (absl::ConsumeSuffix(&response_content_type_, " ")) {
    }
    break;
  }
}

void RequestVariables::SetResponseBody() {
  response_body_ = response_.body;
  if (settings_->response_body_bytes_max &&
      response_body_.size() > *settings_->response_body_bytes_max) {
    response_body_over_limit_ = true;
    response_body_ = response_body_.substr(0, *settings_->response_body_bytes_max);
  }
}

std::string_view RequestVariables::Number(uint64_t number) const {
  char digits[20];
  const auto result = std::to_chars(std::begin(digits), std::end(digits), number);
  return arena_->Copy({digits, static_cast<size_t>(result.ptr - digits)});
}

std::string_view RequestVariables::Joined(std::initializer_list<std::string_view> texts) const {
  size_t bytes = 0;
  for (const std::string_view text : texts) bytes += text.size();
  char* const begin = arena_->Allocate(bytes);
  char* at = begin;
  for (const std::string_view text : texts) {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    at += text.size();
  }
  return {begin, bytes};
}

std::string_view RequestVariables::FullRequest() const {
  if (full_request_.has_value()) return *full_request_;
  full_request_ = std::string_view();
  constexpr std::string_view kEnd = "\n\n";
  size_t bytes = kEnd.size() + request_body_.size();
  for (const FieldView& field : request_.fields)
    bytes += field.name.size() + field.value.size() + 3;
  if (bytes > kFullRequestBytesMax) return {};
  char* const begin = arena_->Allocate(bytes);
  char* at = begin;
  const auto add = [&at](std::string_view text) {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    at += text.size();
  };
  for (const FieldView& field : request_.fields) {
    add(field.name);
    add(": ");
    add(field.value);
    add("\n");
  }
  add(kEnd);
  add(request_body_);
  full_request_ = {begin, bytes};
  return *full_request_;
}

std::string_view RequestVariables::BodyError() const {
  if (!body_error_) return {};
  if (no_files_over_limit_) return kNoFilesError;
  switch (processor_) {
    case BodyProcessor::kMultipart:
      return Joined({"Multipart parsing error: ", parsed_.error_text});
    case BodyProcessor::kJson:
      return Joined({"JSON parsing error: ", parsed_.error_text});
    case BodyProcessor::kXml:
      return Joined({"XML parsing error: ", parsed_.error_text});
    case BodyProcessor::kNone:
    case BodyProcessor::kUrlEncoded:
      break;
  }
  return parsed_.error_text;
}

void RequestVariables::AppendArguments(Variable variable, std::vector<Member>& members) const {
  const bool names = variable == Variable::kArgsNames || variable == Variable::kArgsGetNames ||
                     variable == Variable::kArgsPostNames;
  const bool of_query = variable != Variable::kArgsPost && variable != Variable::kArgsPostNames;
  bool of_body = variable != Variable::kArgsGet && variable != Variable::kArgsGetNames;
  // libmodsecurity knows values of JSON by ARGS only.
  if (variable == Variable::kArgsPost || variable == Variable::kArgsPostNames) {
    of_body = processor_ != BodyProcessor::kJson;
  }
  const auto add = [&](const std::vector<Argument>& arguments) {
    for (const Argument& argument : arguments) {
      members.push_back({.key = argument.name, .value = names ? argument.name : argument.value});
    }
  };
  if (of_query) add(query_arguments_);
  if (of_body) add(parsed_.arguments);
}

void RequestVariables::AppendFiles(Variable variable, std::vector<Member>& members) const {
  for (const FilePart& file : parsed_.files) {
    switch (variable) {
      case Variable::kFiles:
        members.push_back({.key = file.name, .value = file.filename});
        break;
      case Variable::kFilesNames:
        members.push_back({.key = file.name, .value = file.name});
        break;
      case Variable::kFilesSizes:
        members.push_back({.key = file.name, .value = Number(file.content.size())});
        break;
      default:
        members.push_back({.key = file.filename, .value = file.content});
        break;
    }
  }
}

bool RequestVariables::AppendMultipart(Variable variable, std::vector<Member>& members) const {
  const MultipartFlags& flags = parsed_.multipart;
  switch (variable) {
    case Variable::kMultipartBoundaryQuoted:
      AddFlag(flags.boundary_quoted, members);
      return true;
    case Variable::kMultipartBoundaryWhitespace:
      AddFlag(flags.boundary_whitespace, members);
      return true;
    case Variable::kMultipartCrlfLfLines:
      AddFlag(flags.crlf_lf_lines, members);
      return true;
    case Variable::kMultipartDataAfter:
      AddFlag(flags.data_after, members);
      return true;
    case Variable::kMultipartDataBefore:
      AddFlag(flags.data_before, members);
      return true;
    case Variable::kMultipartFileLimitExceeded:
      AddFlag(flags.file_limit_exceeded, members);
      return true;
    case Variable::kMultipartHeaderFolding:
      AddFlag(flags.header_folding, members);
      return true;
    case Variable::kMultipartInvalidHeaderFolding:
      AddFlag(flags.invalid_header_folding, members);
      return true;
    case Variable::kMultipartInvalidPart:
      AddFlag(flags.invalid_part, members);
      return true;
    case Variable::kMultipartInvalidQuoting:
      AddFlag(flags.invalid_quoting, members);
      return true;
    case Variable::kMultipartLfLine:
      AddFlag(flags.lf_line, members);
      return true;
    case Variable::kMultipartMissingSemicolon:
      AddFlag(flags.missing_semicolon, members);
      return true;
    case Variable::kMultipartStrictError:
      AddFlag(flags.strict_error, members);
      return true;
    case Variable::kMultipartUnmatchedBoundary:
      members.push_back({.key = {}, .value = Number(flags.unmatched_boundary)});
      return true;
    case Variable::kMultipartName:
      if (!parsed_.multipart_name.empty()) {
        members.push_back({.key = parsed_.multipart_name, .value = parsed_.multipart_name});
      }
      return true;
    case Variable::kMultipartFilename:
      if (!parsed_.multipart_filename.empty()) {
        members.push_back({.key = parsed_.multipart_name, .value = parsed_.multipart_filename});
      }
      return true;
    case Variable::kMultipartPartHeaders:
      for (const PartHeader& header : parsed_.part_headers) {
        members.push_back({.key = header.part, .value = header.line});
      }
      return true;
    default:
      return false;
  }
}

void RequestVariables::Append(Variable variable, std::vector<Member>& members) const {
  if (AppendMultipart(variable, members)) return;
  std::string_view value;
  switch (variable) {
    case Variable::kArgs:
    case Variable::kArgsGet:
    case Variable::kArgsGetNames:
    case Variable::kArgsNames:
    case Variable::kArgsPost:
    case Variable::kArgsPostNames:
      return AppendArguments(variable, members);
    case Variable::kFiles:
    case Variable::kFilesNames:
    case Variable::kFilesSizes:
    case Variable::kFilesTmpContent:
      return AppendFiles(variable, members);
    case Variable::kRequestCookies:
    case Variable::kRequestCookiesNames:
      for (const Argument& cookie : cookies_) {
        members.push_back({.key = cookie.name,
                           .value = variable == Variable::kRequestCookies ? cookie.value  //
                                                                          : cookie.name});
      }
      return;
    case Variable::kRequestHeaders:
    case Variable::kResponseHeaders:
      for (const FieldView& field :
           variable == Variable::kRequestHeaders ? request_.fields : response_.fields) {
        members.push_back({.key = field.name, .value = field.value});
      }
      return;
    case Variable::kRequestHeadersNames:
    case Variable::kResponseHeadersNames:
      for (const FieldView& field :
           variable == Variable::kRequestHeadersNames ? request_.fields : response_.fields) {
        members.push_back({.key = field.name, .value = field.name});
      }
      return;
    case Variable::kXml:
      for (const std::string_view text : parsed_.xml_text) {
        members.push_back({.key = "/*", .value = text});
      }
      for (const std::string_view text : parsed_.xml_attributes) {
        members.push_back({.key = "//@*", .value = text});
      }
      for (const auto& [key, path] : settings_->xml_paths) {
        std::vector<std::string_view> values;
        path.Select(parsed_, values);
        for (const std::string_view value : values) members.push_back({.key = key, .value = value});
      }
      return;
    case Variable::kFilesTmpNames:  // no file is ever written
      return;
    case Variable::kRemoteUser:
      if (!remote_user_.empty()) members.push_back({.key = {}, .value = remote_user_});
      return;
    case Variable::kArgsCombinedSize: {
      uint64_t bytes = 0;
      for (const Argument& a : query_arguments_) bytes += a.name.size() + a.value.size();
      for (const Argument& a : parsed_.arguments) bytes += a.name.size() + a.value.size();
      value = Number(bytes);
      break;
    }
    case Variable::kAuthType:
      value = auth_type_;
      break;
    case Variable::kFilesCombinedSize:
      value = Number(parsed_.files_bytes);
      break;
    case Variable::kFullRequest:
      value = FullRequest();
      break;
    case Variable::kFullRequestLength:
      value = Number(FullRequest().size());
      break;
    case Variable::kInboundDataError:
      return AddFlag(request_.body_cut || request_body_over_limit_ || no_files_over_limit_,
                     members);
    case Variable::kModsecBuild:
      value = "030001400";
      break;
    case Variable::kOutboundDataError:
      return AddFlag(response_.body_cut || response_body_over_limit_, members);
    case Variable::kPathInfo:
    case Variable::kRequestFilename:
      value = target_.filename;
      break;
    case Variable::kQueryString:
      value = target_.query;
      break;
    case Variable::kRemoteAddr:
    case Variable::kRemoteHost:
      value = request_.client_address;
      break;
    case Variable::kRemotePort:
      value = Number(request_.client_port);
      break;
    case Variable::kReqbodyError:
      return AddFlag(body_error_, members);
    case Variable::kReqbodyProcessorError:
      return AddFlag(body_error_ && !no_files_over_limit_, members);
    case Variable::kReqbodyErrorMsg:
      value = BodyError();
      break;
    case Variable::kReqbodyProcessorErrorMsg:
      value = no_files_over_limit_ ? std::string_view() : BodyError();
      break;
    case Variable::kRequestBasename:
      value = target_.basename;
      break;
    case Variable::kRequestBody:
      value = request_body_;
      break;
    case Variable::kRequestBodyLength:
      value = request_body_.empty() ? std::string_view() : Number(request_body_.size());
      break;
    case Variable::kRequestLine:
      value = Joined({request_.method, " ", request_.target, " ", request_.protocol});
      break;
    case Variable::kRequestMethod:
      value = request_.method;
      break;
    case Variable::kRequestProtocol:
      value = request_.protocol;
      break;
    case Variable::kRequestUri:
      value = target_.uri;
      break;
    case Variable::kRequestUriRaw:
      value = request_.target;
      break;
    case Variable::kResponseBody:
      value = response_body_;
      break;
    case Variable::kResponseContentLength:
      value = Number(response_body_.size());
      break;
    case Variable::kResponseContentType:
      value = response_content_type_;
      break;
    case Variable::kResponseProtocol:
      value = response_.protocol;
      break;
    case Variable::kResponseStatus:
      value = response_.status == 0 ? std::string_view() : Number(response_.status);
      break;
    case Variable::kServerAddr:
      value = request_.server_address;
      break;
    case Variable::kServerName:
      value = server_name_;
      break;
    case Variable::kServerPort:
      value = Number(request_.server_port);
      break;
    case Variable::kStatusLine:
      if (response_.status != 0)
        value = Joined({response_.protocol, " ", Number(response_.status)});
      break;
    case Variable::kUniqueId:
      value = request_.id;
      break;
    case Variable::kUrlencodedError:
      return AddFlag(query_encoding_error_ || parsed_.url_encoding_error, members);
    case Variable::kWebAppId:
      value = settings_->web_app_id;
      break;
    default:
      return;  // not a static one
  }
  members.push_back({.key = {}, .value = value});
}

}  // namespace edge::waf
