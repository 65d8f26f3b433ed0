#!/usr/bin/env bash
# Runs each fuzz target for some seconds, from its stored inputs on (fuzz/corpus/NAME where there are any), several at once.
# usage: tools/fuzz.sh SECONDS [JOBS]     a crash ends it with an error; the input that did it is kept in build/sanitize/crashes
# FUZZ_SEED: of the mutations, so that a run can be repeated; 0: another in each run.
# A crash inside a decoder of the distribution is what the worker is there for (docs/adr/0001-worker.md): it is reported and kept, and
# the other targets continue.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tree=build/sanitize
libraries='raw|vips|heif|exiv2|av[a-z]+|swresample|ebur128|tiff|jxl|png16|webp'

# The library that a crash is in, by the target's log: the first frame of its stack that is ours or a decoder's decides. A check of
# libc (_FORTIFY_SOURCE, malloc) aborts in libc, below the library that called it. Fails for a crash of ours, and for time and memory.
crashed_library() (
  set +o pipefail # the last command decides
  grep -qE '^==[0-9]+== ?ERROR: (AddressSanitizer: [a-z]+-[a-z-]+|AddressSanitizer: SEGV|libFuzzer: deadly signal)' "$1" || exit 1
  awk '/^ +#[0-9]+ 0x/ { print; seen = 1; next } seen { exit }' "$1" |
    grep -m1 -oE "/(src|fuzz)/[a-z0-9_/]+\.(cpp|h):|/lib/[^ ]*/lib($libraries)[^/ ]*\.so" | grep -oE 'lib[a-z0-9]+\.so$'
)

fuzz_one() {
  local target=$1 seconds=$2 name corpus log library stored=() folder
  name=$(basename "$target")
  corpus=$tree/corpus/$name
  log=$tree/$name.log
  mkdir -p "$corpus"
  for folder in fuzz/corpus/"${name#fuzz_}" "fuzz/corpus/$name"; do [ ! -d "$folder" ] || stored+=("$folder"); done
  "$target" -max_total_time="$seconds" -seed="${FUZZ_SEED:-0}" -rss_limit_mb=2048 -timeout=25 -artifact_prefix="$tree/crashes/" "$corpus" "${stored[@]}" >"$log" 2>&1 || {
    library=$(crashed_library "$log") || { tail -60 "$log"; echo "fuzz: $name failed; see $log and $tree/crashes"; return 1; }
    echo "fuzz: $name: $library crashed; the input is in $tree/crashes"
    return 0
  }
  echo "$name: $(grep -E '^(Done|#[0-9]+.*DONE)' "$log" | tail -1)"
}

if [ "${1:-}" = --crashed-library ]; then
  crashed_library "$2"
  exit
fi
if [ "${1:-}" = --one ]; then
  fuzz_one "$2" "$3"
  exit
fi
shopt -s nullglob
targets=("$tree"/bin/fuzz_*)
[ ${#targets[@]} -gt 0 ] || { echo "fuzz: no targets in $tree/bin"; exit 1; }
mkdir -p "$tree/crashes"
printf '%s\n' "${targets[@]}" | xargs -I{} -P "${2:-1}" "$0" --one {} "$1"
echo "fuzz: ${#targets[@]} targets"
