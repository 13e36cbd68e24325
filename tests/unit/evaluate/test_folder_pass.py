"""Folders of real photographs, damaged in known ways."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from skimage import data as photographs
from skimage.metrics import peak_signal_noise_ratio

from vtbench.data.image_folder_flat import FlatFolder
from vtbench.errors import DataError
from vtbench.evaluate import METRICS
from vtbench.evaluate.folder_pass import FolderPair, available_metrics, measure_folders, require_metrics
from vtbench.schema.preset import PLAIN_BILINEAR, PRESETS

SIDE = 48
CPU = torch.device("cpu")


def _patches(num):
    """Return patches of three photographs, uint8 (num, SIDE, SIDE, 3)."""
    sources = [photographs.astronaut(), photographs.coffee(), photographs.chelsea()]
    draw = np.random.default_rng(0)
    found = []
    for index in range(num):
        image = sources[index % 3]
        top, left = (draw.integers(0, length - SIDE) for length in image.shape[:2])
        found.append(image[top : top + SIDE, left : left + SIDE])
    return np.stack(found)


def _write(folder, images, ending="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:03d}.{ending}")
    return folder


@pytest.fixture
def patches():
    return _patches(5)


@pytest.fixture
def damaged(patches):
    noise = np.random.default_rng(1).normal(0, 12, patches.shape)
    return np.clip(patches + noise, 0, 255).round().astype(np.uint8)


@pytest.fixture
def folders(tmp_path, patches, damaged):
    """Return a maker of a pair of folders under a protocol."""
    _write(tmp_path / "out", damaged)
    _write(tmp_path / "val", patches)

    def make(protocol="canonical", size=(SIDE, SIDE)):
        found = FlatFolder(tmp_path / "out"), FlatFolder(tmp_path / "val")
        return FolderPair(*found, size, PRESETS[protocol])

    return make


@pytest.fixture
def values(tmp_path):
    """Measure a pair of folders: name -> value."""

    def values(folders, *metrics):
        found, left_out = measure_folders(folders, metrics, tmp_path / "kept", tmp_path / "cache", CPU)
        assert left_out == {}
        return {one.metric.name: one.result.value for one in found}

    return values


def test_pairs_are_measured_by_name(folders, values, patches, damaged, tmp_path):
    expected = np.mean([peak_signal_noise_ratio(one, two) for one, two in zip(patches, damaged, strict=True)])
    assert values(folders(), "psnr")["psnr"] == pytest.approx(expected, abs=1e-9)
    (tmp_path / "out" / "000.png").rename(tmp_path / "out" / "005.png")
    (tmp_path / "val" / "000.png").rename(tmp_path / "val" / "005.png")
    assert values(folders(), "psnr")["psnr"] == pytest.approx(expected, abs=1e-9)


def test_a_mean_over_images_has_its_t_interval(folders, patches, damaged, tmp_path):
    per_image = [peak_signal_noise_ratio(one, two) for one, two in zip(patches, damaged, strict=True)]
    expected = stats.t.interval(0.95, 4, np.mean(per_image), stats.sem(per_image))
    (found,), _ = measure_folders(folders(), ["psnr"], tmp_path / "kept", tmp_path / "cache", CPU)
    assert found.result.interval == pytest.approx(expected, abs=1e-9)


def test_a_network_runs_over_both_sides_and_counts_may_differ(folders, values, tmp_path, patches):
    _write(tmp_path / "val", _patches(7))
    found = folders()
    assert not found.paired
    assert values(found, "rfd_effnet")["rfd_effnet"] > 0
    _write(tmp_path / "out", patches)
    (tmp_path / "val" / "005.png").unlink()
    (tmp_path / "val" / "006.png").unlink()
    assert values(folders(), "rfd_effnet")["rfd_effnet"] == pytest.approx(0, abs=1e-6)


def test_sets_that_cannot_be_paired_leave_out_what_needs_pairs(folders, tmp_path):
    (tmp_path / "val" / "002.png").rename(tmp_path / "val" / "other.png")
    names, left_out = available_metrics(folders())
    assert "rfd_effnet" in names
    assert "has no partner of '002'" in left_out["psnr"]
    assert set(names) | set(left_out) == set(METRICS.names())
    with pytest.raises(DataError, match="psnr: The images cannot be paired"):
        require_metrics(["rfd_effnet", "psnr"], folders())


def test_metrics_without_their_weights_or_codes_are_left_out_with_the_reason(folders, monkeypatch, tmp_path):
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    _, left_out = available_metrics(folders())
    assert "Get it from https" in left_out["rfid"]
    for name in {"codebook_usage", "bits_per_pixel"} & set(METRICS.names()):
        assert "a folder of images does not have" in left_out[name]


def test_the_protocol_holds_the_references_content_and_the_presets_path(folders, tmp_path, patches):
    psnr = METRICS.load("psnr")
    protocol = folders().protocol(psnr)
    assert protocol.num_samples == 5
    assert protocol.content_key == protocol.reference_key == FlatFolder(tmp_path / "val").content_key
    assert {name: getattr(protocol, name) for name in ("crop", "rounding")} == {"crop": "adm", "rounding": "round"}
    assert folders("titok").protocol(psnr).differences(protocol)["crop"] == ("shorter side", "adm")
    _write(tmp_path / "out", patches)
    assert folders().protocol(psnr) == protocol  # another system's images: comparable
    _write(tmp_path / "val", patches[::-1, ::-1])
    assert folders().protocol(psnr).fingerprint() != protocol.fingerprint()


def test_a_protocol_decides_what_pixels_and_networks_see(folders, values):
    ours, theirs = values(folders(), "psnr", "rfd_effnet"), values(folders("seed_voken"), "psnr", "rfd_effnet")
    assert abs(ours["psnr"] - theirs["psnr"]) > 1e-4
    assert ours["psnr"] == pytest.approx(theirs["psnr"], abs=0.05)
    assert ours["rfd_effnet"] != pytest.approx(theirs["rfd_effnet"], rel=1e-5)
    network = folders("seed_voken").protocol(METRICS.load("rfd_effnet"))
    assert (network.rounding, network.preprocessing) == ("none", PLAIN_BILINEAR)
    assert folders("seed_voken").protocol(METRICS.load("psnr")).rounding == "truncate"


def test_what_is_measured_is_not_measured_again(folders, values, monkeypatch):
    first = values(folders(), "psnr", "ssim")
    read = []
    original = FlatFolder.read
    monkeypatch.setattr(FlatFolder, "read", lambda self, index: read.append(index) or original(self, index))
    assert values(folders(), "psnr", "ssim") == first
    assert read.count(0) <= 1  # references, to see that they are the same


def test_a_stopped_measurement_goes_on_and_ends_the_same(folders, values, monkeypatch, tmp_path):
    monkeypatch.setattr("vtbench.evaluate.one_pass.CHUNK_IMAGES", 16)
    _write(tmp_path / "out", _patches(40)[::-1])
    _write(tmp_path / "val", _patches(40))
    original = FlatFolder.read

    def until_the_30th(self, index):
        if self.folder.name == "out" and index == 30:
            raise KeyboardInterrupt
        return original(self, index)

    monkeypatch.setattr(FlatFolder, "read", until_the_30th)
    with pytest.raises(KeyboardInterrupt):
        values(folders(), "psnr", "mae")
    read = []
    monkeypatch.setattr(
        FlatFolder, "read", lambda self, index: read.append((self.folder.name, index)) or original(self, index)
    )
    resumed = values(folders(), "psnr", "mae")
    assert min(index for name, index in read if name == "out") == 16
    for kept in (tmp_path / "kept").iterdir():
        kept.rename(tmp_path / f"gone-{kept.name}")
    assert values(folders(), "psnr", "mae") == resumed


def test_other_images_under_the_same_names_are_measured_anew(folders, values, tmp_path, patches):
    before = values(folders(), "psnr")["psnr"]
    _write(tmp_path / "out", patches)
    assert values(folders(), "psnr")["psnr"] == 100.0 != before


def test_images_come_to_the_resolution_by_the_protocols_crop(folders, values):
    small = folders(size=(24, 24))
    assert values(small, "psnr")["psnr"] > values(folders(), "psnr")["psnr"]  # shrinking averages the noise
    assert small.base().fingerprint() != folders().base().fingerprint()


def test_a_value_that_too_few_images_cannot_give_is_left_out(tmp_path, patches):
    found = [FlatFolder(_write(tmp_path / name, patches[:1])) for name in ("one", "two")]
    one = FolderPair(*found, (SIDE, SIDE), PRESETS["canonical"])
    measured, left_out = measure_folders(one, ["psnr", "rfd_effnet"], tmp_path / "kept", tmp_path / "cache", CPU)
    assert [each.metric.name for each in measured] == ["psnr"]
    assert "rfd_effnet" in left_out
