// tools/models/optimise.py's command line over the program's own code; besides, --chains first|last with the library
// --operators.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "graph/rewrite.h"
#include "infer/external_data.h"
#include "infer/graph_runtime.h"

namespace {

using namespace image_engine;

struct Request {
  std::string input, output;
  graph::RewriteOptions options;
  std::string operators;
};

const std::map<std::string, std::function<void(Request&, const std::string&)>> kFlags{
    {"--input", [](Request& r, const std::string& v) { r.input = v; }},
    {"--output", [](Request& r, const std::string& v) { r.output = v; }},
    {"--precision", [](Request& r, const std::string& v) { r.options.precision = v; }},
    {"--batch", [](Request& r, const std::string& v) { r.options.batch = v == "0" ? -1 : std::atol(v.c_str()); }},
    {"--dimension",
     [](Request& r, const std::string& v) {
       r.options.dimensions.emplace_back(v.substr(0, v.find('=')), std::atol(v.c_str() + v.find('=') + 1));
     }},
    {"--for", [](Request& r, const std::string& v) { r.options.onnx_only = v == "tensorrt"; }},
    {"--qkv",
     [](Request& r, const std::string& v) {
       r.options.qkv = v == "separate" ? graph::Qkv::kSeparate
                       : v == "packed" ? graph::Qkv::kPacked
                                       : graph::Qkv::kJoined;
     }},
    {"--chains",
     [](Request& r, const std::string& v) {
       r.options.chains = v == "last" ? graph::Chains::kChannelsLast : graph::Chains::kChannelsFirst;
     }},
    {"--operators", [](Request& r, const std::string& v) { r.operators = v; }},
    {"--patches", [](Request& r, const std::string& v) { r.options.patches_as_product = v == "product"; }},
};

Result<graph::Rewritten> rewritten(const Request& request) {
  IE_CHECK(infer::check_external_data(request.input));
  return graph::rewrite_graph(request.input, request.output, request.options, infer::GraphRuntime(request.operators));
}

}  // namespace

int main(int count, char** words) {
  Request request;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--half-io") {
      request.options.half_io = true;
    } else if (const auto flag = kFlags.find(word); flag != kFlags.end() && i + 1 < count) {
      flag->second(request, words[++i]);
    } else {
      std::fprintf(stderr, "unknown flag %s\n", word.c_str());
      return 2;
    }
  }
  const auto made = rewritten(request);
  if (!made) {
    std::fprintf(stderr, "%s: %s\n", request.input.c_str(), made.error().message.c_str());
    return 1;
  }
  const nlohmann::json report{{"fused", made->fused}, {"kept_fp32", made->kept_fp32}, {"nodes", made->nodes}};
  std::puts(report.dump().c_str());
  return 0;
}
