#include "audio/subtitle_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "audio/characters.h"
#include "core/text.h"
#include "types/script.h"

namespace image_engine::audio {
namespace {

// A line's width in units of which both kinds of characters take whole numbers.
constexpr int kNarrow = kLineWideCharacters / 2, kWide = kLineCharacters / 2;
constexpr int kLineWidth = kNarrow * static_cast<int>(kLineCharacters);
static_assert(kWide * kLineWideCharacters == kLineWidth);

constexpr double kMostSeconds = 1e9;

// How well a cue or a line ends there, the best first.
enum class Break : std::uint8_t { kSentence, kClause, kWord };

// Text that stays on one line.
struct Piece {
  std::string text;
  int width = 0;
  bool has_space = false;  // before it, unless it begins a line
  bool begins_segment = false;
  Break after = Break::kWord;
  double from = 0, to = 0;
};

int width_of(char32_t c) { return is_combining(c) ? 0 : is_wide(c) ? kWide : kNarrow; }

constexpr std::u32string_view kClosing = U")]}\"'»”’）」』】〉》";
constexpr std::u32string_view kOpening = U"([{«“‘（「『【〈《¿¡";
// Characters that no line begins with (JIS X 4051, shortened).
constexpr std::u32string_view kNeverFirst = U".,;:!?…。、，．・：；？！ーぁぃぅぇぉっゃゅょァィゥェォッャュョ々%％";

Break break_after(std::string_view text) {
  while (!text.empty() && is_any_of(last_of(text), kClosing)) text = text.substr(0, last_begin(text));
  const char32_t last = last_of(text);
  if (is_any_of(last, U".!?…。！？؟।॥")) return Break::kSentence;
  return is_any_of(last, U",;:、，；：،–—") ? Break::kClause : Break::kWord;
}

// Words without the characters that are no text: each white space a space, no control characters.
std::string clean(std::string_view text) {
  std::string cleaned;
  while (!text.empty()) {
    const char32_t c = take_character(text);
    if (c == '\t' || c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029)
      cleaned += ' ';
    else if (c >= 0x20 && !(c >= 0x7F && c < 0xA0))
      append_utf8(cleaned, c);
  }
  return cleaned;
}

class Pieces {
 public:
  void begin_segment() {
    begins_segment_ = true;
    if (!list.empty()) list.back().after = std::min(list.back().after, Break::kClause);
  }

  void add(const SpokenWord& word) {
    const std::string text = clean(word.text);
    const auto spaces = static_cast<size_t>(std::ranges::count(text, ' '));
    const double share = (word.to - word.from) / static_cast<double>(std::max<size_t>(text.size() - spaces, 1));
    double time = word.from;
    for (size_t at = 0; at < text.size();) {
      if (text[at] == ' ') {
        has_space_ = true;
        ++at;
        continue;
      }
      const size_t end = std::min(text.find(' ', at), text.size());
      const double begun = time;
      time += share * static_cast<double>(end - at);
      add_word(std::string_view(text).substr(at, end - at), begun, time);
      at = end;
    }
  }

  std::vector<Piece> list;

 private:
  // A word without spaces, in parts where a line may be broken within it.
  void add_word(std::string_view word, double from, double to) {
    if (begins_segment_ && (list.empty() || needs_space(list.back().text, word))) has_space_ = true;
    const double bytes = static_cast<double>(word.size());
    const size_t size = word.size();
    std::string part;
    int width = 0;
    size_t begin = 0;
    char32_t last = 0;
    const auto put = [&] {
      if (part.empty()) return;
      const double share = (to - from) / bytes;
      add_part(part, width, from + share * static_cast<double>(begin),
               from + share * static_cast<double>(begin + part.size()));
      begin += part.size();
      part.clear();
      width = 0;
    };
    while (!word.empty()) {
      const std::string_view rest = word;
      const char32_t c = take_character(word);
      const bool is_glued = is_combining(c) || is_any_of(c, kNeverFirst) || is_any_of(c, kClosing) ||
                            (last != 0 && is_any_of(last, kOpening));
      const bool may_break = last != 0 && (breaks_anywhere(c) || breaks_anywhere(last)) && !is_glued;
      if (may_break || width + width_of(c) > kLineWidth) put();
      part += rest.substr(0, rest.size() - word.size());
      width += width_of(c);
      last = c;
    }
    if (size > 0) put();
  }

  void add_part(const std::string& text, int width, double from, double to) {
    from = from >= 0 ? std::min(from, kMostSeconds) : 0;  // also of what is no number
    if (!list.empty()) from = std::max(from, list.back().from);
    to = to >= from ? std::min(to, kMostSeconds) : from;
    if (!has_space_ && !list.empty() && belongs_to(list.back(), text) && list.back().width + width <= kLineWidth) {
      Piece& last = list.back();
      last.text += text;
      last.width += width;
      last.to = to;
      last.after = break_after(last.text);
    } else {
      list.push_back({text, width, has_space_ && !list.empty(), begins_segment_, break_after(text), from, to});
    }
    has_space_ = begins_segment_ = false;
  }

