import os
import shutil
import tempfile
from pathlib import Path

import pytest

from engine import PROGRAM, SAMPLES, Engine, MountSpace


def pytest_sessionstart():
    assert PROGRAM.exists(), f"{PROGRAM} is missing: set IMAGE_ENGINE_BIN to the program to test"
    assert SAMPLES.is_dir(), f"{SAMPLES} is missing: tools/setup.sh makes it"


@pytest.fixture
def folder():
    """A new folder, away from any path that could be a git or cache folder; gone after the test."""
    made = Path(tempfile.mkdtemp(prefix="image-engine-test-")).resolve()
    yield made
    for path, folders, _ in os.walk(made):
        for name in folders:
            if not os.path.islink(os.path.join(path, name)):
                os.chmod(os.path.join(path, name), 0o700)
    shutil.rmtree(made)


@pytest.fixture
def engine(folder):
    return Engine(folder)


@pytest.fixture
def photos(folder):
    """A folder that a test may fill and change."""
    path = folder / "photos"
    path.mkdir()
    return path


@pytest.fixture
def mounts():
    """A mount namespace of the test's own."""
    space = MountSpace()
    if not space.ready:
        space.close()
        pytest.skip("this machine lets nobody make a mount namespace (unshare -m)")
    yield space
    space.close()
