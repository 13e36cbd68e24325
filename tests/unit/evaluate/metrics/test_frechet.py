"""The Frechet distances of the table are torch-fidelity's, over the network that they name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from vtbench.data.icons import Icons
from vtbench.errors import DataError
from vtbench.evaluate.metric import Measured
from vtbench.evaluate.metrics.frechet import RfdEffnet, Rfid
from vtbench.evaluate.one_pass import Source, measure
from vtbench.evaluate.reference_features import _loaded
from vtbench.features import inception
from vtbench.features.effnet_lite0 import EffnetLite0
from vtbench.features.fidelity import register


class _Pairs(Source):
    paired, batch_size = True, 16

    def __init__(self, reference, produced):
        self._sides = reference, produced
        self.size, self.about = tuple(reference.shape[-2:]), {}
        self.num_reference = self.num_produced = len(reference)

    def reference(self, positions):
        return self._sides[0][positions.start : positions.stop]

    def produced(self, positions, reference, perturb, with_codes):
        return self._sides[1][positions.start : positions.stop], None


class _Images(Dataset):
    def __init__(self, images):
        self._images = images

    def __len__(self):
        return len(self._images)

    def __getitem__(self, index):
        return self._images[index]


def _theirs(reference, produced, **extractor):
    options = {"batch_size": 16, "cuda": False, "cache": False, "save_cpu_ram": True, "verbose": False}
    found = calculate_metrics(input1=_Images(produced), input2=_Images(reference), fid=True, **options, **extractor)
    return found["frechet_inception_distance"]


def _ours(metric, reference, produced, folder):
    taken = measure([metric], _Pairs(reference, produced), folder / "rows", folder / "cache")
    return metric.compute(taken.measured).value


def _icons(num, cache):
    """Return icons at 32x32 and blurred ones."""
    icons = Icons(Icons.Config(), "train", cache).images(range(num), (32, 32))
    return icons, torch.nn.functional.avg_pool2d(icons.float(), 3, stride=1, padding=1).round().to(torch.uint8)


def test_equals_torch_fidelity(photographs, spoil, tmp_path):
    reference = photographs(40, 32)
    produced = spoil(reference, 10)
    theirs = _theirs(reference, produced, feature_extractor=register("effnet_lite0"))
    assert theirs > 1
    assert _ours(RfdEffnet(), reference, produced, tmp_path) == pytest.approx(theirs, rel=1e-4)


@pytest.mark.slow
def test_300_images_over_effnet(tmp_path):
    pairs = _icons(300, tmp_path)
    theirs = _theirs(*pairs, feature_extractor=register("effnet_lite0"))
    assert theirs > 1
    assert _ours(RfdEffnet(), *pairs, tmp_path) == pytest.approx(theirs, rel=1e-4)


def _random_inception(path):
    """Write weights of the right shapes, with activations that neither vanish nor explode."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "load", lambda *args, **options: None)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path="none")
    generator = torch.Generator().manual_seed(0)
    state = network.state_dict()
    for name, weight in state.items():
        if name.endswith("conv.weight"):
            fan_in = weight[0].numel()
            weight.copy_(torch.randn(weight.shape, generator=generator) * (2 / fan_in) ** 0.5)
    torch.save(state, path)


@pytest.mark.slow
def test_300_images_over_inception(tmp_path, monkeypatch):
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(inception, "FILE_NAME", "random.pth")
    path = tmp_path / "random.pth"
    _random_inception(path)
    pairs = _icons(300, tmp_path)
    theirs = _theirs(*pairs, feature_extractor="inception-v3-compat", feature_extractor_weights_path=str(path))
    assert theirs > 1e-3
    _loaded.cache_clear()
    assert _ours(Rfid(), *pairs, tmp_path) == pytest.approx(theirs, rel=1e-4)
    _loaded.cache_clear()


def test_the_network_runs_over_references_once(photographs, spoil, tmp_path, monkeypatch):
    passes = []

    def forward_layers(self, images, layers, real=EffnetLite0.forward_layers):
        passes.append(len(images))
        return real(self, images, layers)

    monkeypatch.setattr(EffnetLite0, "forward_layers", forward_layers)
    reference = photographs(20, 24)
    first = _ours(RfdEffnet(), reference, spoil(reference, 10), tmp_path / "a")
    assert passes == [16, 4] * 2
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "cache").symlink_to(tmp_path / "a" / "cache")
    second = _ours(RfdEffnet(), reference, spoil(reference, 60), tmp_path / "b")
    assert passes == [16, 4] * 3
    assert 0 < second < first


@pytest.mark.parametrize("num", [30, pytest.param(1400, marks=pytest.mark.slow)])
def test_both_ways_of_computing_it(num):
    draw = np.random.default_rng(0)
    rows = {quantity.key: draw.normal(size=(num, 1280)) * spread for quantity, spread in _sides((1.0, 2.0))}
    # 1280 independent features of variance 1 and 4: about 1280 (2 - 1)^2 where there are many images
    value = RfdEffnet().compute(Measured(rows)).value
    assert value > 1280


def _sides(spreads):
    return zip((RfdEffnet.reference(), RfdEffnet.produced()), spreads, strict=True)


def test_one_image_has_no_covariance():
    with pytest.raises(DataError, match="at least 2"):
        RfdEffnet().compute(Measured({quantity.key: np.zeros((1, 1280)) for quantity, _ in _sides((1, 1))}))


def test_protocol_names_network_and_weights():
    protocol = RfdEffnet.protocol()
    assert "effnet_lite0" in protocol.values()
    assert len(protocol["weights_sha256"]) == 64
    assert protocol["feature_batch"] == 16
    assert Rfid.min_samples == RfdEffnet.min_samples == 2048
    assert Rfid.network == "inception"
    assert Path(EffnetLite0.weights_path()).is_file()
