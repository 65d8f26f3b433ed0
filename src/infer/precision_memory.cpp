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
  const auto text = [&](const char* name) {
    const auto member = entry->find(name);
    return member != entry->end() && member->is_string() ? member->get<std::string>() : std::string();
  };
  const auto whole = [&](const char* name) {
    const auto member = entry->find(name);
    return member != entry->end() && member->is_number_integer() ? member->get<std::int64_t>() : 0;
  };
  return Remembered{.precision = text("precision"),
                    .reason = text("reason"),
                    .batch = whole("batch"),
                    .rows = text("rows"),
                    .nhwc = whole("nhwc") != 0,
                    .fuse_convolutions = whole("fuse_convolutions") != 0,
                    .cuda_graph = whole("cuda_graph") != 0,
                    .search_convolutions = whole("search_convolutions") != 0,
                    .own_operators = whole("own_operators") != 0};
}

Status PrecisionMemory::keep(const std::string& key, const std::string& model, const Remembered& found) const {
  json entries = read_entries(file_);
  json entry = {{"model", model}, {"precision", found.precision}, {"reason", found.reason}};
  if (found.batch > 0)
    entry.update({{"batch", found.batch},
                  {"rows", found.rows},
                  {"nhwc", int{found.nhwc}},
                  {"fuse_convolutions", int{found.fuse_convolutions}},
                  {"cuda_graph", int{found.cuda_graph}},
                  {"search_convolutions", int{found.search_convolutions}},
                  {"own_operators", int{found.own_operators}}});
  entries[key] = std::move(entry);
  IE_CHECK(make_folders(folder_));
  return write_file_atomically(file_, json_text(entries, 2) + "\n");
}

}  // namespace image_engine::infer
