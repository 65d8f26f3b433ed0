// Photos through a plugin, and what it makes of them as files.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "plugins/plugin.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

plugins::PluginOptions plugin_options(const Config& config);

// An output as the content of a file.
struct MadeFile {
  std::string output;  // its name
  bool is_record = false;
  std::vector<std::byte> bytes;
  std::uint32_t width = 0, height = 0;  // 0 of a record
};

struct MadeFiles {
  std::vector<MadeFile> files;  // in the plugin's order, without optional ones that it did not give
  std::vector<std::string> messages;
  double seconds = 0;  // of the plugin alone
};

struct PhotoOptions {
  worker::PictureFormat format = worker::PictureFormat::kPng;
  std::uint32_t quality = 90;
  std::vector<plugins::Value> values;         // of each of the plugin's parameters
  std::map<std::string, std::string> inputs;  // files for inputs besides the photo, by their names; masks are made grey
};

// What a plugin is given, with room for the photo or frame at the front.
struct OtherInputs {
  std::vector<plugins::Input> list;

  // Decodes the files of inputs besides the photo. `record`: as run_plugin() has it. kInvalidArgument, kNotFound: there
  // is none for an input that is not optional; errors of decoding.
  static Result<OtherInputs> read(const plugins::Description& description, worker::Pool& pool,
                                  const std::string& record, const PhotoOptions& options);

 private:
  std::vector<std::vector<std::uint8_t>> pixels_;  // of the list's
};

// Decodes the photo in the sandboxed worker at full resolution, runs the plugin, and encodes its pictures in a worker.
// `record`: what the catalogue knows of it, JSON; empty: nothing. The pool has at least two workers. Errors: of
// decoding, of Plugin::run(), of encoding; kInvalidArgument: the plugin needs an input that there is none for. One call
// at a time for a plugin.
Result<MadeFiles> run_plugin(plugins::Plugin& plugin, worker::Pool& pool, const std::string& photo,
                             const std::string& record, const PhotoOptions& options, const plugins::RunWatch& watch);

}  // namespace image_engine::pipeline
