#include "audio/whisper.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include "audio/features.h"

namespace image_engine::audio {
namespace {

constexpr std::size_t kHop = 160;             // samples of a mel frame
constexpr std::size_t kMostMelFrames = 3000;  // of mel: 30 s
constexpr std::size_t kSilentFrames = 1000;   // that follow the speech: without silence, short windows do not end
constexpr std::size_t kMostTokens = 224;      // of a window, as in OpenAI's whisper/decoding.py
constexpr std::size_t kBeams = 5;
// Mean log probabilities of a greedy text between which others are looked for: better ones are sure enough, and five
// beams do not mend worse ones (docs/accuracy.md).
constexpr double kSureEnough = -0.13, kHopeless = -0.8;
constexpr std::size_t kLongestLoop = 24;    // tokens that are repeated
constexpr std::size_t kMostRepeats = 4;     // of them
constexpr std::size_t kLeastRepeated = 12;  // tokens in all repeats: "no, no, no, no" is speech

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

// Of one token: [heads][frames]. Shared by the beams that come from it.
using AttentionRow = std::shared_ptr<const std::vector<float>>;

// A text that a window may have, as far as it was decoded.
struct Whisper::Beam {
  Tensor keys, values;  // the decoder's caches
  std::vector<TokenId> tokens;
  std::vector<double> log_probabilities;
  double sum = 0;  // of these
  std::vector<AttentionRow> attention;
  std::vector<float> logits;  // of the next token
};

// A window that is being decoded.
struct Whisper::Decoding {
  std::vector<Tensor> state = std::vector<Tensor>(kInputs);  // the decoder's inputs
  std::vector<Tensor> outputs;                               // its last ones
  std::size_t offset = 0;                                    // tokens that it has seen
  std::string language, written;                             // spoken, and of the text
  double language_probability = 1, no_speech = 0;
  TokenId language_token = 0;
  std::vector<TokenId> tokens;  // of text
  std::vector<double> log_probabilities;
  double sum = 0;  // of these, with that of the end
  bool is_done = false, repeats = false;
  std::size_t frames = 0;               // of attention that hold sound
  std::size_t heads = 0;                // of attention
  std::vector<AttentionRow> attention;  // of each token that the decoder has seen

  // Of the tokens and the end.
  [[nodiscard]] double mean() const { return sum / static_cast<double>(log_probabilities.size() + 1); }

  // Cuts a loop at the end to its first turn.
  void cut_loop() {
    for (std::size_t length = 1; length <= kLongestLoop; ++length) {
      const std::size_t turns = std::max(kMostRepeats, (kLeastRepeated + length - 1) / length);
      const std::size_t needed = length * turns;
      if (tokens.size() < needed) continue;
      const auto same = [&](std::size_t back) {
        return tokens[tokens.size() - back] == tokens[tokens.size() - back - length];
      };
      bool loops = true;
      for (std::size_t back = 1; loops && back <= needed - length; ++back) loops = same(back);
      if (!loops) continue;
      tokens.resize(tokens.size() - needed + length);
      for (; log_probabilities.size() > tokens.size(); log_probabilities.pop_back()) sum -= log_probabilities.back();
      repeats = is_done = true;
      return;
    }
  }

