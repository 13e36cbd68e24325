import pytest
import torch

from vtbench.errors import StoreError
from vtbench.runner.build import build_tokenizer
from vtbench.schema.record import StageRecord
from vtbench.train import checkpoint


def save_weights(context, with_average):
    """Write a last checkpoint whose weights are all 1 and whose average, if there is one, is all 2."""
    model = build_tokenizer(context.spec.config.tokenizer).state_dict()
    average = {name: torch.full_like(value, 2) for name, value in model.items()} if with_average else None
    state = {"model": {name: torch.full_like(value, 1) for name, value in model.items()}, "ema": average}
    checkpoint.save(context.checkpoint_dir, context.spec.config.train.steps, state)


@pytest.mark.parametrize(("overrides", "value", "name"), [({}, 2, "ema@3"), ({"train__ema": None}, 1, "model@3")])
def test_the_average_is_measured_if_there_is_one(make_plan, open_context, overrides, value, name):
    with open_context(make_plan(**overrides)) as context:
        save_weights(context, with_average=not overrides)
        assert context.weights_id == name
        model = context.trained_tokenizer()
        assert not model.training
        assert all((parameter == value).all() for parameter in model.parameters())


def test_without_the_last_checkpoint_nothing_is_measured(make_plan, open_context):
    with open_context(make_plan()) as context:
        checkpoint.save(context.checkpoint_dir, 2, {"model": {}, "ema": None})
        with pytest.raises(StoreError, match=r"step-00000003\.pt are missing; run again with --fresh"):
            context.trained_tokenizer()


def test_both_splits_are_opened_once(make_plan, open_context, store):
    with open_context(make_plan()) as context:
        assert context.train_data is context.train_data
        assert len(context.train_data) == len(context.val_data) == 4
        assert context.train_data.content_key != context.val_data.content_key


def test_only_a_stage_that_ended_well_is_done(make_plan, open_context):
    with open_context(make_plan()) as context:
        for status, done in (("running", False), ("failed", False), ("done", True)):
            assert not context.is_done("a")
            context.writer.set_stage(StageRecord(name="a", status=status))
            assert context.is_done("a") is done
