#!/usr/bin/env bash
# The main program must not link what only the worker may: libraries that parse outside bytes, and GPL ones.
# usage: check_linkage.sh PROGRAM
set -euo pipefail

libraries=$(ldd "$1")
grep -q 'libc\.so' <<<"$libraries" || { echo "ldd shows no libraries of $1"; exit 1; }
if grep -E 'lib(vips|exiv2|raw|avformat|avcodec|avutil|swscale|swresample|ebur128|x265|x264|heif|turbojpeg|jpeg|jxl|tiff|webp)[-._0-9a-z]*\.so' <<<"$libraries"; then
  echo "$1 links the libraries above, which belong in image-engine-worker (see THIRD_PARTY.md)"
  exit 1
fi
if [ -x "$(dirname "$1")/image-engine-worker" ]; then # the pattern must be able to match
  workers=$(ldd "$(dirname "$1")/image-engine-worker") # whole first: grep -q ending a pipe early would fail it
  grep -Eq 'libvips[-._0-9a-z]*\.so' <<<"$workers" || { echo "image-engine-worker links no libvips?"; exit 1; }
fi
host=$(dirname "$1")/image-engine-plugin-host
if [ -x "$host" ] && ldd "$host" | grep -E 'lib(vips|exiv2|raw|av[a-z]+|sw[a-z]+|curl|ssl|sqlite3|archive|onnxruntime)[-._0-9a-z]*\.so'; then
  echo "image-engine-plugin-host links the libraries above: plugins run in it, so it links next to nothing"
  exit 1
fi
echo "linkage: ok"
