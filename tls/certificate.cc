#include "tls/certificate.h"

#include <arpa/inet.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "openssl/bio.h"
#include "openssl/bytestring.h"
#include "openssl/ec.h"
#include "openssl/ec_key.h"
#include "openssl/err.h"
#include "openssl/evp.h"
#include "openssl/mem.h"
#include "openssl/nid.h"
#include "openssl/pem.h"
#include "openssl/pool.h"
#include "openssl/rsa.h"
#include "openssl/sha.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"

namespace edge::tls {
namespace {

constexpr int kRsaBitsMin = 2048;
constexpr std::string_view kExpectedChain = "a PEM certificate chain";
constexpr std::string_view kExpectedKey = "a PEM private key without passphrase";

// One file of a pair, for reading it and for complaining about it.
struct SourceFile {
  std::string_view role;  // "certificate" or "key"
  const std::string& path;
  std::string_view expected;

  absl::Status Found(std::string_view what, std::string_view instead_of = {}) const {
    // Nothing of what the library noted on the way matters any more.
    ERR_clear_error();
    return absl::InvalidArgumentError(absl::StrCat("tls ", role, " file ", path, ": found ", what,
                                                   ", expected ",
                                                   instead_of.empty() ? expected : instead_of));
  }
};

// Private keys pass through these strings; they are wiped.
class SecretString {
 public:
  SecretString() = default;
  SecretString(SecretString&& other) noexcept = default;
  SecretString& operator=(SecretString&&) = delete;
  ~SecretString() { OPENSSL_cleanse(text_.data(), text_.size()); }
  std::string& text() { return text_; }

 private:
  std::string text_;
};

absl::StatusOr<SecretString> ReadFile(const SourceFile& source) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(source.path.c_str(), "rbe"), &std::fclose);
  SecretString contents;
  // One allocation, so that growing leaves no copies behind.
  contents.text().resize(kPemFileBytesMax + 1);
  size_t bytes = 0;
  if (file != nullptr) {
    // stdio's own buffer would keep a copy of the key.
    std::setvbuf(file.get(), nullptr, _IONBF, 0);
    bytes = std::fread(contents.text().data(), 1, contents.text().size(), file.get());
  }
  if (file == nullptr || std::ferror(file.get()) != 0) {
    const int error = errno;
    return absl::Status(
        absl::ErrnoToStatusCode(error),
        absl::StrCat("tls ", source.role, " file ", source.path, ": cannot be read (",
                     std::strerror(error), "), expected ", source.expected));
  }
  if (bytes > kPemFileBytesMax) {
    return source.Found(absl::StrCat("more than ", kPemFileBytesMax, " bytes"));
  }
  contents.text().resize(bytes);
  return contents;
}

struct PemBlock {
  std::string label;  // "CERTIFICATE"
  bool encrypted;     // by the old "Proc-Type: 4,ENCRYPTED" header
  bssl::UniquePtr<uint8_t> data;
  size_t bytes;

  CBS der() const {
    CBS cbs;
    CBS_init(&cbs, data.get(), bytes);
    return cbs;
  }
};

absl::StatusOr<std::vector<PemBlock>> ReadPemBlocks(const SourceFile& source) {
  absl::StatusOr<SecretString> contents = ReadFile(source);
  if (!contents.ok()) return contents.status();
  const std::string& text = contents->text();
  if (text.empty()) return source.Found("an empty file");
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (bio == nullptr) return absl::ResourceExhaustedError("out of memory");
  std::vector<PemBlock> blocks;
  while (true) {
    char* label = nullptr;
    char* header = nullptr;
    uint8_t* data = nullptr;
    long bytes = 0;
    if (!PEM_read_bio(bio.get(), &label, &header, &data, &bytes)) break;
    const absl::Cleanup free_strings = [label, header] {
      OPENSSL_free(label);
      OPENSSL_free(header);
    };
    blocks.push_back(PemBlock{.label = label,
                              .encrypted = std::strstr(header, "ENCRYPTED") != nullptr,
                              .data = bssl::UniquePtr<uint8_t>(data),
                              .bytes = static_cast<size_t>(bytes)});
  }
  // The only good end is that no further block begins.
  const uint32_t error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
    return source.Found(absl::StrCat("a damaged PEM block (number ", blocks.size() + 1, ")"));
  }
  ERR_clear_error();
  if (blocks.empty()) {
    // DER begins with a SEQUENCE.
    return source.Found(text[0] == 0x30 ? "what looks like DER, no PEM block" : "no PEM block");
  }
  return blocks;
}

