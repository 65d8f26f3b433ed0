#!/usr/bin/env bash
# Runs each fuzz target for some seconds, from its stored inputs on (fuzz/corpus/NAME where there are any).
# usage: tools/fuzz.sh SECONDS     a crash ends it with an error; the input that did it is kept in build/fuzz/crashes
# A crash inside a decoder of the distribution is what the worker is there for (docs/adr/0001-worker.md): it is told and kept, and the others
# go on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=$1
contained='^SUMMARY: AddressSanitizer: [A-Za-z-]+ \((/usr)?/lib/[^ ]*/lib(raw|vips|heif|exiv2|av[a-z]+|tiff|jxl|png16|webp)[^/ ]*\.so'
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
    "$corpus" "${existing[@]}" >"$log" 2>&1 || {
    if grep -qE "$contained" "$log"; then
      echo "fuzz: $name: a library crashed, $(grep -oE 'lib[a-z0-9]+\.so[^ )]*' <<<"$(grep -E "$contained" "$log")"); the input is in build/fuzz/crashes"
      continue
    fi
    tail -60 "$log"
    echo "fuzz: $name failed; see $log and build/fuzz/crashes"
    exit 1
  }
  grep -E '^(Done|#[0-9]+.*DONE)' "$log" || true
done
echo "fuzz: ${#targets[@]} targets"
