#include "models/spec_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <concepts>
#include <functional>
#include <initializer_list>
#include <set>
#include <sstream>

#include "core/file.h"
#include "core/text.h"
#include "models/label_file.h"
#include "models/spec_check.h"

namespace image_engine::models {
namespace {

constexpr size_t kLargestFile = size_t{1} << 20;
constexpr size_t kLongestKey = 100;   // bytes of an unknown word worth comparing
constexpr size_t kLongestChain = 32;  // of `like:`

// A location in the document.
struct At {
  YAML::Node node;
  std::string path;  // "models.nanodet.input"
  int line = 0;      // of the key: an empty node has no mark of its own
  const std::string* file = nullptr;
};

tl::unexpected<Error> fault(const At& at, std::string_view what) {
  const int line = at.node.Mark().is_null() ? at.line : at.node.Mark().line;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}:{}: {} {}", printable(*at.file), line + 1, printable(at.path), what));
}

// Aliases can make a small document infinite to walk; specs based on another use `like:` instead.
class NoAliases : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw YAML::ParserException(mark,
                                "aliases (*name) are not supported here; `like: OTHER` starts from another model");
  }
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

Result<YAML::Node> parse_document(const std::string& file, const std::string& text) {
  try {
    std::istringstream stream(text);
    NoAliases check;
    YAML::Parser(stream).HandleNextDocument(check);
    return YAML::Load(text);
  } catch (const YAML::Exception& error) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}:{}: invalid YAML: {}", printable(file), error.mark.line + 1, printable(error.msg)));
  }
}

std::string meant(std::string_view word, const std::vector<std::string_view>& known) {
  const std::string_view nearest = nearest_name(word.substr(0, kLongestKey), known);
  return nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest);
}

struct Field {
  std::string_view key;
  std::function<Status(const At&)> read;
};

// Reads each key of a map into its field. Fields that are not in the map keep their values.
Status read_map(const At& at, std::initializer_list<Field> fields) {
  if (!at.node.IsMap()) return fault(at, "must hold keys and values");
  std::set<std::string> seen;
  for (const auto& child : at.node) {
    if (!child.first.IsScalar()) return fault(at, "has a key that is not a word");
    const std::string& key = child.first.Scalar();
    const At below{child.second, at.path + "." + key, child.first.Mark().line, at.file};
    const auto* field = std::ranges::find(fields, std::string_view(key), &Field::key);
    if (field == fields.end()) {
      std::vector<std::string_view> known;
      for (const Field& candidate : fields) known.push_back(candidate.key);
      std::string hint = meant(key, known);
      if (hint.empty()) hint = fmt::format("; known: {}", fmt::join(known, ", "));
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}:{}: unknown key \"{}\" in {}{}", printable(*at.file),
                                                           below.line + 1, printable(key), printable(at.path), hint));
    }
    if (!seen.insert(key).second) return fault(below, "is there twice");
    IE_CHECK(field->read(below));
  }
  return {};
}

Status read(const At& at, std::string& value) {
  if (!at.node.IsScalar()) return fault(at, "must be text");
  value = at.node.Scalar();
  return {};
}

Status read(const At& at, bool& value) {
  const std::string word = at.node.IsScalar() ? ascii_lower(at.node.Scalar()) : "";
  if (word != "true" && word != "false") return fault(at, "must be true or false");
  value = word == "true";
  return {};
}

template <typename Number>
  requires std::integral<Number> || std::floating_point<Number>
Status read(const At& at, Number& value) {
  const std::string text = at.node.IsScalar() ? at.node.Scalar() : "";
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool sound = !text.empty() && error == std::errc{} && end == text.data() + text.size();
  if (!sound || !std::isfinite(static_cast<double>(value)))
    return fault(at, std::floating_point<Number> ? "must be a number" : "must be an integer in range");
  return {};
}

template <typename Item, typename ReadItem>
Status read_list(const At& at, std::vector<Item>& list, ReadItem read_item) {
  if (!at.node.IsSequence()) return fault(at, "must be a list");
  std::vector<Item> items;
  for (const auto& node : at.node) {
    const At below{node, fmt::format("{}[{}]", at.path, items.size()), at.line, at.file};
    IE_CHECK(read_item(below, items.emplace_back()));
  }
  list = std::move(items);
  return {};
}

