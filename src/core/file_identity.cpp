#include "core/file_identity.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <locale.h>
#include <sys/stat.h>
#include <wctype.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <cwchar>
#include <memory>
#include <string_view>

#include "core/file.h"
#include "core/text.h"

namespace image_engine {
namespace {

// Types as in proc_pid_mountinfo(5), space-separated; all others are kElsewhere.
constexpr std::string_view kLocalTypes =
    " ext2 ext3 ext4 xfs btrfs f2fs tmpfs ramfs zfs bcachefs jfs reiserfs nilfs2 iso9660 udf squashfs ";
constexpr std::string_view kNamedTypes = " exfat vfat msdos ntfs ntfs3 fuseblk hfsplus ";
constexpr std::string_view kOneMountTypes = " overlay nfs nfs4 ";

bool is_one_of(std::string_view types, std::string_view type) {
  return types.find(" " + std::string(type) + " ") != std::string_view::npos;
}

// A field of mountinfo, where space, tab, newline and backslash are written as octal numbers.
std::string unescaped(std::string_view field) {
  std::string text;
  for (size_t i = 0; i < field.size(); ++i) {
    int value = 0;
    if (field[i] == '\\' && i + 3 < field.size() &&
        std::from_chars(field.data() + i + 1, field.data() + i + 4, value, 8).ptr == field.data() + i + 4) {
      text += static_cast<char>(value);
      i += 3;
    } else {
      text += field[i];
    }
  }
  return text;
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (!line.empty()) {
    const size_t end = std::min(line.find(' '), line.size());
    if (end > 0) fields.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return fields;
}

bool is_within(std::string_view path, std::string_view folder) {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

// A loop device shows a file; two of them may show the same.
std::string origin_of(std::string_view device, const std::string& source) {
  constexpr std::string_view kLoop = "/dev/loop";
  constexpr size_t kMaxBytes = 4096;
  if (!source.starts_with(kLoop)) return std::string(device);
  const Result<std::string> file = read_file("/sys/block/" + source.substr(5) + "/loop/backing_file", kMaxBytes);
  return file ? *file : std::string(device);
}

// Case folding as in exFAT and FAT, character by character.
std::string without_case(const std::string& name) {
  static const locale_t kLocale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (kLocale == nullptr) return ascii_lower(name);
  const locale_t before = ::uselocale(kLocale);
  std::string folded;
  std::mbstate_t in{}, out{};
  std::array<char, MB_LEN_MAX> bytes{};
  for (size_t i = 0; i < name.size();) {
    wchar_t character = 0;
    const size_t length = std::mbrtowc(&character, name.data() + i, name.size() - i, &in);
    if (length == 0 || length > name.size() - i) {  // not UTF-8
      in = {};
      folded += name[i++];
      continue;
    }
    const size_t written =
        std::wcrtomb(bytes.data(), static_cast<wchar_t>(::towupper_l(static_cast<wint_t>(character), kLocale)), &out);
    folded.append(bytes.data(), written);
    i += length;
  }
  ::uselocale(before);
  return folded;
}

std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
  return resolved ? std::string(resolved.get()) : std::string();
}

}  // namespace

// proc_pid_mountinfo(5): id, parent, major:minor, root, mount point, options, optional fields, "-", type, source, ….
FileIdentities::FileIdentities() {
  constexpr size_t kMaxBytes = size_t{16} << 20;
  const Result<std::string> table = read_file("/proc/self/mountinfo", kMaxBytes);
  if (!table) return;  // then nothing is known to be distinct
  std::string_view rest = *table;
  while (!rest.empty()) {
    const std::vector<std::string_view> fields = fields_of(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1) + 1);
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 6 || fields.end() - dash < 3) continue;
    std::uint64_t id = 0;
    std::from_chars(fields[0].data(), fields[0].data() + fields[0].size(), id);
    Mount mount{id, unescaped(fields[4]), unescaped(fields[3]), origin_of(fields[2], unescaped(dash[2])),
                Kind::kElsewhere};
    if (is_one_of(kLocalTypes, dash[1])) mount.kind = Kind::kLocal;
    if (is_one_of(kNamedTypes, dash[1])) mount.kind = Kind::kNamed;
    if (is_one_of(kOneMountTypes, dash[1])) mount.kind = Kind::kOneMount;
    mounts_.push_back(std::move(mount));
  }
}

