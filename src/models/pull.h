// Fetching models: download (resumed), verification, conversion, installation.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "models/store.h"

namespace image_engine::models {

struct PullOptions {
  std::vector<std::string> accepted_licences;  // names, or model names
  bool force = false;                          // fetch again what is installed
  std::string tools;                           // the folder of the converters (tools/models)
  std::string downloads;                       // where unfinished downloads wait; empty: <root>/.downloads
  // Told often: what is at work, bytes so far and in all (0: not known).
  std::function<void(std::string_view what, std::uint64_t done, std::uint64_t total)> progress;
  std::function<bool()> cancelled = [] { return false; };
};

// Installs one model. Holds a lock on its folder: of two pulls at once, the second waits and finds it installed.
// Errors: kPermission (licence not accepted; says how), kNotFound (no source has it: the reasons of each), kCorrupt
// (checksum), kNoSpace, kInterrupted (what was downloaded stays for the next pull), kUnsupported (.etlt: says what to
// export). On an error nothing is half-installed and an installed model is as it was.
Status pull(const Spec& spec, const Store& store, const PullOptions& options);

}  // namespace image_engine::models
