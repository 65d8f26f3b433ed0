#!/usr/bin/env bash
# Brings a bare Debian 12 to the point where the project builds, runs and tests. Idempotent: a second call does nothing.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tools/setup.sh [--tests] [--no-samples] [--samples-only] [--gpu] [--cuda] [--help]

Installs what is missing to build and run the programs, in this order:
  1. Debian packages named in tools/apt-packages.txt (root or sudo; only those that are absent)
  2. build/venv from tools/requirements.txt (versions and hashes pinned)
  3. build/onnxruntime, the inference runtime: library from PyPI, headers from npm (tools/npm-packages.txt)
  4. build/share/places.csv, the place names (GeoNames, CC BY 4.0)
  5. build/samples, the photos and clips that `make run` analyses

  --tests          also what tests, benchmarks, sanitizers, fuzzers and linters need: tools/apt-packages-test.txt,
                   tools/requirements-test.txt and the other sets of samples
  --no-samples     do 1 to 4
  --samples-only   leave the Debian packages alone, do 2 to 5
  --gpu            also build/onnxruntime-gpu/lib: ONNX Runtime for NVIDIA GPUs with CUDA 13, cuDNN 9 and TensorRT for RTX
                   (tools/requirements-gpu.txt); 1.6 GB to download, 2.4 GB on disk, a driver of 580 or later
  --cuda           also build/cuda-toolkit: CUDA 13's compiler and nvJPEG's header, for `cmake --preset cuda`
                   (tools/requirements-cuda.txt); 130 MB to download, 280 MB on disk
  --help           this text

GPU=1 and CUDA=1 are the same as --gpu and --cuda.

Downloads go through the machine's own apt, pip and npm configuration.
TEXT
}

with_packages=yes
with_samples=yes
with_tests=no
with_gpu=no
with_cuda=no
for argument in "$@"; do
  case "$argument" in
    --tests) with_tests=yes ;;
    --no-samples) with_samples=no ;;
    --samples-only) with_packages=no ;;
    --gpu | GPU=1) with_gpu=yes ;;
    --cuda | CUDA=1) with_cuda=yes ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
venv=$build/venv
stamps=$build/.setup
python=/usr/bin/python3

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

# Runs a download up to three times; mirrors and proxies have their moments.
retry() {
  local attempt
  for attempt in 1 2 3; do
    "$@" && return 0
    if [ "$attempt" -lt 3 ]; then
      say "attempt $attempt of '$1 $2' failed, trying again in $((attempt * 5)) s"
      sleep $((attempt * 5))
    fi
  done
  return 1
}

hash_of() { cat -- "$@" | sha256sum | cut -d' ' -f1; }
is_done() { [ -f "$stamps/$1" ] && [ "$(cat "$stamps/$1")" = "$2" ]; }
mark_done() { mkdir -p "$stamps" && printf '%s' "$2" >"$stamps/$1"; }

# Nothing for root, sudo for others who have it.
sudo_if_needed() {
  [ "$(id -u)" -ne 0 ] || return 0
  command -v sudo >/dev/null || fail "installing packages needs root or sudo. As root, run: apt-get install $*"
  echo sudo
}

apt_get() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 "$@" >>"$stamps/apt.log" 2>&1; }

fail_with_log() {
  tail -20 "$stamps/apt.log" >&2
  fail "$1"
}

wanted_packages() {
  local lists=("$root/tools/apt-packages.txt")
  [ "$with_tests" = no ] || lists+=("$root/tools/apt-packages-test.txt")
  {
    sed 's/#.*//' "${lists[@]}" | tr -s ' \n' '\n'
    command -v npm >/dev/null || echo npm # any npm will do, and other packages of it conflict with Debian's
  } | sed '/^$/d' | sort -u
}

