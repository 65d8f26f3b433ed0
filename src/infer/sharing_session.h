// Several GPUs as one session.
#pragma once

#include <memory>
#include <vector>

#include "infer/session.h"

namespace image_engine::infer {

// `sessions` run the same graph, each on its own GPU. A run goes to the GPU that is free first, so that a slower or
// busier GPU does less; at most `runs_each` at once on each. One whose inputs have rows on GPUs goes to the one with
// most of them, and to another only while no run waits for that as its own: rows are copied across then (session.h). A
// GPU whose run fails with kInternal (it is lost) gets no more work, and the run is repeated on another. The last GPU's
// error is returned, and kOutOfMemory of any.
std::unique_ptr<Session> make_sharing(std::vector<std::unique_ptr<Session>> sessions, int runs_each);

}  // namespace image_engine::infer
