#!/usr/bin/env bash
# The engine and its peers on a GPU machine: exports the networks with the peers' weights, rewrites them, measures in turns.
#   bench/infer/gpu.sh OUT.json [ARGUMENT of gpu_rows.py …]
# BENCH_INFER: the program with what it needs before it (default build/release/bin/bench-infer). ONNXRUNTIME_PARTS: folders with
# part-* of a packed onnxruntime folder, unpacked to $WORK/site. WORK: default /tmp/gpu. MODELS: which, all by default. Needs Python with torch, transformers,
# numpy and onnx; the program finds CUDA's libraries among PyTorch's.
set -euo pipefail
out=${1:?OUT.json}; shift
root=$(cd "$(dirname "$0")/../.." && pwd); work=${WORK:-/tmp/gpu}; python=${PYTHON:-python3}
models=${MODELS:-clip-vit-b32 dfine-s detr-r50 segformer-b0 yolov8n-shaped}
mkdir -p "$work"
if [ -n "${ONNXRUNTIME_PARTS:-}" ] && [ ! -d "$work/site" ]; then
  mkdir "$work/site.new"
  # shellcheck disable=SC2086
  for folder in $ONNXRUNTIME_PARTS; do cat "$folder"/part-*; done | xz -dc -T0 | tar xf - -C "$work/site.new"
  mv "$work/site.new" "$work/site"
fi
[ -d "$work/site" ] && export PYTHONPATH="$work/site${PYTHONPATH:+:$PYTHONPATH}"
cuda=$("$python" - <<'P'
import glob, os, site
found = (path for folder in site.getsitepackages() for path in glob.glob(folder + "/nvidia/**/lib/*.so*", recursive=True))
print(":".join(sorted({os.path.dirname(path) for path in found})))
P
)
export IMAGE_ENGINE_CUDA=${IMAGE_ENGINE_CUDA:-$cuda} LD_LIBRARY_PATH="$cuda${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
for model in $models; do
  [ -f "$work/$model.npz" ] && continue
  OMP_NUM_THREADS=3 "$python" -W ignore "$root/tools/peers/torch_models.py" export --model "$model" --output "$work" >"$work/$model.log" 2>&1 &
done
wait
for model in $models; do
  batches=8
  case $model in clip-vit-b32) batches="1 16 64 256" ;; dfine-s) batches="8 32" ;; esac
  for batch in $batches; do
    graph="$work/$model.b$batch"
    "$python" "$root/tools/models/optimise.py" --input "$work/$model.onnx" --output "$graph.onnx" --batch "$batch" >"$graph.log" 2>&1 &
  done
done
wait
exec "$python" "$root/bench/infer/gpu_rows.py" --bench "${BENCH_INFER:-$root/build/release/bin/bench-infer}" --work "$work" --output "$out" --models "${models// /,}" "$@"
