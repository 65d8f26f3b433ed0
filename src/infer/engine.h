// What a serialised TensorRT engine was built of and for. It lies beside the engine, so that a stale one is built again
// and never misused: TensorRT itself checks little, and an engine of another GPU may run and give other numbers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "infer/session.h"

namespace image_engine::infer {

// All that an engine depends on. Texts are for people; an empty one is not known, and only equal to an empty one.
struct EngineIdentity {
  std::string model_sha256;  // of the ONNX file; what it keeps in files beside it is not counted
  std::vector<std::pair<std::string, std::int64_t>> dimensions;  // SessionOptions::fixed_dimensions
  std::string precision;
  std::int64_t least_batch = 1, best_batch = 1, most_batch = 1;
  std::uint64_t workspace_bytes = 0;
  std::string gpu;                 // "NVIDIA GeForce RTX 2080 Ti"
  std::string compute_capability;  // "7.5"
  std::string driver;              // "580.82.07"
  std::string cuda;                // "13.0": what the driver runs
  std::string tensorrt;            // "10.14.1"
  std::string runtime;             // of ONNX Runtime: "1.31.1"
  bool operator==(const EngineIdentity&) const = default;
};

// 32 hexadecimal digits that differ when anything of the identity does.
std::string engine_key(const EngineIdentity& identity);

struct EngineRecord {
  EngineIdentity identity;
  std::vector<TensorInfo> inputs, outputs;
  std::map<std::string, std::string> layer_precisions;  // where the builder tells
  double build_seconds = 0;
  std::uint64_t engine_bytes = 0;
  std::string engine_sha256;
  std::optional<std::uint64_t> device_bytes;  // that loading it took of the GPU's memory
};

// `<engine>.json` and `<engine>.onnx`: the record, and the model by which ONNX Runtime loads it.
std::string sidecar_of(const std::string& engine);
std::string loader_of(const std::string& engine);

// {"schema": "image-engine/engine/1", …}.
std::string engine_record_text(const EngineRecord& record);
// kNotFound without a sidecar, kCorrupt when it makes no sense, kNewer when a later version wrote it.
Result<EngineRecord> read_engine_record(const std::string& engine);

// Nothing, or the first thing that makes it stale, for people: "it was built for NVIDIA H100, and here is NVIDIA H200".
std::optional<std::string> why_stale(const EngineIdentity& built, const EngineIdentity& now);

// That the engine may be loaded here. kNotFound (it, or its sidecar), kCorrupt (of another size or other bytes than its
// sidecar says), kUnsupported (stale: says why).
Result<EngineRecord> check_engine(const std::string& engine, const EngineIdentity& now);

// This machine and that model. `device`: the GPU. kNotFound: no GPU, no TensorRT; the model cannot be read.
Result<EngineIdentity> engine_identity(const std::string& model, const SessionOptions& options);

}  // namespace image_engine::infer
