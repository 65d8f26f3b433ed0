// Stores the best precision of each model between runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "models/store.h"

namespace image_engine::infer {

// Settings of a session on a GPU.
struct GpuSettings {
  std::int64_t batch = 0;
  std::string rows;  // as TensorInfo::rows
  bool nhwc = false, fuse_convolutions = false, cuda_graph = false, search_convolutions = false;
  bool own_operators = false;  // as SessionOptions has it, and the graph is made for it
  bool operator==(const GpuSettings&) const = default;
};

// What came of settings that were tried: a time, or an error.
struct Tried {
  std::string precision;
  GpuSettings settings;
  double seconds = 0;  // for a picture
  double cosine = 0;   // to the CPU's outputs
  std::optional<Error> error;
};

struct Remembered {
  std::string precision, reason;
  GpuSettings settings;  // on GPUs: the fastest
  // Not empty while not all settings have been tried.
  std::vector<Tried> tried;
};

// A key of everything that a choice depends on: the model's files, variants and gates, the CPU, the runtime, the
// threads.
std::string precision_key(const models::Spec& spec, const models::Store& store, const SessionOptions& options,
                          const std::string& runtime);

// A JSON file, {"<key>": {"model": …, "precision": …, "reason": …}}, for GPUs with settings and what was tried. Two
// programs may use it at once: the last to write wins, and the other's result is measured again.
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
