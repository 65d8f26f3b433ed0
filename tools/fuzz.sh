#!/usr/bin/env bash
# Runs each fuzz target for some seconds, from its stored inputs on (fuzz/corpus/NAME where there are any).
# usage: tools/fuzz.sh SECONDS     a crash ends it with an error; the input that did it is kept in build/fuzz/crashes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=$1
shopt -s nullglob
targets=(build/fuzz/bin/fuzz_*)
mkdir -p build/fuzz/crashes
for target in "${targets[@]}"; do
  name=$(basename "$target")
  corpus=build/fuzz/corpus/$name
  mkdir -p "$corpus"
  seeds=(fuzz/corpus/"${name#fuzz_}" fuzz/corpus/"$name")
  existing=()
  for folder in "${seeds[@]}"; do [ ! -d "$folder" ] || existing+=("$folder"); done
  printf '== %s, %s s\n' "$name" "$seconds"
  log=build/fuzz/$name.log
  "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=25 -artifact_prefix=build/fuzz/crashes/ \
    "$corpus" "${existing[@]}" >"$log" 2>&1 || { tail -60 "$log"; echo "fuzz: $name failed; see $log and build/fuzz/crashes"; exit 1; }
  grep -E '^(Done|#[0-9]+.*DONE)' "$log" || true
done
echo "fuzz: ${#targets[@]} targets"
