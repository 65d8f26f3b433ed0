// The file that vectors are scanned in: blocks of ids and vectors, each with its checksum, memory-mapped.
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

// How a row of bytes stands for one of halves: number ≈ scale · byte.
struct RowScale {
  float scale = 0;
  float error = 0;   // length of the difference
  float length = 0;  // of what the bytes stand for
};

// Up to kBlockRows vectors. Ids are what the file says: 0 is a row that was removed, any other number may stand there.
struct VectorBlock {
  std::span<const std::int64_t> ids;
  const std::uint16_t* halves = nullptr;  // rows of stride() numbers, aligned to 64 bytes
  const RowScale* scales = nullptr;       // null: the file has no bytes
  const std::int8_t* bytes = nullptr;
};
inline constexpr std::size_t kBlockRows = 4096;

// What a file is of.
struct VectorFileKind {
  Hash128 identity;            // of the space, in its catalogue
  std::size_t dimensions = 0;  // 1 … kMostDimensions
  bool with_bytes = false;     // beside the halves, for scans that read half as much
};
inline constexpr std::size_t kMostDimensions = 65'536;

// A vector that replaces, adds or (without numbers) removes that of its asset. One of another length than the space's
// removes it, too.
using VectorChanges = std::unordered_map<store::AssetId, std::vector<std::uint16_t>>;

class VectorFile {
 public:
  enum class Verify {
    kUsual,  // all of a file up to 512 MB, of a larger one what chance says
    kAll,
    kNone,
  };
  // Opens for reading, under a shared lock while it lives; with bytes or without, as it is. kNotFound: there is none.
  // kCorrupt: it is damaged, or of another space or format.
  static Result<VectorFile> open(const std::string& path, const VectorFileKind& kind, Verify verify = Verify::kUsual);

  // Takes the rows from `fill`, which calls `add` for each vector.
  using Add = std::function<Status(store::AssetId, std::span<const std::uint16_t>)>;
  using Fill = std::function<Status(const Add& add)>;
  // A new file, which appears at `path` whole or not at all, mode 0600. An empty `path`: in memory.
  // kBusy while another program makes it.
  static Result<VectorFile> make(const std::string& path, const VectorFileKind& kind, std::int64_t generation,
                                 const Fill& fill);
  // With these changes: in place where nobody else reads it, else in a copy that takes its place. kBusy: it has changed
  // since it was opened. After any other error it may be damaged, which open() sees.
  static Result<VectorFile> change(VectorFile file, const std::string& path, std::int64_t generation,
                                   const VectorChanges& changes);

  [[nodiscard]] const VectorFileKind& kind() const { return kind_; }
  [[nodiscard]] std::int64_t generation() const { return generation_; }
  [[nodiscard]] std::size_t stride() const;  // numbers from one row to the next: dimensions and zeros
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::size_t live() const { return live_; }  // rows that were not removed
  [[nodiscard]] std::size_t blocks() const { return (rows_ + kBlockRows - 1) / kBlockRows; }
  [[nodiscard]] VectorBlock block(std::size_t number) const;
  // Since it was opened it was cut off, or its disk failed: what was read of it is not its vectors.
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
