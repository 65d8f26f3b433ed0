// The exact scan of a file of vectors.
#pragma once

#include <span>

#include "core/result.h"
#include "search/vector_file.h"
#include "search/vector_kernels.h"
#include "search/vectors.h"

namespace image_engine::search {

// VectorIndex::scan with these kernels. Where the file has bytes, halves are read only of rows that may be among the
// best, by the bytes and how far they can be off: the result is that of the halves all the same. The histogram then
// has the bytes' cosines.
Result<ScanResult> scan_file(const VectorFile& file, std::span<const float> query, std::size_t most,
                             const store::IdSet* allowed, int threads, const Kernels& kernels);

}  // namespace image_engine::search
