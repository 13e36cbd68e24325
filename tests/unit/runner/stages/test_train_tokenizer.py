import pytest
import torch

from vtbench.data.mixing import Batches
from vtbench.runner.stages import train_tokenizer
from vtbench.schema.record import StageRecord
from vtbench.train import checkpoint
from vtbench.train.step import TokenizerStep


@pytest.fixture
def seen(monkeypatch):
    """Record what each training step is given and what the model was before it."""
    seen = []

    def run(step, number, batch, real=TokenizerStep.run):
        weights = {name: value.clone() for name, value in step.model.state_dict().items()}
        seen.append((number, batch.indices.tolist(), batch.inputs, weights))
        return real(step, number, batch)

    monkeypatch.setattr(TokenizerStep, "run", run)
    return seen


def test_it_trains_and_says_so(make_plan, open_context, seen):
    plan = make_plan()
    with open_context(plan) as context:
        train_tokenizer.run(context)
        stage = context.writer.record.stage(train_tokenizer.NAME)
        assert (stage.status, stage.steps, stage.checkpoint) == ("done", 3, "step-00000003.pt")
        assert [number for number, *_ in seen] == [0, 1, 2]
        train_tokenizer.run(context)
        assert len(seen) == 3


def test_while_it_trains_the_record_says_running(make_plan, open_context, monkeypatch):
    statuses = []
    with open_context(make_plan()) as context:

        def batch(batches, step, real=Batches.batch):
            statuses.append(context.writer.record.stage(train_tokenizer.NAME).status)
            return real(batches, step)

        monkeypatch.setattr(Batches, "batch", batch)
        train_tokenizer.run(context)
    assert set(statuses) == {"running"}


def test_it_goes_on_from_the_newest_checkpoint(make_plan, open_context, seen):
    plan = make_plan(train__checkpoint_every=1)
    with open_context(plan) as context:
        train_tokenizer.run(context)
        last = checkpoint.path_of(context.checkpoint_dir, 3)
        wanted = checkpoint.load(last)["model"]
        last.unlink()
        context.writer.set_stage(StageRecord(name=train_tokenizer.NAME, status="running"))
        seen.clear()
        train_tokenizer.run(context)
        assert [number for number, *_ in seen] == [2]
        found = checkpoint.load(last)["model"]
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())


def test_arms_of_a_seed_see_the_same_images_and_start_alike(make_plan, open_context, seen):
    plan = make_plan()
    for run_id in plan.runs:
        with open_context(plan, run_id) as context:
            train_tokenizer.run(context)
    one, other = seen[:3], seen[3:]
    assert [indices for _, indices, *_ in one] == [indices for _, indices, *_ in other]
    assert all(torch.equal(a[2], b[2]) for a, b in zip(one, other, strict=True))
    # the arms differ in their positions; what is drawn before those is the same
    assert torch.equal(one[0][3]["encoder.latent_tokens"], other[0][3]["encoder.latent_tokens"])
    assert one[0][3].keys() != other[0][3].keys()


def test_another_seed_is_another_run(make_plan, open_context, seen):
    plan = make_plan()
    spec = next(iter(plan.runs.values()))
    other = spec.model_copy(update={"seed": 1, "run_id": "0" * 12})
    plan = plan.model_copy(update={"runs": {spec.run_id: spec, other.run_id: other}})
    for run_id in plan.runs:
        with open_context(plan, run_id) as context:
            train_tokenizer.run(context)
    assert [indices for _, indices, *_ in seen[:3]] != [indices for _, indices, *_ in seen[3:]]
    name = "encoder.latent_tokens"
    assert not torch.equal(seen[0][3][name], seen[3][3][name])
