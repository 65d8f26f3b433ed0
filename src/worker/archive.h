// Structs to bytes and back, for the worker protocol: fields in the order of visit_fields, native byte order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "core/hash.h"
#include "core/result.h"

namespace image_engine::worker {

class ArchiveWriter {
 public:
  template <typename T>
  void operator()(const T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      append(&value, sizeof value);
    } else {
      visit_fields(*this, value);
    }
  }
  void operator()(const std::string& text) {
    size(text.size());
    append(text.data(), text.size());
  }
  void operator()(const Hash128& hash) { append(hash.bytes.data(), hash.bytes.size()); }
  void operator()(const Error& error) { (*this)(error.code), (*this)(error.message); }
  template <typename T>
  void operator()(const std::vector<T>& list) {
    size(list.size());
    for (const T& item : list) (*this)(item);
  }
  template <typename T>
  void operator()(const std::optional<T>& value) {
    (*this)(value.has_value());
    if (value) (*this)(*value);
  }
  template <typename T>
  void operator()(const Result<T>& value) {
    (*this)(value.has_value());
    if (value)
      (*this)(*value);
    else
      (*this)(value.error());
  }

  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  void size(size_t value) { (*this)(static_cast<std::uint32_t>(value)); }
  void append(const void* data, size_t count) {
    const auto* bytes = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), bytes, bytes + count);
  }

  std::vector<std::byte> bytes_;
};

// Reads untrusted bytes: never past the end, no text or list longer than these limits, and no count makes it allocate
// more than the remaining bytes could fill. After the first error everything reads as empty, and complete() is false.
class ArchiveReader {
 public:
  static constexpr size_t kMostText = size_t{1} << 20;  // bytes
  static constexpr size_t kMostItems = 50'000;

  explicit ArchiveReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <typename T>
  void operator()(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      std::uint8_t byte = 0;
      take(&byte, 1);
      value = byte != 0;
    } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      take(&value, sizeof value);
    } else {
      visit_fields(*this, value);
    }
  }
  void operator()(std::string& text) {
    text.resize(size(kMostText));
    take(text.data(), text.size());
  }
  void operator()(Hash128& hash) { take(hash.bytes.data(), hash.bytes.size()); }
  void operator()(Error& error) { (*this)(error.code), (*this)(error.message); }
  template <typename T>
  void operator()(std::vector<T>& list) {
    const size_t count = size(kMostItems);
    list.clear();
    for (size_t i = 0; i < count && ok_; ++i) (*this)(list.emplace_back());
  }
  template <typename T>
  void operator()(std::optional<T>& value) {
    bool present = false;
    (*this)(present);
    value.reset();
    if (present && ok_) (*this)(value.emplace());
  }
  template <typename T>
  void operator()(Result<T>& value) {
    bool good = false;
    (*this)(good);
    if (good) {
      T inner{};
      (*this)(inner);
      value = std::move(inner);
    } else {
      Error error;
      (*this)(error);
      value = fail(std::move(error));
    }
  }

  // Whether everything was read without an error and nothing is left.
  [[nodiscard]] bool complete() const { return ok_ && rest_.empty(); }

 private:
  size_t size(size_t most) {
    std::uint32_t count = 0;
    (*this)(count);
    if (count > std::min(most, rest_.size())) ok_ = false;
    return ok_ ? count : 0;
  }
  void take(void* data, size_t count) {
    if (count > rest_.size()) ok_ = false;
    if (!ok_) {
      if (count > 0) std::memset(data, 0, count);
      return;
    }
    if (count > 0) std::memcpy(data, rest_.data(), count);
    rest_ = rest_.subspan(count);
  }

  std::span<const std::byte> rest_;
  bool ok_ = true;
};

}  // namespace image_engine::worker