  // Text that follows without a space belongs to the word before it, but where words have no spaces between them.
  static bool belongs_to(const Piece& last, std::string_view text) {
    const char32_t before = last_of(last.text), next = first_of(text);
    if (is_any_of(next, kNeverFirst) || is_any_of(next, kClosing) || is_any_of(before, kOpening)) return true;
    return !is_unspaced(before) && !is_unspaced(next);
  }

  bool has_space_ = false, begins_segment_ = false;
};

std::vector<Piece> pieces_of(std::vector<SpeechSegment>& speech) {
  std::ranges::stable_sort(speech, {}, [](const SpeechSegment& s) { return s.from >= 0 ? s.from : 0; });
  Pieces pieces;
  for (const SpeechSegment& segment : speech) {
    pieces.begin_segment();
    for (const SpokenWord& word : segment.words) pieces.add(word);
  }
  return std::move(pieces.list);
}

int width_with_space(const Piece& piece) { return piece.width + (piece.has_space ? kNarrow : 0); }

std::string join(std::span<const Piece> line) {
  std::string text;
  for (const Piece& piece : line) {
    if (piece.has_space && !text.empty()) text += ' ';
    text += piece.text;
  }
  return text;
}

int width_of(std::span<const Piece> line) {
  int width = 0;
  for (const Piece& piece : line) width += width > 0 ? width_with_space(piece) : piece.width;
  return width;
}

// On one line where it fits; else on two of about the same length, preferably broken at punctuation.
std::string wrapped(std::span<const Piece> cue) {
  constexpr std::array kCosts{0, 8 * kNarrow, 14 * kNarrow};  // by Break
  if (width_of(cue) <= kLineWidth) return join(cue);
  size_t best = 0;
  int least = std::numeric_limits<int>::max();
  for (size_t at = 1; at < cue.size(); ++at) {
    const int first = width_of(cue.first(at)), second = width_of(cue.subspan(at));
    if (first > kLineWidth || second > kLineWidth) continue;
    const int cost = std::abs(first - second) + kCosts[static_cast<size_t>(cue[at - 1].after)];
    if (cost < least) least = cost, best = at;
  }
  return join(cue.first(best)) + "\n" + join(cue.subspan(best));
}

// Where each cue begins, by the least sum of costs: dynamic programming over the pieces.
class CueSearch {
 public:
  explicit CueSearch(std::span<const Piece> pieces) : pieces_(pieces) {}

  // The index of the first piece of each cue, and the number of pieces.
  std::vector<size_t> run() {
    const size_t count = pieces_.size();
    costs_.assign(count + 1, std::numeric_limits<double>::infinity());
    before_.assign(count + 1, 0);
    costs_[0] = 0;
    for (size_t begin = 0; begin < count; ++begin) extend(begin);
    std::vector<size_t> begins{count};
    while (begins.back() > 0) begins.push_back(before_[begins.back()]);
    std::ranges::reverse(begins);
    return begins;
  }

 private:
  static constexpr double kACue = 4, kAcrossSegments = 6, kASecondShort = 60;
  static constexpr std::array kBreak{0.0, 15.0, 40.0};

  [[nodiscard]] bool is_pause_before(size_t piece) const {
    return pieces_[piece].from - pieces_[piece - 1].to >= kCuePause;
  }

  void extend(size_t begin) {
    size_t lines = 1;
    int width = 0;
    double inside = costs_[begin] + kACue;
    for (size_t end = begin; end < pieces_.size(); ++end) {
      const Piece& piece = pieces_[end];
      width += width > 0 ? width_with_space(piece) : piece.width;
      if (width > kLineWidth) ++lines, width = piece.width;
      if (end > begin) {
        if (lines > kCueLines || is_pause_before(end) || piece.to - pieces_[begin].from > kMostCueSeconds) return;
        if (piece.begins_segment) inside += kAcrossSegments;
      }
      const double cost = inside + cost_of_end(begin, end + 1);
      if (cost < costs_[end + 1]) costs_[end + 1] = cost, before_[end + 1] = begin;
    }
  }

  [[nodiscard]] double cost_of_end(size_t begin, size_t end) const {
    if (end == pieces_.size() || is_pause_before(end)) return 0;
    const double seconds = pieces_[end].from - kCueGap - pieces_[begin].from;
    return kBreak[static_cast<size_t>(pieces_[end - 1].after)] +
           std::max(kLeastCueSeconds - seconds, 0.0) * kASecondShort;
  }

