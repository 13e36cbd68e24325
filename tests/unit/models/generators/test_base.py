import pytest
import torch
from torch import nn

from vtbench.cost.flops import count_flops
from vtbench.errors import ResolutionError
from vtbench.models.generators.base import Condition, Generator
from vtbench.models.generators.guidance import guide, interval

NAMES = ["flextok_ar", "llamagen", "vibetoken_gen"]
every = pytest.mark.parametrize("name", NAMES)


def _codes(model, batch, tokens, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(model.codebook_size, (batch, model.num_codebooks, tokens), generator=draw)


@every
def test_shapes_are_what_the_interface_says(build, condition, name):
    model = build(name)
    codes = _codes(model, 2, 5)
    hidden = model.hidden(codes, condition(2))
    assert hidden.shape == (2, 6, 32)
    assert model.hidden(None, condition(2)).shape == (2, 1, 32)
    shape = (2, 5, model.num_codebooks, model.codebook_size)
    assert model.logits(hidden[:, :-1], codes).shape == shape
    assert model(codes, condition(2)).shape == shape
    assert model.max_num_tokens == 6


@every
@pytest.mark.parametrize("as_tensor", [False, True])
def test_cached_logits_are_the_uncached_ones_at_every_place(build, condition, name, as_tensor):
    model = build(name)
    codes = _codes(model, 3, 6)
    with torch.no_grad():
        whole = model(codes, condition(3))
        full = model.hidden(codes, condition(3))
        cache = model.new_cache(3, 6)
        hidden = model.prefill(condition(3), cache)
        for place in range(7):
            torch.testing.assert_close(hidden[:, 0], full[:, place], atol=1e-4, rtol=0)
            if place == 6:
                break
            token = codes[:, :, place : place + 1]
            torch.testing.assert_close(model.logits(hidden, token)[:, 0], whole[:, place], atol=1e-4, rtol=0)
            torch.testing.assert_close(_seen_while_sampling(model, hidden, token), whole[:, place], atol=1e-4, rtol=0)
            hidden = model.step(token, torch.tensor(1 + place) if as_tensor else 1 + place, cache)
    assert whole.std() > 0.1


def _seen_while_sampling(model, hidden, token):
    """Return the logits (batch, codebooks, entries) that `sample_token` chooses from when `token` is chosen."""
    seen, codes = [], iter(token[:, :, 0].unbind(1))

    def choose(logits):
        seen.append(logits)
        return next(codes)

    assert torch.equal(model.sample_token(hidden, choose), token)
    return torch.stack(seen, dim=1)


@every
def test_logits_of_a_token_depend_on_what_stands_before_it_alone(build, condition, name):
    model = build(name)
    codes = _codes(model, 1, 6)
    changed = codes.clone()
    changed[:, :, 3] = (changed[:, :, 3] + 1) % model.codebook_size
    difference = (model(codes, condition(1)) - model(changed, condition(1))).abs().amax(dim=(0, 3))
    assert not difference[:3].any()
    assert not difference[3, 0]
    assert (difference[4:] > 1e-3).all()


@every
def test_the_class_and_the_order_of_tokens_matter(build, condition, name):
    model = build(name)
    codes = _codes(model, 1, 6)
    here = model(codes, condition(1))
    other = Condition(labels=torch.tensor([3]), height=condition(1).height, width=condition(1).width)
    assert not torch.allclose(model(codes, other)[:, 0], here[:, 0], atol=1e-3)
    swapped = codes[:, :, [1, 0, 2, 3, 4, 5]]
    assert not torch.allclose(model(swapped, condition(1))[:, -1], here[:, -1], atol=1e-3)


@every
def test_greedy_codes_are_the_likeliest_given_themselves(build, condition, name):
    model = build(name)
    codes = model.generate(condition(3), greedy=True)
    assert codes.shape == (3, model.num_codebooks, 6)
    assert codes.dtype == torch.int64
    assert torch.equal(model(codes, condition(3)).argmax(-1).transpose(1, 2), codes)


@every
def test_guided_codes_are_the_likeliest_under_guidance(build, condition, name):
    model, both = build(name), condition(3)
    codes = model.generate(both, greedy=True, cfg_scale=interval(3.0, 1, 3))
    none = Condition(labels=torch.full((3,), 5), height=both.height, width=both.width)
    conditional, unconditional = model(codes, both), model(codes, none)
    logits = conditional.clone()
    logits[:, 1:4] = guide(conditional[:, 1:4], unconditional[:, 1:4], 3.0)
    assert torch.equal(logits.argmax(-1).transpose(1, 2), codes)
    assert not torch.equal(codes, model.generate(both, greedy=True))


@every
@pytest.mark.parametrize("greedy", [True, False])
def test_a_scale_of_1_is_no_guidance(build, condition, name, greedy):
    model, seeds = build(name), [3, 1, 2]
    plain = model.generate(condition(3), seeds=seeds, greedy=greedy)
    assert torch.equal(model.generate(condition(3), seeds=seeds, greedy=greedy, cfg_scale=1.0), plain)
    assert torch.equal(model.generate(condition(3), seeds=seeds, greedy=greedy, cfg_scale=lambda token: 1.0), plain)


@every
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_an_image_is_the_same_in_any_batch(build, condition, name, scale):
    model, seeds = build(name), [11, 12, 13, 14, 15]
    together = model.generate(condition(5), seeds=seeds, cfg_scale=scale)
    for i in range(5):
        whole = condition(5)
        alone = Condition(labels=whole.labels[i : i + 1], height=whole.height[i : i + 1], width=whole.width[i : i + 1])
        assert torch.equal(model.generate(alone, seeds=seeds[i : i + 1], cfg_scale=scale)[0], together[i])
    assert len({tuple(image.flatten().tolist()) for image in together}) == 5


@every
def test_seeds_decide_and_nothing_else(build, condition, name):
    model = build(name)
    torch.manual_seed(1)
    first = model.generate(condition(2), seeds=[1, 2])
    torch.manual_seed(2)
    assert torch.equal(model.generate(condition(2), seeds=[1, 2]), first)
    assert not torch.equal(model.generate(condition(2), seeds=[1, 3])[1], first[1])


@every
def test_fewer_tokens_are_the_beginning_of_more(build, condition, name):
    model = build(name)
    whole = model.generate(condition(2), seeds=[1, 2], cfg_scale=1.5)
    assert torch.equal(model.generate(condition(2), 4, seeds=[1, 2], cfg_scale=1.5), whole[:, :, :4])


@every
def test_steps_of_the_same_shapes_give_the_same_codes(build, condition, name):
    model, scale = build(name), interval(2.0, 0, 2)
    usual = model.generate(condition(3), seeds=[1, 2, 3], cfg_scale=scale, top_k=5, top_p=0.9)
    same = model.generate(condition(3), seeds=[1, 2, 3], cfg_scale=scale, top_k=5, top_p=0.9, same_shapes=True)
    assert torch.equal(same, usual)


@every
def test_draws_follow_the_model(build, name):
    model = build(name)
    one = Condition(labels=torch.tensor([2]), height=torch.tensor([256.0]), width=torch.tensor([256.0]))
    many = Condition(labels=torch.full((4000,), 2), height=torch.full((4000,), 256.0), width=torch.full((4000,), 256.0))
    codes = model.generate(many, 1, seeds=range(4000))[:, 0, 0]
    expected = model(codes[:1, None, None].expand(1, model.num_codebooks, 1), one)[0, 0, 0].softmax(-1)
    found = torch.bincount(codes, minlength=model.codebook_size) / 4000
    torch.testing.assert_close(found, expected.detach(), atol=0.035, rtol=0)


@every
def test_sampling_leaves_dropout_off_and_the_mode_as_it_was(build, condition, name):
    model = build(name).train()
    first = model.generate(condition(2), greedy=True)
    assert torch.equal(model.generate(condition(2), greedy=True), first)
    assert model.training


@every
def test_training_drops_things_and_evaluation_none(build, condition, name):
    model = build(name)
    codes = _codes(model, 2, 4)
    torch.testing.assert_close(model(codes, condition(2)), model(codes, condition(2)))
    model.train()
    assert not torch.allclose(model(codes, condition(2)), model(codes, condition(2)))


@every
def test_training_sees_no_class_where_the_label_is_dropped(build, condition, name):
    off = {"token_dropout": 0.0, "attention_dropout": 0.0, "residual_dropout": 0.0, "ffn_dropout": 0.0}
    model = build(name, condition_dropout=0.5, **off)
    codes = _codes(model, 8, 4)
    dropped = model.drop_labels(condition(8), torch.Generator().manual_seed(3))
    assert 0 < (dropped.labels == 5).sum() < 8
    expected = model(codes, dropped)
    model.train()
    torch.testing.assert_close(model(codes, condition(8), torch.Generator().manual_seed(3)), expected)
    torch.manual_seed(3)
    torch.testing.assert_close(model(codes, condition(8)), expected)


def test_a_tenth_of_the_labels_is_dropped_and_the_size_never(build):
    model = build("vibetoken_gen")
    size = torch.full((20000,), 512.0)
    dropped = model.drop_labels(Condition(labels=torch.full((20000,), 2), height=size, width=size))
    assert (dropped.labels == 5).float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert set(dropped.labels.tolist()) == {2, 5}
    assert dropped.height is size


@every
def test_every_parameter_is_reached_by_gradients(build, condition, name):
    model = build(name)
    model(_codes(model, 16, 6), condition(16)).pow(2).mean().backward()
    assert [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@every
def test_a_new_model_says_nothing_yet(build, condition, name):
    kind = type(build(name))
    model = kind(build(name).config).eval()
    assert not model(_codes(model, 2, 3), condition(2)).any()


@every
def test_a_wrong_number_of_seeds_or_tokens_is_refused(build, condition, name):
    model = build(name)
    with pytest.raises(ValueError, match="2 images need 2 seeds, got 0"):
        model.generate(condition(2))
    with pytest.raises(ValueError, match="2 images need 2 seeds, got 3"):
        model.generate(condition(2), seeds=[1, 2, 3])
    for tokens in (0, 7):
        with pytest.raises(ResolutionError, match=f"{tokens} tokens asked for; this model has 1 to 6"):
            model.generate(condition(2), tokens, greedy=True)


@every
def test_sampling_asks_nothing_of_the_device(build, condition, name):
    """On the meta device there are no values, so whatever waited for one would fail."""
    model = build(name).to("meta")
    for same_shapes in (False, True):
        codes = model.generate(
            condition(2, "meta"),
            3,
            seeds=[1, 2],
            cfg_scale=interval(2.0, 0, 1),
            top_k=3,
            top_p=0.5,
            same_shapes=same_shapes,
        )
        assert codes.shape == (2, model.num_codebooks, 3)


class _Whole(nn.Module):
    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def forward(self, indices, labels, height, width):
        return self.generator(indices, Condition(labels=labels, height=height, width=width))


class _Step(nn.Module):
    def __init__(self, generator, position):
        super().__init__()
        self.generator, self.position = generator, position

    def forward(self, indices):
        return self.generator.step(indices, self.position, self.generator.new_cache(indices.shape[0], 6))


class _Token(nn.Module):
    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def forward(self, hidden):
        return self.generator.sample_token(hidden, lambda logits: logits.argmax(-1))


@every
def test_work_can_be_counted_and_told_apart(build, condition, name):
    model, one = build(name), condition(1)
    whole = count_flops(_Whole(model), _codes(model, 1, 6), one.labels, one.height, one.width)
    parts = {part: whole.by_module[f"generator.{part}"] for part in ("trunk", "head")}
    linear = sum(p.numel() for key, p in model.trunk.named_parameters() if p.ndim == 2)
    assert parts["trunk"] == 6 * linear + 2 * 2 * 6 * 6 * 32
    outside = 2 * 32 if name == "vibetoken_gen" else 0
    assert parts["trunk"] + parts["head"] + outside == whole.macs
    step = count_flops(_Step(model, 3), _codes(model, 1, 1))
    assert step.by_module["generator.trunk"] == step.macs == linear + 2 * 2 * 4 * 32
    token = count_flops(_Token(model), torch.zeros(1, 1, 32))
    assert token.by_module["generator.head"] == token.macs > 0


def test_a_generator_that_lacks_a_part_cannot_be_made():
    with pytest.raises(TypeError, match="sample_token"):
        Generator()


def test_a_condition_and_its_twin_share_the_size(condition):
    twice = condition(2).twice(torch.tensor([5, 5]))
    assert twice.labels.tolist() == [0, 1, 5, 5]
    assert twice.height.tolist() == [256, 320, 256, 320]
    assert Condition(labels=torch.tensor([1])).twice(torch.tensor([5])).width is None
