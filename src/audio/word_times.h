// When each token was said, and words from tokens.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "audio/whisper_tokens.h"
#include "types/transcript.h"

namespace image_engine::audio {

inline constexpr double kAttentionFrame = 0.02;  // seconds of a frame of Whisper's cross attention

// Softmax weights of the heads that follow the speech: [heads][tokens][frames], row-major.
struct Attention {
  std::size_t heads = 0, tokens = 0, frames = 0;
  std::vector<float> weights;
};

// The first frame of each row from `first` on, by dynamic time warping over the heads' normalised, smoothed weights
// (OpenAI's whisper/timing.py). Rising. One number for each row.
std::vector<std::size_t> first_frames(const Attention& attention, std::size_t first);

struct SpokenToken {
  TokenId id = 0;
  double from = 0, to = 0;  // seconds
  double probability = 0;
};

// Joins tokens to words of this language, with punctuation at the word it belongs to, and shortens words that are
// drawn out over a pause. Invalid UTF-8 is dropped.
std::vector<SpokenWord> words_of(const WhisperTokens& tokens, std::span<const SpokenToken> spoken,
                                 std::string_view language);

// Without what the model writes for sounds that are no words: "[BLANK_AUDIO]", "(music)", "*laughs*", "♪ … ♪", also
// over several words. (Suppressing such tokens makes it write words instead.)
std::vector<SpokenWord> without_sounds(std::vector<SpokenWord> words);

}  // namespace image_engine::audio
