import pytest
from pydantic import ValidationError

from vtbench.schema.run import Component, MixingConfig, RunConfig, RunSpec, TrainConfig
from vtbench.schema.study import Arm, ArmFacts, Cell, EvaluateConfig, Profile, Route, Study, StudyPlan


@pytest.fixture
def plan():
    config = RunConfig(
        tokenizer=Component(name="vibetoken"),
        data=Component(name="icons"),
        mixing=MixingConfig(inputs={"64x64": 1.0}, targets={"64x64": 0.5, "32x64": 0.5}),
        train=TrainConfig(steps=10, batch_size=4),
    )
    profile = Profile(name="tiny", note="a note", cost="minutes", set={"train.steps": 10})
    study = Study(
        name="small",
        path="studies/small.yaml",
        question="Which?",
        source="here",
        expected="unknown",
        base={"train": {"steps": 10}},
        arms=(Arm(name="a", title="A", set={}),),
        axes={"tokenizer.num_latent_tokens": (4, 8)},
        metrics=("psnr",),
        profiles=(profile,),
        reference_arm="a",
    )
    cell = Cell(arm="a", coordinates={"tokenizer.num_latent_tokens": 4}, seed=0, run_id="abc")
    facts = ArmFacts(
        arm="a", coordinates={}, num_parameters=1, training_flops=2.0, images_seen=40, steps=10, num_tokens="4"
    )
    return StudyPlan(
        study=study,
        profile=profile,
        seeds=(0,),
        metrics=("psnr",),
        evaluate=EvaluateConfig(resolutions=("64x64",), num_tokens=(None, 4), num_samples=8),
        cells=(cell,),
        runs={"abc": RunSpec(run_id="abc", config=config, seed=0)},
        facts=(facts,),
    )


def test_a_plan_is_named_by_study_and_profile(plan):
    assert plan.id == "small@tiny"


def test_a_plan_survives_its_file(plan):
    assert StudyPlan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize(
    "fields",
    [
        {"resolutions": ("64",), "num_samples": 8},
        {"resolutions": ("64x64",), "num_samples": 0},
        {"resolutions": ("64x64",), "num_samples": 8, "num_tokens": (0,)},
        {"resolutions": ("64x64",)},
        {"resolutions": ("64x64",), "num_samples": 8, "resolution": "64x64"},
    ],
)
def test_a_wrong_evaluation_is_refused(fields):
    with pytest.raises(ValidationError):
        EvaluateConfig(**fields)


def test_every_point_is_measured_at_full_length_by_default():
    assert EvaluateConfig(resolutions=("64x64",), num_samples=8).num_tokens == (None,)


def test_the_command_makes_the_plan_again(plan):
    assert plan.command == "python -m vtbench run studies/small.yaml --profile tiny --seeds 1"
    set_apart = plan.model_copy(update={"seeds": (4, 7), "overrides": {"train.steps": 3}})
    assert set_apart.command == "python -m vtbench run studies/small.yaml --profile tiny --set train.steps=3"


def test_routes_are_places_after_the_resolutions():
    native, enlarged = Route(input="8x8", decode="32x32"), Route(input="8x8", decode="16x16", output="32x32")
    config = EvaluateConfig(resolutions=("32x32",), routes=(native, enlarged), num_samples=1)
    assert config.places == (("32x32", None), ("32x32", "from_8x8"), ("32x32", "from_8x8_at_16x16_bicubic"))
    assert [config.route(*place) for place in config.places] == [None, native, enlarged]
    same = Route(input="8x8", decode="8x8", output="32x32", resize="bilinear")
    assert (same.name, same.resolution) == ("from_8x8_bilinear", "32x32")


def test_a_route_leads_to_another_size():
    with pytest.raises(ValidationError, match="no other way; add 8x8 to resolutions"):
        Route(input="8x8", decode="8x8")