std::string Labels(const std::vector<PemBlock>& blocks) {
  return absl::StrJoin(blocks, ", ", [](std::string* out, const PemBlock& block) {
    absl::StrAppend(out, absl::CHexEscape(block.label));
  });
}

std::string NameText(const X509_NAME* name) {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  // RFC 2253 without its reversal: most significant part first is not how people read it.
  constexpr unsigned long kFlags = XN_FLAG_RFC2253 & ~XN_FLAG_DN_REV;
  const uint8_t* text = nullptr;
  size_t bytes = 0;
  if (bio == nullptr || X509_NAME_print_ex(bio.get(), name, 0, kFlags) < 0 ||
      !BIO_mem_contents(bio.get(), &text, &bytes) || bytes == 0) {
    return "no subject";
  }
  return std::string(reinterpret_cast<const char*>(text), bytes);
}

std::string SubjectText(const X509* certificate) {
  return NameText(X509_get_subject_name(certificate));
}

std::string KeyTypeText(const EVP_PKEY* key) {
  switch (EVP_PKEY_id(key)) {
    case EVP_PKEY_RSA:
      return absl::StrCat("RSA-", EVP_PKEY_bits(key));
    case EVP_PKEY_ED25519:
      return "Ed25519";
    case EVP_PKEY_EC: {
      const int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key)));
      const char* name = EC_curve_nid2nist(curve);
      return name != nullptr ? name : OBJ_nid2sn(curve);
    }
    default:
      return OBJ_nid2sn(EVP_PKEY_id(key));
  }
}

bool KeyTypeAccepted(const EVP_PKEY* key) {
  switch (EVP_PKEY_id(key)) {
    case EVP_PKEY_RSA:
      return EVP_PKEY_bits(key) >= kRsaBitsMin;
    case EVP_PKEY_ED25519:
      return true;
    case EVP_PKEY_EC: {
      const int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key)));
      return curve == NID_X9_62_prime256v1 || curve == NID_secp384r1;
    }
    default:
      return false;
  }
}

