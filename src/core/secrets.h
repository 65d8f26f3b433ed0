// Keeps API keys inside this process, and names the variables that hold them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace image_engine {

// Marks the environment variable `name` as a key, like the built-in ones (HF_TOKEN, NGC_API_KEY, NVIDIA_API_KEY).
// Thread-safe.
void add_secret_variable(std::string_view name);

// The environment for child processes as "NAME=value": this process's without the variables that hold keys. No other
// thread may change the environment meanwhile.
std::vector<std::string> child_environment();

// While it lives, the process leaves no core dump, and the user's other processes cannot inspect it (PR_SET_DUMPABLE,
// restored after the last one). Thread-safe.
class Undumpable {
 public:
  Undumpable();
  ~Undumpable();
  Undumpable(const Undumpable&) = delete;
  Undumpable& operator=(const Undumpable&) = delete;
};

}  // namespace image_engine
