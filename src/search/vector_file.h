// A memory-mapped file of vectors for scans: blocks of ids and vectors, each with a checksum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/file.h"
#include "core/hash.h"
#include "store/types.h"

namespace image_engine::search {

// How a row of bytes approximates a row of float16: number ≈ scale · byte.
struct RowScale {
  float scale = 0;
  float error = 0;   // length of the difference vector
  float length = 0;  // of the approximated vector
};

// Up to kBlockRows vectors. Ids are not validated: 0 is a removed row, any other value is possible.
struct VectorBlock {
  std::span<const std::int64_t> ids;
  const std::uint16_t* halves = nullptr;  // rows of stride() numbers, aligned to 64 bytes
  const RowScale* scales = nullptr;       // null: the file has no bytes
  const std::int8_t* bytes = nullptr;
};
inline constexpr std::size_t kBlockRows = 4096;

// What a file contains.
struct VectorFileKind {
  Hash128 identity;            // of the space, in its catalogue
  std::size_t dimensions = 0;  // 1 … kMostDimensions
  bool with_bytes = false;     // beside float16, for scans that read half as much
};
inline constexpr std::size_t kMostDimensions = 65'536;

// Replaces, adds or (if empty) removes a vector. One of the wrong length removes it, too.
using VectorChanges = std::unordered_map<store::VectorId, std::vector<std::uint16_t>>;

class VectorFile {
 public:
  enum class Verify {
    kUsual,  // all of a file up to 512 MB, random blocks of a larger one
    kAll,
    kNone,
  };
  // Opens for reading, with a shared lock while it lives; `with_bytes` is taken from the file. kNotFound: no file.
  // kCorrupt: it is damaged, or of another space or format.
  static Result<VectorFile> open(const std::string& path, const VectorFileKind& kind, Verify verify = Verify::kUsual);

  // Takes the rows from `fill`, which calls `add` for each vector.
  using Add = std::function<Status(store::VectorId, std::span<const std::uint16_t>)>;
  using Fill = std::function<Status(const Add& add)>;
  // Creates a file at `path` atomically, mode 0600. An empty `path`: in memory. kBusy while another program creates it.
  static Result<VectorFile> make(const std::string& path, const VectorFileKind& kind, std::int64_t generation,
                                 const Fill& fill);
  // Applies changes: in place if nobody else reads the file, else in a copy that replaces it. kBusy: it has changed
  // since it was opened. After any other error it may be damaged, which open() detects.
  static Result<VectorFile> change(VectorFile file, const std::string& path, std::int64_t generation,
                                   const VectorChanges& changes);

  [[nodiscard]] const VectorFileKind& kind() const { return kind_; }
  [[nodiscard]] std::int64_t generation() const { return generation_; }
  [[nodiscard]] std::size_t stride() const;  // numbers per row: dimensions plus zero padding
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::size_t live() const { return live_; }  // rows not removed
  [[nodiscard]] std::size_t blocks() const { return (rows_ + kBlockRows - 1) / kBlockRows; }
  [[nodiscard]] VectorBlock block(std::size_t number) const;
  // The file was truncated or its disk failed since it was opened: data read from it is invalid.
  [[nodiscard]] bool is_lost() const { return mapped_.is_lost(); }

 private:
  Status map(UniqueFd fd, const VectorFileKind& kind, Verify verify);
  UniqueFd fd_;
  MappedFile mapped_;
  VectorFileKind kind_;
  std::int64_t generation_ = 0;
  std::size_t rows_ = 0, live_ = 0;
};

}  // namespace image_engine::search
