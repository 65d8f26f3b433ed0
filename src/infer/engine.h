// Describes what a serialised TensorRT engine was built from and for. The record is stored beside the engine, so that a
// stale engine is rebuilt and never used: TensorRT itself checks little, and an engine of another GPU may run and
// return other numbers.
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

// Everything that an engine depends on. Strings are for people; an empty one is unknown, and equals only an empty one.
struct EngineIdentity {
  std::string model_sha256;                                      // of the ONNX file, without external data
  std::vector<std::pair<std::string, std::int64_t>> dimensions;  // SessionOptions::fixed_dimensions
  std::string precision;
  std::int64_t least_batch = 1, best_batch = 1, most_batch = 1;
  std::uint64_t workspace_bytes = 0;
  std::string gpu;                 // "NVIDIA GeForce RTX 2080 Ti"
  std::string compute_capability;  // "7.5"
  std::string driver;              // "580.82.07"
  std::string cuda;                // "13.0": the driver's version of CUDA
  std::string tensorrt;            // "10.14.1"
  std::string runtime;             // of ONNX Runtime: "1.31.1"
  bool operator==(const EngineIdentity&) const = default;
};

// 32 hexadecimal digits that differ when any part of the identity differs.
std::string engine_key(const EngineIdentity& identity);

struct EngineRecord {
  EngineIdentity identity;
  std::vector<TensorInfo> inputs, outputs;
  std::map<std::string, std::string> layer_precisions;  // if the builder reports them
  double build_seconds = 0;
  std::uint64_t engine_bytes = 0;
  std::string engine_sha256;
  std::optional<std::uint64_t> device_bytes;  // GPU memory that loading it took
};

// `<engine>.json` and `<engine>.onnx`: the record, and the model by which ONNX Runtime loads it.
std::string sidecar_of(const std::string& engine);
std::string loader_of(const std::string& engine);

// {"schema": "image-engine/engine/1", …}.
std::string engine_record_text(const EngineRecord& record);
// kNotFound without a sidecar, kCorrupt when it is invalid, kNewer when a later version wrote it.
Result<EngineRecord> read_engine_record(const std::string& engine);

// The first thing that makes it stale, for people: "it was built for NVIDIA H100, and here is NVIDIA H200"; nullopt if
// it is current.
std::optional<std::string> why_stale(const EngineIdentity& built, const EngineIdentity& now);

// Checks that the engine may be loaded here. kNotFound (it, or its sidecar), kCorrupt (its size or bytes differ from
// its sidecar), kUnsupported (stale, with the reason).
Result<EngineRecord> check_engine(const std::string& engine, const EngineIdentity& now);

// The identity of an engine for that model on this machine. kNotFound: no GPU, no TensorRT, or the model cannot be
// read.
Result<EngineIdentity> engine_identity(const std::string& model, const SessionOptions& options);

}  // namespace image_engine::infer
