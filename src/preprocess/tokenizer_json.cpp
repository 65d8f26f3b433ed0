// Byte-pair encoding over characters, with bytes for unknown ones: Gemma's tokenizer.json, with the same ids as the
// tokenizers library.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "preprocess/tokenizer_parts.h"
#include "preprocess/tokenizer_text.h"

namespace image_engine::preprocess {
namespace {

using nlohmann::json;

constexpr std::uint32_t kMostIds = std::uint32_t{1} << 24;
constexpr std::size_t kMostValues = std::size_t{1} << 18;  // besides vocabulary and merges; Gemma 3 has 45,000
constexpr int kDeepest = 16;
constexpr std::size_t kMostSteps = 4;
constexpr std::size_t kMostGrowth = 4;  // of a replacement to the replaced text

// A change to the text before it is split: lower case, or a replacement.
struct Step {
  std::string pattern, content;  // no pattern: lower case
};

struct Definition {
  FramedTokenizer::Frame frame;
  Vocabulary vocabulary;
  Merges merges;
  std::vector<Step> steps;
  std::string cut_behind;  // empty: the text is one word
  std::optional<std::uint32_t> unknown;
  bool fuse_unknown = false, byte_fallback = false;
};

std::string replaced(std::string_view text, const Step& step) {
  std::string result;
  for (std::size_t found = 0; (found = text.find(step.pattern)) != text.npos;) {
    result.append(text.substr(0, found)).append(step.content);
    text.remove_prefix(found + step.pattern.size());
  }
  return result.append(text);
}

class JsonTokenizer final : public FramedTokenizer {
 public:
  explicit JsonTokenizer(Definition definition)
      : FramedTokenizer(std::move(definition.frame)), definition_(std::move(definition)) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    for (std::size_t byte = 0; byte < bytes_.size(); ++byte)
      bytes_[byte] = find(definition_.vocabulary, std::string("<0x") + kHex[byte / 16] + kHex[byte % 16] + ">");
  }

 private:
  void append(std::string_view text, std::size_t most, std::vector<std::int64_t>& ids) const override {
    std::string normal(text);
    for (const Step& step : definition_.steps)
      normal = step.pattern.empty() ? lower_case(normal) : replaced(normal, step);
    std::string_view rest = normal;
    while (!rest.empty() && ids.size() < most) {
      const std::size_t found = definition_.cut_behind.empty() ? rest.npos : rest.find(definition_.cut_behind);
      const std::size_t length = found == rest.npos ? rest.size() : found + definition_.cut_behind.size();
      append_word(rest.substr(0, length), ids);
      rest.remove_prefix(length);
    }
  }

  void append_word(std::string_view word, std::vector<std::int64_t>& ids) const {
    std::vector<std::uint32_t> symbols;
    bool unknown = false;  // one is kept, so that its neighbours can merge with it
    const auto write_unknown = [&] {
      if (unknown) symbols.push_back(*definition_.unknown);
      unknown = false;
    };
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t begin = at;
      next_character(word, at);
      const std::string_view character = word.substr(begin, at - begin);
      if (const auto id = find(definition_.vocabulary, character)) {
        write_unknown();
        symbols.push_back(*id);
      } else if (!append_bytes(character, symbols) && definition_.unknown) {
        if (!definition_.fuse_unknown) write_unknown();
        unknown = true;
      }
    }
    write_unknown();
    definition_.merges.apply(symbols);
    ids.insert(ids.end(), symbols.begin(), symbols.end());
  }

  // All of them or none.
  bool append_bytes(std::string_view character, std::vector<std::uint32_t>& symbols) const {
    if (!definition_.byte_fallback) return false;
    const std::size_t before = symbols.size();
    for (const char byte : character) {
      const auto& id = bytes_[static_cast<unsigned char>(byte)];
      if (!id) {
        symbols.resize(before);
        return false;
      }
      symbols.push_back(*id);
    }
    return true;
  }

  Definition definition_;
  std::array<std::optional<std::uint32_t>, 256> bytes_;
};

tl::unexpected<Error> unsupported(const std::string& what) {
  return fail(ErrorCode::kUnsupported, "has " + what + ", which is not of Gemma's kind");
}

tl::unexpected<Error> corrupt(const std::string& what) { return fail(ErrorCode::kCorrupt, what); }

const json& member(const json& object, const char* key) {
  static const json kNone;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() ? *found : kNone;
}

std::string text_of(const json& value) { return value.is_string() ? value.get<std::string>() : std::string(); }
bool is_true(const json& value) { return value.is_boolean() && value.get<bool>(); }

std::optional<std::uint32_t> id_of(const json& value) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= kMostIds) return std::nullopt;
  return value.get<std::uint32_t>();
}

// The file; its two long lists are removed from the document while parsing.
struct Parsed {
  json document;
  Vocabulary vocabulary;
  std::vector<std::string> merged;  // left, right, left, right, … or "left right"
  bool merges_in_pairs = false;
};

