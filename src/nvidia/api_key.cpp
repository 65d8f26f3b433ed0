#include "nvidia/api_key.h"

#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>

#include "core/file.h"
#include "core/log.h"
#include "core/secrets.h"
#include "core/text.h"

namespace image_engine::nvidia {
namespace {

constexpr size_t kLeastSecret = 8;  // bytes: shorter ones may be ordinary words
constexpr size_t kLongestKey = 4096;
constexpr size_t kLongestFile = size_t{1} << 16;

void wipe(std::string& text) {
  ::explicit_bzero(text.data(), text.capacity());
  text.clear();
}

// Overwrites it where the kernel shows it to others, then removes it from the environment of child processes.
std::string take_variable(const std::string& name) {
  char* value = std::getenv(name.c_str());
  if (value == nullptr) return "";
  std::string taken(value);
  ::explicit_bzero(value, taken.size());
  ::unsetenv(name.c_str());
  return taken;
}

std::string_view without_blanks(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// The value of NAME=text in a shell; nullopt for an unclosed quote.
std::optional<std::string> unquoted(std::string_view text) {
  std::string value;
  value.reserve(text.size());  // so that no copy is left behind
  char quote = '\0';
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == '\0' && (c == ' ' || c == '\t')) return value;  // the rest is a comment
    if (c == quote)
      quote = '\0';
    else if (quote == '\0' && (c == '"' || c == '\''))
      quote = c;
    else if (c == '\\' && quote != '\'' && i + 1 < text.size())
      value += text[++i];
    else
      value += c;
  }
  if (quote == '\0') return value;
  wipe(value);
  return std::nullopt;
}

// Empty: not in it. The last of equal names counts, as in a shell.
Result<std::string> value_in(std::string_view file, const std::string& name, const std::string& path) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF", kExport = "export ";
  if (file.starts_with(kByteOrderMark)) file.remove_prefix(kByteOrderMark.size());
  std::string found;
  for (int number = 1; !file.empty(); ++number) {
    std::string_view line = file.substr(0, file.find('\n'));
    file.remove_prefix(std::min(file.size(), line.size() + 1));
    line = without_blanks(line);
    if (line.starts_with(kExport)) line = without_blanks(line.substr(kExport.size()));
    if (!line.starts_with(name) || line.substr(name.size(), 1) != "=") continue;
    std::optional<std::string> value = unquoted(line.substr(name.size() + 1));
    if (!value)
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}:{}: a quote is not closed", printable(path), number));
    wipe(found);
    found.swap(*value);
  }
  return found;
}

// A file that others could have created or changed may contain a key of their account.
Status check_owner(const struct stat& info, const std::string& path) {
  if (info.st_uid != ::geteuid() && info.st_uid != 0)
    return fail(ErrorCode::kPermission, fmt::format("{}: the key in it is not used: the file belongs to another user; "
                                                    "make one of your own, or name another with --env-file",
                                                    printable(path)));
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(
        ErrorCode::kPermission,
        fmt::format("{0}: the key in it is not used: others may write to the file; check that the key is yours, "
                    "then `chmod 600 {0}`",
                    printable(path)));
  if ((info.st_mode & (S_IRGRP | S_IROTH)) != 0)
    log_warning("{0}: others may read the key in it: `chmod 600 {0}`", printable(path));
  return {};
}

// At most kLongestFile + 1 bytes.
Result<std::string> first_bytes(int fd) {
  std::string text(kLongestFile + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::pread(fd, text.data() + size, text.size() - size, static_cast<off_t>(size));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error("cannot read"));
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  ::explicit_bzero(text.data() + size, text.size() - size);
  text.resize(size);
  return text;
}

// Empty: no such file, or no such name in it.
Result<std::string> from_file(const std::string& name, const std::string& path, bool is_named) {
  const auto failed = [&](const Error& error) {
    const bool is_missing = error.code == ErrorCode::kNotFound && is_named;
    return fail(is_missing ? ErrorCode::kInvalidArgument : error.code, printable(path) + ": " + error.message);
  };
  const Result<UniqueFd> file = open_regular(path);
  if (!file && !is_named && file.error().code == ErrorCode::kNotFound) return std::string();
  if (!file) return failed(file.error());
  struct stat info {};
  if (::fstat(file->get(), &info) != 0) return failed(errno_error("cannot stat"));
  Result<std::string> text = first_bytes(file->get());
  if (!text) return failed(text.error());
  if (text->size() > kLongestFile) return failed({ErrorCode::kTooLarge, "is too large for a file of keys"});
  Result<std::string> value = value_in(*text, name, path);
  wipe(*text);
  if (!value || value->empty()) return value;
  if (const Status owner = check_owner(info, path); !owner) {
    wipe(*value);
    return fail(owner.error());
  }
  return value;
}