Status read(const At& at, std::vector<std::string>& list) {
  return read_list(at, list, [](const At& item, std::string& text) { return read(item, text); });
}

Status read_triple(const At& at, std::vector<double>& triple) {
  IE_CHECK(read_list(at, triple, [](const At& item, double& number) { return read(item, number); }));
  if (triple.size() != 3) return fault(at, "must be three numbers, one per channel");
  return {};
}

// A field that is read by one of the above.
template <typename Value>
Field field(std::string_view key, Value& value) {
  return {key, [&value](const At& at) { return read(at, value); }};
}
Field triple(std::string_view key, std::vector<double>& value) {
  return {key, [&value](const At& at) { return read_triple(at, value); }};
}

Status read_sha256(const At& at, std::string& value) {
  IE_CHECK(read(at, value));
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (value.size() != 64 || !std::ranges::all_of(value, is_hex))
    return fault(at, "must be 64 hexadecimal digits in lower case");
  return {};
}

Status read_source(const At& at, Source& source) {
  std::string text;
  IE_CHECK(read(at, text));
  Result<Source> parsed = parse_source(text);
  if (!parsed) return fault(at, "is wrong: " + parsed.error().message);
  source = std::move(*parsed);
  return {};
}

Status read_file_name(const At& at, std::string& name) {
  IE_CHECK(read(at, name));
  if (!is_file_name(name)) return fault(at, "must be a file's name, without folders");
  return {};
}

Status read_output(const At& at, FileSpec& file) {
  IE_CHECK(read_map(at, {{"name", [&](const At& v) { return read_file_name(v, file.name); }},
                         {"sha256", [&](const At& v) { return read_sha256(v, file.sha256); }}}));
  if (file.name.empty()) return fault(at, "lacks its name");
  return {};
}

Status read_file_part(const At& at, FileSpec& part) {
  IE_CHECK(read_map(at, {{"sha256", [&](const At& v) { return read_sha256(v, part.sha256); }},
                         field("bytes", part.bytes),
                         {"sources", [&](const At& v) { return read_list(v, part.sources, read_source); }}}));
  return part.sources.empty() ? fault(at, "lacks `sources`") : Status{};
}

Status read_fetched(const At& at, FileSpec& file) {
  IE_CHECK(read_map(at, {{"name", [&](const At& v) { return read_file_name(v, file.name); }},
                         {"sha256", [&](const At& v) { return read_sha256(v, file.sha256); }},
                         field("bytes", file.bytes),
                         {"sources", [&](const At& v) { return read_list(v, file.sources, read_source); }},
                         {"parts", [&](const At& v) { return read_list(v, file.parts, read_file_part); }}}));
  if (file.name.empty()) return fault(at, "lacks its name");
  if (file.parts.empty()) return {};
  if (!file.sources.empty()) return fault(at, "has both `sources` and `parts`; each part has its own sources");
  if (file.sha256.empty()) return fault(at, "lacks its sha256: that of its parts joined");
  return {};
}

Status read_conversion(const At& at, Conversion& conversion) {
  IE_CHECK(read_map(at, {field("tool", conversion.tool),
                         {"outputs", [&](const At& v) { return read_list(v, conversion.outputs, read_output); }}}));
  const auto is_word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  if (conversion.tool.empty() || !std::ranges::all_of(conversion.tool, is_word))
    return fault(at, "needs a tool: the name of a script of tools/models, without .py");
  if (conversion.outputs.empty()) return fault(at, "needs outputs: the files that the tool makes");
  return {};
}

Status read_variant(const At& at, Variant& variant) {
  const auto gate = [&](const At& v) {
    return read_map(v, {field("cosine", variant.gate.cosine), field("max_error", variant.gate.max_error)});
  };
  IE_CHECK(read_map(at, {field("precision", variant.precision), field("file", variant.file), {"gate", gate}}));
  if (variant.precision.empty() || variant.file.empty()) return fault(at, "needs a precision and a file");
  return {};
}

