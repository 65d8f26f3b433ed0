"""Plugins: built by a C compiler from the header alone, checked, installed, run; and those that are broken or hostile."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import base64
import hashlib
import json
import platform
import shutil
import signal
import subprocess
import time

import numpy
import onnxruntime
import pytest
from engine import DONE, DONE_WITH_FAILURES, FAILED, INTERRUPTED, ROOT, USAGE
from PIL import Image
from segment_models import install_known

EXAMPLES = ROOT / "examples"
# A plugin whose parts a test replaces.
SOURCE = """
#include <image_engine/plugin.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <signal.h>
BEFORE
static const ie_port kInputs[] = {{sizeof(ie_port), IE_PICTURE, "photo", "", 0} MORE_INPUTS};
static const ie_port kOutputs[] = {{sizeof(ie_port), KIND, OUTPUT, "", FLAGS}};
static ie_status run(void* state, const ie_call* call) {
  const ie_picture* photo = call->picture(call, 0);
  (void)state; (void)photo;
  RUN
}
IE_EXPORT const ie_plugin image_engine_plugin = {
    .abi_version = ABI, .size = sizeof(ie_plugin), .name = NAME, .version = "1", .licence = "MIT", .summary = "a test",
    .inputs = kInputs, .input_count = sizeof kInputs / sizeof *kInputs, .outputs = kOutputs, .output_count = 1, .run = run, MEMBERS};
"""
COPY = """
  ie_picture* out = call->new_picture(call, IE_RGB8, photo->width, photo->height);
  if (out == NULL) return IE_OUT_OF_MEMORY;
  memcpy(out->pixels, photo->pixels, photo->row_bytes * photo->height);
  return call->give_picture(call, 0, out);
