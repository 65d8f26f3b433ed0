#include "audio/whisper.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "audio/features.h"
#include "audio/voice_activity.h"

namespace image_engine::audio {
namespace {

constexpr std::size_t kHop = 160;             // samples of a mel frame
constexpr std::size_t kMostFrames = 3000;     // of mel: 30 s
constexpr std::size_t kSilentFrames = 1000;   // that follow the speech: without silence, short windows do not end
constexpr std::size_t kMostTokens = 224;      // of a window, as in OpenAI's whisper/decoding.py
constexpr std::size_t kLongestLoop = 24;      // tokens that are repeated
constexpr std::size_t kMostRepeats = 4;       // of them
constexpr std::size_t kLeastRepeated = 12;    // tokens in all repeats: "no, no, no, no" is speech

enum DecoderInput : std::size_t { kTokens, kSelfKeys, kSelfValues, kCrossKeys, kCrossValues, kOffset, kInputs };
enum DecoderOutput : std::size_t { kLogits, kNewKeys, kNewValues, kAttention };

// log Σ exp, of those that are not suppressed. Logits far below the largest one add nothing.
double log_sum(std::span<const float> logits, std::span<const std::uint8_t> suppressed) {
  constexpr float kNothing = 25;
  const auto counts = [&](std::size_t i) { return suppressed.empty() || suppressed[i] == 0; };
  float most = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (counts(i)) most = std::max(most, logits[i]);
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (logits[i] > most - kNothing && counts(i)) sum += std::exp(static_cast<double>(logits[i] - most));
  return most + std::log(sum);
}

std::int64_t signed_size(std::size_t value) { return static_cast<std::int64_t>(value); }

}  // namespace

// A window that is being decoded.
struct Whisper::Row {
  std::string language;
  double language_probability = 1, no_speech = 0;
  TokenId language_token = 0;
  std::vector<TokenId> tokens;  // of text
  std::vector<double> log_probabilities;
  bool is_done = false, repeats = false;
  std::size_t frames = 0;                        // of attention that hold sound
  std::vector<std::vector<float>> attention;     // of each token that was given: [heads × frames]
  double sum = 0;                                // of the log probabilities, with that of the end

  // Cuts a loop at the end to its first turn.
  void cut_loop() {
    for (std::size_t length = 1; length <= kLongestLoop; ++length) {
      const std::size_t repeats_needed = std::max(kMostRepeats, (kLeastRepeated + length - 1) / length);
      const std::size_t needed = length * repeats_needed;
      if (tokens.size() < needed) continue;
      const auto same = [&](std::size_t back) {
        return tokens[tokens.size() - back] == tokens[tokens.size() - back - length];
      };
      bool loops = true;
      for (std::size_t back = 1; loops && back <= needed - length; ++back) loops = same(back);
      if (!loops) continue;
      const std::size_t kept = tokens.size() - needed + length;
      tokens.resize(kept);
      log_probabilities.resize(kept);
      repeats = is_done = true;
      return;
    }
  }
};

Result<Whisper> Whisper::create(std::shared_ptr<const infer::Session> encoder,
                                std::shared_ptr<const infer::Session> decoder, std::string_view tokens) {
  Whisper whisper;
  const auto& inputs = decoder->inputs();
  const auto& mel = encoder->inputs();
  const bool fits = mel.size() == 1 && mel[0].shape.size() == 3 && mel[0].shape[1] > 0 && mel[0].shape[1] <= 256 &&
                    encoder->outputs().size() == 2 && inputs.size() == kInputs &&
                    inputs[kTokens].type == ElementType::kInt64 && inputs[kSelfKeys].shape.size() == 4 &&
                    inputs[kSelfKeys].shape[0] > 0 && inputs[kSelfKeys].shape[3] > 0 && decoder->outputs().size() >= 3;
  if (!fits)
    return fail(ErrorCode::kCorrupt,
                "its graphs are not an encoder and a decoder of Whisper as sherpa-onnx exports them");
  IE_TRY(whisper.tokens_, WhisperTokens::create(*encoder, tokens));
  whisper.mels_ = static_cast<std::size_t>(mel[0].shape[1]);
  const auto& cache = inputs[kSelfKeys].shape;
  whisper.layers_ = static_cast<std::size_t>(cache[0]);
  whisper.cache_ = cache[2] > 0 ? static_cast<std::size_t>(cache[2]) : 0;
  whisper.width_ = static_cast<std::size_t>(cache[3]);
  whisper.has_attention_ = decoder->outputs().size() > kAttention;
  whisper.encoder_ = std::move(encoder);
  whisper.decoder_ = std::move(decoder);
  return whisper;
}

Status Whisper::check(const WhisperOptions& options) const {
  const bool is_english = options.language.empty() || options.language == "en";
  if (!tokens_.is_multilingual && (!is_english || options.translate))
    return fail(ErrorCode::kInvalidArgument, "this model of speech knows English only (whisper-base knows 99 languages)");
  if (tokens_.is_multilingual && !options.language.empty() && !tokens_.languages.contains(options.language))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the model of speech does not know the language {} (a code such as en, de or ja)",
                            options.language));
  return {};
}

