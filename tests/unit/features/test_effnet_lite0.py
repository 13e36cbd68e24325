"""EfficientNet-Lite0 is the published network: it names photographs, and equals a plain reading of its weights file."""

import pytest
import torch
from skimage import data
from torch.nn import functional as F

from vtbench.features import FEATURES
from vtbench.features.effnet_lite0 import EffnetLite0
from vtbench.features.network import LOGITS, POOLED, SPATIAL

EXPAND, DEPTHWISE, PROJECT = "_expand_conv", "_depthwise_conv", "_project_conv"
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
FIRST_OF_STAGE = (0, 1, 3, 5, 8, 11, 15)


@pytest.fixture(scope="module")
def network():
    return EffnetLite0()


def _photograph(name):
    image = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)
    side = min(image.shape[1:])
    top, left = ((size - side) // 2 for size in image.shape[1:])
    return image[None, :, top : top + side, left : left + side]


@pytest.mark.parametrize(("name", "label"), [("cat", 285), ("coffee", 967), ("rocket", 657)])
def test_names_photographs(network, name, label):
    assert network.logits(_photograph(name) / 255).argmax().item() == label


def _plain(state, x, stages):
    """Return the feature map after each stage: convolution, then batch normalisation, nothing folded."""

    def unit(x, conv, norm, stride=1, activate=True):
        weight = state[f"{conv}.weight"]
        size, kernel = x.shape[-1], weight.shape[-1]
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        x = F.pad(x, (total // 2, total - total // 2) * 2)
        x = F.conv2d(x, weight, stride=stride, groups=x.shape[1] if weight.shape[1] == 1 else 1)
        statistics = [state[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
        x = F.batch_norm(x, *statistics, eps=1e-3)
        return F.relu6(x) if activate else x

    x = unit((x * 255 - 127) / 128, "_conv_stem", "_bn0", stride=2)
    maps = []
    for index, stride in enumerate(STRIDES):
        key, inner = f"_blocks.{index}.", x
        if f"{key}{EXPAND}.weight" in state:
            inner = unit(inner, key + EXPAND, f"{key}_bn0")
        inner = unit(inner, key + DEPTHWISE, f"{key}_bn1", stride)
        inner = unit(inner, key + PROJECT, f"{key}_bn2", activate=False)
        if index in FIRST_OF_STAGE and index:
            maps.append(x)
        x = inner if index in FIRST_OF_STAGE else x + inner
    return [*maps, x], unit(x, "_conv_head", "_bn1").mean(dim=(2, 3))


@pytest.mark.parametrize("side", [224, 61])
def test_folding_leaves_the_function_alone(network, side):
    state = torch.load(EffnetLite0.weights_path(), weights_only=True)
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    maps, pooled = _plain(state, image, STRIDES)
    for ours, theirs in zip(network.pyramid(image), [maps[i] for i in (0, 1, 2, 4, 6)], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    if side == 224:
        torch.testing.assert_close(network(image), pooled, rtol=1e-3, atol=1e-4)


def test_uint8_and_unit_range_are_the_same_images(network):
    images = torch.randint(0, 256, (2, 3, 40, 56), dtype=torch.uint8)
    features = network.features(images)
    assert features.shape == (2, 1280)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, network(images / 255))


def test_one_pass_gives_every_layer(network, monkeypatch):
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    passes = []
    network.stem.register_forward_hook(lambda *_: passes.append(1))
    layers = network.extract(images, tuple(network.layers))
    assert len(passes) == 1
    assert {name: tuple(rows.shape[1:]) for name, rows in layers.items()} == dict(network.layers)
    torch.testing.assert_close(layers[POOLED], network.features(images))
    torch.testing.assert_close(layers[LOGITS], network.logits(images / 255))
    at_stride_16 = network.pyramid(images / 255)[3]
    torch.testing.assert_close(layers[SPATIAL], at_stride_16[:, :7].flatten(1))
    assert set(network.extract(images, (LOGITS,))) == {LOGITS}


def test_images_that_are_not_rounded(network):
    images = torch.randint(0, 256, (2, 3, 40, 56), dtype=torch.uint8)
    torch.testing.assert_close(network.features(images.float()), network.features(images))
    assert not torch.equal(network.features(images.float() + 0.4), network.features(images))


def test_pyramid_keeps_the_native_size_and_passes_gradients(network):
    images = torch.rand(2, 3, 48, 33, requires_grad=True)
    maps = network.pyramid(images)
    assert [tuple(m.shape[1:]) for m in maps] == [(16, 24, 17), (24, 12, 9), (40, 6, 5), (112, 3, 3), (320, 2, 2)]
    sum(m.square().mean() for m in maps).backward()
    assert (images.grad.abs().amax(dim=(1, 2, 3)) > 0).all()
    assert network.pyramid(images.detach(), resize=66)[0].shape[-2:] == (48, 33)


def test_stays_frozen_inside_a_module_that_trains(network):
    torch.nn.ModuleList([network]).train()
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_is_the_registered_one():
    assert FEATURES.load("effnet_lite0") is EffnetLite0
    assert EffnetLite0.weights_sha256().startswith("57934424")  # torch.hub's habit: the name holds the hash's beginning
