"""Images to train and measure on; one row a data set. Listing the rows imports neither torch nor any of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from vtbench.errors import DataError, suggest
from vtbench.registry import Registry
from vtbench.schema.base import canonical_json
from vtbench.schema.run import Component

if TYPE_CHECKING:
    from vtbench.data.dataset import ImageDataset, Split

DATASETS = Registry(
    "dataset",
    {
        "icons": "vtbench.data.icons:Icons",
        "imagefolder": "vtbench.data.imagefolder:ImageFolder",
        "webdataset": "vtbench.data.webdataset:WebDataset",
    },
)


def open_dataset(component: Component, split: Split, cache_dir: Path) -> ImageDataset:
    """Return one split of the data set that `component` names; cheap, nothing is drawn or decoded yet.

    Args:
        component: name and options, as in a study's `data:`.
        split: `train` or `val`.
        cache_dir: folder that the data set may fill; safe to delete and to share between processes.

    Raises:
        RegistryError: no data set has this name, or its package is missing.
        DataError: an option is unknown or of the wrong type, or files are missing.
    """
    kind = DATASETS.load(component.name)
    try:
        config = kind.Config.model_validate_json(canonical_json(component.options))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(["data", *map(str, first["loc"])])
        if first["type"] == "extra_forbidden":
            hint = suggest(str(first["loc"][-1]), kind.Config.model_fields)
            raise DataError(f"{place}: '{component.name}' has no such option.{hint}") from error
        raise DataError(f"{place}: {first['msg']}.") from error
    dataset: ImageDataset = kind(config, split, cache_dir)
    return dataset
