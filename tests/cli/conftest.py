import pytest

from engine import PROGRAM, ROOT, SAMPLES, Engine, MountSpace, fresh_folder


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
    """The program with the models that ctest's models_pull installs."""
    engine.environment["IMAGE_ENGINE_MODELS"] = str(ROOT / "build/models")
    return engine


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
