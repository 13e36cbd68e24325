import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from vtbench.errors import DataError
from vtbench.features.network import FeatureNetwork
from vtbench.runner.protocol_study import as_jpeg, degraded, measure_study
from vtbench.schema.protocol_study import Degradation
from vtbench.study.protocol_study import load_protocol_study

STUDY = load_protocol_study(Path(__file__).parents[2] / "fakes" / "small_protocol_study.yaml")
BLUR = Degradation(name="b", title="B", kind="blur", strength=1.5)
JPEG = Degradation(name="j", title="J", kind="jpeg", strength=20)


def _images(num=2, side=24):
    smooth = gaussian_filter(np.random.default_rng(0).uniform(0, 255, (num, 3, side, side)), (0, 0, 2, 2))
    return torch.from_numpy(((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def outcome(cache):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("VTBENCH_WEIGHTS", "TORCH_HOME"):
            patch.setenv(name, str(cache))
        return measure_study(STUDY, cache)


@pytest.fixture(scope="module")
def value(outcome):
    found = {(one.arm, one.degradation, one.metric): one for one in outcome.values}
    return lambda arm, metric, degradation="blur_1": found[arm, degradation, metric]


def test_a_blur_is_gaussian_and_stays_float():
    images = _images()
    expected = gaussian_filter(images.numpy() / 255, (0, 0, 1.5, 1.5), mode="nearest", truncate=4.0)
    assert np.abs(degraded(images, BLUR).numpy() - expected).max() < 1e-5


def test_jpeg_comes_back_in_8_bits_and_worse_at_lower_quality():
    images = _images()
    levels = degraded(images, JPEG) * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    error = [float((as_jpeg(images, quality).float() - images).abs().mean()) for quality in (10, 50, 90)]
    assert error[0] > error[1] > error[2] > 0


def test_every_arm_measures_every_set_as_far_as_it_can(outcome):
    found = {(one.arm, one.metric) for one in outcome.values}
    arms = {arm.name for arm in STUDY.arms}
    assert found == {(arm, "rfd_effnet") for arm in arms} | {(arm, "psnr") for arm in arms - {"others"}}
    assert len(outcome.values) == 2 * len(found)


def test_a_metric_without_weights_is_left_out_without_naming_this_machine(outcome, cache):
    assert list(outcome.left_out) == ["rfid"]
    assert "weights-inception" in outcome.left_out["rfid"]
    assert str(cache) not in outcome.left_out["rfid"]


def test_protocols_differ_exactly_in_what_the_arm_says(value):
    ours = value("canonical", "psnr").protocol
    assert ours.num_samples == 4
    assert set(value("truncate", "psnr").protocol.differences(ours)) == {"rounding", "value_range"}
    assert value("jpeg", "psnr").protocol.differences(ours) == {
        "reference": ("same images, JPEG files of quality 75", "same images")
    }
    assert "prepared by canonical" in value("unitok", "psnr").protocol.selection
    assert set(value("others", "rfd_effnet").protocol.differences(value("canonical", "rfd_effnet").protocol)) == {
        "reference",
        "reference_key",
    }
    assert ours == value("canonical", "psnr", "jpeg_20").protocol


def test_values_move_as_the_protocols_say(value):
    psnr = {arm: value(arm, "psnr").value for arm in ("canonical", "unitok", "truncate", "cut", "jpeg", "seed_voken")}
    assert psnr["unitok"] == pytest.approx(psnr["canonical"], abs=0.01)
    assert psnr["truncate"] == pytest.approx(psnr["canonical"], abs=0.1)
    assert psnr["truncate"] != psnr["canonical"]
    assert psnr["cut"] < psnr["canonical"] - 3
    for arm in ("jpeg", "seed_voken"):
        assert abs(psnr[arm] - psnr["canonical"]) > 0.02
    assert value("others", "rfd_effnet").value > value("canonical", "rfd_effnet").value


def test_features_are_taken_once_and_kept(cache, outcome, monkeypatch):
    calls = []
    original = FeatureNetwork.extract
    monkeypatch.setattr(FeatureNetwork, "extract", lambda *given: calls.append(1) or original(*given))
    few = STUDY.model_copy(update={"arms": STUDY.arms[:2], "metrics": ("rfd_effnet",)})
    again = measure_study(few, cache)
    assert calls == []
    kept = [
        one.value for one in outcome.values if one.metric == "rfd_effnet" and one.arm in ("canonical", "seed_voken")
    ]
    assert [one.value for one in again.values] == kept


def test_too_few_other_images_are_refused(cache):
    many = STUDY.model_copy(update={"num_samples": 500, "arms": STUDY.arms[-1:], "reference_arm": "others"})
    with pytest.raises(DataError, match=r"arms\.others\.reference: only \d+ images .* twice as many"):
        measure_study(many, cache)


def test_a_protocol_can_be_written_as_json(value):
    assert json.loads(json.dumps(value("canonical", "psnr").protocol.fields()))["crop"] == "adm"
