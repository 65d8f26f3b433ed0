#include "core/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/text.h"

namespace image_engine {

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) reset(other.release());
  return *this;
}

int UniqueFd::release() { return std::exchange(fd_, -1); }

void UniqueFd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

namespace {

// The mappings that may raise SIGBUS; read by the handler, so only atomics. Size 0: a free slot.
struct GuardedRange {
  std::atomic<std::uintptr_t> begin = 0;
  std::atomic<size_t> size = 0;
  std::atomic<bool> lost = false;
};
std::array<GuardedRange, 64> guarded_ranges;
std::mutex guarded_mutex;  // for taking and freeing slots

// Maps zeros under the rest of the mapping; a SIGBUS from elsewhere ends the program as by default.
void on_bus_error(int signal, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (GuardedRange& range : guarded_ranges) {
    const std::uintptr_t begin = range.begin.load();
    const size_t size = range.size.load();
    if (size == 0 || address < begin || address >= begin + size) continue;
    const auto page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const std::uintptr_t page = address / page_size * page_size;
    void* const target = reinterpret_cast<void*>(page);  // NOLINT(performance-no-int-to-ptr)
    if (::mmap(target, begin + size - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
      break;
    range.lost = true;
    return;
  }
  ::signal(signal, SIG_DFL);
}

// The slot taken; -1: none is free.
int guard_range(const void* data, size_t size) {
  static const bool kHandled = [] {
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    return ::sigaction(SIGBUS, &action, nullptr) == 0;
  }();
  const std::lock_guard lock(guarded_mutex);
  for (size_t i = 0; kHandled && i < guarded_ranges.size(); ++i) {
    GuardedRange& range = guarded_ranges[i];
    if (range.size != 0) continue;
    range.lost = false;
    range.begin = reinterpret_cast<std::uintptr_t>(data);
    range.size = size;
    return static_cast<int>(i);
  }
  return -1;
}

}  // namespace

Result<MappedFile> MappedFile::create(int fd, Guard guard) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail(errno_error("cannot stat"));
  MappedFile file;
  if (info.st_size == 0) return file;
  void* data = ::mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) return fail(errno_error("cannot map the file"));
  file.data_ = static_cast<const std::byte*>(data);
  file.size_ = static_cast<size_t>(info.st_size);
  if (guard == Guard::kNone) return file;
  file.guard_ = guard_range(data, file.size_);
  if (file.guard_ < 0) return fail(ErrorCode::kBusy, "too many files are mapped at once");
  return file;
}

bool MappedFile::is_lost() const { return guard_ >= 0 && guarded_ranges[static_cast<size_t>(guard_)].lost; }

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      guard_(std::exchange(other.guard_, -1)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(guard_, other.guard_);
  return *this;
}

MappedFile::~MappedFile() {
  if (guard_ >= 0) guarded_ranges[static_cast<size_t>(guard_)].size = 0;
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void give_back_pages(std::span<const std::byte> mapped) {
  constexpr std::size_t kPage = 4096;
  const std::size_t skipped = (kPage - reinterpret_cast<std::uintptr_t>(mapped.data()) % kPage) % kPage;
  if (mapped.size() < skipped + kPage) return;
  const std::size_t whole = (mapped.size() - skipped) / kPage * kPage;
  ::madvise(const_cast<std::byte*>(mapped.data()) + skipped, whole, MADV_DONTNEED);
}

Result<UniqueFd> open_regular(const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  UniqueFd fd(::open(path.c_str(), kFlags | O_NOATIME));
  if (!fd && errno == EPERM) fd.reset(::open(path.c_str(), kFlags));
  if (!fd) return fail(errno_error("cannot open"));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail(errno_error("cannot stat"));
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::kUnsupported, "not a regular file");
  return fd;
}

Result<std::string> read_file(const std::string& path, size_t limit) {
  IE_TRY(UniqueFd fd, open_regular(path));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail(errno_error("cannot stat " + printable(path)));
  std::string bytes;
  bytes.reserve(std::min<size_t>(static_cast<size_t>(info.st_size), limit));
  char buffer[65536];
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error("cannot read " + printable(path)));
    if (count == 0) return bytes;
    if (bytes.size() + static_cast<size_t>(count) > limit)
      return fail(ErrorCode::kTooLarge, printable(path) + " is larger than " + std::to_string(limit) + " bytes");
    bytes.append(buffer, static_cast<size_t>(count));
  }
}

namespace {

// A new file `beside` that one, with `mode` reduced by the umask.
Result<UniqueFd> create_beside(const std::string& path, unsigned mode, std::string& beside) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  UniqueFd fd;
  for (int tries = 0; tries < 100 && !fd; ++tries) {
    std::uint32_t number = 0;
    if (::getrandom(&number, sizeof number, 0) < 0) return fail(errno_error("no random number"));
    beside = path + "." + std::to_string(number);
    fd.reset(::open(beside.c_str(), kFlags, mode));
    if (!fd && errno != EEXIST) break;
  }
  if (!fd) return fail(errno_error("cannot write " + printable(path)));
  return fd;
}

}  // namespace

