// The URL and dialect of each kind of request.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/config.h"
#include "core/result.h"

namespace image_engine::nvidia {

enum class Task : std::uint8_t { kDetect, kDescribe, kEmbed };

enum class Dialect : std::uint8_t {
  kInline,   // {image: base64, …} and the answer in one exchange
  kNvcf,     // NVIDIA Cloud Functions: uploads for large pictures, polling for answers
  kOpenAi,   // chat/completions and embeddings
  kNim,      // {image, text} to a NIM's /embed
  kPrompts,  // {image_url, text_prompts}
};
std::string_view dialect_name(Dialect dialect);  // "inline", …

// Most picture bytes before base64 in an inline request, with room for the rest: NVIDIA's samples send less than
// 180,000 characters inline, and more as an asset.
constexpr std::uint64_t kInlineBytes = (180'000 - 4'096) / 4 * 3;

struct Endpoint {
  Task task{};
  std::string name;  // for people, keys and logs: the URL's path, "cv/nvidia/retail-object-detection"
  std::string url;   // whole
  Dialect dialect{};
  std::string model;       // the server's name of it; empty if the URL contains it
  std::string assets_url;  // for kNvcf: where pictures are uploaded
  std::string status_url;  // for polling, without the request's number
  // Limits of a JPEG in a request: docs/nvidia.md has their sources.
  std::uint64_t most_bytes = 0;  // before base64
  std::uint32_t edge = 0;        // the longer edge that is worth sending, pixels
  bool local = false;            // on this machine: needs no key
};

// kInvalidArgument names the invalid configuration key, kPermission an unencrypted URL. A configured URL is complete,
// or relative to base_url; `?` and `#` are refused, since paths are appended. An empty one is: inline, nvcf:
// `vlm/<model>`; openai: `chat/completions`, `embeddings`; nim: `embed`; prompts: `nim/nvclip/embed`. For openai, the
// default base_url means https://integrate.api.nvidia.com/v1, and a base_url without a path gets /v1.
Result<Endpoint> endpoint_of(const NvidiaBuildConfig& config, Task task);

// Whether a URL is on this machine, by its host name.
bool is_local(const std::string& url);

}  // namespace image_engine::nvidia
