"""The suite measures each point once, in one pass, and only what is not known yet."""

import logging

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vtbench.data.dataset import ImageDataset
from vtbench.errors import DataError, RegistryError, ResolutionError, TrainingError
from vtbench.evaluate.kept_rows import rows_of
from vtbench.evaluate.metrics.psnr import CAP_DB, Psnr
from vtbench.evaluate.reconstructions import Codec
from vtbench.evaluate.suite import (
    Point,
    evaluate_reconstruction,
    evaluation_points,
    measurements,
    picture_strip,
    validation_indices,
)
from vtbench.schema.study import EvaluateConfig


class _Blobs(ImageDataset):
    """Smooth random images that exist at any size."""

    def __init__(self, num_images, content_key):
        self._coarse = torch.rand(num_images, 3, 4, 4, generator=torch.Generator().manual_seed(len(content_key)))
        self.labels = np.zeros(num_images, dtype=np.int64)
        self.content_key = content_key

    def images(self, indices, size):
        fine = F.interpolate(self._coarse[torch.as_tensor(indices)], size, mode="bilinear")
        return (fine * 255).round().to(torch.uint8)

    def training_pair(self, indices, input_size, target_size, rng, flip):
        raise NotImplementedError


VAL, TRAIN = _Blobs(40, "val"), _Blobs(30, "train")
POINTS = (Point("24x24", 4), Point("24x24", 2), Point("16x32"))


def _coarse(images, num_tokens):
    """Reconstruct from `num_tokens` x `num_tokens` averages (None: 8 x 8)."""
    side = num_tokens or 8
    return F.interpolate(F.adaptive_avg_pool2d(images, side), images.shape[-2:], mode="bilinear")


def _config(num_samples=20, batch_size=8):
    return EvaluateConfig(resolutions=("24x24",), num_samples=num_samples, batch_size=batch_size)


def _evaluate(tmp_path, reconstruct=_coarse, dataset=VAL, points=POINTS, metrics=("psnr", "mae"), config=None, **more):
    more = {"known": (), "checkpoint": "c", "train_dataset": TRAIN, **more}
    config = config or _config()
    return list(evaluate_reconstruction(reconstruct, dataset, points, metrics, config, cache_dir=tmp_path, **more))


def test_every_metric_at_every_point(tmp_path):
    found = _evaluate(tmp_path, metrics=("psnr", "ssim", "mae", "rfd_effnet"))
    assert [{value.name for value in values} for values in found] == [
        {"psnr_mean_image", "psnr", "ssim", "mae", "rfd_effnet"}
    ] * 3
    for point, values in zip(POINTS, found, strict=True):
        assert all(v.params == {"resolution": point.resolution, "num_tokens": point.num_tokens} for v in values)
        assert all((v.num_samples, v.checkpoint) == (20, "c") for v in values)
    by_name = [{value.name: value.value for value in values} for values in found]
    assert by_name[0]["psnr"] > by_name[1]["psnr"] > by_name[1]["psnr_mean_image"]
    assert by_name[0]["rfd_effnet"] < by_name[1]["rfd_effnet"]
    assert by_name[0]["psnr_mean_image"] == by_name[1]["psnr_mean_image"]


def test_value_is_that_of_the_metric_on_the_first_images_of_the_permutation(tmp_path):
    reference = VAL.images(validation_indices(VAL, 20), (24, 24))
    produced = (_coarse(reference / 255, 4) * 255).round().to(torch.uint8)
    (values,) = _evaluate(tmp_path, points=POINTS[:1])
    expected = Psnr().measure(reference, produced).mean().item()
    assert {v.name: v.value for v in values}["psnr"] == pytest.approx(expected, abs=1e-3)


def test_perfect_reconstruction_survives_the_rounding(tmp_path):
    (values,) = _evaluate(tmp_path, lambda images, num_tokens: images * 1.0, points=POINTS[2:])
    found = {value.name: value.value for value in values}
    assert found["psnr"] == CAP_DB
    assert found["mae"] == 0


def test_known_values_are_not_measured_again(tmp_path):
    first = _evaluate(tmp_path)
    known = {value.key for value in first[0] + first[1]} | {v.key for v in first[2] if v.name == "mae"}
    seen = []

    def watch(images, num_tokens):
        seen.append(tuple(images.shape[-2:]))
        return _coarse(images, num_tokens)

    again = _evaluate(tmp_path, watch, known=known)
    assert [[v.name for v in values] for values in again] == [[], [], ["psnr_mean_image", "psnr"]]
    assert again[2] == [v for v in first[2] if v.name != "mae"]
    assert set(seen) == {(16, 32)}


def test_other_sample_or_images_are_another_protocol(tmp_path):
    def fingerprint(**change):
        (values,) = _evaluate(tmp_path, points=POINTS[:1], metrics=("psnr",), **change)
        return values[1].protocol

    base = fingerprint()
    assert fingerprint() == base
    assert fingerprint(config=_config(num_samples=19)) != base
    assert fingerprint(dataset=_Blobs(40, "other")) != base
    assert fingerprint(precision="bf16") != base


def test_batch_size_does_not_show_in_the_values(tmp_path):
    small, large = (
        [v.value for values in _evaluate(tmp_path, config=_config(batch_size=size)) for v in values] for size in (3, 20)
    )
    assert small == pytest.approx(large, rel=1e-6)