  void keep_attention(const Tensor& weights) {
    if (frames == 0 || weights.shape.size() != 4) return;
    const auto seen = static_cast<std::size_t>(weights.shape[2]), all = static_cast<std::size_t>(weights.shape[3]);
    heads = static_cast<std::size_t>(weights.shape[1]);
    frames = std::min(frames, all);
    for (std::size_t token = 0; token < seen; ++token) {
      std::vector<float> row;
      for (std::size_t head = 0; head < heads; ++head) {
        const auto from = weights.as<float>().subspan((head * seen + token) * all, frames);
        row.insert(row.end(), from.begin(), from.end());
      }
      attention.push_back(std::make_shared<const std::vector<float>>(std::move(row)));
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
  whisper.cache_ = {cache[0], 1, std::max<std::int64_t>(cache[2], 0), cache[3]};
  whisper.has_attention_ = decoder->outputs().size() > kAttention;
  whisper.encoder_ = std::move(encoder);
  whisper.decoder_ = std::move(decoder);
  return whisper;
}

Status Whisper::check(const WhisperOptions& options) const {
  const bool is_english = options.language.empty() || options.language == "en";
  if (!tokens_.is_multilingual && (!is_english || options.translate))
    return fail(ErrorCode::kInvalidArgument,
                "this model of speech knows English only (whisper-base knows 99 languages)");
  if (tokens_.is_multilingual && !options.language.empty() && !tokens_.languages.contains(options.language))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the model of speech does not know the language {} (a code such as en, de or ja)",
                            options.language));
  return {};
}

// Gives these tokens to the decoder. The logits behind the last one; valid until the next step.
Result<std::span<const float>> Whisper::step(Decoding& decoding, std::span<const TokenId> tokens) const {
  std::vector<Tensor>& state = decoding.state;
  state[kTokens] = Tensor::zeros(ElementType::kInt64, {1, signed_size(tokens.size())});
  std::ranges::copy(tokens, state[kTokens].as<std::int64_t>().begin());
  state[kOffset] = Tensor::zeros(ElementType::kInt64, {1});
  state[kOffset].as<std::int64_t>()[0] = signed_size(decoding.offset);
  IE_TRY(decoding.outputs, decoder_->run(state));
  const Tensor& logits = decoding.outputs[kLogits];
  const std::vector<std::int64_t> expected = {1, signed_size(tokens.size()), signed_size(tokens_.size())};
  if (logits.type != ElementType::kFloat32 || logits.shape != expected)
    return fail(ErrorCode::kCorrupt, "the decoder of speech did not give one number for each token of its vocabulary");
  decoding.offset += tokens.size();
  state[kSelfKeys] = std::move(decoding.outputs[kNewKeys]);
  state[kSelfValues] = std::move(decoding.outputs[kNewValues]);
  if (has_attention_) decoding.keep_attention(decoding.outputs[kAttention]);
  return logits.as<float>().last(tokens_.size());
}

// What the logits behind the start of the transcript say.
Status Whisper::detect(std::span<const float> logits, Decoding& decoding, const WhisperOptions& options) const {
  const auto logit = [&](TokenId id) { return logits[static_cast<std::size_t>(id)]; };
  decoding.no_speech = std::exp(logit(tokens_.no_speech) - log_sum(logits, {}));
  decoding.language = decoding.written = tokens_.is_multilingual ? options.language : "en";
  if (!tokens_.is_multilingual) return {};
  if (decoding.language.empty()) {
    std::vector<std::uint8_t> others(logits.size(), 1);
    for (const auto& [code, id] : tokens_.languages) others[static_cast<std::size_t>(id)] = 0;
    const auto best =
        std::ranges::max_element(tokens_.languages, {}, [&](const auto& language) { return logit(language.second); });
    decoding.language = best->first;
    decoding.language_probability = std::exp(logit(best->second) - log_sum(logits, others));
  }
  IE_CHECK(check({decoding.language}));
  decoding.language_token = tokens_.languages.at(decoding.language);
  decoding.written = options.translate ? "en" : decoding.language;
  return {};
}

TokenId Whisper::choose(std::span<const float> logits, Decoding& decoding) const {
  const bool is_first = decoding.tokens.empty();
  TokenId best = tokens_.eot;
  float most = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > most) || tokens_.suppressed[i] != 0) continue;
    const auto id = static_cast<TokenId>(i);
    if (is_first && (id == tokens_.blank || id == tokens_.eot)) continue;
    most = logits[i];
    best = id;
  }
  const double log_probability = most - log_sum(logits, tokens_.suppressed);
  decoding.sum += log_probability;
  if (best == tokens_.eot) {
    decoding.is_done = true;
    return best;
  }
  decoding.tokens.push_back(best);
  decoding.log_probabilities.push_back(log_probability);
  decoding.cut_loop();
  decoding.is_done = decoding.is_done || decoding.tokens.size() >= kMostTokens;
  return best;
}