Status read_input(const At& at, InputSpec& input) {
  return read_map(
      at, {field("name", input.name), field("width", input.width), field("height", input.height),
           field("fit", input.fit), field("align", input.align), field("filter", input.filter),
           field("layout", input.layout), field("order", input.order), field("type", input.type),
           field("resize_edge", input.resize_edge), field("longest", input.longest), field("frames", input.frames),
           field("stride_seconds", input.stride_seconds), field("stride_frames", input.stride_frames),
           triple("pad", input.pad), triple("mean", input.mean), triple("deviation", input.deviation)});
}

Status read_variants(const At& at, std::vector<Variant>& variants) { return read_list(at, variants, read_variant); }

// `file: X` is a single fp32 variant.
Status take_file(const At& at, const std::string& file, std::vector<Variant>& variants) {
  if (file.empty()) return {};
  if (at.node["variants"].IsDefined()) return fault(at, "has both `file` and `variants`; `file: X` is one in fp32");
  variants = {{"fp32", file, {}}};
  return {};
}

// A model in parts has its first part's variants.
Status take_parts(const At& at, Spec& spec) {
  if (spec.parts.empty()) return {};
  for (const char* key : {"file", "variants"})
    if (at.node[key].IsDefined()) return fault(at, fmt::format("has `{}` beside `parts`; each part has its own", key));
  spec.variants = spec.parts.begin()->second.variants;
  return {};
}

Status read_text_tower(const At& at, TextTower& text) {
  std::string file;
  IE_CHECK(read_map(at, {field("tokenizer", text.tokenizer),
                         {"vocabulary", [&](const At& v) { return read_file_name(v, text.vocabulary); }},
                         field("context", text.context),
                         field("fixed", text.fixed),
                         {"variants", [&](const At& v) { return read_variants(v, text.variants); }},
                         field("file", file),
                         field("outputs", text.outputs)}));
  IE_CHECK(take_file(at, file, text.variants));
  const std::pair<std::string_view, bool> needed[] = {
      {"tokenizer", !text.tokenizer.empty()}, {"vocabulary", !text.vocabulary.empty()}, {"context", text.context > 0}};
  for (const auto& [key, is_there] : needed)
    if (!is_there) return fault(at, fmt::format("lacks `{}`", key));
  return {};
}

Status read_options(const At& at, std::map<std::string, std::string>& options) {
  if (!at.node.IsMap()) return fault(at, "must hold keys and values");
  for (const auto& child : at.node) {
    if (!child.first.IsScalar() || !child.second.IsScalar()) return fault(at, "must hold words and their values");
    options.insert_or_assign(child.first.Scalar(), child.second.Scalar());
  }
  return {};
}

// Keeps what a part inherited from the `like` model.
Status read_part(const At& at, Part& part) {
  std::string file;
  IE_CHECK(read_map(at, {{"variants", [&](const At& v) { return read_variants(v, part.variants); }},
                         field("file", file),
                         {"input", [&](const At& v) { return read_input(v, part.input); }},
                         field("outputs", part.outputs),
                         {"options", [&](const At& v) { return read_options(v, part.options); }}}));
  IE_CHECK(take_file(at, file, part.variants));
  if (part.variants.empty()) return fault(at, "lacks `variants` or `file`");
  return {};
}

Status read_parts(const At& at, std::map<std::string, Part>& parts) {
  if (!at.node.IsMap() || at.node.size() == 0) return fault(at, "must hold parts by their names");
  std::set<std::string> seen;
  for (const auto& child : at.node) {
    const std::string name = child.first.IsScalar() ? child.first.Scalar() : "";
    const At below{child.second, at.path + "." + name, child.first.Mark().line, at.file};
    if (!is_model_name(name)) return fault(below, "has an invalid name: a part's name is like a model's");
    if (!seen.insert(name).second) return fault(below, "is there twice");
    IE_CHECK(read_part(below, parts[name]));
  }
  return {};
}

