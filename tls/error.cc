#include "tls/error.h"

#include "absl/strings/str_cat.h"
#include "openssl/err.h"
#include "openssl/ssl.h"

namespace edge::tls {
namespace {

ErrorCode CodeOfSslReason(int reason) {
  // An alert of the peer is reported as SSL_AD_REASON_OFFSET plus its number.
  if (reason >= SSL_AD_REASON_OFFSET) return ErrorCode::kPeerAlert;
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return ErrorCode::kPlaintext;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_INAPPROPRIATE_FALLBACK:
      return ErrorCode::kUnsupportedVersion;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUP:
    case SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS:
      return ErrorCode::kNoSharedCipher;
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return ErrorCode::kNoApplicationProtocol;
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
    case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
    case SSL_R_DATA_LENGTH_TOO_LONG:
      return ErrorCode::kBadRecord;
    case SSL_R_NO_RENEGOTIATION:
      return ErrorCode::kRenegotiation;
    case ERR_R_MALLOC_FAILURE:
      return ErrorCode::kOutOfMemory;
    case ERR_R_INTERNAL_ERROR:
      return ErrorCode::kInternal;
    default:
      return ErrorCode::kProtocol;
  }
}

}  // namespace

std::string_view ErrorCodeText(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNone:
      return "no error";
    case ErrorCode::kPlaintext:
      return "plaintext on a TLS port";
    case ErrorCode::kNotTls:
      return "not TLS";
    case ErrorCode::kUnsupportedVersion:
      return "unsupported TLS version";
    case ErrorCode::kNoSharedCipher:
      return "no shared cipher";
    case ErrorCode::kNoApplicationProtocol:
      return "no shared application protocol";
    case ErrorCode::kBadRecord:
      return "bad record";
    case ErrorCode::kRenegotiation:
      return "renegotiation refused";
    case ErrorCode::kProtocol:
      return "TLS protocol violation";
    case ErrorCode::kPeerAlert:
      return "alert from the peer";
    case ErrorCode::kEofInHandshake:
      return "connection ended in the handshake";
    case ErrorCode::kTruncated:
      return "connection ended without close_notify";
    case ErrorCode::kOutOfMemory:
      return "out of memory";
    case ErrorCode::kInternal:
      return "internal TLS error";
  }
  return "unknown error";
}

// Not SSL_alert_desc_string_long: it spells some names differently from the RFC.
std::string_view AlertText(uint8_t alert) {
  switch (alert) {
    case 0:
      return "close_notify";
    case 10:
      return "unexpected_message";
    case 20:
      return "bad_record_mac";
    case 22:
      return "record_overflow";
    case 40:
      return "handshake_failure";
    case 42:
      return "bad_certificate";
    case 43:
      return "unsupported_certificate";
    case 44:
      return "certificate_revoked";
    case 45:
      return "certificate_expired";
    case 46:
      return "certificate_unknown";
    case 47:
      return "illegal_parameter";
    case 48:
      return "unknown_ca";
    case 49:
      return "access_denied";
    case 50:
      return "decode_error";
    case 51:
      return "decrypt_error";
    case 70:
      return "protocol_version";
    case 71:
      return "insufficient_security";
    case 80:
      return "internal_error";
    case 86:
      return "inappropriate_fallback";
    case 90:
      return "user_canceled";
    case 100:
      return "no_renegotiation";
    case 109:
      return "missing_extension";
    case 110:
      return "unsupported_extension";
    case 112:
      return "unrecognized_name";
    case 113:
      return "bad_certificate_status_response";
    case 115:
      return "unknown_psk_identity";
    case 116:
      return "certificate_required";
    case 120:
      return "no_application_protocol";
    default:
      return "unknown alert";
  }
}

std::string Error::ToString() const {
  std::string text(ErrorCodeText(code));
  std::string details;
  const auto add = [&details](std::string_view detail) {
    absl::StrAppend(&details, details.empty() ? "" : "; ", detail);
  };
  if (library_code != 0 && code != ErrorCode::kPeerAlert) {
    const char* reason = ERR_reason_error_string(library_code);
    add(reason != nullptr ? reason : absl::StrCat("error ", library_code));
  }
  if (alert_received != 0) {
    add(absl::StrCat("received alert ", alert_received, " ", AlertText(alert_received)));
  }
  if (alert_sent != 0) add(absl::StrCat("sent alert ", alert_sent, " ", AlertText(alert_sent)));
  if (!details.empty()) absl::StrAppend(&text, " (", details, ")");
  return text;
}

Error TakeLibraryError() {
  // Of the oldest entry of the TLS layer: what the crypto layer noted below it is less telling
  // ("bad decrypt"), and what was added above it is less specific ("parsing extensions failed").
  uint32_t packed = 0;
  while (const uint32_t entry = ERR_get_error()) {
    const bool better = ERR_GET_LIB(entry) == ERR_LIB_SSL && ERR_GET_LIB(packed) != ERR_LIB_SSL;
    if (packed == 0 || better) packed = entry;
  }
  Error error{.code = ErrorCode::kInternal, .library_code = packed};
  if (packed == 0) return error;
  const int reason = ERR_GET_REASON(packed);
  if (reason == ERR_R_MALLOC_FAILURE) {
    error.code = ErrorCode::kOutOfMemory;
  } else if (ERR_GET_LIB(packed) == ERR_LIB_SSL) {
    error.code = CodeOfSslReason(reason);
    if (error.code == ErrorCode::kPeerAlert) {
      error.alert_received = static_cast<uint8_t>(reason - SSL_AD_REASON_OFFSET);
    }
  } else {
    // The crypto half of the library looks at keys and signatures that the peer sent.
    error.code = ErrorCode::kProtocol;
  }
  return error;
}

}  // namespace edge::tls
