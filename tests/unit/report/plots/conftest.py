import pytest

from vtbench.report.gather import gather, load
from vtbench.report.plots.style import PlotData
from vtbench.report.results import Results


@pytest.fixture(scope="session")
def full(full_report):
    return PlotData(Results(load(full_report)), full_report)


@pytest.fixture(scope="session")
def generated(generation_report):
    """A study of two generators at 8 points."""
    return PlotData(Results(load(generation_report)), generation_report)


@pytest.fixture(scope="session")
def empty(synthetic, tmp_path_factory):
    """A study none of whose runs has a record."""
    folder = tmp_path_factory.mktemp("empty")
    store, plan = synthetic.study(folder / "runs", leave_out=tuple(synthetic.plan().runs))
    return PlotData(Results(gather(store, plan.id, folder / "out")), folder / "out")


@pytest.fixture(scope="session")
def partial(synthetic, tmp_path_factory):
    """A study with one seed, whose arm `grid` has no record."""
    folder = tmp_path_factory.mktemp("partial")
    store, plan = synthetic.study(folder / "runs", seeds=(0,), leave_out=("grid-0",))
    return PlotData(Results(gather(store, plan.id, folder / "out")), folder / "out")
