#include "nvidia/pacer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

#include "core/file.h"
#include "core/file_lock.h"
#include "core/hash.h"
#include "core/text.h"

namespace image_engine::nvidia {
namespace {

using Nanoseconds = std::chrono::nanoseconds;

constexpr double kShare = 0.97;              // of the rate
constexpr double kSlowest = 1.0 / 1440;      // requests per minute: one per day
constexpr std::chrono::hours kFarthest{48};  // a later slot is not ours
constexpr std::chrono::minutes kMinute{1};

// The file's contents, in monotonic time.
struct Record {
  Nanoseconds next{};   // free slot
  Nanoseconds quiet{};  // until then
};

// "<next> <quiet> <boot id> <checksum>\n", all of fixed width: overwritten in a single write.
constexpr size_t kNumber = 20, kBootId = 36, kChecksum = 32;
constexpr size_t kRecord = kNumber + 1 + kNumber + 1 + kBootId + 1 + kChecksum + 1;

std::string boot_id() {
  const UniqueFd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  std::string text(kBootId, '-');
  return fd && ::pread(fd.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(kBootId)
             ? text
             : std::string(kBootId, '-');
}

std::string text_of(const Record& record, const std::string& boot) {
  const std::string text = fmt::format("{:020} {:020} {} ", record.next.count(), record.quiet.count(), boot);
  return text + hash128(text).hex() + "\n";
}

std::optional<Nanoseconds> number_at(std::string_view text, size_t begin) {
  std::int64_t count = 0;
  const char* first = text.data() + begin;
  const auto [end, error] = std::from_chars(first, first + kNumber, count);
  if (error != std::errc{} || end != first + kNumber) return std::nullopt;
  return Nanoseconds(count);
}

// A missing value counts as long ago.
Record record_of(std::string_view text, const std::string& boot, Nanoseconds now) {
  if (text.size() != kRecord) return {};
  const std::optional<Nanoseconds> next = number_at(text, 0), quiet = number_at(text, kNumber + 1);
  if (!next || !quiet || *next > now + kFarthest || *quiet > now + kFarthest) return {};
  const Record record{*next, *quiet};
  return text == text_of(record, boot) ? record : Record{};
}

}  // namespace

struct Pacer::State {
  std::string path, boot;
  Nanoseconds interval{};
  Clock* clock = nullptr;

  [[nodiscard]] Nanoseconds now() const {
    return std::chrono::duration_cast<Nanoseconds>(clock->now().time_since_epoch());
  }
  [[nodiscard]] Error here(const char* what) const { return errno_error(what + printable(path)); }

  // Calls `change(record, now)` with the file locked; it may return a record to write. Opens the file for each change:
  // locks of one open file do not exclude threads, and it may have been removed.
  template <typename Change>
  Status locked(Change change) const {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail(here("cannot write "));
    IE_CHECK(wait_for_lock(fd.get(), LockKind::kExclusive, "cannot lock " + printable(path)));
    std::array<char, kRecord + 1> bytes{};
    const ssize_t count = ::pread(fd.get(), bytes.data(), bytes.size(), 0);
    if (count < 0) return fail(here("cannot read "));
    const Nanoseconds time = now();
    const std::optional<Record> changed =
        change(record_of({bytes.data(), static_cast<size_t>(count)}, boot, time), time);
    if (!changed) return {};
    const std::string text = text_of(*changed, boot);
    if (static_cast<size_t>(count) > kRecord && ::ftruncate(fd.get(), 0) != 0) return fail(here("cannot write "));
    const ssize_t written = ::pwrite(fd.get(), text.data(), text.size(), 0);
    if (written == static_cast<ssize_t>(text.size())) return {};
    if (written >= 0) errno = ENOSPC;
    return fail(here("cannot write "));
  }
};

Pacer::Pacer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Pacer::Pacer(Pacer&&) noexcept = default;
Pacer& Pacer::operator=(Pacer&&) noexcept = default;
Pacer::~Pacer() = default;

Result<Pacer> Pacer::open(const std::string& folder, const std::string& server, double requests_per_minute,
                          Clock& clock) {
  const bool paced = requests_per_minute != 0;
  if (paced && !(requests_per_minute >= kSlowest && std::isfinite(requests_per_minute)))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} requests per minute is not a valid rate", requests_per_minute));
  IE_CHECK(make_folders(folder, 0700));
  auto state = std::make_unique<State>();
  state->path = join_path(folder, "pace-" + hash128(server).hex());
  state->boot = boot_id();
  state->clock = &clock;
  if (paced)
    state->interval =
        std::chrono::ceil<Nanoseconds>(std::chrono::duration<double>(60 / (requests_per_minute * kShare)));
  IE_CHECK(state->locked([](const Record& record, Nanoseconds) { return record; }));
  return Pacer(std::move(state));
}

Result<Time> Pacer::take() {
  Nanoseconds slot{};
  IE_CHECK(state_->locked([&](Record record, Nanoseconds now) {
    slot = std::max({now, record.next, record.quiet});
    record.next = slot + state_->interval;
    return record;
  }));
  return Time(slot);
}

Status Pacer::hold_until(Time time) {
  return state_->locked([&](Record record, Nanoseconds) {
    record.quiet = std::max(record.quiet, std::chrono::duration_cast<Nanoseconds>(time.time_since_epoch()));
    return record;
  });
}

Result<Time> Pacer::held_until() const {
  Nanoseconds quiet{};
  IE_CHECK(state_->locked([&](const Record& record, Nanoseconds) {
    quiet = record.quiet;
    return std::optional<Record>();
  }));
  return Time(quiet);
}

Result<double> Pacer::left() const {
  double left = 0;
  IE_CHECK(state_->locked([&](const Record& record, Nanoseconds now) {
    const auto open = now + kMinute - std::max({now, record.next, record.quiet});
    if (state_->interval == Nanoseconds(0))
      left = std::numeric_limits<double>::infinity();
    else
      left = std::max(0.0, std::chrono::duration<double>(open) / std::chrono::duration<double>(state_->interval));
    return std::optional<Record>();
  }));
  return left;
}

}  // namespace image_engine::nvidia
