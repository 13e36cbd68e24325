"""Runs of the small study in this process."""

from contextlib import contextmanager

import pytest
import torch

from vtbench.runner.context import RunContext
from vtbench.store.provenance import collect
from vtbench.store.writer import RunWriter


@pytest.fixture(autouse=True)
def _torch_settings():
    """Put back what executing a run sets for the whole process."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture
def first_run():
    """Return the id of a plan's first run."""
    return lambda plan: next(iter(plan.runs))


@pytest.fixture
def open_context(store, first_run):
    """Open a plan's first run (or another) for writing, as `execute` does."""

    @contextmanager
    def open_context(plan, run_id=None):
        spec = plan.runs[run_id or first_run(plan)]
        with RunWriter(store, spec, collect("test")) as writer:
            yield RunContext(store=store, plan=plan, spec=spec, writer=writer, device=torch.device("cpu"))

    return open_context


@pytest.fixture
def stamps(store, first_run):
    """Return when each checkpoint of a plan's first run was written, by name."""

    def stamps(plan):
        folder = store.checkpoint_dir(first_run(plan))
        return {path.name: path.stat().st_mtime_ns for path in sorted(folder.glob("*"))}

    return stamps
