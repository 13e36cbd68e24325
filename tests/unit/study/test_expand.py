import pytest

from vtbench.errors import StudyError
from vtbench.schema.study import StudyPlan
from vtbench.study.expand import expand, find_profile
from vtbench.study.load import load_study


def test_cells_are_arms_by_axes_by_seeds(write):
    study = load_study(write("seeds: [0]", "seeds: [3, 5]\naxes: {train.steps: [1, 2], train.batch_size: [4]}"))
    plan = expand(study)
    assert [(cell.arm, cell.coordinates["train.steps"], cell.seed) for cell in plan.cells] == [
        (arm, steps, seed) for arm in ("grid", "rope") for steps in (1, 2) for seed in (3, 5)
    ]
    assert len(plan.runs) == 8
    for cell in plan.cells:
        spec = plan.runs[cell.run_id]
        assert spec.seed == cell.seed
        assert spec.config.train.steps == cell.coordinates["train.steps"]
        assert spec.config.tokenizer.options["pos_embed"] == cell.arm


def test_equal_runs_are_made_once(write):
    study = load_study(write("tokenizer.pos_embed: rope", "tokenizer.pos_embed: grid"))
    plan = expand(study)
    assert len(plan.cells) == 2
    assert len(plan.runs) == 1


def test_precedence(write):
    text = "tokenizer.pos_embed: rope"
    study = load_study(write(text, f"{text}, train.steps: 7"))
    steps = {cell.arm: run.config.train.steps for cell, run in _specs(expand(study, "gpu"))}
    assert steps == {"grid": 50, "rope": 7}
    axis = load_study(write("seeds: [0]", "seeds: [0]\naxes: {train.steps: [9]}"))
    assert {run.config.train.steps for _, run in _specs(expand(axis, "gpu"))} == {9}
    assert {run.config.train.steps for _, run in _specs(expand(axis, "gpu", set={"train.steps": 11}))} == {11}


def test_a_profile_may_give_an_arm_other_values(write):
    profile = "note: on a card\n    arms: {rope: {tokenizer.pos_embed: learned, train.steps: 9}}"
    study = load_study(write("note: on a card", profile))
    found = {cell.arm: run.config for cell, run in _specs(expand(study, "gpu"))}
    assert {arm: config.train.steps for arm, config in found.items()} == {"grid": 50, "rope": 9}
    assert found["rope"].tokenizer.options["pos_embed"] == "learned"
    assert {run.config.train.steps for _, run in _specs(expand(study))} == {3}


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("rpe: {train.steps: 9}", "no arm is called 'rpe'. Did you mean 'rope'?"),
        ("rope: {train.stps: 9}", "Did you mean 'train.steps'?"),
        ("rope: {evaluate.num_samples: 9}", "an arm cannot set 'evaluate.num_samples'"),
    ],
)
def test_wrong_values_of_an_arm_in_a_profile(complaint, value, part):
    message = complaint("note: on a card", f"note: on a card\n    arms: {{{value}}}")
    assert part in message
    assert message.startswith("small.yaml:") or "small.yaml:" in message.split(": ")[0]


def _specs(plan):
    return [(cell, plan.runs[cell.run_id]) for cell in plan.cells]


def test_a_profile_may_change_the_data_set_and_the_seeds(write):
    study = load_study(write("note: on a card", "note: on a card\n    seeds: [4]"))
    plan = expand(study, "gpu")
    config = next(iter(plan.runs.values())).config
    assert config.data.name == "webdataset"
    assert plan.seeds == (4,)
    assert expand(study, "gpu", seeds=2).seeds == (0, 1)


def test_the_plan_survives_a_file(study):
    plan = expand(study)
    assert StudyPlan.model_validate_json(plan.model_dump_json()) == plan
    assert plan.id == "small@tiny"


def test_unknown_profile(study):
    with pytest.raises(StudyError, match="Did you mean 'tiny'"):
        find_profile(study, "tny")


