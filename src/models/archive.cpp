#include "models/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::models {
namespace {

using Reader = std::unique_ptr<archive, decltype(&archive_read_free)>;

constexpr size_t kBlock = size_t{1} << 17;

Error corrupt(const std::string& path, archive* reader) {
  const char* reason = ::archive_error_string(reader);
  return {ErrorCode::kCorrupt, fmt::format("{} is not a valid archive: {}", printable(path),
                                           reason != nullptr ? printable(reason) : "unknown")};
}

Status copy_data(archive* reader, const std::string& path, int fd, std::uint64_t most_bytes,
                 const std::stop_token& stop) {
  std::vector<char> buffer(kBlock);
  for (std::uint64_t total = 0;;) {
    if (stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted");
    const la_ssize_t count = ::archive_read_data(reader, buffer.data(), buffer.size());
    if (count < 0) return fail(corrupt(path, reader));
    if (count == 0) return {};
    total += static_cast<std::uint64_t>(count);
    if (total > most_bytes)
      return fail(ErrorCode::kTooLarge, fmt::format("a file in {} is larger than the {} bytes that it may have",
                                                    printable(path), most_bytes));
    for (la_ssize_t done = 0; done < count;) {
      const ssize_t written = ::write(fd, buffer.data() + done, static_cast<size_t>(count - done));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return fail(errno_error("cannot write what " + printable(path) + " holds"));
      done += written;
    }
  }
}

}  // namespace

Status extract_member(const std::string& path, const std::string& member, const std::string& target,
                      std::uint64_t most_bytes, const std::stop_token& stop) {
  const Reader reader(::archive_read_new(), archive_read_free);
  if (!reader) return fail(ErrorCode::kOutOfMemory, "libarchive cannot start");
  ::archive_read_support_format_zip(reader.get());
  ::archive_read_support_format_tar(reader.get());
  for (const auto filter :
       {archive_read_support_filter_gzip, archive_read_support_filter_bzip2, archive_read_support_filter_xz})
    filter(reader.get());
  if (::archive_read_open_filename(reader.get(), path.c_str(), kBlock) != ARCHIVE_OK)
    return fail(corrupt(path, reader.get()));
  archive_entry* entry = nullptr;
  int state = ARCHIVE_OK;
  while ((state = ::archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK || state == ARCHIVE_WARN) {
    if (stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted");
    const char* bytes = ::archive_entry_pathname(entry);
    std::string_view name = bytes != nullptr ? bytes : "";
    if (name.starts_with("./")) name.remove_prefix(2);
    if (name != member || ::archive_entry_filetype(entry) != AE_IFREG || ::archive_entry_hardlink(entry) != nullptr)
      continue;
    const UniqueFd fd(::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!fd) return fail(errno_error("cannot write " + printable(target)));
    Status status = copy_data(reader.get(), path, fd.get(), most_bytes, stop);
    if (!status) ::unlink(target.c_str());
    return status;
  }
  if (state != ARCHIVE_EOF) return fail(corrupt(path, reader.get()));
  return fail(ErrorCode::kNotFound, fmt::format("{} holds no file {}", printable(path), printable(member)));
}

Result<std::vector<Member>> read_members(std::string_view zip, std::uint64_t most_bytes, std::size_t most_members) {
  const std::string what = "the answer";
  const Reader reader(::archive_read_new(), archive_read_free);
  if (!reader) return fail(ErrorCode::kOutOfMemory, "libarchive cannot start");
  ::archive_read_support_format_zip(reader.get());
  if (::archive_read_open_memory(reader.get(), zip.data(), zip.size()) != ARCHIVE_OK)
    return fail(corrupt(what, reader.get()));
  std::vector<Member> members;
  std::vector<char> buffer(kBlock);
  archive_entry* entry = nullptr;
  std::uint64_t total = 0;
  std::size_t entries = 0;
  int state = ARCHIVE_OK;
  while ((state = ::archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK || state == ARCHIVE_WARN) {
    if (++entries > most_members)
      return fail(ErrorCode::kTooLarge, fmt::format("a zip has more than {} entries", most_members));
    if (::archive_entry_filetype(entry) != AE_IFREG) continue;
    const char* name = ::archive_entry_pathname(entry);
    Member& member = members.emplace_back(Member{name != nullptr ? name : "", {}});
    la_ssize_t count = 0;
    while ((count = ::archive_read_data(reader.get(), buffer.data(), buffer.size())) > 0) {
      total += static_cast<std::uint64_t>(count);
      if (total > most_bytes)
        return fail(ErrorCode::kTooLarge, fmt::format("a zip unpacks to more than {}", human_bytes(most_bytes)));
      member.bytes.append(buffer.data(), static_cast<std::size_t>(count));
    }
    if (count < 0) return fail(corrupt(what, reader.get()));
  }
  if (state != ARCHIVE_EOF) return fail(corrupt(what, reader.get()));
  return members;
}

}  // namespace image_engine::models