Result<std::vector<Tensor>> Whisper::encode(std::span<const std::span<const float>> windows, std::size_t frames) const {
  Tensor mel =
      Tensor::zeros(ElementType::kFloat32, {signed_size(windows.size()), signed_size(mels_), signed_size(frames)});
  for (std::size_t i = 0; i < windows.size(); ++i)
    std::ranges::copy(whisper_mel(windows[i], mels_, frames),
                      mel.as<float>().begin() + static_cast<std::ptrdiff_t>(i * mels_ * frames));
  IE_TRY(std::vector<Tensor> cross, encoder_->run({&mel, 1}));
  const std::vector<std::int64_t> expected = {signed_size(layers_), signed_size(windows.size()),
                                              signed_size(frames / 2), signed_size(width_)};
  if (cross.size() != 2 || cross[0].shape != expected || cross[1].shape != expected)
    return fail(ErrorCode::kCorrupt, "the encoder of speech gave other outputs than its decoder takes");
  return cross;
}

// `state`: the decoder's inputs; keeps the caches in it. `tokens`: those of each row, one row behind the other.
Result<std::vector<Tensor>> Whisper::decode(std::vector<Tensor>& state, std::span<const TokenId> tokens,
                                            std::size_t rows, std::size_t offset) const {
  const std::size_t count = tokens.size() / rows;
  state[kTokens] = Tensor::zeros(ElementType::kInt64, {signed_size(rows), signed_size(count)});
  std::ranges::copy(tokens, state[kTokens].as<std::int64_t>().begin());
  state[kOffset] = Tensor::zeros(ElementType::kInt64, {1});
  state[kOffset].as<std::int64_t>()[0] = signed_size(offset);
  IE_TRY(std::vector<Tensor> outputs, decoder_->run(state));
  const std::vector<std::int64_t> expected = {signed_size(rows), signed_size(count), signed_size(tokens_.size())};
  if (outputs[kLogits].type != ElementType::kFloat32 || outputs[kLogits].shape != expected)
    return fail(ErrorCode::kCorrupt, "the decoder of speech gave not one number for each token of the vocabulary");
  state[kSelfKeys] = std::move(outputs[kNewKeys]);
  state[kSelfValues] = std::move(outputs[kNewValues]);
  return outputs;
}

// What the first logits, behind the start of the transcript, say.
Status Whisper::detect(std::span<const float> logits, Row& row, const WhisperOptions& options) const {
  row.no_speech = std::exp(logits[static_cast<std::size_t>(tokens_.no_speech)] - log_sum(logits, {}));
  row.language = tokens_.is_multilingual ? options.language : "en";
  if (!tokens_.is_multilingual) return {};
  std::vector<std::uint8_t> others(logits.size(), 1);
  for (const auto& [code, id] : tokens_.languages) others[static_cast<std::size_t>(id)] = 0;
  if (row.language.empty()) {
    const auto best = std::ranges::max_element(tokens_.languages, {}, [&](const auto& language) {
      return logits[static_cast<std::size_t>(language.second)];
    });
    row.language = best->first;
    row.language_probability =
        std::exp(logits[static_cast<std::size_t>(best->second)] - log_sum(logits, others));
  }
  const auto known = tokens_.languages.find(row.language);
  if (known == tokens_.languages.end()) return check(options);
  row.language_token = known->second;
  return {};
}

TokenId Whisper::choose(std::span<const float> logits, Row& row) const {
  const bool is_first = row.tokens.empty();
  TokenId best = tokens_.eot;
  float most = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (tokens_.suppressed[i] != 0 || !(logits[i] > most) || (is_first && (id == tokens_.blank || id == tokens_.eot)))
      continue;
    most = logits[i];
    best = id;
  }
  const double log_probability = most - log_sum(logits, tokens_.suppressed);
  row.sum += log_probability;
  if (best == tokens_.eot) {
    row.is_done = true;
    return best;
  }
  row.tokens.push_back(best);
  row.log_probabilities.push_back(log_probability);
  row.cut_loop();
  row.is_done = row.is_done || row.tokens.size() >= kMostTokens;
  return row.is_done ? tokens_.eot : best;
}

void Whisper::keep_attention(const Tensor& attention, std::vector<Row>& rows) const {
  const auto& shape = attention.shape;
  if (shape.size() != 4 || shape[0] != signed_size(rows.size())) return;
  const auto heads = static_cast<std::size_t>(shape[1]), tokens = static_cast<std::size_t>(shape[2]),
             frames = static_cast<std::size_t>(shape[3]);
  const std::span<const float> weights = attention.as<float>();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].is_done) continue;
    const std::size_t kept = std::min(rows[i].frames, frames);
    for (std::size_t token = 0; token < tokens; ++token) {
      std::vector<float>& one = rows[i].attention.emplace_back();
      for (std::size_t head = 0; head < heads; ++head) {
        const auto from = weights.begin() + static_cast<std::ptrdiff_t>(((i * heads + head) * tokens + token) * frames);
        one.insert(one.end(), from, from + static_cast<std::ptrdiff_t>(kept));
      }
    }
  }
}

