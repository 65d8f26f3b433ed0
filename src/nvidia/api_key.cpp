#include "nvidia/api_key.h"

#include <fmt/format.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::nvidia {
namespace {

constexpr size_t kLeastSecret = 8;  // bytes: shorter ones are words that texts may have
constexpr size_t kLongestKey = 4096;
constexpr size_t kLongestFile = size_t{1} << 16;

void wipe(std::string& text) {
  ::explicit_bzero(text.data(), text.capacity());
  text.clear();
}

// Counts the keys of this process, whose one switch this is.
class Undumpable {
 public:
  Undumpable() {
    Keys& all = keys();
    const std::scoped_lock lock(all.mutex);
    if (all.count++ > 0) return;
    all.before = ::prctl(PR_GET_DUMPABLE);
    ::prctl(PR_SET_DUMPABLE, 0);
  }
  ~Undumpable() {
    Keys& all = keys();
    const std::scoped_lock lock(all.mutex);
    if (--all.count == 0 && all.before == 1) ::prctl(PR_SET_DUMPABLE, 1);
  }
  Undumpable(const Undumpable&) = delete;

 private:
  struct Keys {
    std::mutex mutex;
    int count = 0;
    int before = 0;
  };
  static Keys& keys() {
    static Keys all;
    return all;
  }
};

// Overwritten where the kernel shows it to others, then taken away from the programs that we start.
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

// What a shell makes of NAME=text; nothing when a quote is not closed.
std::optional<std::string> unquoted(std::string_view text) {
  std::string value;
  value.reserve(text.size());  // so that no copy is left behind
  char quote = '\0';
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == '\0' && (c == ' ' || c == '\t')) return value;  // what follows is a comment
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

Result<std::string> from_file(const std::string& name, const std::string& path, bool asked_for) {
  Result<std::string> file = read_file(path, kLongestFile);
  if (!file && !asked_for && file.error().code == ErrorCode::kNotFound) return std::string();
  if (!file)
    return fail(
        asked_for && file.error().code == ErrorCode::kNotFound ? ErrorCode::kInvalidArgument : file.error().code,
        fmt::format("{}: {}", printable(path), file.error().message));
  Result<std::string> value = value_in(*file, name, path);
  wipe(*file);
  return value;
}

bool can_be_a_key(std::string_view text) {
  return text.size() <= kLongestKey && std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

Error no_key(const std::string& name, const std::string& path) {
  return {
      ErrorCode::kNotFound,
      fmt::format("{0} not found in environment: sign in at https://build.nvidia.com, make a key under \"API Keys\" "
                  "and give it with `export {0}=…` or as the line {0}=… in {1}",
                  name, printable(path))};
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

Result<ApiKey> ApiKey::load(const std::string& name, const std::string& env_file) {
  if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos)
    return fail(ErrorCode::kInvalidArgument, "\"" + printable(name) + "\" cannot name an environment variable");
  ApiKey key;
  key.secret_ = std::make_unique<Secret>();
  std::string& text = key.secret_->text;
  const std::string path = env_file.empty() ? join_path(config_home(), ".env") : env_file;
  std::string value = take_variable(name);
  text.swap(value);
  if (text.empty()) {
    IE_TRY(std::string in_file, from_file(name, path, !env_file.empty()));
    text.swap(in_file);
  }
  if (text.empty()) return fail(no_key(name, path));
  if (!can_be_a_key(text))
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{} holds a line break, a blank or another character that no key has, or is too long", name));
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
