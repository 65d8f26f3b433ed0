#include <malloc.h>

#include "cli/app.h"

int main(int argc, char** argv) {
  // Pictures and tensors get their own mappings, which return to the system at once: by default, glibc raises this
  // threshold with each large block that is freed, and keeps memory between small blocks.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  ::mallopt(M_ARENA_MAX, 2);  // heaps, each with gaps of its own; models and pictures are larger blocks
  return image_engine::cli::run(argc, argv);
}
