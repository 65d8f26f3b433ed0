#!/usr/bin/env bash
# Tries the bundle where nothing of ours is installed: a minimal Debian 12, from another path than it was built in.
# usage: run.sh BUILD     exits 77 with a reason where no chroot can be made
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$1
system=$root/build/dist-root-bookworm # made once, kept
samples=$root/build/samples

skip() { echo "skipped: $*"; exit 77; }
[ "$(id -u)" -eq 0 ] || skip "a chroot needs root"
command -v debootstrap >/dev/null || skip "debootstrap is not installed"
unshare --mount --pid --fork true 2>/dev/null || skip "namespaces are not allowed here"
[ -d "$samples/formats" ] || skip "no samples: run tools/setup.sh"

if [ ! -d "$system" ]; then
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -1)
  [ -n "$mirror" ] || skip "this machine's apt sources name no bookworm archive"
  debootstrap --variant=minbase bookworm "$system.part" "$mirror" >"$build/debootstrap.log" 2>&1 || {
    tail -5 "$build/debootstrap.log"
    skip "debootstrap failed, see $build/debootstrap.log"
  }
  mv "$system.part" "$system"
fi

"$root/tools/dist.sh" "$build"
bundle=$(find "$root/dist" -maxdepth 1 -type d -name 'image-engine-*' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2-)

place=$system/srv/some\ where
trap 'rm -rf -- "$place"' EXIT
rm -rf -- "$place"
mkdir -p "$place/pictures"
cp -r "$bundle" "$place/engine"
cp "$samples"/formats/picture.{jpg,heic,avif,webp,jxl,png,tiff,dng} "$place/pictures/"

# With a /proc of its own: without one the loader cannot tell where a program stands.
inside() { unshare --mount --pid --fork --mount-proc="$system/proc" chroot "$system" env -i HOME=/root PATH=/usr/bin:/bin LC_ALL=C.UTF-8 "$@"; }
engine='/srv/some where/engine/bin/image-engine'
catalogue=(--catalog '/srv/some where/c.db')
complain() { echo "dist: $*"; exit 1; }

inside "$engine" analyze '/srv/some where/pictures' "${catalogue[@]}" --json >"$place/analyze.json" || complain "analyze exited $?"
for file in "$place"/pictures/*; do
  inside "$engine" show "${file#"$system"}" "${catalogue[@]}" --json >"$place/show.json" || complain "show $(basename "$file") exited $?"
  jq -e '.width == 600 and .height == 400 and .media == "photo" and (.failures | length) == 0' "$place/show.json" >/dev/null ||
    complain "$(basename "$file") was not analysed: $(head -c 2000 "$place/show.json")"
done
inside "$engine" search camera:canon "${catalogue[@]}" --json | jq -e '[.results[].path] | any(endswith("picture.jpg"))' >/dev/null ||
  complain "camera:canon does not find picture.jpg"
inside "$engine" doctor | grep . >/dev/null || complain "doctor says nothing"
echo "dist: $(find "$place/pictures" -type f | wc -l) formats analysed in a minimal Debian 12"