// InfinitePast for a date that is not one.
absl::Time TimeOf(const ASN1_TIME* time) {
  int64_t seconds = 0;
  if (!ASN1_TIME_to_posix(time, &seconds)) return absl::InfinitePast();
  return absl::FromUnixSeconds(seconds);
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

absl::Status CheckDates(const SourceFile& source, const X509* certificate, size_t number,
                        absl::Time now) {
  const absl::Time not_before = TimeOf(X509_get0_notBefore(certificate));
  const absl::Time not_after = TimeOf(X509_get0_notAfter(certificate));
  const bool expired = not_after < now;
  if (!expired && not_before <= now) return absl::OkStatus();
  return source.Found(absl::StrCat("certificate ", number, " (", SubjectText(certificate), ") ",
                                   expired ? "that expired at " : "that is not valid before ",
                                   TimeText(expired ? not_after : not_before)),
                      absl::StrCat("one that is valid now, ", TimeText(now)));
}

absl::Status CheckIssued(const SourceFile& source, X509* subject, X509* issuer, size_t number) {
  const std::string by = absl::StrCat("certificate ", number + 1, " (", SubjectText(issuer), ")");
  if (X509_NAME_cmp(X509_get_issuer_name(subject), X509_get_subject_name(issuer)) != 0) {
    return source.Found(
        absl::StrCat("certificate ", number, " (", SubjectText(subject), ") issued by ",
                     NameText(X509_get_issuer_name(subject)), " but followed by ", by),
        "the server's certificate first and then each one's issuer");
  }
  bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(issuer));
  if (key == nullptr || X509_verify(subject, key.get()) != 1) {
    return source.Found(
        absl::StrCat("certificate ", number, " (", SubjectText(subject), ") not signed by ", by),
        "the server's certificate first and then each one's issuer");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<bssl::UniquePtr<X509>>> LoadChain(const SourceFile& source,
                                                             absl::Time now) {
  absl::StatusOr<std::vector<PemBlock>> blocks = ReadPemBlocks(source);
  if (!blocks.ok()) return blocks.status();
  std::vector<bssl::UniquePtr<X509>> chain;
  for (const PemBlock& block : *blocks) {
    // The key may be in the same file.
    if (block.label != "CERTIFICATE") continue;
    const size_t number = chain.size() + 1;
    if (number > kCertificateChainMax) {
      return source.Found(absl::StrCat("more than ", kCertificateChainMax, " certificates"));
    }
    const uint8_t* data = block.data.get();
    bssl::UniquePtr<X509> certificate(d2i_X509(nullptr, &data, static_cast<long>(block.bytes)));
    if (certificate == nullptr || data != block.data.get() + block.bytes) {
      return source.Found(absl::StrCat("certificate ", number, " that is not X.509"));
    }
    absl::Status dates = CheckDates(source, certificate.get(), number, now);
    if (!dates.ok()) return dates;
    if (!chain.empty()) {
      absl::Status issued = CheckIssued(source, chain.back().get(), certificate.get(), number - 1);
      if (!issued.ok()) return issued;
    }
    chain.push_back(std::move(certificate));
  }
  if (chain.empty()) {
    return source.Found(absl::StrCat("no CERTIFICATE but ", Labels(*blocks)));
  }
  return chain;
}

absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> LoadKey(const SourceFile& source) {
  absl::StatusOr<std::vector<PemBlock>> blocks = ReadPemBlocks(source);
  if (!blocks.ok()) return blocks.status();
  const PemBlock* key_block = nullptr;
  for (const PemBlock& block : *blocks) {
    if (!block.label.ends_with("PRIVATE KEY")) continue;
    if (key_block != nullptr) return source.Found("more than one private key");
    key_block = &block;
  }
  if (key_block == nullptr) {
    return source.Found(absl::StrCat("no PRIVATE KEY but ", Labels(*blocks)));
  }
  if (key_block->encrypted || key_block->label == "ENCRYPTED PRIVATE KEY") {
    return source.Found("an encrypted private key");
  }
  CBS der = key_block->der();
  bssl::UniquePtr<EVP_PKEY> key;
  if (key_block->label == "PRIVATE KEY") {
    key.reset(EVP_parse_private_key(&der));
  } else if (key_block->label == "RSA PRIVATE KEY") {
    bssl::UniquePtr<RSA> rsa(RSA_parse_private_key(&der));
    key.reset(EVP_PKEY_new());
    if (rsa == nullptr || !EVP_PKEY_set1_RSA(key.get(), rsa.get())) key.reset();
  } else if (key_block->label == "EC PRIVATE KEY") {
    bssl::UniquePtr<EC_KEY> ec(EC_KEY_parse_private_key(&der, nullptr));
    key.reset(EVP_PKEY_new());
    if (ec == nullptr || !EVP_PKEY_set1_EC_KEY(key.get(), ec.get())) key.reset();
  } else {
    return source.Found(absl::CHexEscape(key_block->label),
                        "PRIVATE KEY, EC PRIVATE KEY or RSA PRIVATE KEY");
  }
  if (key == nullptr || CBS_len(&der) != 0) {
    return source.Found(
        absl::StrCat("a ", absl::CHexEscape(key_block->label), " that cannot be parsed"));
  }
  return key;
}

void AddAlternativeNames(X509* certificate, CertificateInfo& info) {
  bssl::UniquePtr<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (names == nullptr) return;
  for (const GENERAL_NAME* name : names.get()) {
    if (name->type == GEN_DNS) {
      const ASN1_STRING* text = name->d.dNSName;
      const std::string_view dns(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                 static_cast<size_t>(ASN1_STRING_length(text)));
      // Anything else is no host name: it could not be asked for, and would garble a log line.
      const bool plausible =
          !dns.empty() &&
          dns.find_first_not_of(
              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._*") == dns.npos;
      if (plausible) info.dns_names.push_back(absl::AsciiStrToLower(dns));
    } else if (name->type == GEN_IPADD) {
      const ASN1_STRING* address = name->d.iPAddress;
      const int bytes = ASN1_STRING_length(address);
      char text[INET6_ADDRSTRLEN];
      if ((bytes == 4 || bytes == 16) &&
          inet_ntop(bytes == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(address), text,
                    sizeof(text)) != nullptr) {
        info.ip_addresses.emplace_back(text);
      }
    }
  }
}

std::string Sha256Fingerprint(X509* certificate) {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  unsigned bytes = 0;
  if (!X509_digest(certificate, EVP_sha256(), digest, &bytes)) return "unknown";
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), bytes});
}

}  // namespace

