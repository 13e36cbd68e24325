"""The Frechet distance has known answers, is torch-fidelity's, and reads reference features once."""

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics

from vtbench.errors import DataError, StoreError
from vtbench.evaluate.metrics import frechet
from vtbench.evaluate.metrics.frechet import RfdEffnet, Rfid, frechet_distance
from vtbench.features.fidelity import register


def _sample(mean, covariance, num=500, seed=0):
    """Return samples whose mean and covariance are exactly these."""
    normal = np.random.default_rng(seed).normal(size=(num, len(mean)))
    normal -= normal.mean(axis=0)
    white = normal @ np.linalg.inv(np.linalg.cholesky(np.cov(normal, rowvar=False))).T
    return torch.from_numpy(white @ np.linalg.cholesky(np.asarray(covariance)).T + np.asarray(mean))


def test_gaussians_with_diagonal_covariances():
    first = _sample([1.0, 2.0, 3.0], np.diag([1.0, 4.0, 9.0]))
    second = _sample([1.0, 0.0, 6.0], np.diag([4.0, 4.0, 1.0]), seed=1)
    # |m1 - m2|^2 = 0 + 4 + 9; the covariances commute: sum (s1 - s2)^2 = 1 + 0 + 4
    assert frechet_distance(first, second) == pytest.approx(18.0, rel=1e-9)


def test_gaussians_whose_covariances_do_not_commute():
    first, second = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.3], [-0.3, 3.0]])
    # for 2 x 2 matrices tr (AB)^(1/2) = sqrt(tr AB + 2 sqrt(det AB))
    product = first @ second
    cross = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    expected = np.trace(first) + np.trace(second) - 2 * cross
    distance = frechet_distance(_sample([0.0, 0.0], first), _sample([0.0, 0.0], second, seed=1))
    assert distance == pytest.approx(expected, rel=1e-9)


@pytest.fixture(scope="module")
def pairs():
    """64 smooth images and a blurred, shifted version of each."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(64, 3, 5, 5, generator=generator)
    sharp = torch.nn.functional.interpolate(coarse, (32, 32), mode="bicubic").clamp(0, 1)
    blurred = torch.nn.functional.avg_pool2d(sharp, 5, stride=1, padding=2) * 0.9
    return (sharp * 255).byte(), (blurred * 255).byte()


class _Images(Dataset):
    def __init__(self, images):
        self._images = images

    def __len__(self):
        return len(self._images)

    def __getitem__(self, index):
        return self._images[index]


def _distance(reference, produced, sizes=16, cache=None):
    metric = RfdEffnet()
    if cache is not None:
        metric.use_cache("reference", cache)
    for pair in zip(reference.split(sizes), produced.split(sizes), strict=True):
        metric.update(*pair)
    return metric.compute()


def test_equals_torch_fidelity_over_the_registered_extractor(pairs):
    reference, produced = pairs
    theirs = calculate_metrics(
        input1=_Images(produced),
        input2=_Images(reference),
        fid=True,
        feature_extractor=register("effnet_lite0"),
        batch_size=16,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )["frechet_inception_distance"]
    assert theirs > 1
    assert _distance(reference, produced) == pytest.approx(theirs, rel=1e-4)


def test_batches_do_not_show(pairs):
    reference, produced = (images[:20] for images in pairs)
    assert _distance(reference, produced, [1, 7, 12]) == _distance(reference, produced)


def test_order_does_not_show(pairs):
    first, second = (images.double().mean(dim=(2, 3)) for images in pairs)
    order = torch.randperm(len(first), generator=torch.Generator().manual_seed(1))
    assert frechet_distance(first[order], second) == pytest.approx(frechet_distance(first, second), rel=1e-9)


def test_reference_features_are_taken_from_the_cache(pairs, tmp_path):
    reference, produced = (images[:20] for images in pairs)
    value = _distance(reference, produced, cache=tmp_path)
    (kept,) = (tmp_path / "features").iterdir()
    assert np.load(kept).shape == (20, 1280)
    assert _distance(torch.zeros_like(reference), produced, cache=tmp_path) == value  # these were not looked at


def test_cache_is_keyed_by_reference_and_weights(tmp_path, pairs, monkeypatch):
    reference, produced = (images[:4] for images in pairs)
    for key in ("a", "b"):
        metric = RfdEffnet()
        metric.use_cache(key, tmp_path)
        metric.update(reference, produced)
        metric.compute()
    monkeypatch.setattr(frechet, "FEATURE_BATCH", 8)
    _distance(reference, produced, cache=tmp_path)
    assert len(list((tmp_path / "features").iterdir())) == 3


def test_broken_cache_file_says_so(tmp_path, pairs):
    _distance(pairs[0][:4], pairs[1][:4], cache=tmp_path)
    (kept,) = (tmp_path / "features").iterdir()
    kept.write_bytes(kept.read_bytes()[:200])
    with pytest.raises(StoreError, match="Delete it"):
        RfdEffnet().use_cache("reference", tmp_path)


def test_one_image_has_no_covariance(pairs):
    with pytest.raises(DataError, match="at least 2"):
        _distance(pairs[0][:1], pairs[1][:1])


def test_protocol_names_network_and_weights():
    protocol = RfdEffnet.protocol()
    assert protocol["features"] == "effnet_lite0"
    assert len(protocol["weights_sha256"]) == 64
    assert Rfid.min_samples == RfdEffnet.min_samples == 2048
