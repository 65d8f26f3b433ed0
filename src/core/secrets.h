// Keys: which variables hold them, and keeping them inside this process.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace image_engine {

// The environment variable `name` holds a key, beside those that always do (HF_TOKEN, NGC_API_KEY, NVIDIA_API_KEY).
// Thread-safe.
void add_secret_variable(std::string_view name);

// What programs that we start get: this process's environment as "NAME=value", without the variables that hold keys.
// No other thread may change the environment meanwhile.
std::vector<std::string> child_environment();

// While one lives, the process leaves no core dump and cannot be looked into by others of the same user
// (PR_SET_DUMPABLE, as it was again after the last one). Thread-safe.
class Undumpable {
 public:
  Undumpable();
  ~Undumpable();
  Undumpable(const Undumpable&) = delete;
  Undumpable& operator=(const Undumpable&) = delete;
};

}  // namespace image_engine