class Reader {
 public:
  static Result<Parsed> read(std::string_view text) {
    Reader reader;
    const auto keep = [&](int depth, json::parse_event_t event, json& value) {
      return reader.keep(depth, event, value);
    };
    reader.parsed_.document = json::parse(text, keep, false);
    if (!reader.fault_.empty()) return fail(ErrorCode::kCorrupt, reader.fault_);
    if (!reader.parsed_.document.is_object()) return corrupt("is not valid JSON of a tokenizer");
    return std::move(reader.parsed_);
  }

 private:
  using Event = json::parse_event_t;

  bool keep(int depth, Event event, const json& value) {
    if (!fault_.empty()) return false;
    if (event == Event::key && depth == 1) section_ = value.get_ref<const std::string&>();
    if (event == Event::key && depth == 2) list_ = value.get_ref<const std::string&>();
    if (depth > kDeepest) return refuse("is nested too deeply");
    const bool in_model = section_ == "model" && depth > 2;
    if (in_model && list_ == "vocab") return keep_token(depth, event, value);
    if (in_model && list_ == "merges") return keep_merge(depth, event, value);
    if ((event == Event::value || event == Event::object_start || event == Event::array_start) &&
        ++values_ > kMostValues)
      return refuse("holds far more than a tokenizer");
    return true;
  }

  bool keep_token(int depth, Event event, const json& value) {
    if (event == Event::key && depth == 3) {
      token_ = value.get_ref<const std::string&>();
    } else if (const auto id = id_of(value); event == Event::value && depth == 3 && id) {
      parsed_.vocabulary.insert_or_assign(token_, *id);
      if (parsed_.vocabulary.size() > kMostTokens) return refuse("has more than a million tokens");
    } else {
      return refuse("has a token without its id: " + printable(token_));
    }
    return false;
  }

  // "left right" at depth 3, [left, right] with its texts at depth 4.
  bool keep_merge(int depth, Event event, const json& value) {
    if (event == Event::array_start && depth == 3 && (parsed_.merges_in_pairs || parsed_.merged.empty())) {
      parsed_.merges_in_pairs = true;
      in_pair_ = 0;
      return true;
    }
    if (event == Event::array_end && depth == 3) {
      if (in_pair_ != 2) return refuse("has a merge that is not a pair");
      return false;
    }
    if (event != Event::value || !value.is_string() || (depth == 4) != parsed_.merges_in_pairs)
      return refuse("has a merge that is not a pair");
    ++in_pair_;
    parsed_.merged.push_back(value.get<std::string>());
    if (parsed_.merged.size() > 2 * kMostMerges) return refuse("has too many merges");
    return false;
  }

  bool refuse(std::string what) {
    fault_ = std::move(what);
    return false;
  }

  Parsed parsed_;
  std::string section_, list_, token_, fault_;
  std::size_t values_ = 0;
  int in_pair_ = 0;
};

Result<Merges> read_merges(const Parsed& parsed) {
  std::vector<Merges::Merge> merges;
  const std::size_t step = parsed.merges_in_pairs ? 2 : 1;
  for (std::size_t i = 0; i + step <= parsed.merged.size(); i += step) {
    std::string_view left = parsed.merged[i], right = left;
    if (parsed.merges_in_pairs) {
      right = parsed.merged[i + 1];
    } else {
      const std::size_t space = left.find(' ');
      if (space == left.npos || left.find(' ', space + 1) != left.npos)
        return corrupt("has a merge that is not a pair");
      right.remove_prefix(space + 1);
      left = left.substr(0, space);
    }
    const auto left_id = find(parsed.vocabulary, left), right_id = find(parsed.vocabulary, right);
    const auto id = find(parsed.vocabulary, std::string(left).append(right));
    if (!left_id || !right_id || !id)
      return corrupt("merges an unknown token: " + printable(left) + ", " + printable(right));
    merges.push_back({*left_id, *right_id, static_cast<std::uint32_t>(merges.size()), *id});
  }
  return Merges(std::move(merges));
}

// null, one, or a Sequence of them.
Status read_steps(const json& normalizer, std::vector<Step>& steps) {
  const std::string type = text_of(member(normalizer, "type"));
  if (normalizer.is_null()) return {};
  if (type == "Sequence") {
    for (const json& one : member(normalizer, "normalizers")) IE_CHECK(read_steps(one, steps));
    return {};
  }
  Step step;
  if (type == "Replace") {
    step.pattern = text_of(member(member(normalizer, "pattern"), "String"));
    step.content = text_of(member(normalizer, "content"));
    if (step.pattern.empty() || step.content.size() > kMostGrowth * step.pattern.size())
      return unsupported("such a replacement");
  } else if (type != "Lowercase") {
    return unsupported("the normalizer " + printable(type));
  }
  steps.push_back(std::move(step));
  if (steps.size() > kMostSteps) return unsupported("that many normalizers");
  return {};
}

