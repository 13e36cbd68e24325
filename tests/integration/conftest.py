"""A study of real icons, and the program as a process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vtbench.data import open_dataset
from vtbench.schema.run import Component
from vtbench.store.layout import Store
from vtbench.store.query import load_plan, load_records

TEXT = (Path(__file__).parents[1] / "fakes" / "icon_study.yaml").read_text()


class Place:
    """A folder with `studies/fast.yaml` and a store in `runs/`.

    Attributes:
        path: the folder.
        store: its store.
        output, seconds: what the program printed there, and how long it took, where a fixture ran it.
    """

    def __init__(self, path: Path, icons: Path) -> None:
        self.path, self.store, self.output, self.seconds = path, Store(path / "runs"), "", 0.0
        self._started: list[subprocess.Popen] = []
        (path / "studies").mkdir(parents=True)
        (path / "studies" / "fast.yaml").write_text(TEXT)
        self.store.root.mkdir()
        self.store.cache_dir.symlink_to(icons)

    def start(self, *arguments):
        """Start `python -m ARGUMENTS` in a process group of its own."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment.pop("VTBENCH_ROOT", None)
        # a shell's background job is started deaf to Ctrl-C; what it starts would be too, unless there is a handler
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", *map(str, arguments)],
                cwd=self.path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)
        self._started.append(process)
        return process

    def end(self):
        """Kill what a failed test has left running."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def call(self, *arguments):
        """Run `python -m ARGUMENTS` to its end and return (exit code, standard output, standard error)."""
        process = self.start(*arguments)
        output, error = process.communicate(timeout=300)
        return process.returncode, output, error

    def records(self):
        """Return the records of the study's runs by run id; those that have none yet are left out."""
        return load_records(self.store, self.plan())

    def plan(self):
        return load_plan(self.store, "fast@tiny")


@pytest.fixture(scope="session")
def icons(tmp_path_factory):
    """The icons, drawn once for all stores."""
    folder = tmp_path_factory.mktemp("icons")
    for split in ("train", "val"):
        open_dataset(Component(name="icons", variants=False), split, folder).prepare([(32, 32)])
    return folder


@pytest.fixture
def place(tmp_path, icons):
    place = Place(tmp_path / "place", icons)
    yield place
    place.end()


@pytest.fixture(scope="session")
def make_place(icons):
    """Return a place at a path."""
    return lambda path: Place(path, icons)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, icons):
    """The place where the study has run to its end undisturbed, and what it printed."""
    place = Place(tmp_path_factory.mktemp("finished") / "place", icons)
    started = time.monotonic()
    code, place.output, error = place.call("vtbench", "run", "studies/fast.yaml")
    place.seconds = time.monotonic() - started
    assert code == 0, error
    yield place
    place.end()


@pytest.fixture(scope="session")
def benchmark_output():
    """Return what a benchmark prints, run as a user runs it: without the shape checks of tests, which cost time."""

    def run(script, *arguments):
        command = [sys.executable, str(script), *map(str, arguments)]
        process = subprocess.run(command, capture_output=True, text=True, timeout=1800, cwd=script.parents[1])
        assert process.returncode == 0, process.stderr
        return process.stdout

    return run