def test_progress_ends_at_the_total_of_what_was_missing(tmp_path):
    seen = []
    _evaluate(tmp_path, points=POINTS[:2], on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(8, 40), (16, 40), (20, 40), (28, 40), (36, 40), (40, 40)]


def test_fewer_images_than_asked_for_are_all_used(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        (values,) = _evaluate(tmp_path, points=POINTS[:1], config=_config(num_samples=50))
    assert {v.num_samples for v in values} == {40}
    assert "50" in caplog.text
    assert "all 40" in caplog.text


def test_larger_sample_contains_the_smaller():
    assert validation_indices(VAL, 30)[:10] == validation_indices(VAL, 10)
    assert sorted(validation_indices(VAL, 40)) == list(range(40))


def test_bad_models_and_data_are_named(tmp_path):
    with pytest.raises(TrainingError, match="24x24, 4 tokens"):
        _evaluate(tmp_path, lambda images, num_tokens: images * float("nan"))
    with pytest.raises(ResolutionError, match="24x24"):
        _evaluate(tmp_path, lambda images, num_tokens: images[..., :-1])
    with pytest.raises(DataError, match="no validation images"):
        _evaluate(tmp_path, dataset=_Blobs(0, "empty"))
    with pytest.raises(RegistryError, match="psnr"):
        _evaluate(tmp_path, metrics=("pnsr",))


def test_points_are_resolutions_by_lengths():
    config = EvaluateConfig(resolutions=("8x8", "8x16"), num_tokens=(4, None), num_samples=2)
    assert evaluation_points(config) == (Point("8x8", 4), Point("8x8"), Point("8x16", 4), Point("8x16"))
    assert Point("8x16").size == (8, 16)


def test_picture_strip_shows_the_first_measured_images():
    originals, reconstructions = picture_strip(_coarse, VAL, Point("24x16", 2), 3)
    assert torch.equal(originals, VAL.images(validation_indices(VAL, 3), (24, 16)))
    assert reconstructions.shape == originals.shape
    assert reconstructions.dtype == torch.uint8
    assert not torch.equal(originals, reconstructions)


def test_rows_are_kept_for_later_metrics_and_tests(tmp_path):
    kept = tmp_path / "measured"
    first = _evaluate(tmp_path, measured_dir=kept)

    def refuse(images, num_tokens):
        raise AssertionError("the model was asked")

    again = _evaluate(tmp_path, refuse, measured_dir=kept, metrics=("mae", "psnr"))
    assert [sorted((v.name, v.value) for v in values) for values in again] == [
        sorted((v.name, v.value) for v in values) for values in first
    ]
    for point, values in zip(POINTS, first, strict=True):
        for value in values:
            (rows,) = rows_of(kept / point.name, value).values()
            assert len(rows) == 20
            assert rows.mean() == pytest.approx(value.value, rel=1e-12)
    with pytest.raises(AssertionError, match="the model was asked"):
        _evaluate(tmp_path, refuse, measured_dir=kept, metrics=("ssim",))


def test_other_weights_have_other_rows(tmp_path):
    kept = tmp_path / "measured"
    first = _evaluate(tmp_path, measured_dir=kept)
    other = _evaluate(tmp_path, lambda images, num: images * 0.5, measured_dir=kept, checkpoint="d")
    assert first[0][1].value != other[0][1].value


def test_codes_are_measured_through_the_codec(tmp_path):
    calls = []

    def tokenize(images, num_tokens):
        calls.append(len(images))
        return (F.adaptive_avg_pool2d(images.mean(dim=1), 4).flatten(1)[:, None] * 15).round().long()

    def detokenize(codes, size, num_tokens):
        grey = (codes.float() / 15).unflatten(2, (4, 4)).expand(-1, 3, -1, -1)
        return F.interpolate(grey, size, mode="bilinear")

    codec = Codec(tokenize, detokenize, lambda codes: codes.transpose(1, 2).float(), lambda: (16,))

    def reconstruct(images, num_tokens):
        return detokenize(tokenize(images, num_tokens), images.shape[-2:], num_tokens)

    metrics = ("psnr", "bits_per_pixel", "codebook_usage", "pfd_effnet", "rfd_effnet")
    (values,) = _evaluate(tmp_path, reconstruct, points=POINTS[:1], metrics=metrics, codec=codec)
    found = {value.name: value.value for value in values}
    assert found["bits_per_pixel"] == 16 * 4 / 24**2
    assert 0 < found["codebook_usage"] <= 1
    assert found["pfd_effnet"] != found["rfd_effnet"]
    assert calls == [8, 8, 4] * 2  # once for the reconstructions, once for the perturbed ones
    (plain,) = _evaluate(tmp_path, reconstruct, points=POINTS[:1], metrics=("psnr",))
    assert found["psnr"] == {value.name: value.value for value in plain}["psnr"]
    with pytest.raises(DataError, match="needs codes"):
        _evaluate(tmp_path, reconstruct, metrics=("bits_per_pixel",))


def test_protocols_of_all_that_is_measured_are_told(tmp_path):
    todo = measurements(("psnr", "rfd_effnet"), VAL, TRAIN, _config(), tmp_path)
    fields = {each.protocol.fingerprint(): each.protocol for each in todo}
    (values,) = _evaluate(tmp_path, points=POINTS[:1], metrics=("psnr", "rfd_effnet"))
    assert {value.protocol for value in values} == set(fields)
    assert {each.network for each in fields.values()} == {None, "effnet_lite0"}
