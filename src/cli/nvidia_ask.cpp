// `nvidia describe` and `nvidia detect`: one request about one picture.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/nvidia.h"
#include "cli/output.h"
#include "core/file.h"
#include "core/text.h"
#include "models/http_exchange.h"
#include "nvidia/cloud_models.h"
#include "pipeline/cloud_ask.h"
#include "store/asset_json.h"

namespace image_engine::cli {
namespace {

using nlohmann::json;
using nvidia::CloudModels;
using nvidia::Task;

constexpr char kDescribeExamples[] = R"(
Examples:
  image-engine nvidia describe IMG_0042.jpg
  image-engine nvidia describe IMG_0042.jpg --prompt 'What is written on the sign?' --json
  image-engine nvidia describe https://example.org/photo.jpg

The picture is sent small and without its metadata, even if nvidia_build.enabled is false; pictures that
nvidia_build.privacy holds back are not sent. A URL (https) is only sent if the endpoint takes one: dialect openai.)";

constexpr char kDetectExamples[] = R"(
Examples:
  image-engine nvidia detect shelf.jpg
  image-engine nvidia detect shelf.jpg --confidence-threshold 0.5 --json

The picture is sent small and without its metadata, even if nvidia_build.enabled is false; pictures that
nvidia_build.privacy holds back are not sent. Boxes are x, y, width, height in pixels of the upright picture.)";

struct NvidiaAskFlags {
  std::string file, env_file, prompt, threshold;
};

bool is_address(const std::string& text) { return text.find("://") != std::string::npos; }

// A picture given by its URL is not sent by us: NVIDIA's server fetches it.
Result<nvidia::Picture> picture_at(const std::string& url) {
  const std::string name = models::without_secrets(url);
  if (!url.starts_with("https://"))
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: URLs must begin with https://", printable(name)));
  IE_CHECK(models::origin_of(url));
  nvidia::Picture picture;
  picture.url = url;
  picture.path = name;
  return picture;
}

// The models, and the picture prepared for the one of `task`.
struct Asked {
  std::unique_ptr<CloudModels> models;
  nvidia::Picture picture;
};

Result<Asked> make_ready(const Context& context, const NvidiaAskFlags& flags, Task task) {
  IE_CHECK(catch_interrupts());
  const Config& config = context.config;
  Asked asked;
  // Before any thread or worker starts: nvidia/api_key.h.
  IE_TRY(asked.models, CloudModels::open(config.nvidia_build, {.key_files = pipeline::key_files(
                                                                   context.catalogue, flags.env_file, {flags.file}),
                                                               .tasks = {task},
                                                               .stop = interruption()}));
  if (is_address(flags.file)) {
    IE_TRY(asked.picture, picture_at(flags.file));
  } else {
    IE_TRY(pipeline::PickedPhotos photos, pipeline::PickedPhotos::open(config, context.catalogue));
    IE_TRY(asked.picture, photos.show(absolute_path(flags.file), asked.models->endpoint(task)));
  }
  return asked;
}

// Printed by both commands: the picture, the endpoint and the cost.
json about(const Asked& asked, Task task, bool paid) {
  const nvidia::Endpoint& endpoint = asked.models->endpoint(task);
  const nvidia::Usage usage = asked.models->client().usage();
  json out = {{"endpoint", endpoint.name},
              {"dialect", nvidia::dialect_name(endpoint.dialect)},
              {"model", endpoint.model.empty() ? endpoint.name : endpoint.model},
              {"from_cache", !paid},
              {"requests", usage.requests},
              {"sent_bytes", usage.sent_bytes}};
  if (asked.picture.url.empty())
    store::put_path(out, asked.picture.path);
  else
    out["url"] = to_utf8(asked.picture.path);
  return out;
}

// A server that rejects the request is not a usage error.
Error refusal(Error error) {
  if (error.code == ErrorCode::kInvalidArgument) error.code = ErrorCode::kUnsupported;
  return error;
}

