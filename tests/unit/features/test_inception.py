"""Inception is torch-fidelity's extractor, fed from a file that must be there and hold no code."""

import pickle

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from vtbench.errors import WeightsError
from vtbench.features import FEATURES, inception
from vtbench.features.inception import FILE_NAME, Inception


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def _random_state():
    """Return weights of the right shapes: torch-fidelity's class wants a file before it says which."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "load", lambda *args, **options: None)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        torch.manual_seed(0)
        return FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path="none").state_dict()


def test_missing_weights_name_the_file_and_its_source(folder):
    with pytest.raises(WeightsError, match=r"weights-inception-2015-12-05-6726825d\.pth is missing.*https://"):
        Inception()


def test_wrong_file_is_refused(folder):
    (folder / FILE_NAME).write_bytes(b"a page that says 404")
    with pytest.raises(WeightsError, match="6726825d"):
        Inception()


@pytest.mark.slow
def test_features_are_those_of_torch_fidelity(folder, monkeypatch):
    monkeypatch.setattr(inception, "FILE_NAME", "random.pth")
    torch.save(_random_state(), folder / "random.pth")
    network = FEATURES.load("inception")()
    images = torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8)
    path = str(folder / "random.pth")
    theirs = FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], feature_extractor_weights_path=path)
    maps = []
    theirs.Mixed_6d.branch1x1.register_forward_hook(lambda module, inputs, output: maps.append(output))
    pooled, logits = theirs(images)
    layers = network.to(torch.device("cpu")).extract(images, tuple(network.layers))
    assert {name: tuple(rows.shape) for name, rows in layers.items()} == {
        name: (2, *shape) for name, shape in network.layers.items()
    }
    assert torch.equal(layers["pooled"], pooled)
    assert torch.equal(layers["logits"], logits)
    assert torch.equal(layers["spatial"], maps[0][:, :7].flatten(1))
    assert torch.equal(network.features(images.float()), pooled)


class _Code:
    def __reduce__(self):
        return print, ("this ran",)


def test_code_in_the_file_does_not_run(folder, monkeypatch, capsys):
    monkeypatch.setattr(inception, "FILE_NAME", "evil.pth")
    torch.save(_Code(), folder / "evil.pth")
    with pytest.raises(pickle.UnpicklingError):
        Inception()
    assert "this ran" not in capsys.readouterr().out
