#!/usr/bin/env bash
# Configures a preset once and builds it; prints nothing when there was nothing to do.
# usage: tools/build.sh PRESET [JOBS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=$1
jobs=${2:-$(nproc)}
export CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G}
tree=build/$preset
if [ ! -f "$tree/build.ninja" ] || [ CMakePresets.json -nt "$tree/build.ninja" ]; then
  echo "build: configuring $preset"
  mkdir -p "$tree"
  cmake --preset "$preset" >"$tree/configure.log" 2>&1 || { cat "$tree/configure.log"; exit 1; }
  touch "$tree/build.ninja"
fi
cmake --build --preset "$preset" -j "$jobs" | grep --line-buffered -Ev 'Re-checking globbed directories|^ninja: no work to do' ||
  [ "${PIPESTATUS[0]}" -eq 0 ]
