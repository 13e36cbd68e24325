import pytest
import torch
from torch import nn

from vtbench.cost.tokenizer import count_tokenizer, measure_tokenizer
from vtbench.errors import ResolutionError
from vtbench.models.quantizers.output import QuantizerOutput
from vtbench.models.tokenizers.base import Geometry, Tokenizer
from vtbench.models.tokenizers.vibetoken import VibeToken, VibeTokenConfig
from vtbench.schema.base import Frozen

_WHOLE = Geometry()


class _PatchTokenizer(Tokenizer):
    """Patches of 4 x 4 pixels -> 6 channels -> the nearest of 10 entries -> patches; keeps the first `num_tokens`."""

    Config = Frozen
    max_num_tokens = 16

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 6, 4, stride=4)
        self.codebook = nn.Parameter(torch.randn(10, 6))
        self.unembed = nn.Linear(6, 48)

    def encode(self, images, geometry=_WHOLE):
        return self.embed(images).flatten(2).transpose(1, 2)[:, : geometry.num_tokens]

    def quantize(self, latents):
        indices = torch.cdist(latents, self.codebook).argmin(-1)[:, None]
        z_q = self.lookup(indices)
        return QuantizerOutput(z_q=z_q, indices=indices, loss=torch.zeros(()), stats={"usage": indices.float().mean()})

    def lookup(self, indices):
        return self.codebook[indices[:, 0]]

    def decode(self, z_q, size, geometry=_WHOLE):
        mean = self.unembed(z_q).unflatten(-1, (3, 16)).mean(dim=(1, 3))
        return mean[:, :, None, None].expand(-1, -1, *size)

    def check(self, size, num_tokens=None):
        if size[0] % 4 or size[1] % 4:
            raise ResolutionError(f"patches of 4 pixels do not tile {size[0]}x{size[1]}")


def test_encode_quantize_and_decode_are_counted_apart():
    cost = count_tokenizer(_PatchTokenizer(), (16, 16), num_tokens=8)
    assert cost.encode.macs == 16 * 48 * 6
    assert cost.quantize.macs == 8 * 10 * 6
    assert cost.decode.macs == 8 * 6 * 48
    assert cost.macs == 16 * 48 * 6 + 8 * 10 * 6 + 8 * 6 * 48
    assert cost.gflops == pytest.approx(2 * cost.macs / 1e9)
    assert cost.num_parameters == (48 * 6 + 6) + 60 + (6 * 48 + 48)


def test_a_size_that_does_not_fit_is_refused_before_counting():
    with pytest.raises(ResolutionError):
        count_tokenizer(_PatchTokenizer(), (18, 16))


def test_measured_values_name_their_point_and_say_what_a_machine_decides():
    model = _PatchTokenizer().train()
    values = measure_tokenizer(
        model, torch.rand(2, 3, 16, 16), checkpoint="final", num_tokens=(None, 8), repeats=2, warmup=0
    )
    assert [value.name for value in values] == [
        "num_parameters",
        *2 * ["gflops", "images_per_second_encode", "images_per_second_decode", "peak_memory_bytes"],
    ]
    by_key = {value.key: value for value in values}
    assert len(by_key) == len(values)
    assert {value.name for value in values if value.deterministic} == {"num_parameters", "gflops"}
    full, short = (value for value in values if value.name == "gflops")
    assert full.params == {"resolution": "16x16", "num_tokens": None, "convention": "full"}
    assert short.params["num_tokens"] == 8
    assert full.value > short.value
    speed = values[2]
    assert speed.interval is not None
    assert 0 < speed.interval[0] <= speed.value <= speed.interval[1]
    assert speed.num_samples == 2
    assert values[4].value > 2**20
    assert model.training


def test_counting_again_gives_the_same_key_and_value():
    images = torch.rand(1, 3, 16, 16)
    first, second = (
        measure_tokenizer(_PatchTokenizer(), images, checkpoint="final", repeats=1, warmup=0)[:2] for _ in range(2)
    )
    assert [(value.key, value.value) for value in first] == [(value.key, value.value) for value in second]


def _hooked_gflops(cost):
    products = (*cost.encode.products, *cost.quantize.products, *cost.decode.products)
    return 2 * sum(product.macs for product in products if product.hooked) / 1e9


@pytest.mark.parametrize(
    ("options", "full", "hooked"),
    [
        ({"patch_embed": "fixed", "pos_embed": "grid"}, 1065.8, 298.9),
        ({"patch_embed": "fixed", "pos_embed": "rope"}, 1065.8, 298.9),
        ({"patch_embed": "fixed", "pos_embed": "rope_learnable"}, 1065.8, 444.9),
        ({"patch_embed": "pinv"}, 189.5, 89.5),
    ],
)
def test_vibetoken_small_small_costs_what_its_formulas_say_and_hooks_see_what_was_published(options, full, hooked):
    """Small-Small at 1024 x 1024, L = 256: the formulas of all its linear layers, attention and convolutions, added up.

    The formulas leave out the quantizer (counted apart here) and the learned blur (0.16 of the 189.6).
    """
    with torch.device("meta"):
        model = VibeToken(VibeTokenConfig(**options))
    cost = count_tokenizer(model, (1024, 1024), 256)
    assert (cost.encode.flops + cost.decode.flops) / 1e9 == pytest.approx(full, rel=1e-3)
    assert cost.quantize.macs == 256 * 8 * 4096 * 32
    assert _hooked_gflops(cost) == pytest.approx(hooked, rel=1e-3)


@pytest.mark.parametrize(("side", "patch"), [(256, 8), (512, 16), (1024, 32)])
def test_vibetoken_large_large_costs_about_the_same_at_each_resolution(side, patch):
    with torch.device("meta"):
        model = VibeToken(VibeTokenConfig(encoder="large", decoder="large"))
    cost = count_tokenizer(model, (side, side), 256, patch)
    assert 1038.0 < _hooked_gflops(cost) < 1045.0
    assert cost.gflops == pytest.approx(1880, rel=0.01)


def test_a_batch_and_a_patch_can_be_asked_for():
    with torch.device("meta"):
        model = VibeToken(VibeTokenConfig(encoder="tiny", decoder="tiny"))
    one = count_tokenizer(model, (512, 512), 4, patch=32)
    assert count_tokenizer(model, (512, 512), 4, patch=32, batch_size=3).macs == 3 * one.macs
    assert 2 * one.macs < count_tokenizer(model, (512, 512), 4).macs