// Symbolic links resolved; empty: there is no such file.
std::string resolved(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), std::free);
  return real ? real.get() : "";
}

// Whether `folder`, resolved, is that of one of the pictures or below it.
bool is_among(const std::string& folder, const std::vector<std::string>& pictures) {
  return std::ranges::any_of(pictures, [&](const std::string& given) {
    std::string root = resolved(given);
    struct stat info {};
    if (!root.empty() && ::stat(root.c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) root = parent_path(root);
    return !root.empty() && (folder == root || folder.starts_with(join_path(root, "")));
  });
}

struct KeyFile {
  std::string path;
  bool is_named = false;
};

// The files to read, in this order. `note`: for people, why one is excluded.
std::vector<KeyFile> files_of(const KeyFiles& files, std::string& note) {
  if (!files.named.empty()) return {{absolute_path(files.named), true}};
  const KeyFile configured{join_path(config_home(), ".env"), false};
  const std::string here = resolved(".");
  if (here.empty()) return {configured};
  const std::string path = join_path(here, ".env");
  if (!is_among(here, files.pictures)) return {{path, false}, configured};
  if (::access(path.c_str(), F_OK) == 0)
    note = fmt::format("; {0} is not read, as it is among the pictures: name it with --env-file {0} if it is yours",
                       printable(path));
  return {configured};
}

bool can_be_a_key(std::string_view text) {
  return text.size() <= kLongestKey && std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

Error no_key(const std::string& name, const std::string& path, const std::string& note) {
  return {
      ErrorCode::kNotFound,
      fmt::format("{0} not found in environment: sign in at https://build.nvidia.com, make a key under \"API Keys\" "
                  "and give it with `export {0}=…` or as the line {0}=… in {1}{2}",
                  name, printable(path), note)};
}

}  // namespace

struct ApiKey::Secret {
  std::string text;
  Undumpable undumpable;

  Secret() = default;
  ~Secret() { wipe(text); }
  Secret(const Secret&) = delete;
};

ApiKey::ApiKey() = default;
ApiKey::ApiKey(ApiKey&&) noexcept = default;
ApiKey& ApiKey::operator=(ApiKey&&) noexcept = default;
ApiKey::~ApiKey() = default;

Result<ApiKey> ApiKey::load(const std::string& name, const KeyFiles& files) {
  if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos)
    return fail(ErrorCode::kInvalidArgument, "\"" + printable(name) + "\" cannot name an environment variable");
  ApiKey key;
  key.secret_ = std::make_unique<Secret>();
  std::string& text = key.secret_->text;
  std::string value = take_variable(name), note;
  text.swap(value);
  key.source_ = "the environment variable " + name;
  const std::vector<KeyFile> candidates = text.empty() ? files_of(files, note) : std::vector<KeyFile>();
  for (const KeyFile& file : candidates) {
    IE_TRY(std::string in_file, from_file(name, file.path, file.is_named));
    text.swap(in_file);
    key.source_ = printable(file.path);
    if (!text.empty()) break;
  }
  if (text.empty()) return fail(no_key(name, candidates.back().path, note));
  if (!can_be_a_key(text))
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{} holds a line break, a blank or another character that a key cannot have, or is too long",
                    name));
  return key;
}

bool ApiKey::empty() const { return secret_ == nullptr; }

std::string_view ApiKey::text() const { return secret_ ? std::string_view(secret_->text) : std::string_view(); }

std::string ApiKey::redacted(std::string_view given) const {
  if (text().size() < kLeastSecret) return std::string(given);
  std::string result;
  for (size_t at = 0; (at = given.find(text())) != std::string_view::npos;) {
    result.append(given.substr(0, at)).append("[key]");
    given.remove_prefix(at + text().size());
  }
  return result.append(given);
}

}  // namespace image_engine::nvidia
