#include "core/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "core/text.h"

namespace image_engine {
namespace {

constexpr std::chrono::milliseconds kBarInterval{100};
constexpr std::chrono::seconds kLineInterval{5};
constexpr size_t kBarColumns = 90;  // too narrow for a bar

size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string bar(double fraction) {
  constexpr int kCells = 24;
  const int full = static_cast<int>(fraction * kCells);
  std::string text;
  for (int i = 0; i < kCells; ++i) text += i < full ? "█" : "░";
  return text;
}

}  // namespace

bool is_terminal(int fd) {
  const char* kind = std::getenv("TERM");
  return ::isatty(fd) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

Progress::Progress(std::string title, std::uint64_t total, bool enabled, ProgressUnit unit)
    : title_(std::move(title)), total_(total), enabled_(enabled), unit_(unit), terminal_(is_terminal(STDERR_FILENO)) {
  next_print_ = (start_ + (terminal_ ? Clock::duration(kBarInterval) : Clock::duration(kLineInterval)))
                    .time_since_epoch()
                    .count();
}

Progress::~Progress() {
  if (enabled_ && terminal_) std::fputs("\r\x1b[K", stderr);
}

void Progress::add(std::uint64_t steps) {
  done_ += steps;
  if (!enabled_) return;
  const Clock::time_point now = Clock::now();
  if (now.time_since_epoch().count() < next_print_.load(std::memory_order_relaxed)) return;
  if (const std::unique_lock lock(print_mutex_, std::try_to_lock); lock.owns_lock()) print(now);
}

double Progress::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

void Progress::print(Clock::time_point now) {
  next_print_ =
      (now + (terminal_ ? Clock::duration(kBarInterval) : Clock::duration(kLineInterval))).time_since_epoch().count();
  const std::uint64_t done = done_, total = std::max<std::uint64_t>(total_, done);
  const double elapsed = seconds();
  const double rate = elapsed > 0 ? static_cast<double>(done) / elapsed : 0;
  const auto amount = [&](std::uint64_t steps) {
    if (unit_ == ProgressUnit::kSecond) return human_duration(static_cast<double>(steps));
    return unit_ == ProgressUnit::kByte ? human_bytes(steps) : human_count(steps);
  };
  const std::string beside = beside_ ? beside_() : "";
  std::string text = fmt::format("{:<10} ", title_);
  if (total_ > 0) {
    const double fraction = static_cast<double>(done) / static_cast<double>(total);
    if (terminal_ && terminal_width() >= kBarColumns + character_count(beside)) text += bar(fraction) + ' ';
    text += fmt::format("{:3.0f} %  {} of {}", fraction * 100, amount(done), amount(total));
  } else {
    text += amount(done);
  }
  if (unit_ == ProgressUnit::kSecond && total_ > 0) text += fmt::format("  {:.1f} × real time", rate);
  if (unit_ != ProgressUnit::kSecond)
    text +=
        rate >= 10 ? fmt::format("  {}/s", amount(static_cast<std::uint64_t>(rate))) : fmt::format("  {:.1f}/s", rate);
  if (total_ > 0 && rate > 0) text += "  ETA " + human_duration(static_cast<double>(total - done) / rate);
  if (!beside.empty()) text += "  " + beside;
  if (terminal_)
    text.resize(first_characters(text, terminal_width() - 1).size());  // a line that wraps cannot be overwritten
  std::fputs(terminal_ ? ("\r" + text + "\x1b[K").c_str() : (text + "\n").c_str(), stderr);
}

}  // namespace image_engine
