import math

import numpy as np
import pytest
import torch

from vtbench.data.token_batches import TokenBatches
from vtbench.models.generators.base import GeneratorSize
from vtbench.models.generators.vibetoken_gen import VibeTokenGen, VibeTokenGenConfig
from vtbench.schema.run import OptimizerConfig, TrainConfig
from vtbench.seeding import derive, seed_everything
from vtbench.train.generator_step import GeneratorStep, code_losses
from vtbench.train.loop import Loop

NUM_CODEBOOKS, ENTRIES, TOKENS = 3, 6, 4
SIZE = GeneratorSize(width=16, num_layers=2, num_heads=2)


@pytest.fixture
def config():
    return TrainConfig(
        steps=8,
        batch_size=4,
        optimizer=OptimizerConfig(name="muon", learning_rate=1e-2),
        checkpoint_every=3,
        log_every=1,
    )


@pytest.fixture
def make_step(config):
    """Return a step as the runner makes one, and its batches."""

    def make_step(seed=0, options=None, **changes):
        seed_everything(derive(seed, "init"))
        sizes = {"num_codebooks": NUM_CODEBOOKS, "codebook_size": ENTRIES, "max_num_tokens": TOKENS}
        usual = {"size": SIZE, "num_head_layers": 1, "num_classes": 2, **sizes}
        model = VibeTokenGen(VibeTokenGenConfig(**{**usual, **(options or {})}))
        seed_everything(derive(seed, "train"))
        changed = config.model_copy(update=changes)
        codes = np.random.default_rng(0).integers(0, ENTRIES, (5, 1, 2, NUM_CODEBOOKS, TOKENS), dtype=np.uint8)
        batches = TokenBatches(codes, np.arange(5) % 2, ("16x16",), changed, seed)
        return GeneratorStep(model, changed, seed), batches

    return make_step


NO_DROPOUT = dict.fromkeys(("condition_dropout", "token_dropout", "residual_dropout", "ffn_dropout"), 0.0)


def run(step, batches, first, end):
    return [step.run(number, batches.batch(number)) for number in range(first, end)]


def test_the_loss_is_a_mean_over_codes_tokens_and_images(make_step):
    step, batches = make_step()
    (found,) = run(step, batches, 0, 1)
    assert float(found["loss"]) == pytest.approx(math.log(ENTRIES))  # the output layer begins at zero
    places = [float(found[f"loss_code_{place}"]) for place in range(NUM_CODEBOOKS)]
    assert sum(places) / NUM_CODEBOOKS == pytest.approx(float(found["loss"]))
    assert float(found["grad_norm"]) > 0

    logits = torch.zeros(1, 2, 2, 4)
    logits[0, 0, 1, 3] = 2.0
    codes = torch.tensor([[[0, 0], [3, 1]]])
    wanted = (math.log(3 + math.exp(2)) - 2 + math.log(4)) / 2
    assert code_losses(logits, codes).tolist() == pytest.approx([math.log(4), wanted])


def test_it_learns_what_it_sees(make_step):
    step, batches = make_step(options=NO_DROPOUT, steps=200)
    found = [float(values["loss"]) for values in run(step, batches, 0, 60)]
    assert np.mean(found[-5:]) < 0.6 * found[0]


def test_parts_show_in_nothing_but_rounding(make_step):
    whole, batches = make_step(options=NO_DROPOUT)
    parts, _ = make_step(options=NO_DROPOUT, grad_accumulation=2)
    one, two = run(whole, batches, 0, 3), run(parts, batches, 0, 3)
    for a, b in zip(one, two, strict=True):
        for name in ("loss", "grad_norm", "loss_code_1"):
            torch.testing.assert_close(a[name], b[name], rtol=1e-4, atol=1e-5)
    for parameter, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad, rtol=1e-3, atol=1e-4)


def test_the_same_labels_are_dropped_at_a_step_whatever_came_before(make_step, monkeypatch):
    seen = []
    monkeypatch.setattr(
        VibeTokenGen,
        "drop_labels",
        lambda self, condition, generator=None: seen.append(torch.rand(4, generator=generator)) or condition,
    )
    step, batches = make_step()
    run(step, batches, 0, 3)
    torch.manual_seed(99)
    run(step, batches, 2, 3)
    assert torch.equal(seen[2], seen[3])
    assert not torch.equal(seen[1], seen[2])


def test_a_stopped_run_ends_bitwise_like_an_undisturbed_one(make_step, config, tmp_path, journal, same):
    """With dropout, an average and two optimisers; the checkpoint is what a run that was killed goes on from."""

    def train(name, end):
        step, batches = make_step()
        died = []

        def iterate(first, last):
            for number in range(first, last):
                if number == end:
                    died.append(number)
                    raise ConnectionError
                yield batches.batch(number)

        try:
            Loop(step, iterate, config, tmp_path / name, journal, "train").run()
        except ConnectionError:
            assert died
        return step

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = train("whole", None)
    lines = list(journal.lines)
    journal.lines.clear()
    train("killed", 5)
    assert [line["step"] for line in journal.lines] == list(range(5))
    again = train("killed", None)
    assert journal.lines == lines
    assert same(again.state_dict(), whole.state_dict())
