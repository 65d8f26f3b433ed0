#!/usr/bin/env bash
# `make run`: analyses a folder, prints the report, and asks two questions that the folder can answer.
# usage: tools/run.sh ENGINE [FOLDER]     without FOLDER: the samples, with a catalogue of their own
set -euo pipefail

engine=$1
folder=${2:-}

# Prints the command, then its output. 3 (some files are in the ledger) is a result, not an error.
step() {
  local word status=0
  printf '\n$ %s' "$(basename "$engine")"
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9:/._=-]+$ ]] || word=${word@Q}
    printf ' %s' "$word"
  done
  printf '\n'
  "$engine" "$@" || status=$?
  [ "$status" -eq 0 ] || [ "$status" -eq 3 ] || { printf 'exit status %s\n' "$status" >&2; exit "$status"; }
}

if [ -n "$folder" ]; then
  step models pull
  step analyze "$folder"
  step status
  step search type:photo --limit 5
  step search type:video --limit 5
else
  mkdir -p build/run
  export IMAGE_ENGINE_MODELS=$PWD/build/models
  step models pull
  step analyze build/samples/photos build/samples/videos build/samples/formats --catalog build/run/catalog.db
  step status --catalog build/run/catalog.db
  step search 'camera:canon after:2008' --catalog build/run/catalog.db
  step search 'butterfly' --catalog build/run/catalog.db
  step search 'object:person>=2' --catalog build/run/catalog.db
  step search 'insect' --catalog build/run/catalog.db
fi
