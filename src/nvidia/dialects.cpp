#include "nvidia/dialects.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/json.h"
#include "core/text.h"
#include "nvidia/nvcf.h"

namespace image_engine::nvidia {
namespace {

using nlohmann::json;

constexpr double kLeastThreshold = 0.1;  // limit of NVIDIA's retail detection

// How a picture is written in a body.
enum class Form : std::uint8_t {
  kBase64,
  kDataUri,         // "data:image/jpeg;base64,…"
  kAddress,         // kDataUri, or the picture's URL
  kAsset,           // the number of an asset
  kDataUriOrAsset,  // "data:image/jpeg;asset_id,…" for pictures too large for kDataUri
};

json inline_detect(const Endpoint&, const Question& question, const std::string& picture) {
  return {{"image", picture}, {"confidence_threshold", question.threshold}};
}
json nvcf_detect(const Endpoint&, const Question& question, const std::string& picture) {
  return {{"input_video", picture}, {"threshold", std::max(question.threshold, kLeastThreshold)}};
}
json inline_describe(const Endpoint&, const Question& question, const std::string& picture) {
  return {{"image", picture},
          {"prompt", question.prompt},
          {"max_tokens", question.max_tokens},
          {"temperature", question.temperature}};
}
json chat(const Question& question, json content) {
  return {{"messages", {{{"role", "user"}, {"content", std::move(content)}}}},
          {"max_tokens", question.max_tokens},
          {"temperature", question.temperature},
          {"stream", false}};
}
json nvcf_describe(const Endpoint&, const Question& question, const std::string& picture) {
  return chat(question, fmt::format("{} <img src=\"{}\" />", question.prompt, picture));
}
json openai_describe(const Endpoint& endpoint, const Question& question, const std::string& picture) {
  json body = chat(question, {{{"type", "image_url"}, {"image_url", {{"url", picture}}}},
                              {{"type", "text"}, {"text", question.prompt}}});
  body["model"] = endpoint.model;
  return body;
}
json openai_embed(const Endpoint& endpoint, const Question& question, const std::string& picture) {
  const json input = question.picture != nullptr ? json::array({picture}) : json(question.texts);
  return {{"input", input}, {"model", endpoint.model}, {"encoding_format", "float"}};
}
json nim_embed(const Endpoint&, const Question& question, const std::string& picture) {
  return question.picture != nullptr ? json{{"image", picture}} : json{{"text", question.texts.front()}};
}
json prompts_embed(const Endpoint&, const Question& question, const std::string& picture) {
  return question.picture != nullptr ? json{{"image_url", picture}} : json{{"text_prompts", question.texts}};
}

struct Row {
  Task task;
  Dialect dialect;
  Form form;
  std::size_t most_texts;
  json (*write)(const Endpoint& endpoint, const Question& question, const std::string& picture);
};
constexpr Row kRows[] = {
    {Task::kDetect, Dialect::kInline, Form::kBase64, 0, inline_detect},
    {Task::kDetect, Dialect::kNvcf, Form::kAsset, 0, nvcf_detect},
    {Task::kDescribe, Dialect::kInline, Form::kBase64, 0, inline_describe},
    {Task::kDescribe, Dialect::kNvcf, Form::kDataUriOrAsset, 0, nvcf_describe},
    {Task::kDescribe, Dialect::kOpenAi, Form::kAddress, 0, openai_describe},
    {Task::kEmbed, Dialect::kOpenAi, Form::kDataUri, 64, openai_embed},
    {Task::kEmbed, Dialect::kNim, Form::kBase64, 1, nim_embed},
    {Task::kEmbed, Dialect::kPrompts, Form::kAddress, 64, prompts_embed},
};

const Row* row_of(const Endpoint& endpoint) {
  const auto* row = std::ranges::find_if(
      kRows, [&](const Row& each) { return each.task == endpoint.task && each.dialect == endpoint.dialect; });
  return row == std::end(kRows) ? nullptr : row;
}

// A picture as written in the body, and its uploads.
struct Written {
  std::string text;
  std::optional<Asset> asset;
};

Result<Written> write(const Endpoint& endpoint, const Question& question, Form form, const Transport& transport) {
  if (question.picture == nullptr) return Written{};
  const Picture& picture = *question.picture;
  if (!picture.url.empty()) {
    if (form != Form::kAddress)
      return fail(ErrorCode::kUnsupported, endpoint.name + " takes pictures, not URLs: give a file");
    return Written{picture.url, {}};
  }
  const bool as_video = form == Form::kAsset && !picture.mp4.empty();
  const std::string& bytes = as_video ? picture.mp4 : picture.jpeg;
  if (bytes.empty()) return fail(ErrorCode::kInvalidArgument, endpoint.name + ": no picture was given");
  if (bytes.size() > endpoint.most_bytes)
    return fail(ErrorCode::kTooLarge,
                fmt::format("{}: the picture has {}, more than the {} that it takes", endpoint.name,
                            human_bytes(bytes.size()), human_bytes(endpoint.most_bytes)));
  if (form == Form::kAsset || (form == Form::kDataUriOrAsset && bytes.size() > kInlineBytes)) {
    IE_TRY(Asset asset, Asset::upload(endpoint, transport, bytes, as_video ? "video/mp4" : "image/jpeg", picture.path));
    std::string text = (form == Form::kAsset ? "" : "data:image/jpeg;asset_id,") + asset.id();
    return Written{std::move(text), std::move(asset)};
  }
  return Written{(form == Form::kBase64 ? "" : "data:image/jpeg;base64,") + base64_encode(bytes), {}};
}

}  // namespace

Result<std::string> ask(const Endpoint& endpoint, const Question& question, const Transport& transport,
                        const Reads& reads) {
  const Row* row = row_of(endpoint);
  const bool has_picture = question.picture != nullptr, has_texts = !question.texts.empty();
  if (row == nullptr || has_picture == has_texts || question.texts.size() > row->most_texts)
    return fail(ErrorCode::kInternal, endpoint.name + " does not support such requests");
  IE_TRY(const Written written, write(endpoint, question, row->form, transport));
  Request request;
  request.endpoint = endpoint.name;
  request.about = has_picture ? question.picture->path : "";
  request.url = endpoint.url;
  request.headers = {{"content-type", "application/json"}, {"accept", "application/json, application/zip"}};
  if (endpoint.dialect == Dialect::kNvcf) request.headers.push_back(patience(transport.timeout));
  if (written.asset) request.headers.emplace_back("nvcf-input-asset-references", written.asset->id());
  request.body = json_text(row->write(endpoint, question, written.text));
  IE_TRY(Reply first, transport.send(request));
  IE_TRY(const Reply reply, settled(endpoint, transport, std::move(first), request.about));
  Result<std::string> body = unpacked(reply, reads);
  if (body) return body;
  const Error& error = body.error();
  return fail(error.code, fmt::format("{}: HTTP {}, but the answer is invalid: {}", endpoint.name, reply.status,
                                      printable(error.message)));
}

std::size_t most_texts(const Endpoint& endpoint) {
  const Row* row = row_of(endpoint);
  return row != nullptr ? row->most_texts : 0;
}

int requests_each(const Endpoint& endpoint) { return endpoint.dialect == Dialect::kNvcf ? 3 : 1; }

}  // namespace image_engine::nvidia
