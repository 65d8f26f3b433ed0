#include "infer/external_data.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::infer {
namespace {

constexpr int kDeepest = 100;                 // nested messages, as in protobuf's own parsers
constexpr std::uint64_t kLongestText = 4096;  // of a key or a location

// Messages of onnx.proto that may contain a tensor.
enum class Kind : std::uint8_t { kModel, kTraining, kGraph, kNode, kAttribute, kFunction, kSparse, kTensor, kEntry };
struct Child {
  Kind parent;
  std::uint64_t field;
  Kind kind;
};
constexpr Child kChildren[] = {
    {Kind::kModel, 7, Kind::kGraph},         {Kind::kModel, 20, Kind::kTraining},
    {Kind::kModel, 25, Kind::kFunction},     {Kind::kTraining, 1, Kind::kGraph},
    {Kind::kTraining, 2, Kind::kGraph},      {Kind::kGraph, 1, Kind::kNode},
    {Kind::kGraph, 5, Kind::kTensor},        {Kind::kGraph, 15, Kind::kSparse},
    {Kind::kNode, 5, Kind::kAttribute},      {Kind::kAttribute, 5, Kind::kTensor},
    {Kind::kAttribute, 6, Kind::kGraph},     {Kind::kAttribute, 10, Kind::kTensor},
    {Kind::kAttribute, 11, Kind::kGraph},    {Kind::kAttribute, 22, Kind::kSparse},
    {Kind::kAttribute, 23, Kind::kSparse},   {Kind::kFunction, 7, Kind::kNode},
    {Kind::kFunction, 11, Kind::kAttribute}, {Kind::kSparse, 1, Kind::kTensor},
    {Kind::kSparse, 2, Kind::kTensor},       {Kind::kTensor, 13, Kind::kEntry},
};
constexpr std::uint64_t kKey = 1, kValue = 2;  // fields of an entry, a StringStringEntryProto

std::optional<Kind> child_of(Kind parent, std::uint64_t field) {
  const auto* found =
      std::ranges::find_if(kChildren, [&](const Child& row) { return row.parent == parent && row.field == field; });
  return found == std::end(kChildren) ? std::nullopt : std::optional(found->kind);
}

std::string real_location(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), std::free);
  return real ? real.get() : "";
}

bool has_parent_part(std::string_view location) {
  for (std::size_t at = 0; at <= location.size();) {
    const std::size_t end = std::min(location.find('/', at), location.size());
    if (location.substr(at, end - at) == "..") return true;
    at = end + 1;
  }
  return false;
}

Status refused(std::string_view location, std::string_view why) {
  return fail(ErrorCode::kCorrupt, fmt::format("it has external data in '{}', {}", printable(location), why));
}

class Reader {
 public:
  Reader(int fd, std::string folder) : fd_(fd), folder_(std::move(folder)) {}

  Status model() {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) return fail(errno_error("cannot be examined"));
    return message(Kind::kModel, 0, static_cast<std::uint64_t>(info.st_size), 0);
  }

 private:
  struct Field {
    std::uint64_t number = 0;
    bool has_bytes = false;
    std::uint64_t from = 0, to = 0;  // of its bytes, else of its value
  };

  Status message(Kind kind, std::uint64_t from, std::uint64_t to, int depth) {
    if (depth > kDeepest) return no_model();
    std::string key, value;
    for (std::uint64_t at = from; at < to;) {
      IE_TRY(const Field field, field_at(at, to));
      at = field.to;
      if (kind == Kind::kEntry && field.number == kKey) {
        IE_TRY(key, text(field));
      } else if (kind == Kind::kEntry && field.number == kValue) {
        IE_TRY(value, text(field));
      } else if (const auto child = child_of(kind, field.number)) {
        if (!field.has_bytes) return no_model();
        IE_CHECK(message(*child, field.from, field.to, depth + 1));
      }
    }
    return kind == Kind::kEntry && key == "location" ? check(value) : Status{};
  }

  Result<Field> field_at(std::uint64_t at, std::uint64_t to) {
    Field field;
    IE_TRY(const std::uint64_t tag, varint(at, to));
    field.number = tag >> 3U;
    field.from = at;
    std::uint64_t length = 0;
    switch (tag & 7U) {
      case 0: {
        IE_CHECK(varint(at, to));
        length = at - field.from;
        break;
      }
      case 1:
        length = 8;
        break;
      case 2: {
        IE_TRY(length, varint(at, to));
        field.has_bytes = true;
        field.from = at;
        break;
      }
      case 5:
        length = 4;
        break;
      default:  // groups, which onnx.proto has none of
        return no_model();
    }
    if (field.number == 0 || length > to - field.from) return no_model();
    field.to = field.from + length;
    return field;
  }

  Result<std::uint64_t> varint(std::uint64_t& at, std::uint64_t to) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && at < to; shift += 7) {
      IE_TRY(const std::uint8_t byte, byte_at(at++));
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80) return value;
    }
    return no_model();
  }

  Result<std::string> text(const Field& field) {
    if (!field.has_bytes || field.to - field.from > kLongestText) return no_model();
    std::string made;
    for (std::uint64_t at = field.from; at < field.to; ++at) {
      IE_TRY(const std::uint8_t byte, byte_at(at));
      made += static_cast<char>(byte);
    }
    return made;
  }

  Result<std::uint8_t> byte_at(std::uint64_t at) {
    if (at < start_ || at >= start_ + count_) {
      const ssize_t got = ::pread(fd_, piece_.data(), piece_.size(), static_cast<off_t>(at));
      if (got < 0) return fail(errno_error("cannot be read"));
      if (got == 0) return no_model();
      start_ = at;
      count_ = static_cast<std::uint64_t>(got);
    }
    return piece_[at - start_];
  }

  [[nodiscard]] Status check(const std::string& location) const {
    if (location.empty() || location.find('\0') != std::string::npos)
      return refused(location, "which is not a file name");
    if (location.starts_with('/')) return refused(location, "which is not beside it");
    if (has_parent_part(location)) return refused(location, "which leads out of its folder");
    const std::string real = real_location(join_path(folder_, location));
    struct stat info {};
    if (real.empty() || ::stat(real.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
      return refused(location, "which is missing: put the model's files into one folder");
    if (!real.starts_with(join_path(folder_, ""))) return refused(location, "which links to a file outside its folder");
    return {};
  }

  static tl::unexpected<Error> no_model() { return fail(ErrorCode::kCorrupt, "it is not a complete ONNX model"); }

  int fd_;
  std::string folder_;  // links followed
  std::array<std::uint8_t, 1 << 14> piece_{};
  std::uint64_t start_ = 0, count_ = 0;
};

}  // namespace

Status check_external_data(const std::string& model) {
  IE_TRY(const UniqueFd file, open_regular(model));
  return Reader(file.get(), real_location(std::string(parent_path(absolute_path(model))))).model();
}

}  // namespace image_engine::infer