"""


def compiled(source, out, *flags):
    compiler = "c++" if str(source).endswith("cpp") else "cc"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", *flags, f"-I{ROOT}/include", source, "-o", out], check=True)
    out.chmod(0o755)
    return out


@pytest.fixture
def build(folder):
    """Compiles SOURCE with these parts."""

    def made(name="test", run=COPY, before="", members="", abi="IE_ABI_VERSION", output="out", flags="IE_SAME_SIZE", declared=None, inputs="", kind="IE_PICTURE", cc=()):
        text = SOURCE
        for word, value in {"BEFORE": before, "KIND": kind, "MORE_INPUTS": inputs, "OUTPUT": json.dumps(output), "FLAGS": flags, "RUN": run, "ABI": abi,
                            "MEMBERS": members, "NAME": json.dumps(declared or name)}.items():  # fmt: skip
            text = text.replace(word, value, 1) if word != "ABI" else text.replace("= ABI,", f"= {value},")
        source = folder / f"{name}.c"
        source.write_text(text)
        return compiled(source, folder / f"{name}.so", *cc)

    return made


def photo(path, size=(64, 48), first=0):
    """A photo of random pixels whose first one has that red."""
    rows = numpy.random.default_rng(first).integers(0, 256, (size[1], size[0], 3), dtype=numpy.uint8)
    rows[0, 0] = (first, 0, 0)
    Image.fromarray(rows).save(path)
    return path


def pixels(path):
    with Image.open(path) as picture:
        return numpy.asarray(picture).astype(int)


def run(engine, name, *photos, out, expect=DONE, flags=()):
    return engine.json("plugins", "run", name, *photos, "-o", out, *flags, expect=expect)


def installed(engine, library):
    engine.json("plugins", "install", library)
    return library.stem


def own(engine):
    """Those that do not come with the program."""
    return [entry for entry in engine.json("plugins", "list")["plugins"] if not entry["shipped"]]


def test_sepia_is_compiled_validated_installed_and_run(engine, photos, folder):
    library = compiled(EXAMPLES / "plugin-sepia/sepia.c", folder / "sepia.so", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror")
    document = engine.json("plugins", "validate", library)
    assert document["valid"] and len(document["checks"]) == 7
    assert engine.json("plugins", "install", library)["plugins"][0]["description"]["parameters"][0]["most"] == 1
    (listed,) = own(engine)
    assert (listed["name"], listed["state"]) == ("sepia", "ready")
    original = photo(photos / "a.png", (333, 77))
    document = run(engine, "sepia", original, out=folder / "out")
    (written,) = document["results"][0]["files"]
    assert written["path"] == str(folder / "out/a-sepia.png") and (written["width"], written["height"]) == (333, 77)
    matrix = numpy.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    wanted = numpy.clip(pixels(original) @ matrix.T, 0, 255)
    found = pixels(folder / "out/a-sepia.png")
    assert numpy.abs(found - wanted).max() <= 1 and numpy.abs(found - pixels(original)).mean() > 20
    run(engine, "sepia", original, out=folder / "half", flags=["--set", "strength=0.25"])
    wanted = wanted * 0.25 + pixels(original) * 0.75
    assert numpy.abs(pixels(folder / "half/a-sepia.png") - wanted).max() <= 1.01
    engine.json("plugins", "remove", "sepia")
    assert own(engine) == []


def test_the_template_gives_a_picture_a_mask_and_a_record(engine, photos, folder):
    library = compiled(EXAMPLES / "plugin-template/template.cpp", folder / "template.so", "-std=c++17", "-Wall", "-Wextra", "-Werror")
    assert engine.json("plugins", "validate", library)["valid"]
    installed(engine, library)
    rows = numpy.full((40, 60, 3), 200, numpy.uint8)
    rows[10:30, 20:40] = 20
    Image.fromarray(rows).save(photos / "square.png")
    document = run(engine, "template", photos / "square.png", out=folder / "out", flags=["--set", "style=paper"])
    assert [file["output"] for file in document["results"][0]["files"]] == ["drawing", "edges", "count"]
    edges = numpy.zeros((40, 60), bool)  # the pixel left of and above a step, and the last one before it
    edges[10:30, [19, 39]] = True
    edges[[9, 29], 20:40] = True
    with Image.open(folder / "out/square-edges.png") as mask:
        assert mask.mode == "L" and (numpy.asarray(mask) == edges * 255).all()
    assert (pixels(folder / "out/square-drawing.png") == numpy.where(edges, 0, 255)[..., None]).all()
    assert json.loads((folder / "out/square-count.json").read_text()) == {"edges": int(edges.sum())}
    outcome = engine.run("plugins", "run", "template", photos / "square.png", "-o", folder / "x", "--set", "threshhold=3")
    assert outcome.code == USAGE and "did you mean 'threshold'" in outcome.message
    outcome = engine.run("plugins", "run", "template", photos / "square.png", "-o", folder / "x", "--set", "threshold=0")
    assert outcome.code == USAGE and "from 1 to 255" in outcome.message


@pytest.mark.parametrize("manner,words", [
    ("link", "it is a link"), ("writable", "others may write"), ("text", "no shared object"), ("empty", "no shared object"),
    ("symbol", "does not export the symbol image_engine_plugin"), ("abi", "version 2.0 of the plugin interface"),
    ("needs", "needs network from behind the wall"), ("climbing", "no name of outputs"), ("name", "no name of the plugin"),
    ("library", "libz"), ("undefined", "undefined symbol"), ("size", "size of an ie_plugin is wrong"),
])  # fmt: skip
def test_what_is_refused(engine, build, folder, manner, words):
    library = {
        "abi": lambda: build(abi="2u << 16"),
        "needs": lambda: build(before='static const char* const kNeeds[] = {"network", NULL};', members=".needs = kNeeds"),
        "climbing": lambda: build(output="../../x"),
        "name": lambda: build(declared="../evil"),
        "library": lambda: build(before="const char* zlibVersion(void);", run="call->message(call, zlibVersion());" + COPY, cc=["-Wl,--no-as-needed", "-l:libz.so.1"]),
        "undefined": lambda: build(before="int nowhere(void);", run="if (nowhere()) return 1;" + COPY),
        "size": lambda: build(members=".size = 8"),
    }.get(manner, build)()  # fmt: skip
    if manner == "link":
        (folder / "link.so").symlink_to(library)
        library = folder / "link.so"
    if manner == "writable":
        library.chmod(0o777)
    if manner in ("text", "empty"):
        library.write_text("hello" if manner == "text" else "")
    if manner == "symbol":
        (folder / "other.c").write_text("int f(void) { return 1; }")
        compiled(folder / "other.c", library)
    for command in ("install", "validate"):
        outcome = engine.run("plugins", command, library)
        assert outcome.code == FAILED and words in outcome.message + outcome.out.decode(), outcome.message + outcome.out.decode()
    assert own(engine) == []


def test_a_plugin_of_any_minor_version_loads(engine, build, photos, folder):
    newer = build("newer", abi="IE_ABI_VERSION + 7")
    assert installed(engine, newer) == "newer"
    # With the members that a later version may append.
    before = "typedef struct { ie_plugin now; void* later[4]; } later_plugin;\n#define image_engine_plugin image_engine_plugin_now\n"
    source = folder / "newer.c"
    text = source.read_text().replace("static const ie_port kInputs", before + "static const ie_port kInputs", 1)
    text += '\n#undef image_engine_plugin\nIE_EXPORT const later_plugin image_engine_plugin = {{.abi_version = IE_ABI_VERSION + 9, .size = sizeof(later_plugin), '
    text += '.name = "later", .version = "2", .licence = "MIT", .inputs = kInputs, .input_count = 1, .outputs = kOutputs, .output_count = 1, .run = run}};\n'
    (folder / "later.c").write_text(text)
    assert installed(engine, compiled(folder / "later.c", folder / "later.so")) == "later"
    for name in ("newer", "later"):
        run(engine, name, photo(photos / f"{name}.png"), out=folder / "out")
        assert (pixels(folder / f"out/{name}-out.png") == pixels(photos / f"{name}.png")).all()


FAULTS = {
    1: ("*(volatile int*)8 = 1;", "crashed", "crashed (Segmentation fault)"),
    2: ("for (volatile int i = 0;; i = i + 1) continue;", "timeout", "not done within"),
    3: ("for (;;) { char* more = malloc(1 << 24); if (more == NULL) for (;;) pause(); memset(more, 1, 1 << 24); }", "out-of-memory", "plugins.memory_limit_mb"),
    4: ("return call->give_picture(call, 0, call->new_picture(call, IE_RGB8, 5, 5));", "corrupt", "5 × 5 pixels, and the photo has 64 × 48"),
    5: ("call->give_picture(call, 0, NULL); return IE_OK;", "corrupt", "null pointer"),
    6: ("_exit(0);", "crashed", "ended its process"),
    7: ("return IE_OK;", "corrupt", "gave nothing for 'out'"),
    8: ('call->message(call, "no teapot in it"); return IE_UNSUPPORTED;', "unsupported", "no teapot in it"),
    9: ('char* all = malloc(100ull << 30); if (all == NULL) return IE_OUT_OF_MEMORY; memset(all, 1, 100ull << 30);', "out-of-memory", "failed"),
    10: ("ie_picture bad = {sizeof bad, IE_RGB8, photo->width, photo->height, photo->row_bytes, NULL}; call->give_picture(call, 0, &bad); return IE_OK;",
         "corrupt", "pixels are a null pointer"),
    11: ("photo->pixels[0] = 1;", "crashed", "crashed"),
    12: ('char junk[32] = {5, 0, 0, 0, 9}; send(3, junk, sizeof junk, 0); for (;;) pause();', "crashed", "makes no sense"),
}  # fmt: skip


def test_what_fails_on_one_photo_leaves_the_next_ones(engine, build, photos, folder):
    cases = "".join(f"case {red}: {{ {body} }} break;\n" for red, (body, _, _) in FAULTS.items())
    installed(engine, build("moods", run=f"switch (photo->pixels[0]) {{ {cases} }}" + COPY))
    engine.environment["IMAGE_ENGINE_CONFIG"] = str(folder / "config.yaml")
    (folder / "config.yaml").write_text("plugins: {timeout_seconds: 1, memory_limit_mb: 200}\n")
    files = [photo(photos / f"{red:02}.png", first=red) for red in range(len(FAULTS) + 2)]
    document = run(engine, "moods", *files, out=folder / "out", expect=DONE_WITH_FAILURES)
    assert document["failed"] == len(FAULTS)
    for red, result in enumerate(document["results"]):
        if red not in FAULTS:
            assert (pixels(folder / f"out/{red:02}-out.png") == pixels(files[red])).all()
            continue
        _, code, words = FAULTS[red]
        assert (result["error"]["code"], words in result["error"]["message"]) == (code, True), result
    assert len(list((folder / "out").iterdir())) == 2
    assert run(engine, "moods", files[1], out=folder / "alone", expect=FAILED)["failed"] == 1


# What a plugin would do if it could; each gives 0 where it is refused.
WALL = """
static int got(void) {
  int open_file = open("/etc/passwd", O_RDONLY) >= 0;
  int made = open("/tmp/image-engine-was-here", O_CREAT | O_WRONLY, 0600) >= 0;
  int net = socket(AF_INET, SOCK_STREAM, 0) >= 0;
  pid_t child = fork();
  if (child == 0) _exit(0);
  int code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
  int plugin_again = open("/plugin", O_RDONLY) >= 0;
  return open_file | made << 1 | net << 2 | (child > 0) << 3 | code << 4 | plugin_again << 5;
}
"""


def test_the_wall_stands_before_the_first_constructor(engine, build, photos, folder):
    before = WALL + "static int early = -1;\n__attribute__((constructor)) static void begin(void) { early = got() & 31; }\n"
    report = 'char text[99]; snprintf(text, sizeof text, "%d %d", early, got()); call->message(call, text);'
    installed(engine, build("curious", before=before, run=report + COPY))
    assert run(engine, "curious", photo(photos / "a.png"), out=folder / "out")["results"][0]["messages"] == ["0 0"]
    # The same code outside of the wall gets what it asks for: the test can fail.
    (folder / "outside.c").write_text("#define _GNU_SOURCE\n#include <fcntl.h>\n#include <sys/mman.h>\n#include <sys/socket.h>\n#include <unistd.h>\n"
                                      + WALL + "int main(void) { return got() & 9; }")  # fmt: skip
    subprocess.run(["cc", folder / "outside.c", "-o", folder / "outside"], check=True)
    assert subprocess.run([folder / "outside"]).returncode == 9
    os.unlink("/tmp/image-engine-was-here")


def test_one_that_crashes_while_it_is_loaded_is_set_aside(engine, build, photos, folder):
    library = build("bomb", before="__attribute__((constructor)) static void begin(void) { *(volatile int*)8 = 1; }")
    outcome = engine.run("plugins", "install", library)
    assert outcome.code == FAILED and "while it was loaded, the plugin crashed" in outcome.message
    home = engine.folder / "data/image-engine/plugins"
    home.mkdir(parents=True, mode=0o755)
    shutil.copy(library, home)  # as a person would
    outcome = engine.run("plugins", "run", "bomb", photo(photos / "a.png"), "-o", folder / "out")
    assert outcome.code == FAILED and "set aside" in outcome.message
    assert sorted(path.name for path in home.iterdir()) == ["bomb.json", "bomb.so.set-aside"]
    (listed,) = own(engine)
    assert listed["state"] == "set-aside" and "crashed" in listed["reason"]
    assert "is set aside" in engine.run("plugins", "info", "bomb").message
    installed(engine, build("bomb"))
    (listed,) = own(engine)
    assert listed["state"] == "ready"


def test_files_put_into_the_folder_by_hand_are_listed(engine, build):
    home = engine.folder / "data/image-engine/plugins"
    home.mkdir(parents=True, mode=0o755)
    shutil.copy(build("fine"), home)
    shutil.copy(build("named"), home / "renamed.so")
    (home / "linked.so").symlink_to(home / "fine.so")
    listed = {entry["name"]: entry for entry in own(engine)}
    assert {name: entry["state"] for name, entry in listed.items()} == {"fine": "ready", "renamed": "refused", "linked": "refused"}
    assert "named.so" in listed["renamed"]["reason"]
    home.chmod(0o777)
    outcome = engine.run("plugins", "list")
    assert outcome.code == FAILED and "others may write to this folder" in outcome.message


def test_nothing_is_overwritten_and_photos_never(engine, build, photos, folder):
    installed(engine, build("copy"))
    first, second = photo(photos / "a.png", first=20), photo(photos / "a.bmp", first=21)
    (photos / "deeper").mkdir()
    third = photo(photos / "deeper/a.png", first=22)
    document = run(engine, "copy", photos, out=folder / "out")
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert names == ["a.bmp-out.png", "a.png-2-out.png", "a.png-out.png"] and document["failed"] == 0
    assert (pixels(folder / "out/a.png-2-out.png") == pixels(third)).all()
    document = run(engine, "copy", first, second, third, out=folder / "out", expect=FAILED)
    assert all("--force replaces it" in result["error"]["message"] for result in document["results"])
    run(engine, "copy", first, second, third, out=folder / "out", flags=["--force"])
    # A photo that has the name of an output.
    target = photo(photos / "b-out.png", first=30)
    source = photo(photos / "b.png", first=31)
    before = target.read_bytes()
    document = run(engine, "copy", source, target, out=photos, flags=["--force"], expect=DONE_WITH_FAILURES)
    assert "never written to" in document["results"][0]["error"]["message"] and target.read_bytes() == before
    engine.analyze(photos, "--only", "hash")
    document = run(engine, "copy", source, out=photos, flags=["--force"], expect=FAILED)
    assert "belongs to the library" in document["results"][0]["error"]["message"] and target.read_bytes() == before


def test_formats_alpha_and_sizes(engine, build, photos, folder):
    cut = """
      ie_picture* out = call->new_picture(call, IE_RGBA8, photo->width / 2, photo->height);
      for (uint32_t y = 0; y < out->height; ++y) for (uint32_t x = 0; x < out->width; ++x) {
        memcpy(out->pixels + y * out->row_bytes + x * 4, photo->pixels + y * photo->row_bytes + x * 3, 3);
        out->pixels[y * out->row_bytes + x * 4 + 3] = (uint8_t)(x * 3);
      }
      return call->give_picture(call, 0, out);
    """
    installed(engine, build("cut", run=cut, flags="0"))
    original = photo(photos / "a.png")
    run(engine, "cut", original, out=folder / "out")
    run(engine, "cut", original, out=folder / "out", flags=["--format", "webp", "--quality", "100"])
    alpha = numpy.broadcast_to(numpy.arange(32) * 3, (48, 32))
    for name in ("a-out.png", "a-out.webp"):
        found = pixels(folder / "out" / name)
        assert (found[..., 3] == alpha).all() and (found[:, 1:, :3] == pixels(original)[:, 1:32]).all()
    document = run(engine, "cut", original, out=folder / "out", flags=["--format", "jpeg"], expect=FAILED)
    assert "JPEG cannot hold" in document["results"][0]["error"]["message"]
    installed(engine, build("copy"))
    wide = photo(photos / "wide.png", (20000, 100))
    run(engine, "copy", wide, out=folder / "out")
    assert (pixels(folder / "out/wide-out.png") == pixels(wide)).all()
    document = run(engine, "copy", wide, out=folder / "webp", flags=["--format", "webp"], expect=FAILED)
    assert "16,383 pixels a side" in document["results"][0]["error"]["message"]
    Image.linear_gradient("L").convert("RGB").save(photos / "g.png")
    run(engine, "copy", photos / "g.png", out=folder / "out", flags=["--format", "jpeg", "--quality", "95"])
    assert numpy.abs(pixels(folder / "out/g-out.jpg") - pixels(photos / "g.png")).max() <= 4
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0nothing")
    document = run(engine, "copy", photos / "broken.jpg", photos / "gone.jpg", original, out=folder / "rest", expect=DONE_WITH_FAILURES)
    assert [result.get("error", {}).get("code") for result in document["results"]] == ["corrupt", "not-found", None]


def test_resize_is_pillows_and_a_mask_can_be_given(engine, build, photos, folder):
    body = """
      const ie_ext_resize* scale = call->extension(call, IE_EXT_RESIZE);
      if (call->extension(call, "image-engine.nothing/1") != NULL || scale == NULL) return IE_FAILED;
      const ie_picture* mask = call->picture(call, 1);
      if (mask == NULL) return call->give_picture(call, 0, scale->resize(call, photo, 37, 91));
      return call->give_picture(call, 0, scale->resize(call, mask, 37, 91));
    """
    installed(engine, build("scale", run=body, flags="0", inputs=', {sizeof(ie_port), IE_MASK, "mask", "", IE_OPTIONAL}'))
    original = photo(photos / "a.png", (200, 150))
    run(engine, "scale", original, out=folder / "out")
    with Image.open(original) as picture:
        wanted = numpy.asarray(picture.resize((37, 91), Image.LANCZOS)).astype(int)
    assert numpy.abs(pixels(folder / "out/a-out.png") - wanted).max() <= 2
    mask = Image.linear_gradient("L")
    mask.save(folder / "mask.png")
    run(engine, "scale", original, out=folder / "masked", flags=["--input", f"mask={folder / 'mask.png'}"])
    wanted = numpy.asarray(mask.resize((37, 91), Image.LANCZOS)).astype(int)
    assert numpy.abs(pixels(folder / "masked/a-out.png") - wanted).max() <= 2
    outcome = engine.run("plugins", "run", "scale", original, "-o", folder / "x", "--input", f"mosk={folder / 'mask.png'}")
    assert outcome.code == USAGE and "no input 'mosk'" in outcome.message


def test_a_record_of_the_catalogue_can_be_read(engine, build, photos, folder):
    body = 'const char* json = call->record(call, 1); call->message(call, json == NULL ? "none" : json);' + COPY
    installed(engine, build("reader", run=body, inputs=', {sizeof(ie_port), IE_RECORD, "known", "", IE_OPTIONAL}'))
    original = photo(photos / "a.png")
    assert run(engine, "reader", original, out=folder / "one")["results"][0]["messages"] == ["none"]
    engine.analyze(photos, "--only", "hash")
    (message,) = run(engine, "reader", original, out=folder / "two")["results"][0]["messages"]
    assert '"width":64' in message.replace(" ", "")


def test_validate_finds_what_a_run_would(engine, build):
    library = build("narrow", run="if (photo->width < 10) *(volatile int*)8 = 1;" + COPY)
    document = engine.json("plugins", "validate", library, expect=FAILED)
    failed = [check["check"] for check in document["checks"] if not check["passed"]]
    assert failed == ["runs on 1 × 1 pixels", "runs on 1 × 97 pixels"]


def test_an_interrupt_ends_it_and_keeps_what_is_done(engine, build, photos, folder):
    installed(engine, build("slow", run="if (photo->pixels[0] == 1) for (;;) pause();" + COPY))
    files = [photo(photos / "a.png"), photo(photos / "b.png", first=1), photo(photos / "c.png")]
    process = engine.start("plugins", "run", "slow", *files, "-o", folder / "out")
    for _ in range(400):
        if (folder / "out/a-out.png").exists():
            break
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == INTERRUPTED
    assert [path.name for path in (folder / "out").iterdir()] == ["a-out.png"]


FACTS = """
  if (photo->pixels[0] == 1) *(volatile int*)8 = 1;
  unsigned long sum = 0;
  for (uint32_t y = 0; y < photo->height; ++y) for (size_t i = 0; i < (size_t)photo->width * 3; ++i) sum += photo->pixels[y * photo->row_bytes + i];
  char text[99]; snprintf(text, sizeof text, "{\\"sum\\": %lu, \\"width\\": %u}", sum, photo->width);
  return call->give_record(call, 0, text);
