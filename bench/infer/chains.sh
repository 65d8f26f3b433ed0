#!/usr/bin/env bash
# Operators of our own on a GPU (docs/adr/0022): D-FINE-S, DETR-R50 and SegFormer-b0 with random weights, in fp16, without and with them, beside PyTorch.
#   bench/infer/chains.sh [FOLDER]
# FOLDER (default /tmp/chains) keeps graphs. BENCH_INFER: default build/cuda/bin/bench-infer, with libimage-engine-gpu-ops.so beside it
# (tools/build.sh cuda 2 bench_infer image-engine-gpu-ops). Needs Python with torch, transformers, numpy and onnx; the program finds CUDA's
# libraries among PyTorch's. A row of JSON each; cosine_to_first compares with the row before, but D-FINE picks other queries by rounding.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd); work=${1:-/tmp/chains}; python=${PYTHON:-python3}
bench=${BENCH_INFER:-$root/build/cuda/bin/bench-infer}
cuda=$("$python" -c 'import nvidia, os
print(":".join(sorted(at for root in nvidia.__path__ for at, _, _ in os.walk(root) if os.path.basename(at) == "lib")))')
export IMAGE_ENGINE_CUDA=${IMAGE_ENGINE_CUDA:-$cuda}
mkdir -p "$work"
for one in dfine-s:32 detr-r50:8 segformer-b0:8; do
  model=${one%:*}; batch=${one#*:}
  run=("$bench" "$work/$model.onnx" --made "$work/made" --device cuda --graph --batch "$batch")
  [ -f "$work/$model.onnx" ] || "$python" -W ignore "$root/tools/peers/torch_models.py" export --model "$model" --output "$work" >"$work/$model.log" 2>&1
  timeout 120 "${run[@]}" --chained no,first
  timeout 120 "${run[@]}" --chained no,last --nhwc
  timeout 120 "${run[@]}" --chained no,last --nhwc --fuse
  timeout 300 "$python" -W ignore "$root/tools/peers/torch_models.py" time --model "$model" --backends eager-fp16,compile-fp16 --batches "$batch"
done
