#include "plugins/plugin_file.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/text.h"
#include "models/digest.h"

namespace image_engine::plugins {
namespace {

constexpr off_t kMostBytes = off_t{256} << 20;

// What is loaded runs with this user's photos: nobody else may have put it there.
Status check_owner(const struct stat& info, const std::string& path) {
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(
        ErrorCode::kPermission,
        fmt::format("{0}: others may write to it, so it is not loaded; check whose it is, then `chmod go-w {0}`",
                    printable(path)));
  if (info.st_uid != ::geteuid() && info.st_uid != 0)
    return fail(ErrorCode::kPermission,
                printable(path) + ": it belongs to another user, so it is not loaded; make a copy of your own");
  return {};
}

Result<UniqueFd> open_checked(const std::string& path, struct stat& info) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file && errno == ELOOP)
    return fail(ErrorCode::kPermission, printable(path) + ": it is a link, so it is not loaded; name the file itself");
  if (!file) return fail(errno_error(printable(path)));
  if (::fstat(file.get(), &info) != 0) return fail(errno_error(printable(path)));
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::kUnsupported, printable(path) + ": it is no file");
  IE_CHECK(check_owner(info, path));
  if (info.st_size > kMostBytes) return fail(ErrorCode::kTooLarge, printable(path) + ": a plugin has at most 256 MiB");
  return file;
}

#if defined(__x86_64__)
constexpr std::uint16_t kMachine = EM_X86_64;
#else
constexpr std::uint16_t kMachine = EM_AARCH64;
#endif

Status check_header(int file, const std::string& path) {
  Elf64_Ehdr header{};
  const bool is_elf = ::pread(file, &header, sizeof header, 0) == static_cast<ssize_t>(sizeof header) &&
                      std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_type == ET_DYN;
  if (!is_elf) return fail(ErrorCode::kUnsupported, printable(path) + ": it is no shared object (cc -shared -fPIC)");
  if (header.e_machine != kMachine || header.e_ident[EI_CLASS] != ELFCLASS64)
    return fail(ErrorCode::kUnsupported, printable(path) + ": it was built for another kind of CPU");
  return {};
}

Status copy_bytes(int from, int to, std::uint64_t bytes) {
  for (off_t at = 0; static_cast<std::uint64_t>(at) < bytes;) {
    const ssize_t count = ::sendfile(to, from, &at, bytes - static_cast<std::uint64_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail(ErrorCode::kIo, "it could not be read to its end");
  }
  return {};
}

}  // namespace

Result<PluginFile> PluginFile::open(const std::string& path) {
  struct stat info {};
  IE_TRY(const UniqueFd file, open_checked(path, info));
  IE_CHECK(check_header(file.get(), path));
  PluginFile plugin;
  plugin.bytes_ = static_cast<std::uint64_t>(info.st_size);
  plugin.copy_.reset(::memfd_create("image-engine-plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!plugin.copy_) return fail(ErrorCode::kMachine, errno_error("no memory for a plugin").message);
  if (const Status copied = copy_bytes(file.get(), plugin.copy_.get(), plugin.bytes_); !copied)
    return fail(copied.error().code, printable(path) + ": " + copied.error().message);
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
  if (::fcntl(plugin.copy_.get(), F_ADD_SEALS, kSeals) != 0)
    return fail(ErrorCode::kMachine, errno_error("the copy of a plugin cannot be sealed").message);
  IE_TRY(plugin.sha256_, models::sha256_of(fmt::format("/proc/self/fd/{}", plugin.copy_.get())));
  return plugin;
}

Status PluginFile::write_to(const std::string& path) const {
  IE_TRY(const MappedFile mapped, MappedFile::create(copy_.get()));
  return write_file_atomically(path, mapped.bytes(), 0755);
}

}  // namespace image_engine::plugins
