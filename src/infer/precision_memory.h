// Stores the best precision of each model between runs.
#pragma once

#include <optional>
#include <string>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "models/store.h"

namespace image_engine::infer {

struct Remembered {
  std::string precision, reason;
  // On GPUs: its fastest settings.
  std::int64_t batch = 0;
  std::string rows;  // as TensorInfo::rows
  bool nhwc = false, fuse_convolutions = false, cuda_graph = false, search_convolutions = false, own_operators = false;
};

// A key of everything that a choice depends on: the model's files, variants and gates, the CPU, the runtime, the
// threads.
std::string precision_key(const models::Spec& spec, const models::Store& store, const SessionOptions& options,
                          const std::string& runtime);

// A JSON file, {"<key>": {"model": …, "precision": …, "reason": …}}. Two programs may use it at once: the last to write
// wins, and the other's result is measured again.
class PrecisionMemory {
 public:
  explicit PrecisionMemory(const std::string& folder);
  // nullopt also when the file is damaged.
  [[nodiscard]] std::optional<Remembered> find(const std::string& key) const;
  [[nodiscard]] Status keep(const std::string& key, const std::string& model, const Remembered& found) const;

 private:
  std::string folder_, file_;
};

}  // namespace image_engine::infer
