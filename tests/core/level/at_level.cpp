// at_cpu_level LEVEL PROGRAM ARGUMENT…: runs the program with IMAGE_ENGINE_CPU=LEVEL. Exits 77, for ctest's skip, where
// the CPU lacks that level.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "core/cpu.h"

int main(int argc, char** argv) {
  using namespace image_engine;
  const Result<CpuLevel> level = argc > 2 ? parse_cpu_limit(argv[1]) : fail(ErrorCode::kInvalidArgument, "no program");
  if (!level) {
    std::fprintf(stderr, "at_cpu_level: %s\n", level.error().message.c_str());
    return 2;
  }
  if (*level > cpu_offers()) {
    std::printf("not run: this CPU has no %s\n", argv[1]);
    return 77;
  }
  ::setenv(kCpuVariable, argv[1], 1);
  ::execv(argv[2], argv + 2);
  std::perror(argv[2]);
  return 2;
}
