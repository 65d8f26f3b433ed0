#!/usr/bin/env bash
# Configures a preset where that is needed, and builds it; prints nothing when there was nothing to do.
# usage: tools/build.sh PRESET JOBS [TARGET…]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=$1
jobs=$2
shift 2
# Objects are found again by content, from a clone in another folder, too. Precompiled headers hold no times that matter.
export CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G} CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime

tree=build/$preset
[ "$preset" != test ] || tree=build/release # the programs in it are the same
cache=$tree/CMakeCache.txt

must_configure() {
  [ ! -f "$tree/build.ninja" ] || [ CMakePresets.json -nt "$tree/build.ninja" ] || { [ "$preset" = test ] && grep -q '^IE_TESTS:.*=OFF' "$cache"; }
}

if must_configure; then
  # A tree that has tests keeps them.
  [ "$preset" != release ] || [ ! -f "$cache" ] || ! grep -q '^IE_TESTS:.*=ON' "$cache" || preset=test
  echo "build: configuring $preset"
  mkdir -p "$tree"
  cmake --preset "$preset" >"$tree/configure.log" 2>&1 || { cat "$tree/configure.log"; exit 1; }
  touch "$tree/build.ninja"
fi
cmake --build "$tree" -j "$jobs" ${1+--target "$@"} | grep --line-buffered -Ev 'Re-checking globbed directories|^ninja: no work to do' ||
  [ "${PIPESTATUS[0]}" -eq 0 ]
