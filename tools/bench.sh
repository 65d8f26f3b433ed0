#!/usr/bin/env bash
# Runs every benchmark: programs build/release/bin/bench_* and scripts bench/*.py that have a main of their own.
# usage: tools/bench.sh [--quick]     --quick: one iteration each, to see that they work
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick=${1:-}
shopt -s nullglob
count=0
for program in build/release/bin/bench_*; do
  [ -x "$program" ] || continue
  printf '\n== %s\n' "$(basename "$program")"
  "$program" ${quick:+--benchmark_min_time=0}
  count=$((count + 1))
done
for script in bench/*.py; do
  grep -q '__main__' "$script" || continue
  printf '\n== %s\n' "$script"
  build/venv/bin/python "$script" ${quick:+--quick}
  count=$((count + 1))
done
printf '\nbench: %s benchmarks\n' "$count"
