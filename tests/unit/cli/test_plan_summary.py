from pathlib import Path

import pytest

from vtbench.cli.plan_summary import other_row, show_rows, training_rows
from vtbench.store.layout import Store
from vtbench.study.expand import expand
from vtbench.study.fairness import facts
from vtbench.study.load import load_study


@pytest.fixture
def plan(folder):
    """Return the small study's plan at a profile, with facts."""

    def plan(profile, seeds):
        made = expand(load_study(folder / "studies" / "small.yaml"), profile, seeds)
        return made.model_copy(update={"facts": facts(made)})

    return plan


def test_shared_runs_count_once(plan, folder):
    one, two = plan("gpu", 1), plan("gpu", 3)
    first, second = training_rows([one, two], Store(folder / "runs"))
    assert (first.num_runs, first.num_shared, first.num_left) == (2, 0, 2)
    assert (second.num_runs, second.num_shared, second.num_left) == (6, 2, 4)
    assert second.flops == pytest.approx(2 * first.flops)
    assert second.num_bytes == 2 * first.num_bytes
    assert first.gpu_hours == pytest.approx(sum(fact.training_flops for fact in one.facts) / (1e12 * 0.4) / 3600)


def test_the_table_has_a_total(plan, folder, capsys):
    store = Store(folder / "runs")
    rows = training_rows([plan("gpu", 1), plan("gpu", 3), plan("tiny", 1)], store)
    show_rows("three studies", rows)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "three studies"
    total = next(line.split() for line in lines if line.split()[:1] == ["total"])
    assert total[1:5] == ["10", "2", "0", "8"]
    assert "1TFLOP/s at 40% of the peak" in " ".join(lines)
    tiny = [line.split() for line in lines if line.split()[:1] == ["small"]][2]
    assert tiny[6] == "–"
    assert tiny[-1] == "seconds"


def test_studies_that_train_nothing(folder):
    fakes = Path(__file__).parents[2] / "fakes"
    protocols = other_row(fakes / "small_protocol_study.yaml", Store(folder / "runs"))
    assert (protocols.num_runs, protocols.cost) == (None, "measures 2 sets in 7 ways")
    costs = other_row(fakes / "small_cost_study.yaml", Store(folder / "runs"))
    assert costs.cost == "counts 4 cells, 0 of them known already"
