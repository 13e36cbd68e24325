import pytest
import torch

from vtbench.errors import StoreError
from vtbench.models.tokenizers.base import Geometry
from vtbench.runner.execute import execute
from vtbench.runner.stages import cache_tokens
from vtbench.seeding import rng


@pytest.fixture
def plan(make_generator_plan):
    return make_generator_plan(generator__tokens={"resolutions": ["16x16", "32x32"], "num_tokens": 3})


@pytest.fixture
def generator_id(plan):
    return plan.cells[0].run_id


@pytest.fixture
def tokenizer(store, plan, generator_id):
    """Train the tokenizer that the first generator needs."""
    return execute(store, plan, plan.runs[generator_id].needs[0])


def test_the_tokens_are_the_trained_tokenizers(plan, generator_id, tokenizer, open_context):
    with open_context(plan, generator_id) as context:
        cache_tokens.run(context)
        codes = context.token_cache.codes()
        assert codes.shape == (4, 2, 2, 4, 3)
        image = context.train_data.training_pair([2], (32, 32), (32, 32), rng(0, "token view", 2, 0), flip=False)[0]
        with torch.no_grad():
            wanted = context.trained_tokenizer().tokenize(image.float() / 255, Geometry(num_tokens=3))
        assert torch.equal(torch.from_numpy(codes[2, 1, 0].astype("int64")), wanted[0])
        assert context.is_done(cache_tokens.NAME)
        before = context.token_cache.path.stat().st_mtime_ns
        cache_tokens.run(context)
        assert context.token_cache.path.stat().st_mtime_ns == before


def test_a_tokenizer_that_was_not_trained_is_named(plan, generator_id, open_context):
    need = plan.runs[generator_id].needs[0]
    with open_context(plan, generator_id) as context, pytest.raises(StoreError, match=f"the run {need}, which"):
        cache_tokens.run(context)