Result<std::string> read_cut(const json& splitter) {
  if (splitter.is_null()) return std::string();
  const std::string pattern = text_of(member(member(splitter, "pattern"), "String"));
  if (text_of(member(splitter, "type")) != "Split" || text_of(member(splitter, "behavior")) != "MergedWithPrevious" ||
      is_true(member(splitter, "invert")) || pattern.empty())
    return unsupported("another pre-tokenizer");
  return pattern;
}

// The tokens before and after the text: [BEGIN] A [END].
Status read_frame(const json& processor, FramedTokenizer::Frame& frame) {
  if (processor.is_null()) return {};
  if (text_of(member(processor, "type")) != "TemplateProcessing") return unsupported("another post-processor");
  bool behind = false;
  for (const json& part : member(processor, "single")) {
    if (!member(part, "Sequence").is_null()) {
      if (std::exchange(behind, true)) return unsupported("the text twice");
      continue;
    }
    const std::string name = text_of(member(member(part, "SpecialToken"), "id"));
    const json& ids = member(member(member(processor, "special_tokens"), name.c_str()), "ids");
    const auto id = ids.is_array() && ids.size() == 1 ? id_of(ids[0]) : std::nullopt;
    if (!id) return corrupt("has a special token without its id: " + printable(name));
    if (std::exchange(behind ? frame.end : frame.begin, id)) return unsupported("several special tokens in a row");
  }
  if (!behind) return corrupt("leaves out the text");
  return {};
}

Result<WholeTokens> read_added(const json& added, Vocabulary& all) {
  std::vector<std::pair<std::string, std::uint32_t>> tokens;
  for (const json& one : added) {
    const auto id = id_of(member(one, "id"));
    const std::string token = text_of(member(one, "content"));
    if (!id) return corrupt("has an added token without its id: " + printable(token));
    for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"})
      if (is_true(member(one, flag))) return unsupported(std::string("added tokens that are ") + flag);
    all.insert_or_assign(token, *id);
    tokens.emplace_back(token, *id);
  }
  return WholeTokens::create(std::move(tokens));
}

Result<Definition> read_definition(std::string_view text) {
  IE_TRY(Parsed parsed, Reader::read(text));
  const json& model = member(parsed.document, "model");
  if (text_of(member(model, "type")) != "BPE") return unsupported("a model that is not BPE");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (!text_of(member(model, key)).empty()) return unsupported(std::string("a ") + key);
  if (is_true(member(model, "ignore_merges"))) return unsupported("ignore_merges");
  if (parsed.vocabulary.empty()) return corrupt("holds no tokens");

  Definition definition;
  IE_TRY(definition.merges, read_merges(parsed));
  IE_CHECK(read_steps(member(parsed.document, "normalizer"), definition.steps));
  IE_TRY(definition.cut_behind, read_cut(member(parsed.document, "pre_tokenizer")));
  IE_CHECK(read_frame(member(parsed.document, "post_processor"), definition.frame));
  const json& unknown = member(model, "unk_token");
  if (unknown.is_string()) {
    definition.unknown = find(parsed.vocabulary, text_of(unknown));
    if (!definition.unknown) return corrupt("lacks its own token " + printable(text_of(unknown)));
  }
  definition.fuse_unknown = is_true(member(model, "fuse_unk"));
  definition.byte_fallback = is_true(member(model, "byte_fallback"));

  Vocabulary all = parsed.vocabulary;
  IE_TRY(definition.frame.whole, read_added(member(parsed.document, "added_tokens"), all));
  definition.frame.padding = find(all, "<pad>").value_or(definition.frame.end.value_or(0));
  std::uint32_t largest = std::max(definition.frame.begin.value_or(0), definition.frame.end.value_or(0));
  for (const auto& [token, id] : all) largest = std::max(largest, id);
  definition.frame.size = std::size_t{largest} + 1;
  definition.vocabulary = std::move(parsed.vocabulary);
  return definition;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> create_tokenizer_json(std::string_view text) {
  IE_TRY(Definition definition, read_definition(text));
  return std::make_unique<JsonTokenizer>(std::move(definition));
}

// SigLIP 2 was trained on lower-case texts with only an end token; its file specifies neither.
Result<std::unique_ptr<Tokenizer>> create_siglip2_json(std::string_view text) {
  IE_TRY(Definition definition, read_definition(text));
  const auto end = find(definition.vocabulary, "<eos>");
  if (!end) return corrupt("lacks the token <eos>");
  definition.frame.begin.reset();
  definition.frame.end = end;
  definition.steps.insert(definition.steps.begin(), Step{});
  return std::make_unique<JsonTokenizer>(std::move(definition));
}

}  // namespace image_engine::preprocess