@pytest.mark.parametrize(
    ("old", "new", "mark", "part"),
    [
        ("tokenizer.pos_embed: rope", "tokenizer.pos_embd: x", "pos_embd", "Did you mean 'tokenizer.pos_embed'?"),
        ("tokenizer.pos_embed: rope", "tokenizer.pos_embed: roep", "roep", "Did you mean 'rope'?"),
        ("num_samples: 4", "num_samples: -4", "num_samples", "a number above 0 is needed, not -4"),
        ("codebook_size: 16", "codebook_size: 1.5", "codebook_size", "a whole number is needed, not 1.5"),
        ("batch_size: 2}\n  eval", "batch_size: many}\n  eval", "many", "train.batch_size"),
    ],
)
def test_mistakes_in_values_name_their_line_once(write, line_of, old, new, mark, part):
    path = write(old, new)
    with pytest.raises(StudyError) as caught:
        expand(load_study(path))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}:{line_of(path, mark)}: ")
    assert part in line


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"train.stps": 1}, "--set train.stps: unknown key 'train.stps'. Did you mean 'train.steps'?"),
        ({"train.steps": "a"}, "--set train.steps: train.steps: a whole number is needed, not 'a'."),
        ({"tokenizer.pos_embd": "rope"}, "--set tokenizer.pos_embd: unknown key"),
    ],
)
def test_mistakes_on_the_command_line(study, values, part):
    with pytest.raises(StudyError) as caught:
        expand(study, set=values)
    assert part in str(caught.value)


def test_values_of_the_command_line_make_another_plan(study):
    plain, shorter, longer = expand(study), expand(study, set={"train.steps": 3}), expand(study, set={"train.steps": 4})
    assert plain.overrides == {}
    assert shorter.overrides == {"train.steps": 3}
    assert shorter.id.startswith(f"{plain.id}+")
    assert len({plain.id, shorter.id, longer.id}) == 3
    assert shorter.id == expand(study, set={"train.steps": 3}).id


def test_no_seeds(study):
    with pytest.raises(StudyError, match="at least one seed"):
        expand(study, seeds=0)


ONE_SCALE = "tiny: {note: a few steps, cost: seconds"


def test_what_a_profile_sets_for_an_arm_has_its_place(write, line_of):
    path = write(ONE_SCALE + "}", "tiny:\n    note: n\n    cost: c\n    arms:\n      rope: {train.steps: -6}")
    with pytest.raises(StudyError, match=rf"small\.yaml:{line_of(path, '-6')}: train\.steps: "):
        expand(load_study(path))


def test_a_generator_needs_the_run_of_its_tokenizer_which_other_studies_share(make_plan, make_generator_plan):
    plan, tokenizers = make_generator_plan(), make_plan()
    assert list(plan.runs)[::2] == list(tokenizers.runs)
    for cell, tokenizer in zip(plan.cells, tokenizers.cells, strict=True):
        spec = plan.runs[cell.run_id]
        assert spec.needs == (tokenizer.run_id,)
        assert spec.config.generator.model.options["num_codebooks"] == 4
        assert plan.runs[tokenizer.run_id] == tokenizers.runs[tokenizer.run_id]
    assert StudyPlan.model_validate_json(plan.model_dump_json()) == plan


def test_generators_of_one_tokenizer_need_one_run(write):
    path = write("seeds: [0]", "seeds: [0]\naxes: {generator.train.steps: [2, 3]}")
    model = "model: {name: vibetoken_gen, num_classes: 1}"
    section = f"generator: {{{model}, tokens: {{resolutions: [16x16]}}, train: {{steps: 1, batch_size: 2}}}}"
    path.write_text(path.read_text().replace("base:\n", f"base:\n  {section}\n"))
    plan = expand(load_study(path))
    assert len(plan.cells) == 4
    assert len(plan.runs) == 6
    by_arm = {cell.arm: plan.runs[cell.run_id].needs for cell in plan.cells}
    assert by_arm["grid"] != by_arm["rope"]
    for cell in plan.cells:
        assert plan.runs[cell.run_id].needs == by_arm[cell.arm]
        assert plan.runs[cell.run_id].config.generator.train.steps == cell.coordinates["generator.train.steps"]
    part = plan.part({plan.cells[0].run_id})
    assert list(part.runs) == [*by_arm["grid"], plan.cells[0].run_id]
    assert part.cell_of(by_arm["grid"][0]).arm == "tokenizer of grid"