  std::span<const Piece> pieces_;
  std::vector<double> costs_;
  std::vector<size_t> before_;
};

double whole_milliseconds(double seconds) { return std::round(seconds * 1000) / 1000; }

// Long enough to be read and short enough to stay, without overlap.
void set_times(std::vector<SubtitleCue>& cues) {
  for (size_t i = 0; i < cues.size(); ++i) {
    SubtitleCue& cue = cues[i];
    if (i > 0) cue.from = std::max(cue.from, cues[i - 1].to + kCueGap);
    cue.to = std::clamp(cue.to, cue.from + kLeastCueSeconds, cue.from + kMostCueSeconds);
    if (i + 1 < cues.size()) cue.to = std::min(cue.to, cues[i + 1].from - kCueGap);
    cue.to = std::max(cue.to, cue.from + kCueGap);
    cue.from = whole_milliseconds(cue.from);
    cue.to = whole_milliseconds(cue.to);
  }
}

std::string time_text(double seconds, char point) {
  const auto milliseconds = static_cast<std::uint64_t>(std::llround(std::max(seconds, 0.0) * 1000));
  return fmt::format("{:02}:{:02}:{:02}{}{:03}", milliseconds / 3'600'000, milliseconds / 60'000 % 60,
                     milliseconds / 1000 % 60, point, milliseconds % 1000);
}

struct Replacement {
  std::string_view text, by;
};

std::string replaced(std::string_view text, std::span<const Replacement> table) {
  std::string result;
  while (!text.empty()) {
    const auto row = std::ranges::find_if(table, [&](const Replacement& r) { return text.starts_with(r.text); });
    result += row == table.end() ? text.substr(0, 1) : row->by;
    text.remove_prefix(row == table.end() ? 1 : row->text.size());
  }
  return result;
}

struct TranscriptFormatRow {
  TranscriptFormat format;
  std::string_view name, extension;
};
constexpr TranscriptFormatRow kTranscriptFormats[] = {
    {TranscriptFormat::kText, "text", ".txt"},
    {TranscriptFormat::kWebVtt, "vtt", ".vtt"},
    {TranscriptFormat::kSubRip, "srt", ".srt"},
};

}  // namespace

std::vector<SubtitleCue> subtitle_cues(std::vector<SpeechSegment> speech) {
  const std::vector<Piece> pieces = pieces_of(speech);
  const std::vector<size_t> begins = CueSearch(pieces).run();
  std::vector<SubtitleCue> cues;
  for (size_t i = 0; i + 1 < begins.size(); ++i) {
    const auto cue = std::span(pieces).subspan(begins[i], begins[i + 1] - begins[i]);
    cues.push_back({cue.front().from, cue.back().to, wrapped(cue)});
  }
  set_times(cues);
  return cues;
}

std::string webvtt(const std::vector<SubtitleCue>& cues) {
  constexpr Replacement kEscapes[] = {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}};
  std::string file = "WEBVTT\n";
  for (const SubtitleCue& cue : cues)
    file += fmt::format("\n{} --> {}\n{}\n", time_text(cue.from, '.'), time_text(cue.to, '.'),
                        replaced(cue.text, kEscapes));
  return file;
}

std::string subrip(const std::vector<SubtitleCue>& cues) {
  constexpr Replacement kLookalikes[] = {{"-->", "→"}, {"<", "‹"}, {">", "›"}, {"{", "("}, {"}", ")"}};
  std::string file;
  size_t number = 0;
  for (const SubtitleCue& cue : cues)
    file += fmt::format("{}{}\n{} --> {}\n{}\n", file.empty() ? "" : "\n", ++number, time_text(cue.from, ','),
                        time_text(cue.to, ','), replaced(cue.text, kLookalikes));
  return file;
}

std::string transcript_text(std::vector<SpeechSegment> speech, bool with_times) {
  const std::vector<Piece> pieces = pieces_of(speech);
  std::string text;
  double end = 0;  // of what was said so far
  for (const Piece& piece : pieces) {
    const bool begins = text.empty() || piece.from - end > kParagraphPause;
    if (begins && !text.empty()) text += "\n\n";
    if (begins && with_times) text += fmt::format("[{}] ", clock_text(std::floor(piece.from)));
    if (!begins && piece.has_space) text += ' ';
    text += piece.text;
    end = std::max(end, piece.to);
  }
  return text.empty() ? text : text + "\n";
}

std::optional<TranscriptFormat> transcript_format(std::string_view name) {
  const auto* row = std::ranges::find(kTranscriptFormats, name, &TranscriptFormatRow::name);
  return row == std::end(kTranscriptFormats) ? std::nullopt : std::optional(row->format);
}

std::string_view transcript_extension(TranscriptFormat format) {
  return std::ranges::find(kTranscriptFormats, format, &TranscriptFormatRow::format)->extension;
}

std::string write_transcript(const std::vector<SpeechSegment>& speech, TranscriptFormat format) {
  switch (format) {
    case TranscriptFormat::kWebVtt:
      return webvtt(subtitle_cues(speech));
    case TranscriptFormat::kSubRip:
      return subrip(subtitle_cues(speech));
    case TranscriptFormat::kText:
      break;
  }
  return transcript_text(speech, true);
}

}  // namespace image_engine::audio
