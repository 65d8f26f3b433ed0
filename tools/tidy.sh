#!/usr/bin/env bash
# clang-tidy on the source files named on standard input, one a line.
# usage: tools/tidy.sh [JOBS] < FILES
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p build/lint
cmake --preset lint >build/lint/configure.log 2>&1 || { cat build/lint/configure.log; exit 1; }
xargs -r -n 1 -P "${1:-$(nproc)}" clang-tidy-16 --quiet -p build/lint