CertificateInfo DescribeCertificate(std::span<const bssl::UniquePtr<X509>> chain) {
  X509* certificate = chain[0].get();
  bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(certificate));
  CertificateInfo info{
      .source = {},
      .subject = SubjectText(certificate),
      .dns_names = {},
      .ip_addresses = {},
      .key_type = key != nullptr ? KeyTypeText(key.get()) : "unknown",
      .not_before = TimeOf(X509_get0_notBefore(certificate)),
      .not_after = TimeOf(X509_get0_notAfter(certificate)),
      .sha256_fingerprint = Sha256Fingerprint(certificate),
  };
  AddAlternativeNames(certificate, info);
  for (const bssl::UniquePtr<X509>& member : chain) {
    info.not_after = std::min(info.not_after, TimeOf(X509_get0_notAfter(member.get())));
  }
  ERR_clear_error();
  return info;
}

absl::StatusOr<CertifiedKey> LoadCertifiedKey(const CertificateFiles& files, absl::Time now) {
  const SourceFile chain_file{"certificate", files.certificate_chain_path, kExpectedChain};
  const SourceFile key_file{"key", files.private_key_path, kExpectedKey};

  absl::StatusOr<std::vector<bssl::UniquePtr<X509>>> chain = LoadChain(chain_file, now);
  if (!chain.ok()) return chain.status();
  CertifiedKey result{.chain = {}, .private_key = nullptr, .info = DescribeCertificate(*chain)};
  result.info.source = files.certificate_chain_path;

  bssl::UniquePtr<EVP_PKEY> public_key(X509_get_pubkey(chain->front().get()));
  if (public_key == nullptr || !KeyTypeAccepted(public_key.get())) {
    return chain_file.Found(
        absl::StrCat("certificate 1 (", result.info.subject, ") with a key of type ",
                     result.info.key_type),
        absl::StrCat("RSA of at least ", kRsaBitsMin, " bits, P-256, P-384 or Ed25519"));
  }
  absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> private_key = LoadKey(key_file);
  if (!private_key.ok()) return private_key.status();
  if (EVP_PKEY_cmp(public_key.get(), private_key->get()) != 1) {
    return key_file.Found(
        absl::StrCat("a ", KeyTypeText(private_key->get()), " key that does not match"),
        absl::StrCat("the ", result.info.key_type, " key of certificate 1 (", result.info.subject,
                     ") in ", files.certificate_chain_path));
  }
  result.private_key = *std::move(private_key);
  for (const bssl::UniquePtr<X509>& certificate : *chain) {
    uint8_t* der = nullptr;
    const int bytes = i2d_X509(certificate.get(), &der);
    if (bytes <= 0) return chain_file.Found("a certificate that cannot be encoded");
    bssl::UniquePtr<uint8_t> owned(der);
    result.chain.emplace_back(CRYPTO_BUFFER_new(der, static_cast<size_t>(bytes), nullptr));
    if (result.chain.back() == nullptr) return absl::ResourceExhaustedError("out of memory");
  }
  return result;
}

}  // namespace edge::tls