// The first frame of each token of text, and of the end; empty: not known.
std::vector<std::size_t> Whisper::frames_of(const Decoding& decoding) const {
  const std::size_t prompt = tokens_.is_multilingual ? 4 : 2;
  const std::size_t used = std::min(decoding.attention.size(), prompt + decoding.tokens.size());
  if (used + 1 < prompt + decoding.tokens.size() || used == 0) return {};
  Attention attention{decoding.heads, used, decoding.frames, {}};
  for (std::size_t head = 0; head < decoding.heads; ++head)
    for (std::size_t token = 0; token < used; ++token) {
      const auto row = std::span(*decoding.attention[token]).subspan(head * decoding.frames, decoding.frames);
      attention.weights.insert(attention.weights.end(), row.begin(), row.end());
    }
  // The last token of the prompt brings forth the first one of the text.
  return first_frames(attention, prompt - 1);
}

Heard Whisper::heard(const Decoding& decoding, double seconds) const {
  Heard heard{decoding.language, decoding.language_probability, decoding.no_speech, 0, decoding.repeats, {}};
  if (decoding.tokens.empty()) return heard;
  heard.mean_log_probability = decoding.mean();
  const std::vector<std::size_t> frames = frames_of(decoding);
  std::vector<SpokenToken> spoken(decoding.tokens.size());
  const double share = seconds / static_cast<double>(spoken.size());
  const auto time = [&](std::size_t i) {
    if (frames.empty()) return share * static_cast<double>(i);
    return i < frames.size() ? std::min(static_cast<double>(frames[i]) * kAttentionFrame, seconds) : seconds;
  };
  for (std::size_t i = 0; i < spoken.size(); ++i)
    spoken[i] = {decoding.tokens[i], time(i), time(i + 1), std::exp(decoding.log_probabilities[i])};
  heard.words = without_sounds(words_of(tokens_, spoken, decoding.written));
  return heard;
}

std::vector<Whisper::Candidate> Whisper::likeliest(const Beam& beam) const {
  const bool is_first = beam.tokens.empty();
  std::vector<Candidate> best;  // the likeliest first
  for (std::size_t i = 0; i < beam.logits.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (tokens_.suppressed[i] != 0 || (is_first && (id == tokens_.blank || id == tokens_.eot))) continue;
    if (best.size() > kBeams && !(beam.logits[i] > best.back().logit)) continue;
    const auto at = std::ranges::upper_bound(best, beam.logits[i], std::greater<>(), &Candidate::logit);
    best.insert(at, {id, beam.logits[i]});
    if (best.size() > kBeams + 1) best.pop_back();
  }
  const double total = log_sum(beam.logits, tokens_.suppressed);
  for (Candidate& one : best) {
    one.log_probability = one.logit - total;
    one.sum = beam.sum + one.log_probability;
  }
  return best;
}

