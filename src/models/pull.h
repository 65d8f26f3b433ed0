// Fetching models: download (resumed), verification, conversion, installation.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "models/store.h"

namespace image_engine::models {

struct PullOptions {
  std::vector<std::string> accepted_licences;  // names, or model names
  bool force = false;                          // fetch again even if installed
  std::string tools;                           // the folder of the converters (tools/models)
  std::string python;                          // runs them; empty: their own environment, created when needed
  std::string downloads;                       // for unfinished downloads; empty: <root>/.downloads
  // Called often: the current item, bytes so far and in all (0: unknown).
  std::function<void(std::string_view what, std::uint64_t done, std::uint64_t total)> progress =
      [](std::string_view, std::uint64_t, std::uint64_t) {};
  std::stop_token stop;
  std::chrono::milliseconds retry_delay{1000};  // before the first retry of a request; doubles
};

// Installs one model. Holds a lock on its folder: of two simultaneous pulls, the second waits and finds it installed.
// Errors: kPermission (licence not accepted; the message names the option), kNotFound (no source has it; the message
// gives the reason of each), kCorrupt (checksum), kNoSpace, kInterrupted (downloads stay for the next pull),
// kUnsupported (.etlt; the message names what to export). On an error nothing is partly installed, and an installed
// model is unchanged.
Status pull(const Spec& spec, const Store& store, const PullOptions& options);

// Removes the packages that pull() keeps for other models of the same package. Call it after the last pull().
void forget_packages(const Store& store, const PullOptions& options);

// kUnsupported for an encrypted file (.etlt), with the command that exports a readable one.
Status refuse_encrypted(std::string_view path);

}  // namespace image_engine::models
