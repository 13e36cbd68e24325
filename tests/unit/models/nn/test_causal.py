import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional as F

from vtbench.models.nn.causal import CausalAttention, CausalBlock, CausalConfig, CausalTransformer, SwiGlu
from vtbench.models.nn.sequence import SequenceRope, row_angles

SIZE = {"width": 32, "num_layers": 2, "num_heads": 4}
VARIANTS = [
    {},
    {"head_norm": "qk"},
    {"head_norm": "qkv"},
    {"head_norm": "qk", "score_cap": 2.0},
]


def _build(rope=True, **options):
    torch.manual_seed(0)
    config = CausalConfig(**SIZE, ffn_multiple=8, **options)
    model = CausalTransformer(config, SequenceRope(row_angles(9, config.head_dim, 10000.0)) if rope else None)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.mark.parametrize(
    ("width", "multiple", "hidden"),
    [(768, 256, 2048), (1024, 256, 2816), (1280, 256, 3584), (1536, 256, 4096), (3200, 256, 8704), (640, 1, 1706)],
)
def test_the_swiglu_is_eight_thirds_wide_rounded_up(width, multiple, hidden):
    assert CausalConfig(width=width, num_layers=1, num_heads=1, ffn_multiple=multiple).ffn_width == hidden


def test_heads_must_share_the_width():
    with pytest.raises(ValidationError, match="no multiple of num_heads"):
        CausalConfig(width=30, num_layers=1, num_heads=4)


def test_the_swiglu_gates_its_second_half_by_its_first():
    torch.manual_seed(0)
    ffn, x = SwiGlu(8, 12), torch.randn(2, 3, 8)
    gate, up = ffn.gate_up.weight.split(12)
    torch.testing.assert_close(ffn(x), (F.silu(x @ gate.T) * (x @ up.T)) @ ffn.down.weight.T)


def test_attention_is_softmax_over_the_places_before():
    model = _build(rope=False)
    attention, x = model.blocks[0].attention, torch.randn(2, 5, 32)
    q, k, v = (part.view(2, 5, 4, 8).transpose(1, 2) for part in (x @ attention.qkv.weight.T).split(32, dim=-1))
    scores = (q @ k.mT / 8**0.5).masked_fill(torch.ones(5, 5, dtype=torch.bool).triu(1), -torch.inf)
    by_hand = (scores.softmax(-1) @ v).transpose(1, 2).reshape(2, 5, 32) @ attention.proj.weight.T
    torch.testing.assert_close(attention(x), by_hand, atol=1e-5, rtol=1e-4)


def test_a_block_adds_to_its_input_what_it_makes_of_its_norm():
    block, x = _build(rope=False).blocks[0], torch.randn(1, 4, 32)
    assert isinstance(block, CausalBlock)
    middle = x + block.attention(block.norm1(x))
    torch.testing.assert_close(block(x), middle + block.ffn(block.norm2(middle)))


@pytest.mark.parametrize("options", VARIANTS)
def test_no_place_sees_a_later_one(options):
    model, x = _build(**options), torch.randn(1, 6, 32)
    changed = x.clone()
    changed[:, 4] += 1
    difference = (model(x) - model(changed)).abs().amax(dim=(0, 2))
    assert not difference[:4].any()
    assert (difference[4:] > 1e-3).all()


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("options", VARIANTS)
def test_place_by_place_is_the_whole_at_once(options, as_tensor):
    model, x = _build(**options), torch.randn(3, 7, 32)
    with torch.no_grad():
        whole = model(x)
        cache = model.new_cache(3, 9)
        for place in range(7):
            position = torch.tensor(place) if as_tensor else place
            torch.testing.assert_close(
                model(x[:, place : place + 1], cache, position)[:, 0], whole[:, place], atol=1e-4, rtol=0
            )


def test_capped_scores_stay_below_the_cap_and_small_ones_stay_what_they_are():
    x = torch.randn(1, 6, 32)
    plain, loose, tight = (_build(score_cap=cap) for cap in (None, 1e4, 1e-6))
    torch.testing.assert_close(loose(x), plain(x), atol=1e-4, rtol=0)
    attention, values = tight.blocks[0].attention, x @ tight.blocks[0].attention.qkv.weight[64:].T
    mean = values.cumsum(1) / torch.arange(1, 7)[:, None]
    torch.testing.assert_close(attention(x), mean @ attention.proj.weight.T, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("head_norm", "letters"), [("none", ""), ("qk", "qk"), ("qkv", "qkv")])
def test_only_what_is_normalised_has_a_gain(head_norm, letters):
    attention = CausalAttention(CausalConfig(**SIZE, head_norm=head_norm))
    assert {name for name, _ in attention.named_parameters() if "norm" in name} == {f"{x}_norm.weight" for x in letters}
    x = torch.randn(1, 3, 32)
    before = attention(x)
    with torch.no_grad():
        attention.qkv.weight[:64] *= 3
    assert torch.allclose(attention(x), before, atol=1e-4) is bool(letters)


@pytest.mark.parametrize("name", ["attention_dropout", "residual_dropout", "ffn_dropout"])
@pytest.mark.parametrize("cap", [None, 5.0])
def test_dropout_acts_in_training_alone(name, cap):
    model, x = _build(score_cap=cap, **{name: 0.5}), torch.randn(1, 5, 32)
    torch.testing.assert_close(model(x), model(x))
    model.train()
    assert not torch.allclose(model(x), model(x))


def test_without_rope_places_differ_by_what_comes_before_alone():
    x = torch.randn(1, 1, 32).expand(1, 5, 32)
    assert torch.allclose(_build(rope=False)(x)[:, 0], _build(rope=False)(x)[:, 4], atol=1e-5)
    assert not torch.allclose(_build()(x + torch.randn(1, 5, 32))[:, 1], _build()(x)[:, 1], atol=1e-3)


def test_a_cache_has_the_precision_of_the_products():
    model = _build()
    assert model.new_cache(1, 2).layers[0].keys.dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cache = model.new_cache(1, 2)
        assert cache.layers[0].keys.dtype == torch.bfloat16
        for position in (0, torch.tensor(1)):
            assert model(torch.randn(1, 1, 32), cache, position).isfinite().all()
    assert model.bfloat16().new_cache(1, 2).layers[0].keys.dtype == torch.bfloat16
