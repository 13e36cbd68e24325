"""Features of reference images, taken once and shared by all runs, metrics and processes of a store.

A chunk's features lie under the digest of its very pixels, so that other images can never be taken for it, whatever
their folder, names or dates are; and under all that decides the features beside the pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path

import torch

from vtbench.evaluate.array_cache import making, save_array
from vtbench.evaluate.metric import Quantity
from vtbench.features import FEATURES
from vtbench.features.network import FeatureNetwork, FeatureStream, Images
from vtbench.schema.base import content_hash


def digest(images: Images) -> str:
    """Return 32 hex digits that stand for these images: shape, type and pixels."""
    found = hashlib.sha256(f"{tuple(images.shape)} {images.dtype}".encode())
    found.update(images.cpu().contiguous().numpy().data)
    return found.hexdigest()[:32]


def stream(network: str, layers: Collection[str], device: torch.device) -> FeatureStream:
    """Return a stream of a network's layers; the network is loaded once for the process."""
    loaded = _loaded(network, FEATURES.load(network).weights_sha256(), str(device))
    return FeatureStream(lambda images: loaded.extract(images.to(device), layers))


@lru_cache(maxsize=8)
def _loaded(network: str, weights_sha256: str, device: str) -> FeatureNetwork:
    kind: type[FeatureNetwork] = FEATURES.load(network)
    return kind().to(torch.device(device))


def by_network(quantities: Collection[Quantity]) -> dict[str, list[Quantity]]:
    """Return the features among quantities, network by network."""
    found: dict[str, list[Quantity]] = {}
    for quantity in quantities:
        if quantity.network is not None:
            found.setdefault(quantity.network, []).append(quantity)
    return found


def feature_key(network: str, device: torch.device) -> str:
    """Return what stands for all that decides features beside the images."""
    return content_hash({**FEATURES.load(network).protocol(), "device": device.type})


class ReferenceFeatures:
    """The features of reference images that some metrics need.

    Args:
        quantities: features of the side `reference`.
        cache_dir: shared by all runs.
        device: where networks run.
    """

    def __init__(self, quantities: Sequence[Quantity], cache_dir: Path, device: torch.device) -> None:
        self._networks = by_network(quantities)
        self._device = device
        self._folders = {
            network: cache_dir / "features" / f"{network}-{feature_key(network, device)}" for network in self._networks
        }

    def path(self, quantity: Quantity, of: str) -> Path:
        """Return the array that holds, or will hold, one chunk's features; `of` is its digest."""
        assert quantity.network is not None
        return self._folders[quantity.network] / str(quantity.layer) / f"{of}.npy"

    def statistics_path(self, quantity: Quantity, digests: Sequence[str]) -> Path:
        """Return the file of mean and covariance over all chunks."""
        assert quantity.network is not None
        name = content_hash(list(digests), length=32)
        return self._folders[quantity.network] / f"{quantity.layer}-statistics" / f"{name}.npy"

    def missing(self, of: str) -> bool:
        """Return whether features of the chunk with digest `of` have yet to be taken."""
        return any(not self.path(each, of).exists() for found in self._networks.values() for each in found)

    def take(self, images: Images, of: str) -> None:
        """Take the features of a chunk that are not there yet; waits while another process takes them."""
        for network, quantities in self._networks.items():
            lacking = [each for each in quantities if not self.path(each, of).exists()]
            if not lacking:
                continue
            with making(self.path(lacking[0], of)):
                lacking = [each for each in quantities if not self.path(each, of).exists()]
                if lacking:
                    features = stream(network, {str(each.layer) for each in lacking}, self._device)
                    features.add(images)
                    for layer, rows in features.finish().items():
                        save_array(self._folders[network] / layer / f"{of}.npy", rows.numpy())
