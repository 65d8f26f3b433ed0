#include "plugins/signature.h"

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "core/text.h"

namespace image_engine::plugins {
namespace {

constexpr std::size_t kNameBytes = 2, kNumberBytes = 8, kKeyBytes = 32, kSignatureBytes = 64;
constexpr std::string_view kTrusted = "trusted comment: ";

struct FreeKey {
  void operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { ::EVP_MD_CTX_free(context); }
};

// The algorithm's name, the key's number, then the key or the signature.
struct Blob {
  std::string name, number, value;
};
std::optional<Blob> read_blob(std::string_view base64, std::size_t bytes) {
  const Result<std::string> decoded = base64_decode(base64);
  if (!decoded || decoded->size() != kNameBytes + kNumberBytes + bytes) return std::nullopt;
  return Blob{decoded->substr(0, kNameBytes), decoded->substr(kNameBytes, kNumberBytes),
              decoded->substr(kNameBytes + kNumberBytes)};
}

const unsigned char* octets(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

bool is_signed(std::string_view message, std::string_view signature, std::string_view key) {
  const std::unique_ptr<EVP_PKEY, FreeKey> parsed(
      ::EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets(key), key.size()));
  const std::unique_ptr<EVP_MD_CTX, FreeContext> context(::EVP_MD_CTX_new());
  return parsed && context && ::EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, parsed.get()) == 1 &&
         ::EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(message), message.size()) == 1;
}

std::string blake2b(std::span<const std::byte> bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (::EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, ::EVP_blake2b512(), nullptr) != 1) return "";
  return {reinterpret_cast<const char*>(digest.data()), size};
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

Status check_signature(std::span<const std::byte> bytes, std::string_view signature, std::string_view public_key) {
  const std::optional<Blob> key = read_blob(public_key, kKeyBytes);
  if (!key || key->name != "Ed")
    return fail(ErrorCode::kInvalidArgument, "plugins.index_key is no public key of minisign (RWQ…)");
  const std::vector<std::string_view> lines = lines_of(signature);
  const bool is_whole = lines.size() >= 4 && lines[2].starts_with(kTrusted);
  const std::optional<Blob> made = is_whole ? read_blob(lines[1], kSignatureBytes) : std::nullopt;
  const Result<std::string> global = is_whole ? base64_decode(lines[3]) : fail(ErrorCode::kCorrupt, "");
  if (!made || !global) return fail(ErrorCode::kPermission, "its signature is none of minisign's");
  if (made->name == "Ed")
    return fail(ErrorCode::kUnsupported,
                "its signature is of minisign's old kind: sign it with minisign 0.10 or newer");
  if (made->name != "ED" || made->number != key->number)
    return fail(ErrorCode::kPermission, "it is signed with another key");
  if (!is_signed(blake2b(bytes), made->value, key->value))
    return fail(ErrorCode::kPermission, "its signature is wrong: it was changed, or is signed by somebody else");
  if (!is_signed(made->value + std::string(lines[2].substr(kTrusted.size())), *global, key->value))
    return fail(ErrorCode::kPermission, "its signature's trusted comment is wrong");
  return {};
}

}  // namespace image_engine::plugins
