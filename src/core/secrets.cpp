#include "core/secrets.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <mutex>
#include <set>

namespace image_engine {
namespace {

struct Secrets {
  std::mutex mutex;
  std::set<std::string, std::less<>> variables{"HF_TOKEN", "NGC_API_KEY", "NVIDIA_API_KEY"};
  int undumpable = 0;  // how many live
  int before = 0;      // PR_GET_DUMPABLE before the first
};

Secrets& secrets() {
  static Secrets all;
  return all;
}

}  // namespace

void add_secret_variable(std::string_view name) {
  Secrets& all = secrets();
  const std::scoped_lock lock(all.mutex);
  all.variables.emplace(name);
}

std::vector<std::string> child_environment() {
  Secrets& all = secrets();
  const std::scoped_lock lock(all.mutex);
  std::vector<std::string> result;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (!all.variables.contains(text.substr(0, text.find('=')))) result.emplace_back(text);
  }
  return result;
}

Undumpable::Undumpable() {
  Secrets& all = secrets();
  const std::scoped_lock lock(all.mutex);
  if (all.undumpable++ > 0) return;
  all.before = ::prctl(PR_GET_DUMPABLE);
  ::prctl(PR_SET_DUMPABLE, 0);
}

Undumpable::~Undumpable() {
  Secrets& all = secrets();
  const std::scoped_lock lock(all.mutex);
  if (--all.undumpable == 0 && all.before == 1) ::prctl(PR_SET_DUMPABLE, 1);
}

}  // namespace image_engine