// As reported by the kernel; before Linux 5.8 the last one whose mount point contains the path, as later mounts cover
// earlier ones.
const FileIdentities::Mount* FileIdentities::mount_of(const std::string& path) const {
  struct statx info {};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_MNT_ID, &info) == 0 && (info.stx_mask & STATX_MNT_ID) != 0) {
    const auto mount = std::ranges::find(mounts_, info.stx_mnt_id, &Mount::id);
    return mount == mounts_.end() ? nullptr : &*mount;
  }
  const Mount* found = nullptr;
  for (const Mount& mount : mounts_)
    if (is_within(path, mount.point) && (found == nullptr || mount.point.size() >= found->point.size())) found = &mount;
  return found;
}

const std::set<std::string>& FileIdentities::names_in(const std::string& folder) {
  const auto [entry, added] = folders_.try_emplace(folder);
  if (!added) return entry->second;
  struct Close {
    void operator()(DIR* folder_handle) const { ::closedir(folder_handle); }
  };
  const std::unique_ptr<DIR, Close> open(::opendir(folder.c_str()));
  while (const dirent* name = open ? ::readdir(open.get()) : nullptr) entry->second.emplace(name->d_name);
  return entry->second;
}

// A real path with each name as its folder lists it. nullopt when a folder does not list the name: its entry is then
// unknown.
std::optional<std::string> FileIdentities::spelled(const std::string& path) {
  std::string result;
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    const std::set<std::string>& names = names_in(result.empty() ? "/" : result);
    auto entry = names.find(name);
    if (entry == names.end())
      entry = std::ranges::find_if(
          names, [folded = without_case(name)](const std::string& other) { return without_case(other) == folded; });
    if (entry == names.end()) return std::nullopt;
    result += "/" + *entry;
    begin = end + 1;
  }
  return result;
}

const FileIdentities::Known& FileIdentities::look_up(const std::string& path) {
  const auto [entry, added] = files_.try_emplace(path);
  Known& known = entry->second;
  if (!added) return known;
  struct stat info {};
  const std::string real = real_path(path);
  if (real.empty() || ::stat(real.c_str(), &info) != 0) return known;
  known.found = true;
  known.device = info.st_dev;
  known.inode = info.st_ino;
  known.links = info.st_nlink;
  known.is_real = real == path;
  known.mount = mount_of(real);
  if (known.mount == nullptr) return known;
  known.kind = known.mount->kind;
  const bool by_name = known.kind == Kind::kNamed;
  if (!by_name && known.links < 2 && !known.mount->origin.starts_with('/')) return known;  // the inode is enough
  if (const std::optional<std::string> names = spelled(real))
    known.location = known.mount->origin + "\n" + (known.mount->root == "/" ? "" : known.mount->root) +
                     names->substr(known.mount->point == "/" ? 0 : known.mount->point.size());
  else if (by_name)
    known.kind = Kind::kElsewhere;
  return known;
}

std::string FileIdentities::identity(const std::string& path) {
  const Known& known = look_up(path);
  if (!known.found) return {};
  return known.kind == Kind::kNamed ? known.location : fmt::format("{}:{}", known.device, known.inode);
}

Sameness FileIdentities::compare(const std::string& one, const std::string& other) {
  const Known a = look_up(one), b = look_up(other);
  if (!a.found || !b.found) return Sameness::kUnknown;
  if (!a.location.empty() && a.location == b.location) return Sameness::kSame;
  if (a.device == b.device && a.inode == b.inode) {
    const bool two_paths = a.links > 1 && a.kind != Kind::kElsewhere && !a.location.empty() && !b.location.empty();
    return two_paths ? Sameness::kHardLink : Sameness::kSame;
  }
  if (a.kind == Kind::kElsewhere || b.kind == Kind::kElsewhere) return Sameness::kUnknown;
  if (a.kind == Kind::kNamed && a.mount != b.mount && a.mount->origin == b.mount->origin) return Sameness::kUnknown;
  if ((a.kind == Kind::kOneMount || b.kind == Kind::kOneMount) && a.mount != b.mount) return Sameness::kUnknown;
  return Sameness::kDistinct;
}

}  // namespace image_engine
