#include <nlohmann/json.hpp>

#include "core/hash.h"
#include "core/json.h"
#include "models/spec_file.h"

namespace image_engine::models {
namespace {

using nlohmann::json;

json file_json(const FileSpec& file) {
  json out = {{"name", file.name}};
  if (!file.sha256.empty()) out["sha256"] = file.sha256;
  return out;
}

json files_json(const std::vector<FileSpec>& files) {
  json out = json::array();
  for (const FileSpec& file : files) out.push_back(file_json(file));
  return out;
}

// With all that is needed to fetch it.
json fetched_json(const FileSpec& file) {
  json out = file_json(file);
  if (file.bytes > 0) out["bytes"] = file.bytes;
  if (file.parts.empty()) {
    out["sources"] = json::array();
    for (const Source& source : file.sources) out["sources"].push_back(source.text);
  }
  for (const FileSpec& part : file.parts) {
    json entry = fetched_json(part);
    entry.erase("name");
    out["parts"].push_back(std::move(entry));
  }
  return out;
}

json conversion_json(const Conversion& conversion) {
  return {{"tool", conversion.tool}, {"outputs", files_json(conversion.outputs)}};
}

json input_json(const InputSpec& input) {
  json out = {{"name", input.name},       {"width", input.width},
              {"height", input.height},   {"fit", input.fit},
              {"align", input.align},     {"filter", input.filter},
              {"layout", input.layout},   {"order", input.order},
              {"type", input.type},       {"resize_edge", input.resize_edge},
              {"longest", input.longest}, {"pad", input.pad},
              {"mean", input.mean},       {"deviation", input.deviation}};
  if (input.frames == 0) return out;
  out["frames"] = input.frames;
  if (input.stride_seconds > 0) out["stride_seconds"] = input.stride_seconds;
  if (input.stride_frames > 0) out["stride_frames"] = input.stride_frames;
  return out;
}

json sound_json(const SoundInput& sound) {
  json out = {{"rate", sound.rate},
              {"window_seconds", sound.window_seconds},
              {"hop_seconds", sound.hop_seconds},
              {"row_seconds", sound.row_seconds},
              {"keep", sound.keep}};
  const SoundFeatures& features = sound.features;
  if (features.bands == 0) return out;
  out["features"] = {{"bands", features.bands},         {"frame", features.frame},        {"step", features.step},
                     {"transform", features.transform}, {"lowest", features.lowest},      {"highest", features.highest},
                     {"filters", features.filters},     {"window", features.window},      {"edges", features.edges},
                     {"layout", features.layout},       {"power", features.power},        {"log", features.log},
                     {"offset", features.offset},       {"floor", features.floor},        {"range", features.range},
                     {"mean", features.mean},           {"deviation", features.deviation}};
  return out;
}

json variant_json(const Variant& variant) {
  return {{"precision", variant.precision},
          {"file", variant.file},
          {"gate", {{"cosine", variant.gate.cosine}, {"max_error", variant.gate.max_error}}}};
}

json variants_json(const std::vector<Variant>& variants) {
  json out = json::array();
  for (const Variant& variant : variants) out.push_back(variant_json(variant));
  return out;
}

json text_json(const TextTower& text) {
  return {{"tokenizer", text.tokenizer}, {"vocabulary", text.vocabulary}, {"context", text.context},
          {"fixed", text.fixed},         {"outputs", text.outputs},       {"variants", variants_json(text.variants)}};
}

json parts_json(const std::map<std::string, Part>& parts) {
  json out = json::object();
  for (const auto& [name, part] : parts)
    out[name] = {{"variants", variants_json(part.variants)},
                 {"input", input_json(part.input)},
                 {"outputs", part.outputs},
                 {"options", part.options}};
  return out;
}

std::string text_of(const json& document, int indent) { return json_text(document, indent); }

}  // namespace

json spec_json(const Spec& spec) {
  json out = {{"task", spec.task},
              {"title", spec.title},
              {"version", spec.version},
              {"default", spec.in_default_set},
              {"licence",
               {{"name", spec.licence.name}, {"permissive", spec.licence.permissive}, {"notice", spec.licence.notice}}},
              {"input", input_json(spec.input)},
              {"outputs", spec.outputs},
              {"head", spec.head},
              {"options", spec.head_options},
              {"labels", spec.labels},
              {"preference", spec.preference},
              {"files", json::array()}};
  if (spec.parts.empty())
    out["variants"] = variants_json(spec.variants);
  else
    out["parts"] = parts_json(spec.parts);
  for (const FileSpec& file : spec.files) out["files"].push_back(fetched_json(file));
  if (!spec.aliases.empty()) out["aliases"] = spec.aliases;
  if (!spec.awaits.file.empty()) out["awaits"] = {{"file", spec.awaits.file}, {"from", spec.awaits.from}};
  if (!spec.conversion.tool.empty()) out["convert"] = conversion_json(spec.conversion);
  if (!spec.engine.empty()) out["engine"] = spec.engine;
  if (!spec.server.empty()) out["server"] = spec.server;
  if (spec.sound.rate > 0) out["sound"] = sound_json(spec.sound);
  if (!spec.text.tokenizer.empty()) out["text"] = text_json(spec.text);
  return out;
}

std::string spec_text(const Spec& spec) {
  json document = {{"models", json::object()}};
  document["models"][spec.name] = spec_json(spec);
  return text_of(document, 2) + "\n";
}

json install_json(const Spec& spec) {
  json out = {{"files", files_json(spec.files)}};
  if (!spec.conversion.tool.empty()) out["convert"] = conversion_json(spec.conversion);
  return out;
}

std::string install_hash(const Spec& spec) { return hash128(text_of(install_json(spec), -1)).hex(); }

const std::vector<FileSpec>& installed_files(const Spec& spec) {
  return spec.conversion.tool.empty() ? spec.files : spec.conversion.outputs;
}

}  // namespace image_engine::models
