// An exact scan of a file of vectors.
#pragma once

#include <span>

#include "core/result.h"
#include "search/vector_file.h"
#include "search/vector_kernels.h"
#include "search/vectors.h"

namespace image_engine::search {

// VectorIndex::scan() with these kernels. If the file has bytes, float16 vectors are read only for rows that may be
// among the best by their bytes and error bounds, so the result equals that of a float16 scan. The histogram then has
// the bytes' cosines.
Result<ScanResult> scan_file(const VectorFile& file, std::span<const float> query, std::size_t most,
                             const store::IdSet* allowed, int threads, const Kernels& kernels);

}  // namespace image_engine::search
