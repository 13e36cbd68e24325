"""What metrics over features share: quantities of both sides, and a protocol that names network and layer."""

import pytest
import torch
from torch.utils.data import TensorDataset
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from vtbench.errors import DataError, WeightsError
from vtbench.evaluate.metric import Measured
from vtbench.evaluate.metrics.inception_score import InceptionScore, InceptionScoreUnsplit
from vtbench.evaluate.metrics.kid import Rkid, RkidEffnet
from vtbench.evaluate.metrics.precision_recall import Precision, Recall
from vtbench.features import inception
from vtbench.features.fidelity import register


class Perturbed(RkidEffnet):
    perturb = 0.25


class NoSuchLayer(RkidEffnet):
    layer = "poled"


def test_both_sides_are_asked_for():
    reference, produced = RkidEffnet().quantities()
    assert (reference.side, produced.side) == ("reference", "produced")
    assert reference.row_shape == produced.row_shape == (1280,)
    assert reference.key != produced.key


def test_only_the_produced_side_is_perturbed():
    reference, produced = Perturbed().quantities()
    assert reference == RkidEffnet.reference()
    assert produced.perturb == 0.25
    assert produced.key != RkidEffnet.produced().key
    assert Perturbed.protocol() == RkidEffnet.protocol() | {"perturb": 0.25}


def test_protocol_names_network_layer_and_weights():
    protocol = RkidEffnet.protocol()
    assert (protocol["network"], protocol["layer"]) == ("effnet_lite0", "pooled")
    assert len(protocol["weights_sha256"]) == 64


def test_a_missing_weights_file_is_told_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="place it in"):
        InceptionScore.check()
    RkidEffnet.check()


def test_unknown_layer():
    with pytest.raises(DataError, match="no layer 'poled'"):
        NoSuchLayer().quantities()


class Images(TensorDataset):
    """Images as torch-fidelity wants them: bare tensors."""

    def __getitem__(self, index):
        return super().__getitem__(index)[0]


@pytest.fixture
def random_inception(tmp_path, monkeypatch):
    """Place random weights where Inception's are looked for."""
    with pytest.MonkeyPatch.context() as patch:  # torch-fidelity's class wants a file before it says of which shapes
        patch.setattr(torch, "load", lambda *args, **options: None)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        torch.manual_seed(0)
        state = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path="none").state_dict()
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(inception, "FILE_NAME", "random.pth")
    torch.save(state, tmp_path / "random.pth")


@pytest.mark.slow
def test_over_inception_all_equal_torch_fidelity(random_inception, photographs, spoil):
    reference = photographs(6, 64)
    produced = spoil(reference, 4)
    theirs = calculate_metrics(
        input1=Images(produced),
        input2=Images(reference),
        isc=True,
        kid=True,
        prc=True,
        isc_splits=1,
        kid_subset_size=6,
        feature_extractor=register("inception"),
        batch_size=6,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    network = inception.Inception()
    rows = {
        f"features/inception/{layer}/{side}": found.numpy()
        for side, each in (("reference", reference), ("produced", produced))
        for layer, found in network.extract(each, ("pooled", "logits")).items()
    }
    metrics = (Rkid, Precision, Recall, InceptionScoreUnsplit)
    rkid, precision, recall, score = (metric().compute(Measured(rows)).value for metric in metrics)
    assert rkid == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-4)
    assert (precision, recall) == pytest.approx((theirs["precision"], theirs["recall"]), rel=1e-4)
    assert score == pytest.approx(theirs["inception_score_mean"], rel=1e-4)
