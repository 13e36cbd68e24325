import pytest

from vtbench.errors import StudyError
from vtbench.study.expand import expand
from vtbench.study.load import load_study

HEAD = "name: child\nextends: small\nquestion: How many?\nsource: the tests\nexpected: none\nreference_arm: grid\n"
ARMS = "arms:\n  grid: {title: Grid, set: {}}\n  few: {title: Few, set: {tokenizer.num_latent_tokens: 2}}\n"


@pytest.fixture
def child(write):
    """Write a study that extends `small`, and return its path."""

    def child(text="", head=HEAD, arms=ARMS):
        path = write().with_name("child.yaml")
        path.write_text(head + arms + text)
        return path

    return child


def complaint(path):
    with pytest.raises(StudyError) as caught:
        expand(load_study(path))
    return str(caught.value)


def test_equal_arms_are_the_same_runs(child, study):
    plan, parent = expand(load_study(child())), expand(study)
    first, second = (cell.run_id for cell in plan.cells)
    assert first == parent.cells[0].run_id
    assert second not in parent.runs
    assert plan.study.extends == "small"
    assert plan.metrics == ("psnr", "mae")
    assert [profile.name for profile in plan.study.profiles] == ["tiny", "gpu"]


def test_own_values_are_laid_over_the_parents(child):
    study = load_study(
        child(
            "base: {train: {steps: 4}}\nmetrics: [mae]\n"
            "profiles:\n  gpu: {cost: hours, set: {train.batch_size: 8}, resources: {num_gpus: 2}}\n"
            "  more: {note: n, cost: c}\n"
        )
    )
    gpu = study.profiles[1]
    assert study.base["train"] == {"steps": 4, "batch_size": 2}
    assert study.base["data"] == {"name": "imagefolder", "root": "IMAGES"}
    assert study.metrics == ("mae",)
    assert [profile.name for profile in study.profiles] == ["tiny", "gpu", "more"]
    assert (gpu.note, gpu.cost, gpu.resources.num_gpus, gpu.resources.peak_flops) == ("on a card", "hours", 2, 1e12)
    assert gpu.set["train"] == {"steps": 50}
    config = next(iter(expand(study, "gpu").runs.values())).config
    assert (config.train.steps, config.train.batch_size) == (50, 8)


def test_a_whole_value_replaces_what_the_parent_set_inside_it(child, write):
    path = child("profiles: {gpu: {set: {train.optimizer: {name: adamw}}}}\n")
    write("train: {steps: 50, batch_size: 4}", "train.optimizer.learning_rate: 0.5")
    config = next(iter(expand(load_study(path), "gpu").runs.values())).config
    assert config.train.optimizer.learning_rate == 1e-4


def test_another_component_begins_without_the_parents_options(child):
    study = load_study(child("base: {data: {name: icons}}\n"))
    assert study.base["data"] == {"name": "icons"}
    # this profile names a component of its own, to which its options belong
    assert study.profiles[1].set["data"] == {"name": "webdataset", "root": "/nowhere"}
    study = load_study(child("profiles: {gpu: {set: {data: {name: icons}}}}\n"))
    assert study.profiles[1].set["data"] == {"name": "icons"}


def test_options_for_the_parents_component_are_dropped_from_its_profiles(child, write):
    path = child("base: {data: {name: icons}}\n")
    write("data: {name: webdataset, root: /nowhere}", "data: {root: /nowhere}")
    assert "data" not in load_study(path).profiles[1].set


def test_a_parent_may_extend_another(child):
    path = child("base: {train: {steps: 4}}\n")
    grandchild = path.with_name("third.yaml")
    grandchild.write_text(path.read_text().replace("small", "child").replace("name: child", "name: third"))
    grandchild.write_text(grandchild.read_text().replace("{steps: 4}", "{batch_size: 1}"))
    assert load_study(grandchild).base["train"] == {"steps": 4, "batch_size": 1}


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("train: {steps: 3", "train: {stps: 3", "unknown key 'train.stps'. Did you mean 'train.steps'?"),
        ("train: {steps: 3", "train: {steps: no", "train.steps: a whole number is needed"),
        ("kernel_size: 8", "kernel_sise: 8", "Did you mean 'tokenizer.kernel_size'?"),
        ("note: a few steps, ", "", "'profiles.tiny.note' is missing"),
    ],
)
def test_a_mistake_in_the_parent_is_said_with_its_line(child, write, line_of, old, new, part):
    path = child()
    parent = write(old, new)
    message = complaint(path)
    assert part in message
    assert message.startswith(f"{parent}:{line_of(parent, new or 'tiny:')}: ")


def test_a_mistake_in_the_file_is_said_with_its_line(child, line_of):
    path = child("base: {train: {steps: many}}\n")
    assert complaint(path).startswith(f"{path}:{line_of(path, 'steps')}: ")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("smal", "there is no .*smal.yaml.* Did you mean 'small'"),
        ("child", "extends: child -> child goes round"),
        ("[small]", "the name of a study beside this one is needed"),
    ],
)
def test_a_parent_that_cannot_be_one(child, line_of, name, part):
    path = child(head=HEAD.replace("extends: small", f"extends: {name}"))
    with pytest.raises(StudyError, match=rf"child.yaml:{line_of(path, 'extends')}: .*{part}"):
        load_study(path)


def test_a_parent_of_another_kind(child, write):
    path = child()
    write("name: small", "kind: cost\nname: small")
    assert "trains nothing (kind: cost)" in complaint(path)


def test_values_that_a_profile_gives_to_the_parents_arms_do_not_count(child, write):
    path = child("profiles: {tiny: {arms: {few: {train.steps: 6}}}}\n")
    write("tiny: {note: a few steps,", "tiny: {arms: {rope: {train.steps: 5}}, note: a few steps,")
    plan = expand(load_study(path))
    assert [plan.runs[cell.run_id].config.train.steps for cell in plan.cells] == [3, 6]