// A list, or the name of a file of labels.
Status read_labels(const At& at, std::vector<std::string>& labels) {
  if (!at.node.IsScalar()) return read(at, labels);
  const std::string& name = at.node.Scalar();
  const std::string path = name.starts_with('/') ? name : join_path(parent_path(*at.file), name);
  Result<std::vector<std::string>> read = read_label_file(path);
  if (!read) return fault(at, fmt::format("names {}, which {}", printable(path), read.error().message));
  labels = *std::move(read);
  return {};
}

Status read_sound_features(const At& at, SoundFeatures& features) {
  return read_map(
      at, {field("bands", features.bands), field("frame", features.frame), field("step", features.step),
           field("transform", features.transform), field("lowest", features.lowest), field("highest", features.highest),
           field("filters", features.filters), field("window", features.window), field("edges", features.edges),
           field("layout", features.layout), field("power", features.power), field("log", features.log),
           field("offset", features.offset), field("floor", features.floor), field("range", features.range),
           field("mean", features.mean), field("deviation", features.deviation)});
}

Status read_sound(const At& at, SoundInput& sound) {
  return read_map(at, {field("rate", sound.rate),
                       field("window_seconds", sound.window_seconds),
                       field("hop_seconds", sound.hop_seconds),
                       field("row_seconds", sound.row_seconds),
                       field("keep", sound.keep),
                       {"features", [&](const At& v) { return read_sound_features(v, sound.features); }}});
}

// The name of one of the model's files is kept; anything else is a path relative to the YAML file.
Status place_engine(const At& at, Spec& spec) {
  if (spec.engine.empty()) return fault(at, "must name a file");
  const std::vector<FileSpec>& files = installed_files(spec);
  if (std::ranges::find(files, spec.engine, &FileSpec::name) == files.end())
    spec.engine =
        absolute_path(spec.engine.starts_with('/') ? spec.engine : join_path(parent_path(*at.file), spec.engine));
  return {};
}

// All specs of a document, each read on first use, since `like:` may refer to a later one.
class Document {
 public:
  Document(const std::string& file, const SpecMap& known, bool complete)
      : file_(file), known_(known), complete_(complete) {}

  Result<SpecMap> read_all(const YAML::Node& root) {
    if (root.IsNull()) return SpecMap{};
    const At whole{root, "the document", 0, &file_};
    IE_CHECK(read_map(whole, {{"models", [&](const At& at) { return collect(at); }}}));
    for (const auto& [name, at] : entries_) IE_CHECK(resolve(name));
    return std::move(specs_);
  }

 private:
  Status collect(const At& at) {
    if (at.node.IsNull()) return {};
    if (!at.node.IsMap()) return fault(at, "must hold models by their names");
    for (const auto& child : at.node) {
      const std::string name = child.first.IsScalar() ? child.first.Scalar() : "";
      const At entry{child.second, "models." + name, child.first.Mark().line, &file_};
      if (!is_model_name(name))
        return fault(entry, "has an invalid name: a model's consists of a-z, 0-9, '.', '_' and '-'");
      if (!entries_.emplace(name, entry).second) return fault(entry, "is there twice");
    }
    return {};
  }

  Status resolve(const std::string& name) {
    if (specs_.contains(name)) return {};
    const At& at = entries_.at(name);
    if (!at.node.IsMap()) return fault(at, "must hold keys and values");
    Spec spec;
    if (const YAML::Node like = at.node["like"]; like.IsDefined()) {
      const At where{like, at.path + ".like", at.line, &file_};
      std::string other;
      IE_CHECK(read(where, other));
      pending_.push_back(name);
      IE_TRY(spec, base(where, other));
      pending_.pop_back();
    }
    spec.name = name;
    spec.file = file_;
    IE_CHECK(read_spec(at, spec));
    specs_.emplace(name, std::move(spec));
    return {};
  }

