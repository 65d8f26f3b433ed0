// Where each kind of question goes, and in which dialect.
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
  kNvcf,     // NVIDIA Cloud Functions: assets for what is large, answers that are waited for
  kOpenAi,   // chat/completions and embeddings
  kNim,      // {image, text} to a NIM's /embed
  kPrompts,  // {image_url, text_prompts}
};
std::string_view dialect_name(Dialect dialect);  // "inline", …

// What one request may have before base64 where pictures are part of it, with room for the rest: NVIDIA's samples send
// less than 180,000 characters so, and more as an asset.
constexpr std::uint64_t kInlineBytes = (180'000 - 4'096) / 4 * 3;

struct Endpoint {
  Task task{};
  std::string name;  // for people, keys and logs: the address below its origin, "cv/nvidia/retail-object-detection"
  std::string url;   // whole
  Dialect dialect{};
  std::string model;       // as the server calls it; empty where the address says it
  std::string assets_url;  // of kNvcf: where pictures are uploaded to
  std::string status_url;  // where an answer that is not ready is asked for, but for the number of the request
  // What one picture in a request may have as a JPEG: docs/nvidia.md says where these come from.
  std::uint64_t most_bytes = 0;  // before base64
  std::uint32_t edge = 0;        // the longer edge that is worth sending, pixels
  bool local = false;            // on this machine: needs no key
};

// kInvalidArgument names the key of the configuration that is wrong, kPermission an address that is not encrypted.
// An address of the configuration is whole, or below base_url; `?` and `#` are refused: what is appended would land
// behind them. An empty one is: inline, nvcf: `vlm/<model>`; openai:
// `chat/completions`, `embeddings`; nim: `embed`; prompts: `nim/nvclip/embed`. For openai, the default base_url stands
// for https://integrate.api.nvidia.com/v1, and a base_url without a path for its /v1.
Result<Endpoint> endpoint_of(const NvidiaBuildConfig& config, Task task);

// Whether an address is on this machine, by its name.
bool is_local(const std::string& url);

}  // namespace image_engine::nvidia
