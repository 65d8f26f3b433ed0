// Signatures of files as minisign writes them: Ed25519 (RFC 8032), by OpenSSL.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "core/result.h"

namespace image_engine::plugins {

// Checks the content of a .minisig file of `bytes` against a public key in base64 ("RWQ…", as `minisign -G` prints it).
// The format: jedisct1.github.io/minisign, "Signature format"; only prehashed signatures ("ED"), which minisign has
// made by default since 0.10. kInvalidArgument: no public key. kPermission: not signed with this key, of other bytes,
// or with another trusted comment; kUnsupported: not prehashed.
Status check_signature(std::span<const std::byte> bytes, std::string_view signature, std::string_view public_key);

}  // namespace image_engine::plugins
