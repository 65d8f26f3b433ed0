#include "scan/file_system.h"

#include <sys/vfs.h>

#include <algorithm>
#include <cstdlib>

#include "core/text.h"

namespace image_engine::scan {
namespace {

struct KnownSystem {
  std::uint64_t type;  // linux/magic.h, or the file system's own source
  FileSystem system;
};
constexpr KnownSystem kSystems[] = {
    {0x4d44, {.stable_inodes = false, .local_times = true}},      // FAT: numbers are assigned at mount
    {0x2011BAB0, {.stable_inodes = false, .local_times = true}},  // exFAT: likewise; its time zone field is often empty
    // FUSE: sshfs, NTFS-3G, exfat-fuse, virtiofs, rclone; indistinguishable
    {0x65735546, {.stable_inodes = false, .local_times = true}},
    {0x6969, {.stable_inodes = false}},      // NFS
    {0x517B, {.stable_inodes = false}},      // SMB
    {0xFF534D42, {.stable_inodes = false}},  // CIFS
    {0xFE534D42, {.stable_inodes = false}},  // SMB 2 and 3
    {0x01021997, {.stable_inodes = false}},  // 9P: WSL's drives, virtual machines' shares
    {0x786F4256, {.stable_inodes = false}},  // VirtualBox's shares
    {0xBACBACBC, {.stable_inodes = false}},  // VMware's shares
    {0x5346414F, {.stable_inodes = false}},  // AFS
    {0x794C7630, {.stable_inodes = false}},  // overlayfs: a file that is copied up may change its number
    {0x61756673, {.stable_inodes = false}},  // aufs
};

constexpr std::int64_t kHour = std::int64_t{3'600} * 1'000'000'000;
constexpr std::int64_t kMostHours = 26;  // from UTC-12 to UTC+14

}  // namespace

FileSystem file_system_of(std::uint64_t type) {
  const auto* const known = std::ranges::find(kSystems, type, &KnownSystem::type);
  return known == std::end(kSystems) ? FileSystem{} : known->system;
}

Result<FileSystem> file_system_at(const std::string& path) {
  struct statfs info {};
  if (::statfs(path.c_str(), &info) != 0) return fail(errno_error(printable(path)));
  return file_system_of(static_cast<std::uint32_t>(info.f_type));
}

bool same_time(const FileSystem& system, std::int64_t before_ns, std::int64_t now_ns) {
  if (before_ns == now_ns) return true;
  std::int64_t apart = 0;
  return system.local_times && !__builtin_sub_overflow(now_ns, before_ns, &apart) && apart % kHour == 0 &&
         apart / kHour >= -kMostHours && apart / kHour <= kMostHours;
}

}  // namespace image_engine::scan