install_packages() {
  local missing=() list sudo
  command -v dpkg-query >/dev/null || fail "this set-up is for Debian 12; elsewhere install what tools/apt-packages.txt names"
  list=$(wanted_packages)
  # shellcheck disable=SC2086 # one word per package
  mapfile -t missing < <(comm -23 <(printf '%s\n' "$list") \
    <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $list 2>/dev/null | sed -n 's/^installed //p' | sort -u))
  [ ${#missing[@]} -eq 0 ] && return 0
  sudo=$(sudo_if_needed "${missing[@]}")
  say "installing ${#missing[@]} Debian packages (log: build/.setup/apt.log): ${missing[*]}"
  mkdir -p "$stamps"
  : >"$stamps/apt.log"
  retry apt_get update || fail_with_log "apt-get update failed"
  retry apt_get -y --no-install-recommends install "${missing[@]}" || fail_with_log "apt-get could not install: ${missing[*]}"
}

make_venv() {
  local wanted
  wanted=$(hash_of "$root/tools/requirements.txt")
  is_done venv "$wanted" && [ -x "$venv/bin/python" ] && return 0
  "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
    fail "$python is not Python 3.11, for which tools/requirements.txt is pinned"
  "$python" -m venv --clear "$venv"
  rm -f "$stamps/venv-test"
  fill_venv requirements
  mark_done venv "$wanted"
}

# What tests need comes into the same environment.
add_to_venv() {
  local wanted
  wanted=$(hash_of "$root/tools/requirements.txt" "$root/tools/requirements-test.txt")
  is_done venv-test "$wanted" && return 0
  fill_venv requirements-test
  mark_done venv-test "$wanted"
}

fill_venv() {
  say "installing tools/$1.txt into build/venv"
  retry "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$root/tools/$1.txt" ||
    fail "pip could not install tools/$1.txt"
}

# The library comes with the wheel in build/venv, under the name that programs look for; the headers lie in an npm package.
fetch_onnxruntime() {
  local wanted library package sum downloads
  wanted=$(hash_of "$root/tools/requirements.txt" "$root/tools/npm-packages.txt")
  is_done onnxruntime "$wanted" && [ -e "$build/onnxruntime/lib/libonnxruntime.so.1" ] && return 0
  say "fetching ONNX Runtime's headers"
  mkdir -p "$build/onnxruntime/lib" "$build/onnxruntime/include"
  library=$(echo "$venv"/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.1.*)
  [ -f "$library" ] || fail "the onnxruntime wheel in build/venv holds no libonnxruntime.so.1.*"
  cp -f "$library" "$build/onnxruntime/lib/libonnxruntime.so.1"
  read -r package sum < <(sed -n 's/^com.github.asus4.onnxruntime@/&/p' "$root/tools/npm-packages.txt")
  downloads=$(mktemp -d "$build/.downloads.XXXXXX")
  retry timeout 900 npm pack --silent --pack-destination "$downloads" "$package" >/dev/null 9>&- || fail "npm could not fetch $package"
  echo "$sum $(echo "$downloads"/*.tgz)" | sha256sum --check --quiet || fail "$package is not what tools/npm-packages.txt says"
  tar -xzf "$downloads"/*.tgz -C "$build/onnxruntime/include" --wildcards --transform 's#.*/##' \
    '*/ios-arm64/onnxruntime.framework/Headers/*.h'
  rm -r -- "$downloads"
  mark_done onnxruntime "$wanted"
}

# The libraries of one wheel, flat, under the names that others know them by. The first of a name stays.
unpack_libraries() {
  local wheel=$1 to=$2 unpacked library name
  unpacked=$(dirname "$wheel")/unpacked
  "$venv/bin/python" -m zipfile -e "$wheel" "$unpacked"
  while IFS= read -r library; do
    name=$(readelf -d "$library" | sed -n 's/.*Library soname: \[\(.*\)\]/\1/p')
    [ ! -e "$to/${name:-$(basename "$library")}" ] || continue
    install -m 755 "$library" "$to/"
    [ -z "$name" ] || [ -e "$to/$name" ] || ln -s "$(basename "$library")" "$to/$name"
  done < <(find "$unpacked" -name '*.so*' ! -name '*pybind11*' ! -name '*.alt.*')
}

# One wheel after the other, so that the disk never holds all of them.
fetch_gpu() {
  local wanted to downloads lines line name
  wanted=$(hash_of "$root/tools/requirements-gpu.txt")
  to=$build/onnxruntime-gpu/lib
  is_done gpu "$wanted" && [ -e "$to/libonnxruntime.so.1" ] && return 0
  say "fetching libraries for NVIDIA GPUs: 1.6 GB to download, 2.4 GB in build/onnxruntime-gpu"
  rm -rf -- "$build/onnxruntime-gpu.new"
  mkdir -p "$build/onnxruntime-gpu.new/lib"
  # One package with its hash a line.
  lines=$(sed -e '/^#/d' -e ':join' -e '/\\$/{N;s/\\\n *//;b join' -e '}' "$root/tools/requirements-gpu.txt")
  while IFS= read -r line; do
    name=${line%% *}
    say "  $name"
    downloads=$(mktemp -d "$build/.downloads.XXXXXX")
    printf '%s\n' "$line" >"$downloads/requirements.txt"
    retry timeout 3600 "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --no-cache-dir \
      --require-hashes --dest "$downloads" -r "$downloads/requirements.txt" </dev/null 9>&- || fail "pip could not fetch $name"
    unpack_libraries "$(echo "$downloads"/*.whl)" "$build/onnxruntime-gpu.new/lib"
    mkdir -p "$build/onnxruntime-gpu.new/licences/${name%%==*}"
    find "$downloads/unpacked" -path '*.dist-info/*' -iname '*licen[cs]e*' -type f -exec cp -t "$build/onnxruntime-gpu.new/licences/${name%%==*}" {} +
    rm -r -- "$downloads"
  done <<<"$lines"
  # What TensorRT for RTX opens by this name.
  ln -sf libtensorrt_rtx.so.1 "$build/onnxruntime-gpu.new/lib/libtensorrt_rtx.so"
  rm -rf -- "$build/onnxruntime-gpu"
  mv "$build/onnxruntime-gpu.new" "$build/onnxruntime-gpu"
  check_gpu "$to"
  mark_done gpu "$wanted"
}

# CUDA's compiler and nvJPEG as their wheels lay them out.
fetch_cuda() {
  local wanted to
  wanted=$(hash_of "$root/tools/requirements-cuda.txt")
  to=$build/cuda-toolkit
  is_done cuda "$wanted" && [ -x "$to/bin/nvcc" ] && return 0
  say "fetching CUDA's compiler: 130 MB to download, 280 MB in build/cuda-toolkit"
  rm -rf -- "$to" "$to.new"
  mkdir -p "$to.new/wheels"
  retry timeout 3600 "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --no-cache-dir \
    --require-hashes --dest "$to.new/wheels" -r "$root/tools/requirements-cuda.txt" 9>&- || fail "pip could not fetch CUDA's compiler"
  for wheel in "$to.new"/wheels/*.whl; do "$venv/bin/python" -m zipfile -e "$wheel" "$to.new/unpacked"; done
  mv "$to.new/unpacked/nvidia/cu13" "$to"
  ln -s lib "$to/lib64" # the names that the compiler and CMake look for
  ln -s libcudart.so.13 "$to/lib/libcudart.so"
  chmod +x "$to"/bin/* "$to"/nvvm/bin/*
  rm -rf -- "$to.new"
  mark_done cuda "$wanted"
}

# Every library that these name must be there; the driver's own come with the driver.
check_gpu() {
  local missing
  missing=$(for library in "$1"/*.so*; do LD_LIBRARY_PATH=$1 ldd "$library" 2>/dev/null; done | sed -n 's/^\t\(.*\) => not found/\1/p' | sort -u)
  missing=$(grep -vxE 'libcuda\.so\.1|libnvidia-ml\.so\.1|libnvinfer\.so\.10|libnvonnxparser\.so\.10' <<<"$missing" || true)
  [ -z "$missing" ] || fail "these libraries are named and not there: $missing"
  if ldconfig -p | grep -q 'libnvinfer\.so\.10'; then
    say "TensorRT 10 is here: 'image-engine convert-to-tensorrt --onnx F' builds an engine ahead of its first use (docs/tensorrt.md)"
  else
    say "TensorRT 10 is not here; CUDA is used, and TensorRT for RTX on RTX 30, 40 and 50 GPUs (docs/tensorrt.md)"
  fi
}

# skimage/data, the place names, CLIP's vocabulary and recordings of speech come out of archives that are never installed.
fetch_data() {
  local wanted downloads
  wanted=$(hash_of "$root/tools/requirements-samples.txt" "$root/tools/extract_data.py")
  is_done data "$wanted" && [ -f "$build/share/places.csv" ] && [ -d "$build/share/skimage" ] && [ -d "$build/share/clip" ] && [ -d "$build/share/speech" ] && return 0
  say "fetching sample pictures (scikit-image), place names (GeoNames), CLIP's vocabulary and recordings of speech (moonshine-voice)"
  downloads=$(mktemp -d "$build/.downloads.XXXXXX")
  retry "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-build-isolation --require-hashes \
    --dest "$downloads" -r "$root/tools/requirements-samples.txt" || fail "pip could not fetch tools/requirements-samples.txt"
  "$venv/bin/python" "$root/tools/extract_data.py" "$downloads" "$build/share"
  rm -r -- "$downloads"
  mark_done data "$wanted"
}

# Minimal images tell dpkg to leave /usr/share/doc out; then the package is unpacked beside the build.
find_opencv_pictures() {
  local folder
  for folder in /usr/share/doc/opencv-doc/examples/data "$build/share/opencv-doc/usr/share/doc/opencv-doc/examples/data"; do
    [ -f "$folder/vtest.avi" ] && printf '%s' "$folder" && return 0
  done
  return 1
}

unpack_opencv_doc() {
  find_opencv_pictures >/dev/null && return 0
  say "unpacking opencv-doc's pictures into build/share, as this system leaves out /usr/share/doc"
  local downloads
  downloads=$(mktemp -d "$build/.downloads.XXXXXX")
  (cd "$downloads" && retry apt-get -q download opencv-doc) || fail "apt-get could not download opencv-doc"
  mkdir -p "$build/share/opencv-doc"
  dpkg-deb -x "$downloads"/opencv-doc_*.deb "$build/share/opencv-doc"
  rm -r -- "$downloads"
}

make_samples() {
  local sets=(photos videos formats)
  [ "$with_tests" = no ] || sets+=(hostile 12mp)
  "$venv/bin/python" "$root/tools/samples.py" --only "${sets[@]}" --opencv "$(find_opencv_pictures)" --skimage "$build/share/skimage" \
    --wallpapers /usr/share/wallpapers --output "$build/samples"
}

mkdir -p "$build"
exec 9>"$build/.setup.lock"
flock 9

[ "$with_packages" = no ] || install_packages
make_venv
[ "$with_tests" = no ] || add_to_venv
fetch_onnxruntime
[ "$with_gpu" = no ] || fetch_gpu
[ "$with_cuda" = no ] || fetch_cuda
fetch_data
[ "$with_samples" = yes ] || exit 0
unpack_opencv_doc
make_samples