"""


def test_a_plugin_is_a_stage_of_analyze(engine, build, photos, folder):
    installed(engine, build("facts", run=FACTS, kind="IE_RECORD", flags="0", output="colours"))
    installed(engine, build("copy"))
    (folder / "config.yaml").write_text("plugins: {stages: [facts, copy, absent]}\n")
    engine.environment["IMAGE_ENGINE_CONFIG"] = str(folder / "config.yaml")
    good, bad = photo(photos / "good.png", (900, 700)), photo(photos / "bad.png", first=1)
    document = engine.analyze(photos, expect=DONE_WITH_FAILURES)
    notes = " ".join(document["report"]["notes"])
    assert "plugins:copy: left out: it makes no record" in notes and "plugins:absent: left out: it is not installed" in notes
    shown = engine.json("show", good)
    assert shown["plugins"] == {"facts": {"colours": {"sum": int(pixels(good).sum()), "width": 900}}}  # of the whole photo
    (record,) = [record for record in shown["records"] if record["stage"] == "plugins:facts"]
    assert (record["model"], record["version"]) == ("facts", "1")
    (failure,) = engine.json("failures")["failures"]
    assert (failure["path"], failure["stage"], failure["code"]) == (str(bad), "plugins:facts", "crashed")
    assert engine.analyze(photos)["assets"] == []
    # Another file of it is another analysis; and it can be asked for alone.
    other = build("facts", run=FACTS.replace('"sum', '"total').replace('\\"sum', '\\"total'), kind="IE_RECORD", flags="0", output="colours")
    engine.json("plugins", "install", "--force", other)
    engine.analyze(photos, "--only", "plugins", expect=DONE_WITH_FAILURES)
    assert engine.json("show", good)["plugins"]["facts"]["colours"]["total"] == int(pixels(good).sum())


QUESTIONS = """
  const ie_ext_segment* segment = call->extension(call, IE_EXT_SEGMENT);
  const ie_ext_detect* detect = call->extension(call, IE_EXT_DETECT);
  const ie_picture* mask = NULL;
  const ie_region* regions = NULL;
  uint32_t count = 0;
  if (segment == NULL || detect == NULL) return IE_UNSUPPORTED;
  if (segment->segment(call, photo, "subject", &mask) != IE_OK) return IE_NOT_FOUND;
  unsigned long inside = 0;
  for (uint32_t y = 0; y < mask->height; ++y) for (uint32_t x = 0; x < mask->width; ++x) inside += mask->pixels[y * mask->row_bytes + x] > 127;
  const ie_status found = detect->detect(call, photo, "licence plate", &regions, &count);
  char text[99]; snprintf(text, sizeof text, "{\\"inside\\": %lu, \\"found\\": %d}", inside, (int)found);
  return call->give_record(call, 0, text);
