// Finds the pictures whose vectors are nearest to a query, by an exact scan of a memory-mapped side file.
//
// The catalogue is authoritative. The side file, `<catalogue>.vectors-<space>`, is a copy for scanning: it records the
// generation of its space, is updated with later changes, and is rebuilt when it is damaged or of another space. If it
// cannot be written (read-only medium, full disk), vectors are read from the catalogue.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "store/catalogue.h"
#include "store/id_set.h"

namespace image_engine::search {

struct Neighbour {
  store::VectorId id = 0;  // of a picture or of a moment: store::asset_of(), store::moment_of()
  float cosine = 0;        // −1…1
};

// The distribution of the cosines of all scanned vectors.
struct CosineHistogram {
  static constexpr std::size_t kBins = 1024;
  std::array<std::uint32_t, kBins> counts{};
  std::uint64_t total = 0;
  static std::size_t bin_of(float cosine);   // −1 is in the first, 1 in the last
  static double middle_of(std::size_t bin);  // cosine
};

struct ScanResult {
  std::vector<Neighbour> best;  // nearest first, then by id
  CosineHistogram all;          // of all vectors of allowed assets
};

class VectorIndex {
 public:
  // `catalogue`: the path of the catalogue; the side file is beside it. `notes` gets a line for people when a damaged
  // side file was rebuilt. Several programs may open it at once.
  static Result<VectorIndex> open(const store::CatalogueReader& reader, const std::string& catalogue,
                                  const store::Space& space, std::vector<std::string>* notes = nullptr);
  // Verifies the whole side file. kNotFound: there is none. kCorrupt: it is damaged or of another space; open()
  // rebuilds it.
  static Status check(const std::string& catalogue, const store::Space& space);
  VectorIndex(VectorIndex&&) noexcept;
  VectorIndex& operator=(VectorIndex&&) noexcept;
  ~VectorIndex();

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::size_t dimensions() const;

  // The `most` nearest vectors of the allowed assets (null: all). `query` has length 1 and `dimensions()` numbers, else
  // kInvalidArgument. Thread-safe; uses `threads` threads.
  [[nodiscard]] Result<ScanResult> scan(std::span<const float> query, std::size_t most, const store::IdSet* allowed,
                                        int threads) const;
  // Calls f(id, float16 numbers) for each vector, in no order. Thread-safe.
  template <typename F>
  void for_each(F&& f) const {
    for (std::size_t row = 0; row < rows(); ++row)
      if (id_at(row) > 0) f(id_at(row), vector_at(row));
  }

 private:
  struct State;
  explicit VectorIndex(std::unique_ptr<State> state);
  [[nodiscard]] std::size_t rows() const;  // including removed ones, whose id is 0
  [[nodiscard]] store::VectorId id_at(std::size_t row) const;
  [[nodiscard]] std::span<const std::uint16_t> vector_at(std::size_t row) const;
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::search
