// Runs other programs on the same models: tools/peers, in the user's Python.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "benchmark/models.h"
#include "benchmark/net.h"
#include "core/result.h"
#include "models/install_paths.h"

namespace image_engine::benchmark {

struct PeerWay {
  const char* backend;    // of the row
  const char* precision;  // likewise
  const char* way;        // as named by the peer's program
  bool torch;             // else ONNX Runtime with the model's own file
};
const std::vector<PeerWay>& peer_ways();

struct PeerRequest {
  std::string python;
  models::InstallPaths paths;
  std::string file;  // of the model's fp32 graph
  int threads = 1;
  std::stop_token stop;
};

// Fills the row; a failure becomes its note. `net`: the model in fp32 on the CPU. kInterrupted.
Status measure_peer(const PeerWay& way, const PeerRequest& request, const BenchmarkNet& net,
                    const SamplePictures& samples, ModelRow& row);

}  // namespace image_engine::benchmark
