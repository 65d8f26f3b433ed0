// A plugin in its own process behind the wall, seen from the engine.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/result.h"
#include "plugins/description.h"
#include "plugins/plugin_file.h"
#include "types/box.h"
#include "types/image.h"
#include "types/tensor.h"

namespace image_engine::plugins {

struct PluginOptions {
  std::string program;                                  // empty: image-engine-plugin-host beside the running program
  std::uint64_t memory_limit = std::uint64_t{2} << 30;  // bytes, private and shared
  std::chrono::milliseconds timeout{60'000};            // of one photo, without the time that the engine takes for it
  std::chrono::milliseconds load_timeout{10'000};       // of loading
  bool require_sandbox = false;                         // refuse to load if a sandbox layer is missing
};

// 8 bits a sample, rows without padding. Channels: 1 grey, 3 RGB, 4 RGB and alpha.
struct PixelView {
  std::uint32_t channels = 0, width = 0, height = 0;  // no channels: none
  std::span<const std::uint8_t> pixels;
};

// What a run is given for one of the plugin's inputs.
struct Input {
  PixelView picture;   // of kPicture (RGB) and kMask (grey)
  std::string record;  // JSON; empty: none
  // The memory that the pixels lie in, as a descriptor that cannot be written to, and their offset there: then they are
  // not copied. Of the first input only; below 0: they are copied.
  int descriptor = -1;
  std::uint64_t offset = 0;
};

// What a run gave for one of the plugin's outputs.
struct Output {
  PixelView picture;         // valid until the next run
  std::uint64_t offset = 0;  // of the pixels, in Plugin::memory_descriptor()
  std::string record;        // a JSON object; empty: none
};

struct RunResult {
  std::vector<Output> outputs;        // of each of the plugin's
  std::vector<std::string> messages;  // for a person; UTF-8
  double seconds = 0;                 // from the call to its answer
};

// In pixels of the picture.
struct FoundRegion {
  Box box;
  float confidence = 0;  // 0 to 1
};
inline constexpr std::size_t kMostRegions = 100'000;

// What the engine answers to a plugin's questions; an empty function: it does not. Called on the thread of run().
struct Offers {
  // The mask of a subject in a picture, of its size, grey. kNotFound: there is none, or no model.
  std::function<Result<std::vector<std::uint8_t>>(const ImageView& picture, const std::string& target)> segment;
  // Where such things ("face", "person", "text", an object's name) are in a picture, the most likely first; at most
  // kMostRegions are passed on. kNotFound: no installed model finds them.
  std::function<Result<std::vector<FoundRegion>>(const ImageView& picture, const std::string& what)> detect;
  // The outputs of an installed model. kNotFound: it is not installed; kInvalidArgument: it does not take these inputs.
  std::function<Result<std::vector<Tensor>>(const std::string& model, std::span<const Tensor> inputs)> run_model;
};

struct RunWatch {
  std::stop_token stop;
  std::function<void(double)> progress;  // 0 to 1, what the plugin reports
  Offers offers;
};

// Not thread-safe: one run at a time.
class Plugin {
 public:
  // Starts a process and loads the plugin in it. kUnsupported, with the reason: it is refused. kCrashed, kTimeout,
  // kOutOfMemory: it did so while it was loaded, which is the plugin's fault. kMachine: no process can be started, or a
  // layer is missing.
  static Result<std::unique_ptr<Plugin>> load(PluginFile file, PluginOptions options);
  ~Plugin();
  Plugin(const Plugin&) = delete;

  [[nodiscard]] const Description& description() const;
  [[nodiscard]] const PluginFile& file() const;

  // One photo. After an error the plugin may be used again: a process that has died is replaced. `inputs` of each of
  // the plugin's, `values` as of parameter_values(). Errors, of this photo: kCrashed, kTimeout, kOutOfMemory; kCorrupt
  // (an output is not as declared); what the plugin reported: kUnsupported, kNotFound, kOutOfMemory, kInternal.
  // kInterrupted. kTooLarge: the inputs do not fit into its memory. Not of the photo: kKilled, kMachine.
  Result<RunResult> run(std::span<const Input> inputs, const std::vector<Value>& values, const RunWatch& watch = {});

  // The memory that outputs lie in, as a descriptor that cannot be written to; below 0 where /proc is missing.
  [[nodiscard]] int memory_descriptor() const;
  // The sandbox layers that do not hold, by name.
  [[nodiscard]] const std::vector<std::string>& missing() const;

 private:
  struct State;
  explicit Plugin(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::plugins