"""


def test_a_stage_may_ask_what_plugins_run_may(engine, build, photos, folder):
    installed(engine, build("questions", run=QUESTIONS, kind="IE_RECORD", flags="0", output="answers"))
    (folder / "config.yaml").write_text("plugins: {stages: [questions]}\n")
    engine.environment["IMAGE_ENGINE_CONFIG"] = str(folder / "config.yaml")
    alpha = numpy.zeros((32, 32))
    alpha[8:24, 8:24] = 1
    install_known(engine, alpha)
    good = photo(photos / "good.png", (320, 320))
    engine.analyze(photos)
    answers = engine.json("show", good)["plugins"]["questions"]["answers"]
    assert abs(answers["inside"] - 160 * 160) < 0.06 * 160 * 160 and answers["found"] == 5  # IE_NOT_FOUND: there is no such detector


class Signer:
    """minisign's files, made by the openssl program and hashlib."""

    def __init__(self, folder):
        self.folder, self.pem, self.number = folder, folder / "key.pem", os.urandom(8)
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.pem], check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-in", self.pem, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        self.public = base64.b64encode(b"Ed" + self.number + der[-32:]).decode()

    def raw(self, message):
        (self.folder / "message").write_bytes(message)
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", self.pem, "-rawin", "-in", self.folder / "message"], check=True, capture_output=True).stdout

    def sign(self, path, comment=b"timestamp:1", trusted=None):
        signature = self.raw(hashlib.blake2b(path.read_bytes()).digest())
        lines = [b"untrusted comment: x", base64.b64encode(b"ED" + self.number + signature), b"trusted comment: " + (trusted or comment),
                 base64.b64encode(self.raw(signature + comment))]  # fmt: skip
        path.with_name(path.name + ".minisig").write_bytes(b"\n".join(lines) + b"\n")


