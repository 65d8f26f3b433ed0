#include "models/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::models {
namespace {

// The digest's bytes.
Result<std::string> digest_of(const std::string& path, const EVP_MD* kind) {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { ::EVP_MD_CTX_free(context); }
  };
  const Result<UniqueFd> file = open_regular(path);
  if (!file) return fail(file.error().code, printable(path) + ": " + file.error().message);
  const std::unique_ptr<EVP_MD_CTX, Free> context(::EVP_MD_CTX_new());
  if (!context || ::EVP_DigestInit_ex(context.get(), kind, nullptr) != 1)
    return fail(ErrorCode::kInternal, "OpenSSL cannot make checksums");
  std::vector<char> buffer(size_t{1} << 20);
  for (;;) {
    const ssize_t count = ::read(file->get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error("cannot read " + printable(path)));
    if (count == 0) break;
    ::EVP_DigestUpdate(context.get(), buffer.data(), static_cast<size_t>(count));
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  ::EVP_DigestFinal_ex(context.get(), digest, &size);
  return std::string(reinterpret_cast<const char*>(digest), size);
}

}  // namespace

Result<std::string> sha256_of(const std::string& path) {
  IE_TRY(const std::string digest, digest_of(path, ::EVP_sha256()));
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

Status check_integrity(const std::string& path, const std::string& integrity) {
  struct Kind {
    std::string_view prefix;
    const EVP_MD* (*algorithm)();
  };
  constexpr Kind kKinds[] = {{"sha256-", ::EVP_sha256}, {"sha384-", ::EVP_sha384}, {"sha512-", ::EVP_sha512}};
  for (const Kind& kind : kKinds) {
    if (!integrity.starts_with(kind.prefix)) continue;
    IE_TRY(const std::string digest, digest_of(path, kind.algorithm()));
    if (base64_encode(digest) == integrity.substr(kind.prefix.size())) return {};
    return fail(ErrorCode::kCorrupt, fmt::format("it does not have the checksum {} of its registry", integrity));
  }
  return fail(ErrorCode::kUnsupported,
              fmt::format("its registry has a checksum of unknown kind: {}", printable(integrity.substr(0, 100))));
}

}  // namespace image_engine::models