Result<AtomicFile> AtomicFile::create(const std::string& path, unsigned mode) {
  AtomicFile file;
  file.path_ = path;
  IE_TRY(file.fd_, create_beside(path, mode, file.beside_));
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)), beside_(std::exchange(other.beside_, {})), fd_(std::move(other.fd_)) {}

AtomicFile::~AtomicFile() {
  if (!beside_.empty()) ::unlink(beside_.c_str());
}

tl::unexpected<Error> AtomicFile::failed(const Error& error) const {
  return fail(error.code, printable(path_) + ": " + error.message);
}

Status AtomicFile::write(std::uint64_t position, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(position));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed(errno_error("cannot write"));
    bytes = bytes.subspan(static_cast<size_t>(count));
    position += static_cast<std::uint64_t>(count);
  }
  return {};
}

Status AtomicFile::sync() {
  if (::fsync(fd_.get()) != 0) return failed(errno_error("cannot write"));
  return {};
}

Status AtomicFile::finish() {
  if (::rename(beside_.c_str(), path_.c_str()) != 0) return failed(errno_error("cannot rename"));
  beside_.clear();
  return {};
}

Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes, unsigned mode) {
  IE_TRY(AtomicFile file, AtomicFile::create(path, mode));
  IE_CHECK(file.write(0, bytes));
  return file.finish();
}

Status write_file_atomically(const std::string& path, std::string_view text, unsigned mode) {
  return write_file_atomically(path, std::as_bytes(std::span(text.data(), text.size())), mode);
}

std::int64_t mtime_ns(const struct stat& file) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(file.st_mtim.tv_sec) * kSecond +
                                   static_cast<std::uint64_t>(file.st_mtim.tv_nsec));
}

Status make_folders(const std::string& path, unsigned mode) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (!part.empty() && ::mkdir(part.c_str(), mode) != 0 && errno != EEXIST)
      return fail(errno_error("cannot make the folder " + printable(part)));
    if (end == std::string::npos) return {};
  }
}

namespace {

std::optional<std::string> working_folder() {
  char* const path = ::getcwd(nullptr, 0);
  if (path == nullptr) return std::nullopt;
  std::string folder(path);
  std::free(path);
  return folder;
}

}  // namespace

std::string absolute_path(std::string_view path) {
  std::string whole(path);
  if (whole.empty() || whole.front() != '/') {
    const std::optional<std::string> working = working_folder();
    if (!working) return whole;
    whole = *working + "/" + whole;
  }
  std::vector<std::string_view> parts;
  for (size_t start = 0; start <= whole.size();) {
    const size_t end = std::min(whole.find('/', start), whole.size());
    const std::string_view part = std::string_view(whole).substr(start, end - start);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    start = end + 1;
  }
  std::string result;
  for (std::string_view part : parts) result.append("/").append(part);
  return result.empty() ? "/" : result;
}

std::string join_path(std::string_view folder, std::string_view name) {
  std::string path(folder);
  if (!path.empty() && path.back() != '/') path += '/';
  return path.append(name);
}

std::string_view file_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view parent_path(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string lower_extension(std::string_view path) {
  const std::string_view name = file_name(path);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return "";
  return ascii_lower(name.substr(dot));
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

namespace {

struct XdgFolder {
  const char* variable;
  std::string_view below_home;
};
constexpr XdgFolder kDataFolder = {"XDG_DATA_HOME", ".local/share"};
constexpr XdgFolder kCacheFolder = {"XDG_CACHE_HOME", ".cache"};
constexpr XdgFolder kConfigFolder = {"XDG_CONFIG_HOME", ".config"};

// By the XDG specification a relative path in these variables is ignored; one in HOME would mean a different folder for
// each working directory.
bool names_folder(const char* variable) { return environment(variable).starts_with('/'); }

std::string xdg(const XdgFolder& folder) {
  const std::string home = names_folder("HOME") ? environment("HOME") : "/dev/null";
  const std::string base =
      names_folder(folder.variable) ? environment(folder.variable) : join_path(home, folder.below_home);
  return join_path(base, "image-engine");
}

}  // namespace

std::string data_home() { return xdg(kDataFolder); }
std::string cache_home() { return xdg(kCacheFolder); }
std::string config_home() { return xdg(kConfigFolder); }

Status check_surroundings() {
  if (!working_folder()) return fail(errno_error("the current folder was deleted; change to one that exists"));
  const auto known = [](const XdgFolder& folder) { return names_folder(folder.variable); };
  if (names_folder("HOME") || (known(kDataFolder) && known(kCacheFolder) && known(kConfigFolder))) return {};
  return fail(ErrorCode::kInvalidArgument,
              "HOME is not set, so there is no folder for the catalogue, the cache and the configuration: set HOME, "
              "or XDG_DATA_HOME, XDG_CACHE_HOME and XDG_CONFIG_HOME, to absolute paths");
}

std::string executable_folder() {
  char path[4096];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  return size <= 0 ? "." : std::string(parent_path(std::string_view(path, static_cast<size_t>(size))));
}

}  // namespace image_engine
