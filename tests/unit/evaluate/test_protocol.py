"""A protocol's fingerprint changes with everything that changes a number; the reference key only with the images."""

from dataclasses import replace

import pytest
import torch

from vtbench.evaluate.protocol import Protocol, to_uint8

PROTOCOL = Protocol(content_key="abc", num_samples=100, batch_size=16, precision="fp32")
OF_THE_IMAGES = {"content_key": "abd", "num_samples": 101, "split": "train", "selection": "all", "crop": "none"}
OF_THE_REST = {"batch_size": 8, "precision": "bf16", "rounding": "floor", "metric": {"features": "inception"}}


@pytest.mark.parametrize(("name", "value"), [*OF_THE_IMAGES.items(), *OF_THE_REST.items()])
def test_every_field_is_in_the_fingerprint(name, value):
    assert replace(PROTOCOL, **{name: value}).fingerprint() != PROTOCOL.fingerprint()


def test_equal_protocols_have_equal_fingerprints():
    assert replace(PROTOCOL, split="val").fingerprint() == PROTOCOL.fingerprint()


@pytest.mark.parametrize("name", OF_THE_IMAGES)
def test_reference_key_follows_the_images(name):
    other = replace(PROTOCOL, **{name: OF_THE_IMAGES[name]})
    assert other.reference_key("8x8") != PROTOCOL.reference_key("8x8")


def test_reference_key_ignores_the_model():
    assert replace(PROTOCOL, **OF_THE_REST).reference_key("8x8") == PROTOCOL.reference_key("8x8")
    assert PROTOCOL.reference_key("8x8") != PROTOCOL.reference_key("8x16")


def test_rounding_is_to_the_nearest_and_brings_uint8_back():
    everything = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert torch.equal(to_uint8(everything.float() / 255), everything)
    edges = torch.tensor([-0.5, 0.6 / 255, 0.4 / 255, 1.5]).expand(1, 3, 1, 4)
    assert to_uint8(edges)[0, 0, 0].tolist() == [0, 1, 0, 255]
