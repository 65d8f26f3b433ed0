#include "infer/precision_memory.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/cpu.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "models/provenance.h"

namespace image_engine::infer {
namespace {

using nlohmann::json;

// The first CPU's model and abilities: a virtual machine may hide some of a model's.
std::string cpu_text() {
  std::ifstream file("/proc/cpuinfo");
  std::string line, text;
  while (std::getline(file, line) && !line.empty())
    for (const char* wanted : {"model name", "flags", "CPU implementer", "CPU part", "Features"})
      if (line.starts_with(wanted)) text += line + "\n";
  return text;
}

json read_entries(const std::string& file) {
  const Result<std::string> text = read_file(file);
  json entries = text ? parse_json(*text) : json();
  return entries.is_object() ? entries : json::object();
}

std::string text_in(const json& entry, const char* name) {
  const auto member = entry.find(name);
  return member != entry.end() && member->is_string() ? member->get<std::string>() : std::string();
}

std::int64_t whole_in(const json& entry, const char* name) {
  const auto member = entry.find(name);
  return member != entry.end() && member->is_number_integer() ? member->get<std::int64_t>() : 0;
}

double number_in(const json& entry, const char* name) {
  const auto member = entry.find(name);
  return member != entry.end() && member->is_number() ? member->get<double>() : 0;
}

GpuSettings settings_in(const json& entry) {
  const auto is_set = [&](const char* name) { return whole_in(entry, name) != 0; };
  return {.batch = whole_in(entry, "batch"),
          .rows = text_in(entry, "rows"),
          .nhwc = is_set("nhwc"),
          .fuse_convolutions = is_set("fuse_convolutions"),
          .cuda_graph = is_set("cuda_graph"),
          .search_convolutions = is_set("search_convolutions"),
          .own_operators = is_set("own_operators")};
}

void add(const GpuSettings& settings, json& entry) {
  entry.update({{"batch", settings.batch},
                {"rows", settings.rows},
                {"nhwc", int{settings.nhwc}},
                {"fuse_convolutions", int{settings.fuse_convolutions}},
                {"cuda_graph", int{settings.cuda_graph}},
                {"search_convolutions", int{settings.search_convolutions}},
                {"own_operators", int{settings.own_operators}}});
}

// None where it says neither a time nor an error that lasts.
std::optional<Tried> tried_in(const json& entry) {
  if (!entry.is_object()) return std::nullopt;
  Tried one{text_in(entry, "precision"), settings_in(entry), number_in(entry, "seconds"), number_in(entry, "cosine"),
            std::nullopt};
  if (const std::string error = text_in(entry, "error"); !error.empty())
    one.error = Error{error_code_from_name(error), text_in(entry, "reason")};
  const bool is_known = one.error ? one.error->code != ErrorCode::kInterrupted : one.seconds > 0;
  return is_known ? std::optional(std::move(one)) : std::nullopt;
}

json json_of(const Tried& one) {
  json entry = {{"precision", one.precision}};
  add(one.settings, entry);
  if (one.error)
    entry.update({{"error", error_name(one.error->code)}, {"reason", one.error->message}});
  else
    entry.update({{"seconds", one.seconds}, {"cosine", one.cosine}});
  return entry;
}

}  // namespace

std::string precision_key(const models::Spec& spec, const models::Store& store, const SessionOptions& options,
                          const std::string& runtime) {
  std::string text = fmt::format("{}\n{}\n{}", cpu_text(), runtime, options.threads);
  if (!cpu_has_vnni()) text += "\nu8u8";  // session.x64quantprecision: other numbers and times than without it
  for (const auto& [name, size] : options.fixed_dimensions) text += fmt::format("\n{}={}", name, size);
  for (const models::Variant& v : spec.variants)
    text += fmt::format("\n{} {} {} {}", v.precision, v.file, v.gate.cosine, v.gate.max_error);
  if (const auto provenance = models::read_provenance(store.folder(spec)))
    for (const models::InstalledFile& file : provenance->files) text += fmt::format("\n{} {}", file.name, file.sha256);
  return hash128(text).hex();
}

PrecisionMemory::PrecisionMemory(const std::string& folder)
    : folder_(folder), file_(join_path(folder, "precisions.json")) {}

std::optional<Remembered> PrecisionMemory::find(const std::string& key) const {
  const json entries = read_entries(file_);
  const auto entry = entries.find(key);
  if (entry == entries.end() || !entry->is_object()) return std::nullopt;
  Remembered found{text_in(*entry, "precision"), text_in(*entry, "reason"), settings_in(*entry), {}};
  const auto tried = entry->find("tried");
  if (tried == entry->end()) return found;
  for (const json& each : *tried)
    if (auto one = tried_in(each)) found.tried.push_back(std::move(*one));
  if (found.tried.empty()) return std::nullopt;  // damaged: none would mean that all were tried
  return found;
}

Status PrecisionMemory::keep(const std::string& key, const std::string& model, const Remembered& found) const {
  json entries = read_entries(file_);
  json entry = {{"model", model}, {"precision", found.precision}, {"reason", found.reason}};
  if (found.settings != GpuSettings()) add(found.settings, entry);
  for (const Tried& one : found.tried) entry["tried"].push_back(json_of(one));
  entries[key] = std::move(entry);
  IE_CHECK(make_folders(folder_));
  return write_file_atomically(file_, json_text(entries, 2) + "\n");
}

}  // namespace image_engine::infer
