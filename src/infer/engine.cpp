#include "infer/engine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/text.h"
#include "models/digest.h"

namespace image_engine::infer {
namespace {

using nlohmann::json;

constexpr std::string_view kSchema = "image-engine/engine/";
constexpr int kVersion = 1;

std::string dimensions_text(const EngineIdentity& identity) {
  std::vector<std::string> parts;
  for (const auto& [name, size] : identity.dimensions) parts.push_back(fmt::format("{}={}", name, size));
  std::ranges::sort(parts);
  return fmt::format("{}", fmt::join(parts, " "));
}

// One row per part of the identity; `what` completes "it was built for …" where the value alone is unclear.
struct PartRow {
  std::string_view what;
  std::string (*text)(const EngineIdentity&);
};
constexpr PartRow kParts[] = {
    {"the model with the checksum ", [](const EngineIdentity& id) { return id.model_sha256; }},
    {"sides fixed at ", dimensions_text},
    {"precision ", [](const EngineIdentity& id) { return id.precision; }},
    {"batches ",
     [](const EngineIdentity& id) {
       return fmt::format("{} to {}, best {}", id.least_batch, id.most_batch, id.best_batch);
     }},
    {"a workspace of ", [](const EngineIdentity& id) { return fmt::format("{} bytes", id.workspace_bytes); }},
    {"", [](const EngineIdentity& id) { return id.gpu; }},
    {"compute capability ", [](const EngineIdentity& id) { return id.compute_capability; }},
    {"driver ", [](const EngineIdentity& id) { return id.driver; }},
    {"CUDA ", [](const EngineIdentity& id) { return id.cuda; }},
    {"TensorRT ", [](const EngineIdentity& id) { return id.tensorrt; }},
    {"ONNX Runtime ", [](const EngineIdentity& id) { return id.runtime; }}};

struct ElementRow {
  ElementType type;
  std::string_view name;
};
constexpr ElementRow kElements[] = {{ElementType::kFloat32, "float32"}, {ElementType::kFloat16, "float16"},
                                    {ElementType::kInt64, "int64"},     {ElementType::kInt32, "int32"},
                                    {ElementType::kUint8, "uint8"},     {ElementType::kBool, "bool"}};

json tensors_json(const std::vector<TensorInfo>& infos) {
  json list = json::array();
  for (const TensorInfo& info : infos)
    list.push_back({{"name", to_utf8(info.name)},
                    {"type", std::ranges::find(kElements, info.type, &ElementRow::type)->name},
                    {"shape", info.shape}});
  return list;
}

// Throws nlohmann's exceptions, and Error for an unknown type.
std::vector<TensorInfo> tensors_of(const json& list) {
  std::vector<TensorInfo> infos;
  for (const json& one : list) {
    const auto* element = std::ranges::find(kElements, one.at("type").get<std::string>(), &ElementRow::name);
    if (element == std::end(kElements)) throw json::other_error::create(0, "no such type", &one);
    infos.push_back({one.at("name"), element->type, one.at("shape")});
  }
  return infos;
}

EngineRecord record_of(const json& all) {
  EngineRecord record;
  EngineIdentity& id = record.identity;
  id.model_sha256 = all.at("model").at("sha256");
  for (const auto& [name, size] : all.at("model").at("dimensions").items()) id.dimensions.emplace_back(name, size);
  id.precision = all.at("precision");
  const json &batch = all.at("batch"), &engine = all.at("engine");
  id.least_batch = batch.at("least");
  id.best_batch = batch.at("best");
  id.most_batch = batch.at("most");
  id.workspace_bytes = all.at("workspace_bytes");
  id.gpu = all.at("gpu").at("name");
  id.compute_capability = all.at("gpu").at("compute_capability");
  const json& versions = all.at("versions");
  id.driver = versions.at("driver");
  id.cuda = versions.at("cuda");
  id.tensorrt = versions.at("tensorrt");
  id.runtime = versions.at("onnxruntime");
  record.inputs = tensors_of(all.at("inputs"));
  record.outputs = tensors_of(all.at("outputs"));
  record.layer_precisions = all.at("layer_precisions");
  record.build_seconds = all.at("build_seconds");
  record.engine_bytes = engine.at("bytes");
  record.engine_sha256 = engine.at("sha256");
  if (const json& bytes = engine.at("device_bytes"); !bytes.is_null()) record.device_bytes = bytes;
  return record;
}

Error corrupt(const std::string& file) {
  return {ErrorCode::kCorrupt, fmt::format("{} was not written by image-engine", printable(file))};
}

}  // namespace

std::string engine_key(const EngineIdentity& identity) {
  std::string text;
  for (const PartRow& part : kParts) text += part.text(identity) + "\n";
  return hash128(text).hex();
}

std::string sidecar_of(const std::string& engine) { return engine + ".json"; }
std::string loader_of(const std::string& engine) { return engine + ".onnx"; }

std::string engine_record_text(const EngineRecord& record) {
  const EngineIdentity& id = record.identity;
  json dimensions = json::object();
  for (const auto& [name, size] : id.dimensions) dimensions[to_utf8(name)] = size;
  const nlohmann::ordered_json all = {
      {"schema", fmt::format("{}{}", kSchema, kVersion)},
      {"engine",
       {{"bytes", record.engine_bytes},
        {"sha256", record.engine_sha256},
        {"device_bytes", record.device_bytes ? json(*record.device_bytes) : json()}}},
      {"model", {{"sha256", id.model_sha256}, {"dimensions", dimensions}}},
      {"precision", id.precision},
      {"batch", {{"least", id.least_batch}, {"best", id.best_batch}, {"most", id.most_batch}}},
      {"workspace_bytes", id.workspace_bytes},
      {"gpu", {{"name", to_utf8(id.gpu)}, {"compute_capability", id.compute_capability}}},
      {"versions", {{"driver", id.driver}, {"cuda", id.cuda}, {"tensorrt", id.tensorrt}, {"onnxruntime", id.runtime}}},
      {"inputs", tensors_json(record.inputs)},
      {"outputs", tensors_json(record.outputs)},
      {"layer_precisions", record.layer_precisions},
      {"build_seconds", record.build_seconds}};
  return json_text(all, 2) + "\n";
}

Result<EngineRecord> read_engine_record(const std::string& engine) {
  const std::string file = sidecar_of(engine);
  const Result<std::string> text = read_file(file, std::size_t{16} << 20);
  if (!text && text.error().code == ErrorCode::kNotFound)
    return fail(ErrorCode::kNotFound,
                fmt::format("{} is missing: the engine's origin is unknown, and it is not used", printable(file)));
  if (!text) return fail(text.error());
  const json all = parse_json(*text);
  if (!all.is_object()) return fail(corrupt(file));
  const auto schema = all.find("schema");
  if (schema == all.end() || !schema->is_string()) return fail(corrupt(file));
  const std::string name = *schema;
  if (!name.starts_with(kSchema)) return fail(corrupt(file));
  if (name != fmt::format("{}{}", kSchema, kVersion))
    return fail(ErrorCode::kNewer, fmt::format("{} is of a later version of this program", printable(file)));
  try {
    return record_of(all);
  } catch (const json::exception&) {
    return fail(corrupt(file));
  }
}

std::optional<std::string> why_stale(const EngineIdentity& built, const EngineIdentity& now) {
  for (const PartRow& part : kParts) {
    const std::string before = part.text(built), here = part.text(now);
    const auto shown = [](const std::string& text) { return text.empty() ? "none" : printable(text.substr(0, 80)); };
    if (before != here)
      return fmt::format("it was built for {0}{1}, and here is {0}{2}", part.what, shown(before), shown(here));
  }
  return std::nullopt;
}

Result<EngineRecord> check_engine(const std::string& engine, const EngineIdentity& now) {
  if (const auto opened = open_regular(engine); !opened)
    return fail(opened.error().code, fmt::format("the engine {}: {}", printable(engine), opened.error().message));
  IE_TRY(EngineRecord record, read_engine_record(engine));
  if (const auto reason = why_stale(record.identity, now))
    return fail(ErrorCode::kUnsupported, fmt::format("the engine {} is not used: {}", printable(engine), *reason));
  struct stat info {};
  if (::stat(engine.c_str(), &info) != 0) return fail(errno_error(printable(engine)));
  if (static_cast<std::uint64_t>(info.st_size) != record.engine_bytes)
    return fail(ErrorCode::kCorrupt, fmt::format("the engine {} has {} bytes, but was written with {}",
                                                 printable(engine), info.st_size, record.engine_bytes));
  IE_TRY(const std::string sum, models::sha256_of(engine));
  if (sum != record.engine_sha256)
    return fail(ErrorCode::kCorrupt, fmt::format("the engine {} has changed since it was written", printable(engine)));
  return record;
}

}  // namespace image_engine::infer
