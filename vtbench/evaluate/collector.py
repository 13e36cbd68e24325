"""Rows of produced images that arrive batch by batch: features, codes, labels, and what metrics take themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from vtbench.errors import DataError
from vtbench.evaluate.metric import CODES, LABELS, LATENTS, Batch, Metric, Quantity
from vtbench.evaluate.reference_features import by_network, stream
from vtbench.features.network import Images

METRIC_PIXELS = 2**18
"""Pixels that metrics of single images are shown at once: enough to be fast, few enough to stay in a CPU's cache."""


class Collector:
    """Takes quantities of images, each feature network in one stream.

    Args:
        quantities: all of one variant of the produced images.
        owners: key of a quantity -> the metric that takes its rows, where it is the metric's own.
        device: where networks and metrics run.
    """

    def __init__(self, quantities: Sequence[Quantity], owners: Mapping[str, Metric], device: torch.device) -> None:
        self._quantities = {each.key: each for each in quantities}
        self._device = device
        self._networks = by_network(quantities)
        self._streams = {
            network: stream(network, {str(each.layer) for each in found}, device)
            for network, found in self._networks.items()
        }
        own = [each.key for each in quantities if each.network is None and each not in (CODES, LATENTS, LABELS)]
        self._metrics = list({id(owners[key]): owners[key] for key in own}.values())
        self._waiting: list[Batch] = []
        self._rows: dict[str, list[np.ndarray]] = {each.key: [] for each in quantities if each.network is None}

    @property
    def wants_codes(self) -> bool:
        """Whether batches must come with codes."""
        return any(each.side in ("codes", "latents") for each in self._quantities.values())

    @property
    def wants_latents(self) -> bool:
        """Whether batches must come with latents."""
        return any(each.side == "latents" for each in self._quantities.values())

    def add(self, batch: Batch) -> None:
        """Take the rows of a batch, or keep it until there are enough images to be fast.

        Raises:
            DataError: codes or labels are wanted, and the batch has none.
            ResolutionError: as in `Metric.rows`.
        """
        batch = replace(batch, reference=batch.reference.to(self._device), produced=batch.produced.to(self._device))
        for features in self._streams.values():
            features.add(batch.produced)
        for quantity, rows in ((CODES, batch.codes), (LATENTS, batch.latents), (LABELS, batch.labels)):
            if quantity.key in self._quantities:
                if rows is None:
                    raise DataError(f"A metric needs {quantity.key}, and these images come without.")
                self._keep(quantity.key, rows)
        if self._metrics:
            self._waiting.append(batch)
            if sum(len(each.indices) for each in self._waiting) * _pixels(batch.produced) >= METRIC_PIXELS:
                self._measure()

    def finish(self) -> dict[str, np.ndarray]:
        """Return the rows of all images so far, in their order, by the keys of the quantities."""
        if self._waiting:
            self._measure()
        found = {key: np.concatenate(parts) for key, parts in self._rows.items()}
        for network, features in self._streams.items():
            layers = features.finish()
            found |= {each.key: layers[str(each.layer)].numpy() for each in self._networks[network]}
        return found

    def _measure(self) -> None:
        """Show the waiting images to the metrics."""
        batch, self._waiting = _joined(self._waiting), []
        for metric in self._metrics:
            for key, rows in metric.rows(batch).items():
                if key in self._rows:
                    self._keep(key, rows, len(batch.indices))

    def _keep(self, key: str, rows: Tensor, num: int | None = None) -> None:
        quantity = self._quantities[key]
        shape = rows.shape[1:] if quantity.row_shape is None else quantity.row_shape
        assert rows.shape == (len(rows) if num is None else num, *shape), f"{key}: rows of shape {tuple(rows.shape)}"
        self._rows[key].append(rows.cpu().numpy().astype(quantity.dtype, copy=False))


def _pixels(images: Images) -> int:
    return images.shape[-2] * images.shape[-1]


def _joined(batches: Sequence[Batch]) -> Batch:
    """Return several batches as one."""
    codes = [each.codes for each in batches if each.codes is not None]
    labels = [each.labels for each in batches if each.labels is not None]
    latents = [each.latents for each in batches if each.latents is not None]
    return Batch(
        reference=torch.cat([each.reference for each in batches]),
        produced=torch.cat([each.produced for each in batches]),
        codes=torch.cat(codes) if codes else None,
        labels=torch.cat(labels) if labels else None,
        indices=[index for each in batches for index in each.indices],
        latents=torch.cat(latents) if latents else None,
    )
