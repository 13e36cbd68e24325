"""Several studies in one command."""

import pytest

from vtbench.launch import cluster

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


@pytest.mark.slow
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


@pytest.fixture
def needy(folder):
    """A study each of whose runs starts from one of the small study's."""
    more = "    needs: {tokenizer: {study: small, arm: grid}}\n"
    text = CHILD.format(name="needy", more=more).replace("{title: Grid, set: {}}", "\n    title: Grid\n    set: {}")
    (folder / "studies" / "needy.yaml").write_text(text)


def test_a_plan_names_the_runs_that_come_first(call, needy):
    alone = call("plan", "needy").stdout
    assert "needs first: 1 runs of small@tiny (grid), 0 of them done" in alone
    several = call("plan", "needy", "small").stdout.splitlines()
    rows = [line.split() for line in several if "small" in line or "needy" in line]
    assert [row[:3] for row in rows[:2]] == [["small,", "for", "needy"], ["needy", "1", "0"]]
    assert rows[2][:4] == ["small", "2", "1", "0"]


def test_on_a_cluster_needed_runs_are_submitted_first(call, needy, monkeypatch):
    submitted = []

    def submit(store, plan, config, **options):
        submitted.append((plan.id, len(plan.runs)))
        return []

    monkeypatch.setattr(cluster, "submit_plan", submit)
    result = call("run", "needy", "--cluster", "slurm", "--detach")
    assert submitted == [("small@tiny", 1), ("needy@tiny", 1)], result.stderr
    assert "first, as needy waits for them: 1 of the runs of small@tiny" in result.stdout


@pytest.mark.slow
def test_needed_runs_are_made_first(call, needy, folder):
    result = call("run", "needy")
    assert result.exit_code == 0, result.stderr
    assert "first, as needy needs them: 1 of the runs of small@tiny" in result.stdout
    assert result.stdout.count("grid seed 0: done in") == 2
    assert sorted(path.name for path in (folder / "runs" / "studies").iterdir() if (path / "plan.json").exists()) == [
        "needy@tiny"
    ]
    again = call("run", "needy")
    assert "first, as needy" not in again.stdout
