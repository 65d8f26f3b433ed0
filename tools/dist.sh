#!/usr/bin/env bash
# Packs a release build into dist/image-engine-VERSION-linux-ARCH/ and a tarball: runs from any path, needs only glibc.
# usage: tools/dist.sh [BUILD]     BUILD: a configured and built tree, build/release by default
#        MODELS=1 packs the installed models too; GPU=1 the GPU worker of build/cuda and the libraries of `make setup GPU=1`
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(realpath "${1:-$root/build/release}")
version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")
name=image-engine-$version-linux-$(uname -m)${GPU:+-gpu}
target=$root/dist/$name
work=$target.part

fail() { printf 'dist: error: %s\n' "$*" >&2; exit 1; }
command -v patchelf >/dev/null || fail "patchelf is missing: run tools/setup.sh"

# What comes with every glibc system and must match its loader.
glibc='^(ld-linux.*|libc|libm|libmvec|libdl|libpthread|librt|libresolv|libutil|libanl|libnsl|libnss_.*|libBrokenLocale|libthread_db)\.so'

# "soname path" of every library that the named programs need, directly or not.
closure() { ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// {print $1, $3} /not found/ {print > "/dev/stderr"; exit 1}' | sort -u | grep -Ev "$glibc"; }

# The Debian package that a file came from; empty for a file of none (/lib may be a link to /usr/lib).
package_of() {
  local file
  file=$(realpath "$1")
  { dpkg -S "$file" || dpkg -S "${file#/usr}"; } 2>/dev/null | head -1 | cut -d: -f1
}

rm -rf -- "$work" "$target"
mkdir -p "$work/lib"
DESTDIR='' cmake --install "$build" --prefix "$work" --strip >/dev/null
[ -x "$work/bin/image-engine" ] && [ -x "$work/bin/image-engine-worker" ] && [ -x "$work/bin/image-engine-plugin-host" ] || fail "$build holds no finished build"
if [ -n "${GPU:-}" ]; then
  [ -x "$root/build/cuda/bin/image-engine-gpu-worker" ] && [ -f "$root/build/cuda/bin/libimage-engine-gpu-ops.so" ] || fail "the GPU worker or the operators for GPUs are missing: cmake --preset cuda && cmake --build --preset cuda"
  [ -e "$root/build/onnxruntime-gpu/lib/libonnxruntime.so.1" ] || fail "the GPU's libraries are missing: make setup GPU=1"
  install -s -m 755 "$root/build/cuda/bin/image-engine-gpu-worker" "$work/bin/"
  install -s -m 644 "$root/build/cuda/bin/libimage-engine-gpu-ops.so" "$work/lib/"
fi
[ -f "$work/share/image-engine/places.csv" ] || fail "place names are missing: run tools/setup.sh"

modules=$(basename "$(echo "$build"/lib/vips-modules-*)")
mkdir "$work/lib/$modules"
cp -L "$build/lib/$modules"/*.so "$work/lib/$modules/"

libraries=$(closure "$work"/bin/* "$work/lib/$modules"/*.so)
while read -r soname path; do
  cp -L "$path" "$work/lib/$soname"
  chmod u+w,a-x "$work/lib/$soname"
  package=$(package_of "$path")
  [ -n "$package" ] || fail "$path belongs to no Debian package, so its licence is unknown"
  mkdir -p "$work/share/licences/$package"
  cp -L "/usr/share/doc/$package/copyright" "$work/share/licences/$package/"
done <<<"$libraries"

mkdir -p "$work/share/licences/onnxruntime"
cp "$root"/build/venv/lib/python3*/site-packages/onnxruntime/{LICENSE,ThirdPartyNotices.txt} "$work/share/licences/onnxruntime/"
chmod u+w,a-x "$work/lib/libonnxruntime.so.1"

# MODELS=1: the owner's models, each with its provenance, which names its licence.
if [ "${MODELS:-}" = 1 ]; then
  models=${IMAGE_ENGINE_MODELS:-${XDG_DATA_HOME:-$HOME/.local/share}/image-engine/models}
  compgen -G "$models/*/provenance.json" >/dev/null || fail "no models in $models: image-engine models pull"
  mkdir -p "$work/share/image-engine/models"
  for provenance in "$models"/*/provenance.json; do cp -r "$(dirname "$provenance")" "$work/share/image-engine/models/"; done
fi

patchelf --set-rpath '$ORIGIN/../lib' "$work"/bin/*
patchelf --set-rpath '$ORIGIN' "$work"/lib/*.so*
patchelf --set-rpath '$ORIGIN/..' "$work/lib/$modules"/*.so

# As they come, since NVIDIA's licences allow no changes. The inference runtime replaces the CPU's.
if [ -n "${GPU:-}" ]; then
  rm "$work/lib/libonnxruntime.so.1"
  cp -a "$root/build/onnxruntime-gpu/lib/." "$work/lib/"
  cp -a "$root/build/onnxruntime-gpu/licences/." "$work/share/licences/"
fi

rm -rf -- "$work/share/doc"
[ ! -d "$root/web" ] || cp -r "$root/web" "$work/share/image-engine/web"
cp "$root/LICENSE" "$root/THIRD_PARTY.md" "$work/"
cp -L /usr/share/common-licenses/GPL-3 "$work/share/licences/GPL-3"
cat >"$work/README" <<'TEXT'
Image Engine, ready to run: bin/image-engine analyze ~/Pictures

The folder may stand anywhere; nothing needs installing on an x86_64 Linux with glibc 2.36 or newer (Debian 12).
bin/image-engine-worker and bin/image-engine-plugin-host, which the program starts by itself, must stay beside it, as must lib/ and share/.

Image Engine's own source is under the Apache License 2.0 (LICENSE). The worker links GPL libraries, so this bundle as a
whole is distributed under the GNU General Public License 3 or later. THIRD_PARTY.md names each part, share/licences/
holds the packages' own texts. The sources of the Debian packages: `apt-get source PACKAGE` on Debian 12.
TEXT
[ -z "${GPU:-}" ] || cat >>"$work/README" <<'TEXT'

For NVIDIA GPUs of compute capability 7.5 and up, with a driver of 580 or later. NVIDIA's libraries in lib/ stay under
their own licences (share/licences/); bin/image-engine and bin/image-engine-gpu-worker load them, and neither links
a library under the GPL.
TEXT

if LC_ALL=C ldd "$work"/bin/* "$work/lib/$modules"/*.so | grep '=> /' | grep -vF "=> $work/" | awk '{print $1}' | grep -Ev "$glibc"; then
  fail "the libraries above are still taken from this system"
fi
mv "$work" "$target"
tar -C "$root/dist" --sort=name --owner=0 --group=0 --numeric-owner -czf "$target.tar.gz" "$name"
printf 'dist: %s (%s), %s.tar.gz (%s)\n' "dist/$name" "$(du -sh "$target" | cut -f1)" "dist/$name" "$(du -h "$target.tar.gz" | cut -f1)"
