from pathlib import Path

import pytest
import typer

from vtbench.cli.planning import Asked, Failures, checked_plan, costed_plan, say_missing, with_profile
from vtbench.errors import RunsFailedError, StudyError
from vtbench.store.layout import Store

FILE = Path("studies/small.yaml")


@pytest.fixture
def asked():
    return Asked(profile="tiny", seeds=2, overrides={"train.steps": 2}, devices=True)


def test_what_is_wrong_is_an_error_or_a_line(folder, edit, asked):
    plan = checked_plan(FILE, asked, Store(folder / "runs"))
    assert plan.seeds == (0, 1)
    assert [fact.steps for fact in plan.facts] == [2, 2]
    edit("root: images", "root: nowhere")
    with pytest.raises(StudyError, match="no folder"):
        checked_plan(FILE, asked, Store(folder / "runs"))
    plan, missing = costed_plan(FILE, asked, Store(folder / "runs"))
    assert len(plan.facts) == 2
    (line,) = missing
    assert "There is no folder" in line


def test_missing_things_are_said_once(capsys):
    say_missing([])
    assert capsys.readouterr().out == ""
    say_missing(["a", "b", "a"])
    assert capsys.readouterr().out == "\nNeeded before running:\n  a\n  b\n"


def test_studies_without_the_profile_are_left_out(folder, capsys):
    other, broken, costs = (folder / "studies" / f"{name}.yaml" for name in ("other", "broken", "costs"))
    other.write_text(FILE.read_text().replace("  gpu:", "  paper:").replace("name: small", "name: other"))
    broken.write_text("name: [")
    costs.write_text("kind: cost\n")
    assert with_profile([FILE, other, broken, costs, FILE], "gpu") == [FILE, broken, costs]
    assert capsys.readouterr().out == f"{other}: left out, as it has no profile 'gpu'\n"
    with pytest.raises(StudyError, match=r"None of these studies has a profile 'paperr'\. Did you mean 'paper'"):
        with_profile([FILE, other, costs], "paperr")
    assert with_profile([costs], "gpu") == [costs]


def test_failures_are_printed_and_counted(capsys):
    failures = Failures()
    failures.end()
    with failures.of(FILE):
        raise RunsFailedError("1 of 2 runs failed")
    with failures.of(Path("fine.yaml")):
        pass
    assert FILE in failures
    assert Path("fine.yaml") not in failures
    with pytest.raises(typer.Exit) as caught:
        failures.end()
    assert caught.value.exit_code == 1
    assert capsys.readouterr().err == f"{FILE}: failed\n1 of 2 runs failed\n\nFailed: {FILE}\n"
    with failures.of(Path("b.yaml")):
        raise StudyError("b.yaml:1: wrong")
    assert capsys.readouterr().err == "b.yaml:1: wrong\n"
    with pytest.raises(typer.Exit) as caught:
        failures.end()
    assert caught.value.exit_code == 2


def test_faults_of_this_program_are_not_swallowed():
    with pytest.raises(ZeroDivisionError), Failures().of(FILE):
        raise ZeroDivisionError
