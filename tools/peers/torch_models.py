"""Random-weight networks in PyTorch, timed on a GPU and exported to ONNX: the peers of the inference engine.

usage: torch_models.py time --model NAME[,NAME…] --backends eager-fp32,eager-fp16,amp-fp16,compile-fp16,autotune-fp16 --batches 1,8
       torch_models.py export --model NAME[,NAME…] --output FOLDER

`time` prints a line of JSON for each: model, backend, precision, batch, total (s), images_per_second, ms_per_image, spread
(of the runs' times, 10th to 90th percentile over the median), gpu_memory_mb (beyond what CUDA itself takes), warmup (s).
`export` writes NAME.onnx (any batch) and NAME.npz: pictures, and what PyTorch makes of them in fp32 on the CPU.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch_nets import NETS, build, pictures

OPSET = 17
REFERENCES = 4
SECONDS = 0.6  # of each measurement
RUNS = 9


class Clock:
    """Times a function on the GPU: RUNS blocks of as many calls as fill SECONDS / RUNS."""

    def __init__(self, call):
        self.call = call
        torch.cuda.synchronize()
        begin = time.perf_counter()
        call()
        torch.cuda.synchronize()
        first = time.perf_counter()
        for _ in range(3):
            call()
        torch.cuda.synchronize()
        each = (time.perf_counter() - first) / 3
        self.warmup = first - begin
        self.calls = max(1, round(SECONDS / RUNS / each))
        self.times = []

    def block(self) -> None:
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(self.calls):
            self.call()
        end.record()
        end.synchronize()
        self.times.append(begin.elapsed_time(end) / 1000 / self.calls)

    def row(self, batch: int) -> dict:
        each = float(np.median(self.times))
        low, high = np.percentile(self.times, [10, 90])
        return {"total": round(sum(self.times) * self.calls, 4), "images_per_second": round(batch / each, 1),
                "ms_per_image": round(1000 * each / batch, 4), "spread": round(float((high - low) / each), 4),
                "warmup": round(self.warmup, 3)}  # fmt: skip


def prepared(backend: str, name: str, batch: int):
    """The call that is timed."""
    way, precision = backend.rsplit("-", 1)
    model = build(name).cuda()
    x = pictures(name, batch).cuda()
    if precision == "fp16" and way != "amp":
        model, x = model.half(), x.half()
    if way in ("compile", "autotune"):
        model = torch.compile(model, mode="max-autotune" if way == "autotune" else "reduce-overhead", dynamic=False)

    def call():
        with torch.inference_mode(), torch.autocast("cuda", torch.float16, enabled=way == "amp"):
            if way in ("compile", "autotune"):
                torch.compiler.cudagraph_mark_step_begin()
            return model(x)

    return call


def timed(name: str, backend: str, batch: int) -> dict:
    torch._dynamo.reset()
    torch.cuda.empty_cache()
    torch.zeros(1, device="cuda")
    before = torch.cuda.mem_get_info()[0]
    begin = time.perf_counter()
    clock = Clock(prepared(backend, name, batch))
    for _ in range(RUNS):
        clock.block()
    used = before - torch.cuda.mem_get_info()[0]
    row = clock.row(batch)
    return {"model": name, "backend": f"torch-{backend.rsplit('-', 1)[0]}", "precision": backend.rsplit("-", 1)[1], "batch": batch, **row,
            "gpu_memory_mb": round(used / 2**20, 1), "setup": round(time.perf_counter() - begin, 1)}  # fmt: skip


def time_all(given: argparse.Namespace) -> None:
    for name in given.model:
        for backend in given.backends.split(","):
            for batch in map(int, given.batches.split(",")):
                try:
                    row = timed(name, backend, batch)
                except Exception as error:  # one that cannot be measured does not end the others
                    way, precision = backend.rsplit("-", 1)
                    row = {"model": name, "backend": f"torch-{way}", "precision": precision, "batch": batch, "error": " ".join(str(error).split())[:300]}
                print(json.dumps(row), flush=True)


def export(name: str, folder: Path) -> None:
    """NAME.onnx and NAME.npz. Queries chosen by score come out in PyTorch's order."""
    folder.mkdir(parents=True, exist_ok=True)
    entry, model = NETS[name], build(name, "eager")
    x = pictures(name, REFERENCES)
    with torch.no_grad():
        outputs = model(x)
        axes = {key: {0: "batch"} for key in ("pixel_values", *entry.outputs)}
        torch.onnx.export(model, (pictures(name, 3),), str(folder / f"{name}.onnx"), input_names=["pixel_values"], output_names=list(entry.outputs),
                          dynamic_axes=axes, opset_version=OPSET, dynamo=False)  # fmt: skip
    np.savez(folder / f"{name}.npz", pixel_values=x.numpy(), **{key: value.numpy() for key, value in zip(entry.outputs, outputs)})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("task", choices=("time", "export"))
    parser.add_argument("--model", type=lambda text: text.split(","), default=list(NETS))
    parser.add_argument("--backends", default="eager-fp32,eager-fp16")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--output", type=Path, default=Path("."))
    given = parser.parse_args()
    if unknown := [name for name in given.model if name not in NETS]:
        print(f"{unknown[0]} is not known; there are: {', '.join(NETS)}", file=sys.stderr)
        return 2
    if given.task == "export":
        for name in given.model:
            export(name, given.output)
    else:
        time_all(given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
