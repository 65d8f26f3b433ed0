"""What analyze and doctor say of GPUs, by a management library with two made-up GPUs (tests/gpu/fake_nvml), and without any."""

import fcntl
import os
import pty
import re
import struct
import termios

import pytest

from engine import DONE, SAMPLES
from slow_library import make_library, slow_engine

LIBRARY = os.environ.get("IMAGE_ENGINE_FAKE_NVML", "")
NOWHERE = "/nowhere/libnvidia-ml.so.1"

# What fake_nvml.c tells, reading by reading; the last stays.
BUSY = [0.05, 0.35, 0.95, 0.60]
USED = [1000e6, 1500e6, 4000e6, 3000e6]
POWER = [60.5, 200, 340, 300]


def with_gpus(engine, script=""):
    if not LIBRARY:
        pytest.skip("IMAGE_ENGINE_FAKE_NVML does not name the made-up library: run by ctest")
    engine.environment |= {"IMAGE_ENGINE_NVML": LIBRARY, "FAKE_NVML": script}
    return engine


def without_gpus(engine):
    engine.environment["IMAGE_ENGINE_NVML"] = NOWHERE
    return engine


def mean(values, count):
    return sum(values[min(i, 3)] for i in range(count)) / count


def findings(engine):
    return [finding for finding in engine.json("doctor")["findings"] if finding["what"] == "GPU"]


def on_a_terminal(engine, columns, *arguments):
    """Each state of the line that the command shows on a terminal of that width."""
    engine.environment["TERM"] = "xterm"
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = engine.start(*arguments, stdout=other, stderr=other)
    os.close(other)
    text = b""
    try:
        while part := os.read(main, 65536):
            text += part
    except OSError:
        pass  # the other end is closed
    os.close(main)
    assert process.wait() == DONE, text
    return re.split(r"[\r\n]+|\x1b\[K", text.decode())


def test_without_a_gpu_the_run_goes_on(engine):
    without_gpus(engine)
    arguments = ["analyze", SAMPLES / "photos/building.jpg", "--only", "quality"]
    outcome = engine.run(*arguments, "--monitor", "--json")
    assert outcome.code == DONE
    assert outcome.document()["report"]["gpus"] == []
    assert outcome.message.count("--monitor has nothing to show: no NVIDIA driver here") == 1
    for quiet in (["--json"], [], ["--monitor", "--quiet"]):
        outcome = engine.run(*arguments, *quiet)
        assert outcome.code == DONE and "NVIDIA" not in outcome.message + outcome.out.decode(), quiet


def test_what_the_gpus_did_is_in_the_report(folder, photos):
    engine, _ = slow_engine(folder, delay=0.1)
    with_gpus(engine)
    make_library(photos, 8)
    for file in photos.glob("broken*"):
        file.unlink()
    report = engine.analyze(photos, "--only", "quality", "--workers", "1")["report"]
    first, second = report["gpus"]
    assert (first["name"], second["name"]) == ("NVIDIA GeForce RTX 9090", "NVIDIA Tesla Z1")
    assert (first["index"], second["index"]) == (0, 1)
    assert (first["uuid"], first["driver"], first["cuda"]) == ("GPU-00000000-aaaa", "580.82.07", "13.2")
    assert (first["compute_capability"], second["compute_capability"]) == ("12.0", "7.5")
    assert first["memory_bytes"] == 24e9 and first["error"] is None
    samples = first["samples"]
    assert samples >= 4, "the run was too short to tell"
    assert first["utilisation"] == {"mean": pytest.approx(mean(BUSY, samples)), "peak": 0.95}
    assert first["memory_used_bytes"] == {"mean": pytest.approx(mean(USED, samples)), "peak": 4e9}
    assert (first["memory_before_bytes"], first["memory_added_bytes"]) == (1e9, 3e9)
    assert first["power_watts"] == {"mean": pytest.approx(mean(POWER, samples)), "peak": 340}
    assert first["power_limit_watts"] == 350
    assert 0 < first["energy_joules"] < 340 * (report["seconds"] + 5)
    assert first["temperature_peak_celsius"] == 71
    assert first["held_back"] == ["power-cap", "thermal"]


def test_the_report_for_people(engine):
    with_gpus(engine)
    arguments = ["analyze", SAMPLES / "photos/building.jpg", "--only", "quality"]
    outcome = engine.run(*arguments, "--monitor")
    assert outcome.code == DONE
    assert re.search(r"\n0 NVIDIA GeForce RTX 9090 .*\d %.* GB .* W .* °C\n1 NVIDIA Tesla Z1 ", outcome.out.decode())
    assert "RTX" not in engine.run(*arguments).out.decode(), "only when it is asked for"


