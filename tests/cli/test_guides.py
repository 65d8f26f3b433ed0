"""The commands of the guides in docs/, each run as it is written, in the order of its page; those that are not are named here, with the reason."""

import os
import re
import shutil
import subprocess

import pytest
from engine import PROGRAM, ROOT, SAMPLES, with_models

GUIDES = ["user-guide", "troubleshooting", "production-checklist"]
PHOTOS = ["home.jpg", "fruits.jpg", "baboon.jpg", "basketball1.png"]
# A part of the command, and why it is not run.
NOT_RUN = {
    "models pull": "fetches from package registries: tests/cli/test_models_packages.py",
    "--upgrade embedding": "needs CLIP's weights: tests/cli/test_meaning.py",
    "label ": "needs CLIP's weights: tests/cli/test_meaning.py",
    "models add": "needs a file of the user's: tests/cli/test_waiting_models.py",
    "models remove": "of what was added: tests/cli/test_waiting_models.py",
}


def blocks(guide, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / f"docs/{guide}.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(guide):
    """What is typed, and the exit code that the guide promises."""
    for block in blocks(guide, "sh"):
        for line in block.splitlines():
            command, _, comment = line.partition("#")
            promised = re.search(r"exit code (\d+)", comment)
            yield command.strip(), int(promised[1]) if promised else 0


def reason(command):
    return next((why for part, why in NOT_RUN.items() if part in command), None)


@pytest.fixture
def home(engine):
    """A home with a small library, and the program in its path."""
    home = engine.folder / "home"
    for name in ("Pictures", "Videos", "Broken"):
        (home / name).mkdir()
    for name in PHOTOS:
        shutil.copy(SAMPLES / "photos" / name, home / "Pictures")
    shutil.copy(SAMPLES / "videos/phone.mp4", home / "Videos/walk.mp4")
    (home / "Broken/cut.jpg").write_bytes((SAMPLES / "photos/home.jpg").read_bytes()[:3000])
    with_models(engine)
    engine.environment["PATH"] = f"{PROGRAM.parent}:{engine.environment['PATH']}"
    return home


@pytest.mark.parametrize("guide", GUIDES)
def test_each_command_does_what_its_guide_says(engine, home, guide):
    ran = 0
    for command, promised in commands(guide):
        assert command.startswith("image-engine ") or re.match(r"[A-Z_]+=\S+ image-engine ", command), command
        if reason(command):
            continue
        done = subprocess.run(["bash", "-c", command], cwd=home, env=engine.environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
        assert done.returncode == promised, f"{command}: exit code {done.returncode}, not {promised}\n{done.stderr.decode(errors='replace')[-1000:]}"
        ran += 1
    assert ran >= 15


@pytest.mark.parametrize("guide", GUIDES)
def test_each_setting_is_one(engine, home, guide):
    for i, text in enumerate(blocks(guide, "yaml")):
        (home / f"{i}.yaml").write_text(text)
        outcome = engine.run("doctor", "--config", home / f"{i}.yaml")
        assert outcome.code in (0, 1), outcome.message  # 1: this machine lacks something


def test_what_is_not_run_is_there():
    every = [command for guide in GUIDES for command, _ in commands(guide)]
    for part in NOT_RUN:
        assert any(part in command for command in every), f"no guide has {part}: {NOT_RUN[part]}"


@pytest.mark.parametrize("guide", GUIDES)
def test_links_lead_somewhere(guide):
    text = (ROOT / f"docs/{guide}.md").read_text(encoding="utf-8")
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text)]
    missing = [target for target in targets if target and not target.startswith("http") and not os.path.exists(ROOT / "docs" / target)]
    assert targets and not missing
