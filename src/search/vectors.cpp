#include "search/vectors.h"

#include <algorithm>

#include "search/scan.h"
#include "search/vector_file.h"

namespace image_engine::search {
namespace {

// From this size on, scans read bytes, and float16 only of rows that may be among the best.
constexpr std::int64_t kBytesFrom = 1'000'000;
// Files with a larger share of removed rows are rebuilt.
constexpr double kMostRemoved = 0.25;
// Rows compared with the catalogue when a file is opened: the newest ones, and a sample of all. A catalogue restored
// from a backup repeats its generations.
constexpr std::size_t kCompared = 8;

VectorFileKind kind_of(const store::Space& space) {
  std::string identity;
  for (const std::string& part : {std::to_string(space.id), space.key.stage, space.key.model, space.key.version,
                                  space.key.params, space.created, std::to_string(space.dimensions)})
    identity += std::to_string(part.size()) + ":" + part;
  return {hash128(identity), space.dimensions, space.vectors >= kBytesFrom};
}

std::int64_t id_at(const VectorFile& file, std::size_t row) {
  return file.block(row / kBlockRows).ids[row % kBlockRows];
}

std::span<const std::uint16_t> halves_at(const VectorFile& file, std::size_t row) {
  return {file.block(row / kBlockRows).halves + row % kBlockRows * file.stride(), file.kind().dimensions};
}

Result<bool> agrees(const VectorFile& file, const store::CatalogueReader& reader, store::SpaceId space) {
  const auto same = [&](std::size_t row) -> Result<bool> {
    if (id_at(file, row) == 0) return true;
    IE_TRY(const auto vector, reader.vector_of(space, id_at(file, row)));
    return vector && std::ranges::equal(*vector, halves_at(file, row));
  };
  const std::size_t rows = file.rows();
  for (std::size_t i = 0; i < std::min(kCompared, rows); ++i)
    for (const std::size_t row : {rows - 1 - i, i * rows / kCompared}) {
      IE_TRY(const bool is_same, same(row));
      if (!is_same) return false;
    }
  return true;
}

// Builds the file, or, if that fails, the same in memory.
Result<VectorFile> make_anew(const store::CatalogueReader& reader, const std::string& path, const store::Space& space) {
  const auto fill = [&](const VectorFile::Add& add) { return reader.changed_vectors(space.id, 0, add); };
  auto made = VectorFile::make(path, kind_of(space), space.generation, fill);
  return made ? std::move(made) : VectorFile::make({}, kind_of(space), space.generation, fill);
}

// Updates `file` with the changes since it was written.
Result<VectorFile> bring_up_to_date(VectorFile file, const store::CatalogueReader& reader, const std::string& path,
                                    const store::Space& space) {
  VectorChanges changes;
  IE_CHECK(reader.changed_vectors(space.id, file.generation(),
                                  [&](store::VectorId id, std::span<const std::uint16_t> vector) -> Status {
                                    changes[id].assign(vector.begin(), vector.end());
                                    return {};
                                  }));
  return VectorFile::change(std::move(file), path, space.generation, changes);
}

// Whether the file's vectors equal the catalogue's.
Result<bool> is_right(const VectorFile& file, const store::CatalogueReader& reader, const store::Space& space) {
  if (file.generation() != space.generation || file.live() != static_cast<std::size_t>(space.vectors)) return false;
  return agrees(file, reader, space.id);
}

bool is_worth_keeping(const VectorFile& file, const store::Space& space) {
  const auto removed = static_cast<double>(file.rows() - file.live());
  return file.generation() <= space.generation && file.kind().with_bytes == kind_of(space).with_bytes &&
         removed <= kMostRemoved * static_cast<double>(file.rows());
}

Result<VectorFile> open_file(const store::CatalogueReader& reader, const std::string& path, const store::Space& space,
                             std::vector<std::string>* notes) {
  auto file = VectorFile::open(path, kind_of(space));
  if (!file) {
    if (file.error().code == ErrorCode::kCorrupt && notes != nullptr)
      notes->push_back("the vectors beside the catalogue were rebuilt from it: " + file.error().message);
    return make_anew(reader, path, space);
  }
  if (!is_worth_keeping(*file, space)) return make_anew(reader, path, space);
  if (file->generation() != space.generation) {
    file = bring_up_to_date(std::move(*file), reader, path, space);
    if (!file) return make_anew(reader, path, space);
  }
  IE_TRY(const bool right, is_right(*file, reader, space));
  if (right) return file;
  if (notes != nullptr)
    notes->push_back("the vectors beside the catalogue were rebuilt: they belonged to another catalogue");
  return make_anew(reader, path, space);
}

// Reads the catalogue's current vectors.
Result<store::Space> current(const store::CatalogueReader& reader, const store::Space& space) {
  IE_TRY(const auto spaces, reader.spaces(space.key.stage));
  const auto found = std::ranges::find(spaces, space.id, &store::Space::id);
  if (found == spaces.end())
    return fail(ErrorCode::kNotFound, "vector space " + std::to_string(space.id) + " is not in the catalogue");
  if (found->dimensions == 0 || found->dimensions > kMostDimensions)
    return fail(ErrorCode::kCorrupt,
                "the catalogue's vectors cannot have " + std::to_string(found->dimensions) + " numbers");
  return *found;
}

}  // namespace

struct VectorIndex::State {
  VectorFile file;
};

VectorIndex::VectorIndex(std::unique_ptr<State> state) : state_(std::move(state)) {}
VectorIndex::VectorIndex(VectorIndex&&) noexcept = default;
VectorIndex& VectorIndex::operator=(VectorIndex&&) noexcept = default;
VectorIndex::~VectorIndex() = default;

Result<VectorIndex> VectorIndex::open(const store::CatalogueReader& reader, const std::string& catalogue,
                                      const store::Space& space, std::vector<std::string>* notes) {
  IE_TRY(const store::Space now, current(reader, space));
  IE_TRY(VectorFile file, open_file(reader, store::vectors_path(catalogue, now.id), now, notes));
  return VectorIndex(std::make_unique<State>(State{std::move(file)}));
}

Status VectorIndex::check(const std::string& catalogue, const store::Space& space) {
  IE_TRY(const VectorFile file,
         VectorFile::open(store::vectors_path(catalogue, space.id), kind_of(space), VectorFile::Verify::kAll));
  return {};
}

std::size_t VectorIndex::size() const { return state_->file.live(); }
std::size_t VectorIndex::dimensions() const { return state_->file.kind().dimensions; }
std::size_t VectorIndex::rows() const { return state_->file.rows(); }
store::VectorId VectorIndex::id_at(std::size_t row) const { return search::id_at(state_->file, row); }
std::span<const std::uint16_t> VectorIndex::vector_at(std::size_t row) const { return halves_at(state_->file, row); }

Result<ScanResult> VectorIndex::scan(std::span<const float> query, std::size_t most, const store::IdSet* allowed,
                                     int threads) const {
  IE_TRY(ScanResult result, scan_file(state_->file, query, most, allowed, threads, usable_kernels().front()));
  if (state_->file.is_lost())
    return fail(
        ErrorCode::kCorrupt,
        "the vectors beside the catalogue are truncated or cannot be read: run the command again to rebuild them");
  return result;
}

}  // namespace image_engine::search