def test_an_index_installs_by_name_what_is_signed(engine, build, folder):
    signer, place = Signer(folder), folder / "index.json"
    library = build("graded")
    entry = {"name": "graded", "version": "1", "licence": "MIT", "summary": "Grades of Grey", "machine": platform.machine(), "file": library.name,
             "sha256": hashlib.sha256(library.read_bytes()).hexdigest()}  # fmt: skip
    write = lambda *entries: place.write_text(json.dumps({"schema": "image-engine/plugin-index/1", "plugins": entries}))
    where = ["--index", place, "--key", signer.public]
    write(entry, entry | {"name": "elsewhere", "machine": "vax"})
    signer.sign(place)
    assert [found["name"] for found in engine.json("plugins", "search", *where)["plugins"]] == ["graded"]
    assert engine.json("plugins", "search", "of grey", *where)["plugins"] and not engine.json("plugins", "search", "blue", *where)["plugins"]
    assert engine.json("plugins", "install", "graded", *where)["plugins"][0]["state"] == "ready"
    engine.json("plugins", "remove", "graded")

    def refused(words, key=signer.public, name="graded"):
        outcome = engine.run("plugins", "install", name, "--index", place, "--key", key)
        assert outcome.code in (FAILED, USAGE) and words in outcome.message, outcome.message
        assert own(engine) == []

    refused("no plugin 'elsewhere' for this machine", name="elsewhere")
    (folder / "other").mkdir()
    refused("signed with another key", Signer(folder / "other").public)
    refused("no public key of minisign", "RWQnonsense")
    signer.sign(place, trusted=b"timestamp:2")
    refused("trusted comment is wrong")
    signer.sign(place)
    write(entry | {"summary": "changed"})
    refused("its signature is wrong")
    write(entry | {"file": "../graded.so"})
    signer.sign(place)
    refused("wrong name, file or checksum")
    write(entry | {"sha256": "0" * 64})
    signer.sign(place)
    refused("its checksum is not the index's")
    place.with_name("index.json.minisig").unlink()
    refused("index.json.minisig")


