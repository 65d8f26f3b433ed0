#include "nvidia/sent_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/json.h"
#include "core/text.h"

namespace image_engine::nvidia {
namespace {

constexpr std::string_view kUnknown = "null", kEnd = "}\n";

}  // namespace

Result<SentLine> SentLine::begin(const std::string& path, const Sent& sent) {
  const auto failed = [&] { return fail(errno_error("cannot log requests in " + printable(path))); };
  IE_CHECK(make_folders(std::string(parent_path(path)), 0700));
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return failed();
  nlohmann::ordered_json line;
  line["time"] = utc_now();
  line["host"] = sent.host;
  line["endpoint"] = to_utf8(sent.endpoint);
  line["about"] = to_utf8(sent.about);
  line["bytes"] = sent.bytes;
  line["status"] = nullptr;
  const std::string text = json_text(line) + "\n";
  const ssize_t written = ::write(fd.get(), text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) {
    if (written >= 0) errno = ENOSPC;
    return failed();
  }
  const off_t end = ::lseek(fd.get(), 0, SEEK_CUR);
  // Later writes go to a given offset, not to the end.
  if (end < 0 || ::fcntl(fd.get(), F_SETFL, 0) != 0) return failed();
  return SentLine(std::move(fd), end - static_cast<off_t>(kUnknown.size() + kEnd.size()));
}

void SentLine::end(int status) const {
  std::array<char, kUnknown.size()> there{};
  const ssize_t count = ::pread(fd_.get(), there.data(), there.size(), status_at_);
  // Otherwise the file was truncated meanwhile.
  if (count != static_cast<ssize_t>(there.size()) || std::string_view(there.data(), there.size()) != kUnknown) return;
  const std::string text = fmt::format("{:4}", std::clamp(status, 0, 999));
  (void)::pwrite(fd_.get(), text.data(), text.size(), status_at_);
}

}  // namespace image_engine::nvidia