// Beam search, as in OpenAI's whisper/decoding.py: of the texts that ended, the one whose tokens have the largest mean
// log probability.
Status Whisper::search(Decoding& decoding, Beam start, std::size_t offset) const {
  std::vector<Beam> beams;
  beams.push_back(std::move(start));
  std::optional<Beam> best;
  double best_mean = -std::numeric_limits<double>::infinity();
  for (std::size_t ended = 0, length = 0; ended < kBeams && length < kMostTokens; ++length) {
    std::vector<std::pair<std::size_t, Candidate>> candidates;
    for (std::size_t i = 0; i < beams.size(); ++i)
      for (const Candidate& candidate : likeliest(beams[i])) candidates.emplace_back(i, candidate);
    std::ranges::stable_sort(candidates, std::greater<>(), [](const auto& one) { return one.second.sum; });
    std::vector<Beam> next;
    for (const auto& [parent, candidate] : candidates) {
      if (next.size() == kBeams) break;
      if (candidate.id != tokens_.eot) {
        Beam& beam = next.emplace_back(beams[parent]);
        beam.tokens.push_back(candidate.id);
        beam.log_probabilities.push_back(candidate.log_probability);
        beam.sum = candidate.sum;
        continue;
      }
      ++ended;
      const double mean = candidate.sum / static_cast<double>(beams[parent].tokens.size() + 1);
      if (!(mean > best_mean)) continue;
      best_mean = mean;
      best = beams[parent];
      best->sum = candidate.sum;
    }
    for (Beam& beam : next) {
      decoding.state[kSelfKeys] = std::move(beam.keys);
      decoding.state[kSelfValues] = std::move(beam.values);
      decoding.attention = std::move(beam.attention);
      decoding.offset = offset + length;
      IE_TRY(const std::span<const float> logits, step(decoding, {&beam.tokens.back(), 1}));
      beam.logits.assign(logits.begin(), logits.end());
      beam.keys = std::move(decoding.state[kSelfKeys]);
      beam.values = std::move(decoding.state[kSelfValues]);
      beam.attention = std::move(decoding.attention);
    }
    beams = std::move(next);
  }
  if (!best) best = std::move(beams.front());
  decoding.tokens = std::move(best->tokens);
  decoding.log_probabilities = std::move(best->log_probabilities);
  decoding.sum = best->sum;
  decoding.attention = std::move(best->attention);
  decoding.repeats = false;
  decoding.cut_loop();
  return {};
}

Result<Heard> Whisper::run(std::span<const float> window, const WhisperOptions& options) const {
  IE_CHECK(check(options));
  Decoding decoding;
  const std::size_t sound = std::clamp<std::size_t>((window.size() + kHop - 1) / kHop, 2, kMostMelFrames);
  decoding.frames = has_attention_ ? sound / 2 : 0;
  const std::size_t frames = std::min(sound + kSilentFrames, kMostMelFrames) / 2 * 2;
  Tensor mel = Tensor::zeros(ElementType::kFloat32, {1, signed_size(mels_), signed_size(frames)});
  std::ranges::copy(whisper_mel(window, mels_, frames), mel.as<float>().begin());
  IE_TRY(std::vector<Tensor> cross, encoder_->run({&mel, 1}));
  decoding.state[kSelfKeys] = decoding.state[kSelfValues] = Tensor::zeros(ElementType::kFloat32, cache_);
  decoding.state[kCrossKeys] = std::move(cross[0]);
  decoding.state[kCrossValues] = std::move(cross[1]);

  IE_TRY(std::span<const float> logits, step(decoding, {&tokens_.sot, 1}));
  IE_CHECK(detect(logits, decoding, options));
  std::vector<TokenId> given;
  if (tokens_.is_multilingual)
    given = {decoding.language_token, options.translate ? tokens_.translate : tokens_.transcribe};
  given.push_back(tokens_.no_timestamps);
  IE_TRY(logits, step(decoding, given));
  const std::size_t offset = decoding.offset;
  Beam start{decoding.state[kSelfKeys], decoding.state[kSelfValues], {}, {}, 0, decoding.attention, {}};
  start.logits.assign(logits.begin(), logits.end());
  for (TokenId token = choose(logits, decoding); !decoding.is_done; token = choose(logits, decoding)) {
    IE_TRY(logits, step(decoding, {&token, 1}));
  }
  const bool is_hopeful = decoding.mean() >= kHopeless;
  if (is_hopeful && (decoding.mean() < kSureEnough || decoding.repeats))
    IE_CHECK(search(decoding, std::move(start), offset));
  return heard(decoding, static_cast<double>(window.size()) / static_cast<double>(kSampleRate));
}

}  // namespace image_engine::audio