// The journal need not keep a printed answer, unless it had it before, waiting for a catalogue.
template <typename T>
void delivered(const Context& context, const Asked& asked, const nvidia::Answered<T>& answered) {
  const bool shown = std::fflush(stdout) == 0;
  if (answered.paid && shown) asked.models->kept(answered.question);
  if (!answered.paid && !context.quiet) std::fputs("from the cache\n", stderr);
}

Result<int> describe(const Context& context, const NvidiaAskFlags& flags) {
  IE_TRY(const Asked asked, make_ready(context, flags, Task::kDescribe));
  const auto answered = asked.models->describe(asked.picture, flags.prompt);
  if (!answered) return fail(refusal(answered.error()));
  const std::string& text = answered->answer.text;
  if (context.json) {
    json out = about(asked, Task::kDescribe, answered->paid);
    out["prompt"] = flags.prompt.empty() ? context.config.nvidia_build.vision_language.photo_prompt : flags.prompt;
    out["text"] = text;
    print_json("nvidia-describe", out);
  } else {
    print_line(printable(text));
  }
  delivered(context, asked, *answered);
  return kDone;
}

Result<int> detect(const Context& context, const NvidiaAskFlags& flags) {
  IE_TRY(const Asked asked, make_ready(context, flags, Task::kDetect));
  const auto answered = asked.models->detect(asked.picture);
  if (!answered) return fail(refusal(answered.error()));
  const nvidia::RetailProducts& products = answered->answer;
  if (context.json) {
    json out = about(asked, Task::kDetect, answered->paid);
    out["width"] = asked.picture.scale.full_width;
    out["height"] = asked.picture.scale.full_height;
    out["confidence_threshold"] = context.config.nvidia_build.retail_detection.confidence_threshold;
    out["retail_products"] = nvidia::products_json(products);
    print_json("nvidia-detect", out);
  } else if (products.detections.empty()) {
    print_line("no products");
  } else {
    std::vector<std::vector<std::string>> rows = {{"class", "confidence", "x", "y", "width", "height"}};
    for (const nvidia::Product& product : products.detections) {
      rows.push_back({printable(product.name), fmt::format("{:.2f}", product.confidence)});
      for (const float side : {product.box.x, product.box.y, product.box.width, product.box.height})
        rows.back().push_back(fmt::format("{:.0f}", side));
    }
    print_table(rows, {1, 2, 3, 4, 5});
  }
  delivered(context, asked, *answered);
  return kDone;
}

void add_common(Arguments app, NvidiaAskFlags& flags, const char* what) {
  app.add_option("FILE", flags.file, what).required();
  app.add_option("--env-file", flags.env_file, "A file with the line NVIDIA_API_KEY=…").type_name("FILE");
}

}  // namespace

Action setup_nvidia_describe(Arguments app) {
  auto flags = std::make_shared<NvidiaAskFlags>();
  add_common(app, *flags, "A photo; it need not be in the catalogue. Or its URL, https://…");
  app.add_option("--prompt", flags->prompt, "The prompt; without it nvidia_build.vision_language.photo_prompt")
      .type_name("TEXT");
  app.footer(kDescribeExamples);
  return [flags](Context& context) { return describe(context, *flags); };
}

Action setup_nvidia_detect(Arguments app, Settings& settings) {
  auto flags = std::make_shared<NvidiaAskFlags>();
  add_common(app, *flags, "A photo; it need not be in the catalogue");
  app.add_option("--confidence-threshold", flags->threshold, "Least confidence, 0…1").type_name("X");
  app.footer(kDetectExamples);
  app.once_parsed([flags, &settings] {
    if (!flags->threshold.empty())
      settings.push_back({"nvidia_build.retail_detection.confidence_threshold", flags->threshold});
  });
  return [flags](Context& context) { return detect(context, *flags); };
}

}  // namespace image_engine::cli