  // Everything in `other`, except what is true of that model alone.
  Result<Spec> base(const At& where, const std::string& other) {
    if (std::ranges::find(pending_, other) != pending_.end())
      return fault(where, fmt::format("leads back to {}", printable(other)));
    if (pending_.size() > kLongestChain) return fault(where, "is a chain of too many");
    Spec spec;
    if (entries_.contains(other)) {
      IE_CHECK(resolve(other));
      spec = specs_.at(other);
    } else if (const auto found = known_.find(other); found != known_.end()) {
      spec = found->second;
    } else {
      std::vector<std::string_view> names;
      for (const auto& [known, unused] : known_) names.push_back(known);
      for (const auto& [known, unused] : entries_) names.push_back(known);
      return fault(where, fmt::format("names \"{}\", which is no model{}", printable(other), meant(other, names)));
    }
    spec.in_default_set = false;
    spec.licence = {kUnstatedLicence, false, "its spec states none"};
    spec.aliases.clear();
    spec.awaits = {};
    return spec;
  }

  Status read_spec(const At& at, Spec& spec) const {
    std::string like, file;
    std::uint64_t classes = 0;
    const auto awaited = [&](const At& v) {
      return read_map(v, {field("file", spec.awaits.file), field("from", spec.awaits.from)});
    };
    const auto licence = [&](const At& v) {
      return read_map(v, {field("name", spec.licence.name), field("permissive", spec.licence.permissive),
                          field("notice", spec.licence.notice)});
    };
    IE_CHECK(read_map(at, {field("like", like),
                           field("task", spec.task),
                           field("title", spec.title),
                           field("version", spec.version),
                           field("default", spec.in_default_set),
                           {"licence", licence},
                           field("aliases", spec.aliases),
                           {"awaits", awaited},
                           {"files", [&](const At& v) { return read_list(v, spec.files, read_fetched); }},
                           {"convert", [&](const At& v) { return read_conversion(v, spec.conversion); }},
                           {"variants", [&](const At& v) { return read_variants(v, spec.variants); }},
                           field("file", file),
                           {"input", [&](const At& v) { return read_input(v, spec.input); }},
                           {"sound", [&](const At& v) { return read_sound(v, spec.sound); }},
                           {"text", [&](const At& v) { return read_text_tower(v, spec.text); }},
                           {"parts", [&](const At& v) { return read_parts(v, spec.parts); }},
                           field("outputs", spec.outputs),
                           field("head", spec.head),
                           field("engine", spec.engine),
                           field("server", spec.server),
                           {"options", [&](const At& v) { return read_options(v, spec.head_options); }},
                           {"labels", [&](const At& v) { return read_labels(v, spec.labels); }},
                           field("classes", classes),
                           field("preference", spec.preference)}));
    IE_CHECK(take_file(at, file, spec.variants));
    IE_CHECK(take_parts(at, spec));
    if (const YAML::Node engine = at.node["engine"]; engine.IsDefined())
      IE_CHECK(place_engine({engine, at.path + ".engine", at.line, at.file}, spec));
    if (at.node["classes"].IsDefined() && classes != spec.labels.size())
      return fault(at, fmt::format("has {} labels, but {} classes", spec.labels.size(), classes));
    if (const Status sound = check_spec(spec, complete_); !sound) return fault(at, sound.error().message);
    return {};
  }

  const std::string& file_;
  const SpecMap& known_;
  bool complete_;
  std::map<std::string, At, std::less<>> entries_;
  std::vector<std::string> pending_;  // whose `like:` is being followed
  SpecMap specs_;
};

}  // namespace

bool is_model_name(std::string_view name) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 100 && name.front() != '.' && std::ranges::all_of(name, is_allowed);
}

bool is_file_name(std::string_view name) {
  return !name.empty() && name.size() <= 200 && name.front() != '.' && name != "provenance.json" && is_utf8(name) &&
         std::ranges::none_of(name, [](unsigned char c) { return c < ' ' || c == '/' || c == 0x7F; });
}

Result<SpecMap> read_specs(const std::string& file, const SpecMap& known, bool complete) {
  const Result<std::string> text = read_file(file, kLargestFile);
  if (!text) return fail(text.error().code, printable(file) + ": " + text.error().message);
  IE_TRY(const YAML::Node root, parse_document(file, *text));
  try {
    return Document(file, known, complete).read_all(root);
  } catch (const YAML::Exception& error) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}:{}: {}", printable(file), error.mark.line + 1, printable(error.msg)));
  }
}

}  // namespace image_engine::models