def test_what_gpus_do_not_tell_is_null(engine):
    with_gpus(engine, "unsupported")
    [gpu, _] = engine.analyze(SAMPLES / "photos/building.jpg", "--only", "quality", "--monitor")["report"]["gpus"]
    for name in ("utilisation", "memory_used_bytes", "memory_before_bytes", "memory_added_bytes", "power_watts", "power_limit_watts",
                 "energy_joules", "temperature_peak_celsius", "memory_bytes"):
        assert gpu[name] is None, name
    assert gpu["samples"] >= 1 and gpu["held_back"] == []
    outcome = engine.run("analyze", SAMPLES / "photos/building.jpg", "--monitor")
    assert outcome.code == DONE and re.search(r"\n0 NVIDIA GeForce RTX 9090 +–[ –]+\n", outcome.out.decode())


def test_a_live_line_on_a_terminal(folder, photos):
    engine, _ = slow_engine(folder)
    with_gpus(engine)
    make_library(photos, 8)
    for file in photos.glob("broken*"):
        file.unlink()
    states = on_a_terminal(engine, 160, "analyze", photos, "--only", "quality", "--workers", "1", "--monitor")
    live = [state for state in states if state.startswith("Content")]
    shape = re.compile(r"Content .*[█░]{24} .*\d/s.*  GPU 0: \d+ %  \d\.\d GB  \d+ W  \d+ °C  GPU 1: \d+ %  \d\.\d GB  \d+ W  \d+ °C$")
    assert live and all(shape.match(state) for state in live), live
    # In a narrow one it is cut: a line that wraps could not be overwritten.
    states = on_a_terminal(engine, 80, "analyze", photos, "--redo", "quality", "--only", "quality", "--workers", "1", "--monitor")
    live = [state for state in states if state.startswith("Content")]
    assert live and all(len(state) < 80 and "GPU 0: " in state for state in live), live


def test_a_gpu_that_is_lost_harms_nothing(folder, photos):
    engine, _ = slow_engine(folder, delay=0.25)
    with_gpus(engine, "lost=1@2:1000000")
    make_library(photos, 12)
    for file in photos.glob("broken*"):
        file.unlink()
    outcome = engine.run("analyze", photos, "--only", "quality", "--workers", "1", "--monitor", "--json")
    assert outcome.code == DONE, outcome.message
    first, second = outcome.document()["report"]["gpus"]
    assert first["error"] is None and first["samples"] > 2
    assert second["samples"] == 2 and "GPU 1" in second["error"] and "lost" in second["error"]
    assert second["utilisation"] == {"mean": pytest.approx(mean(BUSY, 2)), "peak": 0.35}
    # No terminal: a line every few seconds.
    assert re.search(r"\nContent .*/s.*  GPU 0: \d+ %  .* °C  GPU 1: no answer\n", "\n" + outcome.message), outcome.message


@pytest.mark.parametrize("script, reason", [("init=18", "restart the machine"), ("init=9", "not loaded"), ("count=0", "no GPU")])
def test_a_driver_that_does_not_work(engine, script, reason):
    with_gpus(engine, script)
    outcome = engine.run("analyze", SAMPLES / "photos/building.jpg", "--only", "quality", "--monitor", "--json")
    assert outcome.code == DONE and outcome.document()["report"]["gpus"] == []
    assert outcome.message.count(reason) == 1
    [finding] = findings(engine)
    assert reason in finding["advice"] and finding["well"] == (script == "count=0")


def test_doctor_names_each_gpu(engine):
    with_gpus(engine)
    assert [(finding["found"], finding["well"]) for finding in findings(engine)] == [
        ("0: NVIDIA GeForce RTX 9090, 24.0 GB, compute capability 12.0, driver 580.82.07, CUDA 13.2", True),
        ("1: NVIDIA Tesla Z1, 24.0 GB, compute capability 7.5, driver 580.82.07, CUDA 13.2", True)]
    engine.environment["FAKE_NVML"] = "count=1"
    assert [finding["found"] for finding in findings(engine)] == [
        "NVIDIA GeForce RTX 9090, 24.0 GB, compute capability 12.0, driver 580.82.07, CUDA 13.2"]
    without_gpus(engine)
    [finding] = findings(engine)
    assert finding["found"] == "none" and finding["well"] and NOWHERE in finding["advice"]
