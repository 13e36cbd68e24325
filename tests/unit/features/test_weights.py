"""Weights are found in the user's folder first, checked against their name, and asked for clearly."""

import hashlib
import os

import pytest

from vtbench.errors import WeightsError
from vtbench.features import weights


@pytest.fixture
def own(tmp_path, monkeypatch):
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return folder


def test_own_folder_comes_before_torch_hub(own, tmp_path):
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    (hub / "net.pth").write_text("hub")
    assert weights.require("net.pth", "A net", "nowhere") == hub / "net.pth"
    (own / "net.pth").write_text("own")
    assert weights.require("net.pth", "A net", "nowhere") == own / "net.pth"


def test_without_variables_the_hub_lies_in_the_cache_home(monkeypatch, tmp_path):
    monkeypatch.delenv("VTBENCH_WEIGHTS", raising=False)
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.folders() == (tmp_path / "torch" / "hub" / "checkpoints",)


def test_missing_file_says_what_to_place_where(own):
    with pytest.raises(WeightsError) as caught:
        weights.require("net.pth", "A net for rFID", "https://example.org/net.pth")
    for part in ("A net for rFID", "net.pth", str(own), "https://example.org/net.pth", "VTBENCH_WEIGHTS"):
        assert part in str(caught.value)


def test_file_must_be_the_one_that_its_name_says(own):
    whole = b"all of the weights"
    path = own / f"net-{hashlib.sha256(whole).hexdigest()[:8]}.pth"
    path.write_bytes(whole)
    assert weights.require(path.name, "A net", "nowhere") == path
    path.write_bytes(whole[:5])
    with pytest.raises(WeightsError, match="not the file that its name says"):
        weights.require(path.name, "A net", "nowhere")


def test_sha256_follows_a_change(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    assert weights.sha256(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert weights.sha256(path) == hashlib.sha256(b"two").hexdigest()