Heard Whisper::heard(Row& row, double seconds) const {
  Heard heard{row.language, row.language_probability, row.no_speech, 0, row.repeats, {}};
  if (row.tokens.empty()) return heard;
  heard.mean_log_probability = row.sum / static_cast<double>(row.log_probabilities.size() + 1);
  std::vector<SpokenToken> spoken(row.tokens.size());
  const double share = seconds / static_cast<double>(spoken.size());
  // Rows of attention: the prompt's, then each token's. The last of the prompt brings forth the first token.
  const std::size_t prompt = tokens_.is_multilingual ? 4 : 2;
  std::vector<std::size_t> frames;
  if (row.frames > 0 && row.attention.size() >= prompt + spoken.size() - 1) {
    row.attention.resize(std::min(row.attention.size(), prompt + spoken.size()));
    Attention attention{row.attention[0].size() / row.frames, row.attention.size(), row.frames, {}};
    attention.weights.resize(attention.heads * attention.tokens * attention.frames);
    for (std::size_t token = 0; token < attention.tokens; ++token)
      for (std::size_t head = 0; head < attention.heads; ++head)
        std::copy_n(row.attention[token].begin() + static_cast<std::ptrdiff_t>(head * row.frames), row.frames,
                    attention.weights.begin() +
                        static_cast<std::ptrdiff_t>((head * attention.tokens + token) * row.frames));
    frames = first_frames(attention, prompt - 1);
  }
  const auto time = [&](std::size_t i) {
    if (frames.empty()) return share * static_cast<double>(i);
    return i < frames.size() ? static_cast<double>(frames[i]) * kAttentionFrame : seconds;
  };
  for (std::size_t i = 0; i < spoken.size(); ++i)
    spoken[i] = {row.tokens[i], std::min(time(i), seconds), std::min(time(i + 1), seconds),
                 std::exp(row.log_probabilities[i])};
  heard.words = words_of(tokens_, spoken, row.language);
  return heard;
}

Result<std::vector<Heard>> Whisper::run(std::span<const std::span<const float>> windows,
                                        const WhisperOptions& options) const {
  IE_CHECK(check(options));
  if (windows.empty()) return std::vector<Heard>{};
  const std::size_t count = windows.size();
  std::vector<Row> rows(count);
  std::size_t frames = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t own = std::min((windows[i].size() + kHop - 1) / kHop, kMostFrames);
    rows[i].frames = has_attention_ ? std::max<std::size_t>(own / 2, 1) : 0;
    frames = std::max(frames, own);
  }
  frames = std::min(frames + kSilentFrames, kMostFrames) / 2 * 2;
  IE_TRY(std::vector<Tensor> cross, encode(windows, frames));

  std::vector<Tensor> state(kInputs);
  const std::vector<std::int64_t> cache = {signed_size(layers_), signed_size(count), signed_size(cache_),
                                           signed_size(width_)};
  state[kSelfKeys] = Tensor::zeros(ElementType::kFloat32, cache);
  state[kSelfValues] = state[kSelfKeys];
  state[kCrossKeys] = std::move(cross[0]);
  state[kCrossValues] = std::move(cross[1]);

  std::vector<TokenId> given(count, tokens_.sot);
  std::size_t offset = 0;
  const std::size_t vocabulary = tokens_.size();
  const auto step = [&]() -> Result<std::vector<Tensor>> {
    IE_TRY(std::vector<Tensor> outputs, decode(state, given, count, offset));
    offset += given.size() / count;
    if (has_attention_) keep_attention(outputs[kAttention], rows);
    return outputs;
  };
  const auto last_logits = [&](const Tensor& logits, std::size_t i) {
    const std::size_t of_row = logits.as<float>().size() / count;
    return logits.as<float>().subspan((i + 1) * of_row - vocabulary, vocabulary);
  };

  IE_TRY(std::vector<Tensor> outputs, step());
  given.clear();
  for (std::size_t i = 0; i < count; ++i) {
    IE_CHECK(detect(last_logits(outputs[kLogits], i), rows[i], options));
    if (tokens_.is_multilingual) {
      given.push_back(rows[i].language_token);
      given.push_back(options.translate ? tokens_.translate : tokens_.transcribe);
    }
    given.push_back(tokens_.no_timestamps);
  }
  for (;;) {
    IE_TRY(outputs, step());
    given.resize(count);
    for (std::size_t i = 0; i < count; ++i)
      given[i] = rows[i].is_done ? tokens_.eot : choose(last_logits(outputs[kLogits], i), rows[i]);
    if (std::ranges::all_of(rows, &Row::is_done)) break;
  }
  std::vector<Heard> all;
  for (std::size_t i = 0; i < count; ++i)
    all.push_back(heard(rows[i], static_cast<double>(windows[i].size()) / static_cast<double>(kSampleRate)));
  return all;
}

}  // namespace image_engine::audio