ASK = """
  const ie_ext_model* model = call->extension(call, IE_EXT_MODEL);
  if (model == NULL) return IE_FAILED;
  static float values[3 * 224 * 224];
  for (int c = 0; c < 3; ++c) for (int i = 0; i < 224 * 224; ++i) values[c * 224 * 224 + i] = (float)photo->pixels[i * 3 + c] / 127.5f - 1;
  ie_tensor input = {sizeof input, 4, {1, 3, 224, photo->pixels[0] == 9 ? 223 : 224}, values};
  const ie_tensor* outputs; uint32_t count;
  const ie_status status = model->run(call, photo->pixels[0] == 8 ? "no-such-model" : "efficientnet-lite0", &input, 1, &outputs, &count);
  if (status != IE_OK) return status;
  char text[200]; int at = 0;
  for (int i = 0; i < 5; ++i) at += snprintf(text + at, sizeof text - (size_t)at, "%.4f ", (double)outputs[0].values[i * 200]);
  snprintf(text + at, sizeof text - (size_t)at, "%u %d", count, (int)outputs[0].shape[1]);
  call->message(call, text);
"""


def test_an_installed_model_can_be_run(real, build, photos, folder):
    installed(real, build("asking", run=ASK + COPY))
    files = [photo(photos / f"{red}.png", (224, 224), first=red) for red in (7, 8, 9)]
    document = run(real, "asking", *files, out=folder / "out", flags=["--device", "cpu", "--precision", "fp32"], expect=DONE_WITH_FAILURES)
    good, unknown, wrong = document["results"]
    session = onnxruntime.InferenceSession(ROOT / "build/models/efficientnet-lite0/efficientnet-lite0.onnx", providers=["CPUExecutionProvider"])
    tensor = (pixels(files[0]).transpose(2, 0, 1)[None] / 127.5 - 1).astype(numpy.float32)
    (logits,) = session.run(None, {"image": tensor})
    *values, count, classes = good["messages"][0].split()
    assert (count, classes) == ("1", "1000") and numpy.abs(numpy.array(values, float) - logits[0, ::200]).max() < 2e-3
    assert unknown["error"]["code"] == "not-found" and "models pull no-such-model" in unknown["error"]["message"]
    assert wrong["error"]["code"] == "unsupported"
