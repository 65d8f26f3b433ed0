#!/usr/bin/env python3
"""From JPEG files to CLIP vectors: image-engine and what people write instead, on the same photos, in turns.

usage: bench/photos/peers.py DIR [--engine PROGRAM] [--only NAME…] [--rounds N] [--tune N] [--photos N] [--device cuda|cpu] [-o FILE]

DIR: photos, such as those of `image-engine benchmark photos --synthetic 10000 --keep DIR`. Each peer first tries its
settings (threads × batch) on the first --tune photos and then uses the fastest. Every measurement is a process of its
own; its rate counts from the first read to the last vector, without imports and loading the model; for image-engine it
is that of the whole run. CLIP is a ViT-B/32 with random weights, as speed does not depend on them: nothing is fetched.
The peers make vectors only; image-engine also hashes, makes thumbnails and writes a catalogue.
"""

import argparse
import importlib.util
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

EDGE = 224
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
CORES = len(os.sched_getaffinity(0))
LINE = "result: "  # before the JSON of one measurement


@dataclass
class Job:
    files: list
    threads: int
    batch: int
    device: str


# The model, and pictures to its input


class Clip:
    """Vectors of batches; the last ones are awaited in finish()."""

    def __init__(self, job, half):
        import torch
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        torch.manual_seed(1)
        self.torch, self.device = torch, job.device
        self.type = torch.float16 if half and job.device == "cuda" else torch.float32
        self.model = CLIPVisionModelWithProjection(CLIPVisionConfig()).eval().to(job.device, self.type)
        self.mean = torch.tensor(MEAN, device=job.device).view(1, 3, 1, 1)
        self.std = torch.tensor(STD, device=job.device).view(1, 3, 1, 1)
        self.vectors = []
        with torch.inference_mode():
            self.model(pixel_values=torch.zeros(job.batch, 3, EDGE, EDGE, device=job.device, dtype=self.type))
        self.wait()

    def wait(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def add(self, pixels):
        """A batch of pictures, uint8 or 0…1, N × 3 × 224 × 224."""
        pixels = pixels.to(self.device, non_blocking=True)
        pixels = pixels.float() / 255 if pixels.dtype == self.torch.uint8 else pixels.float()
        with self.torch.inference_mode():
            self.vectors.append(self.model(pixel_values=((pixels - self.mean) / self.std).to(self.type)).image_embeds)

    def add_decoded(self, pictures):
        """Pictures of any size on the device, 3 × H × W, uint8: each is reduced there."""
        self.add(self.torch.stack([self.reduce(picture) for picture in pictures]))

    def reduce(self, picture):
        height, width = picture.shape[-2:]
        scale = EDGE / min(height, width)
        size = (max(EDGE, round(height * scale)), max(EDGE, round(width * scale)))
        small = self.torch.nn.functional.interpolate(picture[None].to(self.type), size, mode="bicubic", antialias=True, align_corners=False)[0]
        top, left = (size[0] - EDGE) // 2, (size[1] - EDGE) // 2
        return small[:, top : top + EDGE, left : left + EDGE].clamp(0, 255) / 255

    def finish(self):
        """The number of vectors, all of them on the host."""
        return sum(len(vectors.cpu()) for vectors in self.vectors)


def pil_pixels(path, draft):
    """One photo as uint8, 3 × 224 × 224."""
    import numpy
    from PIL import Image

    with Image.open(path) as picture:
        if draft:
            picture.draft("RGB", (2 * EDGE, 2 * EDGE))
        picture = picture.convert("RGB")
        scale = EDGE / min(picture.size)
        picture = picture.resize([max(EDGE, round(side * scale)) for side in picture.size], Image.Resampling.BICUBIC)
        left, top = ((side - EDGE) // 2 for side in picture.size)
        return numpy.ascontiguousarray(numpy.asarray(picture.crop((left, top, left + EDGE, top + EDGE))).transpose(2, 0, 1))


def batches_of(items, size):
    return [items[first : first + size] for first in range(0, len(items), size)]


def read_batches(job, read, ahead=4):
    """The batches of files as read(path) gives them, by threads that are a few batches ahead."""
    with ThreadPoolExecutor(job.threads) as threads:
        waiting = queue.Queue()
        batches = iter(batches_of(job.files, job.batch))

        def start():
            if (batch := next(batches, None)) is not None:
                waiting.put([threads.submit(read, path) for path in batch])

        for _ in range(ahead):
            start()
        while not waiting.empty():
            batch = [future.result() for future in waiting.get()]
            start()
            yield batch


# The peers. Each gives the function to time: from files to the number of vectors.


def one_process(job):
    import torch

    clip = Clip(job, half=False)

    def run():
        for batch in batches_of(job.files, job.batch):
            clip.add(torch.stack([torch.from_numpy(pil_pixels(path, draft=False)) for path in batch]))
        return clip.finish()

    return run


class DraftPhotos:
    """A data set of a DataLoader."""

    def __init__(self, files):
        self.files = files

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        import torch

        return torch.from_numpy(pil_pixels(self.files[index], draft=True))


def data_loader(job):
    import torch

    clip = Clip(job, half=True)

    def run():
        loader = torch.utils.data.DataLoader(
            DraftPhotos(job.files), batch_size=job.batch, num_workers=job.threads, prefetch_factor=4, pin_memory=job.device == "cuda"
        )
        for pixels in loader:
            clip.add(pixels)
        return clip.finish()

    return run


def nvjpeg(job):
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg, read_file

    clip = Clip(job, half=True)
    decode_jpeg([read_file(str(job.files[0]))], mode=ImageReadMode.RGB, device="cuda")
    torch.cuda.synchronize()

    def run():
        for batch in read_batches(job, lambda path: read_file(str(path))):
            clip.add_decoded(decode_jpeg(batch, mode=ImageReadMode.RGB, device="cuda"))
        return clip.finish()

    return run


def nvimagecodec(job):
    """A decoder on the hardware engines and a hybrid one side by side, each in a thread of its own."""
    import torch
    from nvidia import nvimgcodec

    clip = Clip(job, half=True)
    kinds = nvimgcodec.BackendKind
    orders = [[kinds.HW_GPU_ONLY, kinds.GPU_ONLY, kinds.HYBRID_CPU_GPU, kinds.CPU_ONLY], [kinds.HYBRID_CPU_GPU, kinds.CPU_ONLY]]
    decoders = [nvimgcodec.Decoder(max_num_cpu_threads=job.threads, backends=[nvimgcodec.Backend(kind) for kind in order]) for order in orders]

    def run():
        todo, done = queue.Queue(4), queue.Queue(4)

        def decode(decoder):
            try:
                with torch.cuda.stream(stream := torch.cuda.Stream()):
                    while (batch := todo.get()) is not None:
                        pictures = decoder.decode(batch, cuda_stream=stream.cuda_stream)
                        if any(picture is None for picture in pictures):
                            raise RuntimeError("a photo was not decoded")
                        reduced = torch.stack([clip.reduce(torch.as_tensor(picture, device="cuda").permute(2, 0, 1)) for picture in pictures])
                        stream.synchronize()
                        done.put(reduced)
            except BaseException as error:  # given to the thread that counts
                done.put(error)
                while todo.get() is not None:
                    pass
            done.put(None)

        def feed():
            for batch in read_batches(job, lambda path: Path(path).read_bytes()):
                todo.put(batch)
            for _ in decoders:
                todo.put(None)

        threads = [threading.Thread(target=decode, args=(decoder,), daemon=True) for decoder in decoders]
        threads.append(threading.Thread(target=feed, daemon=True))
        for thread in threads:
            thread.start()
        running = len(decoders)
        while running > 0:
            item = done.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                running -= 1
            else:
                clip.add(item)
        return clip.finish()

    return run


def dali(load):
    def prepare(job):
        import torch
        from nvidia.dali import fn, pipeline_def, types

        clip = Clip(job, half=True)

        @pipeline_def(batch_size=job.batch, num_threads=job.threads, device_id=0, prefetch_queue_depth=3)
        def photos():
            coded, _ = fn.readers.file(files=[str(path) for path in job.files], name="files", prefetch_queue_depth=3, pad_last_batch=False)
            pixels = fn.decoders.image(coded, device="mixed", output_type=types.RGB, hw_decoder_load=load, preallocate_width_hint=4000, preallocate_height_hint=3000)
            pixels = fn.resize(pixels, resize_shorter=EDGE, interp_type=types.INTERP_CUBIC, antialias=True)
            return fn.crop_mirror_normalize(pixels, dtype=types.UINT8, output_layout="CHW", crop=(EDGE, EDGE), mean=[0, 0, 0], std=[1, 1, 1])

        pipeline = photos()
        pipeline.build()

        def run():
            left = len(job.files)
            while left > 0:
                (tensors,) = pipeline.run()
                pixels = torch.from_dlpack(tensors.as_tensor())[:left].clone()
                torch.cuda.current_stream().synchronize()
                clip.add(pixels)
                left -= len(pixels)
            return clip.finish()

        return run

    return prepare


@dataclass(frozen=True)
class Peer:
    what: str
    prepare: object  # (job) to the function that is timed
    modules: tuple  # that it needs
    settings: tuple  # (threads, batch) to try
    needs_gpu: bool = True


def settings(threads, batches):
    return tuple((count, batch) for count in sorted(set(threads)) for batch in batches)


HALF = max(CORES // 2, 1)
GPU_DECODERS = settings((4, 8, CORES), (32, 64, 128))
PEERS = {
    "one-process": Peer("PIL + CLIP, one process", one_process, ("torch", "transformers", "PIL", "numpy"), settings((1,), (1, 16)), needs_gpu=False),
    "dataloader": Peer("DataLoader, PIL draft, CLIP fp16", data_loader, ("torch", "transformers", "PIL", "numpy"), settings((HALF, CORES), (32, 64, 128)), needs_gpu=False),
    "nvjpeg": Peer("torchvision nvJPEG, CLIP fp16", nvjpeg, ("torch", "transformers", "torchvision"), GPU_DECODERS),
    "nvimagecodec": Peer("nvImageCodec, CLIP fp16", nvimagecodec, ("torch", "transformers", "nvidia.nvimgcodec"), GPU_DECODERS),
    **{f"dali-{load:g}": Peer(f"DALI, hw load {load:g}, CLIP fp16", dali(load), ("torch", "transformers", "nvidia.dali"), settings((HALF, CORES), (64, 128))) for load in (0, 0.65, 1)},
}  # fmt: skip


# One measurement in a process of its own


def measure_here(name, job):
    run = PEERS[name].prepare(job)
    begin = time.perf_counter()
    count = run()
    seconds = time.perf_counter() - begin
    if count != len(job.files):
        raise RuntimeError(f"{count} vectors of {len(job.files)} photos")
    print(LINE + json.dumps({"photos": count, "seconds": seconds}), flush=True)


def measure(name, files, threads, batch, device):
    """(photos/s, "") or (None, why not)."""
    command = [sys.executable, __file__, "-", "--measure", name, "--threads", str(threads), "--batch", str(batch), "--device", device]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1" if device == "cuda" else str(CORES)}
    done = subprocess.run(command, input="\0".join(map(str, files)), capture_output=True, text=True, env=environment, check=False)
    for line in done.stdout.splitlines():
        if line.startswith(LINE):
            result = json.loads(line.removeprefix(LINE))
            return result["photos"] / result["seconds"], ""
    lines = done.stderr.strip().splitlines()
    return None, lines[-1] if lines else f"exit code {done.returncode}"


def measure_engine(program, folder, device):
    with tempfile.TemporaryDirectory(prefix="bench-photos-") as made:
        results = Path(made) / "results.json"
        command = [program, "benchmark", "photos", str(folder), "-o", str(results), "--quiet"]
        done = subprocess.run([*command, "--device", "cpu" if device == "cpu" else "auto"], capture_output=True, text=True, check=False)
        if done.returncode not in (0, 3):
            return None, None, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}"
        document = json.loads(results.read_text())
        return document["photos_per_second"], document["settings"], ""


# The table


def missing(peer, device):
    """Why the peer cannot run here; empty if it can."""
    for module in peer.modules:
        try:
            found = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:  # of the package around it
            found = False
        if not found:
            return f"{module} is not installed"
    return "needs a GPU" if peer.needs_gpu and device != "cuda" else ""


def has_gpu():
    if importlib.util.find_spec("torch") is None:
        return False
    check = [sys.executable, "-c", "import torch, sys; sys.exit(0 if torch.cuda.is_available() else 1)"]
    return subprocess.run(check, capture_output=True, check=False).returncode == 0


def tune(name, files, device):
    """The fastest setting, or why none works."""
    tried = {}
    why = ""
    for setting in PEERS[name].settings:
        rate, problem = measure(name, files, *setting, device)
        print(f"  {name}: {setting[0]} threads, batch {setting[1]}: " + (f"{rate:.1f}/s" if rate else problem), file=sys.stderr, flush=True)
        if rate:
            tried[setting] = rate
        why = why or problem
    return (max(tried, key=tried.get), "") if tried else (None, why)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--engine", help="image-engine; without it there is no row of it")
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=list(PEERS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tune", type=int, default=1024, help="photos to try settings on (one-process: at most 32)")
    parser.add_argument("--photos", type=int, help="at most so many (one-process: at most 256)")
    parser.add_argument("--device", choices=["cuda", "cpu"])
    parser.add_argument("-o", "--output", type=Path, help="the rows as JSON")
    parser.add_argument("--measure", choices=list(PEERS), help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure_here(options.measure, Job(sys.stdin.read().split("\0"), options.threads, options.batch, options.device))
        return 0

    device = options.device or ("cuda" if has_gpu() else "cpu")
    files = sorted(str(path) for path in Path(options.folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[: options.photos]
    if not files:
        print(f"peers.py: no JPEG in {options.folder}: image-engine benchmark photos --synthetic N --keep DIR makes some", file=sys.stderr)
        return 1
    rows, chosen = {}, {}
    for name in options.only:
        rows[name] = {"name": name, "what": PEERS[name].what, "threads": None, "batch": None, "rates": [], "note": missing(PEERS[name], device)}
        if not rows[name]["note"]:
            most = min(options.tune, 32) if name == "one-process" else options.tune
            chosen[name], rows[name]["note"] = tune(name, files[:most], device)
            if chosen[name]:
                rows[name]["threads"], rows[name]["batch"] = chosen[name]
    if options.engine:
        rows["image-engine"] = {"name": "image-engine", "what": "image-engine benchmark photos", "threads": None, "batch": None, "rates": [], "note": ""}
    for _ in range(options.rounds):
        for name, row in rows.items():
            if row["note"]:
                continue
            if name == "image-engine":
                rate, used, row["note"] = measure_engine(options.engine, options.folder, device)
                if used:
                    row["threads"], row["batch"] = used["workers"], used["batch_size"]
            else:
                rate, row["note"] = measure(name, files[:256] if name == "one-process" else files, *chosen[name], device)
            if rate:
                row["rates"].append(rate)
                print(f"  {name}: {rate:.1f}/s", file=sys.stderr, flush=True)

    print(f"{len(files)} photos, {CORES} cores, {device}; photos/s: the median of {options.rounds} rounds in turns, least and most")
    print(f"{'':38}{'threads':>8}{'batch':>7}{'photos/s':>10}{'least':>9}{'most':>9}")
    for row in rows.values():
        rates = row["rates"]
        if rates:
            print(f"{row['what']:38}{row['threads']:>8}{row['batch']:>7}{statistics.median(rates):>10.1f}{min(rates):>9.1f}{max(rates):>9.1f}")
        else:
            print(f"{row['what']:38}  – {row['note']}")
    if options.output:
        options.output.write_text(json.dumps({"photos": len(files), "cores": CORES, "device": device, "rows": list(rows.values())}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
