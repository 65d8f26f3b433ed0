import pytest

from engine import PROGRAM, SAMPLES, Engine, MountSpace, fresh_folder, with_models


def pytest_sessionstart():
    assert PROGRAM.exists(), f"{PROGRAM} is missing: set IMAGE_ENGINE_BIN to the program to test"
    assert SAMPLES.is_dir(), f"{SAMPLES} is missing: tools/setup.sh makes it"


@pytest.fixture
def folder():
    with fresh_folder() as made:
        yield made


@pytest.fixture
def engine(folder):
    return Engine(folder)


@pytest.fixture
def real(engine):
    return with_models(engine)


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
