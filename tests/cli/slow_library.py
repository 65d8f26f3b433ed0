"""A library to interrupt, an engine that takes its time over it, and what can be seen of that from outside."""

import json
import os
import random
import shutil

from PIL import Image

from engine import ROOT, Engine, log_entries, with_proxy_worker

HASH = 2  # worker/protocol.h: Operation


def make_library(photos, count=60):
    """Small pictures, a few of them twice, some broken."""
    generator = random.Random(7)
    for i in range(count):
        picture = Image.new("RGB", (64, 48), tuple(generator.randrange(256) for _ in range(3)))
        picture.putpixel((i % 64, i // 64), (255, 255, 255))
        picture.save(photos / f"p{i:03}.jpg")
    for i in range(4):
        shutil.copy(photos / f"p{i:03}.jpg", photos / f"copy{i}.jpg")
        (photos / f"broken{i}.jpg").write_bytes(b"no picture")
    return photos


def slow_engine(folder, delay=0.05, hold_at=0):
    """`delay`: seconds before each answer. `hold_at`: from that many contents on, workers answer only after let_go()."""
    program, log = with_proxy_worker(folder)
    share = program.parents[1] / "share/image-engine"
    share.mkdir(parents=True)
    (share / "config").symlink_to(ROOT / "config")
    settings = log.with_name("image-engine-worker.json")
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"delay": delay, "hold_at": hold_at}))
    engine = Engine(folder, program)
    if hold_at:
        config = folder / "config/image-engine/config.yaml"
        config.parent.mkdir(exist_ok=True)
        config.write_text("worker: {timeout_seconds: 300}\n")
    return engine, log


def held_engine(folder, hold_at=1):
    """Quick until that many contents are asked for, then it stands still until let_go()."""
    return slow_engine(folder, delay=0, hold_at=hold_at)


def let_go(log):
    log.with_name(log.name + ".go").touch()


def contents_read(log):
    return [entry["file"] for entry in log_entries(log) if entry.get("operations", 0) & HASH]


def hashed_files(engine):
    """Names of the files whose whole content the catalogue has committed."""
    if not engine.catalogue.exists():
        return set()
    try:
        return {os.path.basename(path).decode() for [path] in engine.rows("SELECT path FROM files WHERE file_hash IS NOT NULL")}
    except Exception as error:  # killed before its tables were made, or while they were
        assert "no such table" in str(error) or "readonly database" in str(error), error
        return set()
