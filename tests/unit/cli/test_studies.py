"""Several studies in one command."""

import pytest

CHILD = (
    "name: {name}\nextends: small\nquestion: Which size?\nsource: the tests\nexpected: none\nreference_arm: grid\n"
    "arms:\n  grid: {{title: Grid, set: {{}}}}\n{more}"
)


@pytest.fixture
def children(folder, edit):
    """Beside the small study, whose arms become one run: one with the same run, one that cannot run, a broken one."""
    edit("tokenizer.pos_embed: rope", "tokenizer.pos_embed: grid")
    studies = folder / "studies"
    (studies / "again.yaml").write_text(CHILD.format(name="again", more="metrics: [mae]\n"))
    (studies / "nothing.yaml").write_text(CHILD.format(name="nothing", more="base: {data: {root: nowhere}}\n"))
    (studies / "wrong.yaml").write_text(CHILD.format(name="wrong", more="base: {train: {stps: 1}}\n"))
    return [f"studies/{name}.yaml" for name in ("small", "again", "nothing", "wrong")]


def test_all_run_and_what_they_share_trains_once(call, folder, children):
    result = call("run", *children, "--report-dir", "out")
    assert result.exit_code == 2
    assert "2 studies at the profile tiny" in result.stdout
    assert result.stdout.count("grid seed 0: done in") == 1
    assert "grid seed 0: done already, mae@16x16" in result.stdout
    assert "report: out/small/index.html" in result.stdout
    assert "report: out/again/index.html" in result.stdout
    assert "There is no folder nowhere" in result.stderr
    assert "Did you mean 'train.steps'?" in result.stderr
    assert result.stderr.endswith("Failed: studies/nothing.yaml, studies/wrong.yaml\n")
    assert len(list((folder / "runs" / "runs").iterdir())) == 1

    planned = call("plan", *children)
    assert planned.exit_code == 2
    total = next(line.split() for line in planned.stdout.splitlines() if line.split()[:1] == ["total"])
    assert total[1:5] == ["3", "2", "1", "0"]
    assert "Needed before running:" in planned.stdout
    assert "nowhere" in planned.stdout
    assert "Failed: studies/wrong.yaml" in planned.stderr


def test_options_that_several_studies_cannot_take(call, children):
    fresh = call("run", *children, "--fresh")
    assert (fresh.exit_code, fresh.stderr.partition(":")[0]) == (2, "--fresh takes one study at a time")
    assert "needs a cluster" in call("run", *children, "--detach").stderr


def test_studies_without_the_profile_are_left_out(call, folder, children):
    text = (folder / "studies" / "small.yaml").read_text()
    (folder / "studies" / "other.yaml").write_text(text.replace("name: small", "name: other").replace("gpu:", "lab:"))
    result = call("plan", "small", "other", "--profile", "lab")
    assert "studies/small.yaml: left out, as it has no profile 'lab'" in result.stdout
    assert "1 studies" in result.stdout
    assert "None of these studies has a profile 'labb'" in call("plan", "small", "other", "-p", "labb").stderr
