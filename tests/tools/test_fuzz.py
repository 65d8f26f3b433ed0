"""Whose fault a fuzz target's crash is: tools/fuzz.sh --crashed-library LOG."""

import subprocess
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parents[2] / "tools/fuzz.sh"

SANITIZER = "    #0 0x55d0 in __sanitizer_print_stack_trace (/b/bin/fuzz_x+0x2b5) (BuildId: f9)\n"
LIBC = "    #1 0x7f01 in __fortify_fail debug/fortify_fail.c:26:5\n    #2 0x7f02  (/lib/x86_64-linux-gnu/libc.so.6+0x3c04f) (BuildId: 93)\n"
LIBRAW = "    #3 0x7f03 in LibRaw::identify() (/lib/x86_64-linux-gnu/libraw.so.20+0x682ab) (BuildId: 9c)\n"
AVIF = "    #3 0x7f03  (/usr/lib/x86_64-linux-gnu/libavcodec.so.59+0x1) (BuildId: 9c)\n"
OURS = "    #4 0x55d4 in image_engine::media::decode(std::span<std::byte>) /any/where/src/media/decode_raw.cpp:55:46\n"
TARGET = "    #5 0x55d5 in LLVMFuzzerTestOneInput /any/where/fuzz/fuzz_decode.cpp:40:7\n"
SIGNAL = "==25969== ERROR: libFuzzer: deadly signal\n"
OVERFLOW = "==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x60 at pc 0x7f bp 0x7f sp 0x7f\n"


def crashed_library(tmp_path, log):
    path = tmp_path / "log"
    path.write_text("#263 REDUCE cov: 480\n" + log + "\nSUMMARY: libFuzzer: deadly signal\n")
    ended = subprocess.run(["bash", FUZZ, "--crashed-library", path], capture_output=True, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == 0 else None


@pytest.mark.parametrize(
    ("log", "library"),
    [
        pytest.param(SIGNAL + SANITIZER + LIBC + LIBRAW + OURS + TARGET, "libraw.so", id="check of libc within a library"),
        pytest.param(OVERFLOW + AVIF + OURS + TARGET, "libavcodec.so", id="overflow within a library"),
        pytest.param(SIGNAL + SANITIZER + LIBC + OURS + TARGET, None, id="our code"),
        pytest.param(SIGNAL + SANITIZER + LIBC + TARGET, None, id="a condition of the target"),
        pytest.param(OVERFLOW + OURS + LIBRAW + TARGET, None, id="our code, called back by a library"),
        pytest.param(OVERFLOW + OURS + TARGET + "\nallocated by:\n" + LIBRAW, None, id="our code, with memory of a library"),
        pytest.param("==7== ERROR: libFuzzer: timeout after 25 seconds\n" + LIBRAW + OURS, None, id="too slow"),
        pytest.param("", None, id="no crash"),
    ],
)
def test_crash_is_the_librarys(tmp_path, log, library):
    assert crashed_library(tmp_path, log) == library
