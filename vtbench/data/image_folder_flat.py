"""A folder of image files in any nesting, without classes: what another system has written.

Files are sorted by their path in the folder and paired by that path without its ending, so `a/1.png` belongs to
`a/1.jpg`. A folder is known by the bytes of its files, never by its name or theirs.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from vtbench.data.dataset import Size
from vtbench.data.encoded import decode
from vtbench.data.imagefolder import SUFFIXES
from vtbench.errors import DataError, suggest
from vtbench.schema.base import content_hash

_SHOWN = 5


@dataclass(frozen=True)
class ImageFile:
    """One image.

    Attributes:
        path: where it lies.
        name: its path in the folder without the ending, with `/`.
        sha256: of the file's bytes, in hex.
        size: height and width in pixels.
    """

    path: Path
    name: str
    sha256: str
    size: Size


class FlatFolder:
    """The images of a folder, in the order of their paths; each file is read once to hash it.

    Attributes:
        folder: where.
        files: its images.

    Raises:
        DataError: there is no such folder, it holds no image, a file is no image, or two files have one name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = tuple(_read(path, folder) for path in _paths(folder))
        twice = [name for name, times in Counter(self.names).items() if times > 1]
        if twice:
            both = " and ".join(str(file.path) for file in self.files if file.name == twice[0])
            raise DataError(f"{both} have the same name without their endings. Remove one of them.")

    def __len__(self) -> int:
        return len(self.files)

    @property
    def names(self) -> tuple[str, ...]:
        """The images' names, in order."""
        return tuple(file.name for file in self.files)

    @property
    def content_key(self) -> str:
        """Stands for the set of images, whatever their names and order."""
        return content_hash(["folder", sorted(file.sha256 for file in self.files)])

    def order_key(self, indices: Sequence[int] | None = None) -> str:
        """Return what stands for the images at `indices` (all, if None) in this order."""
        chosen = self.files if indices is None else [self.files[index] for index in indices]
        return content_hash(["folder in order", [file.sha256 for file in chosen]], length=32)

    @property
    def sizes(self) -> Counter[Size]:
        """How many images have which (height, width)."""
        return Counter(file.size for file in self.files)

    def read(self, index: int) -> Image.Image:
        """Return an image as RGB; what is transparent becomes white.

        Raises:
            DataError: the file is not a whole image.
        """
        file = self.files[index]
        return decode(_bytes(file.path), str(file.path))


def pair(images: FlatFolder, reference: FlatFolder) -> list[int]:
    """Return, for each image of `images`, the index of the image of that name in `reference`.

    Raises:
        DataError: a name is in one folder alone; lists what is missing where.
    """
    places = {name: index for index, name in enumerate(reference.names)}
    lacking = [
        f"{there.folder} has no partner of {_listed([name for name in here.names if name not in set(there.names)])}"
        for here, there in ((images, reference), (reference, images))
        if set(here.names) - set(there.names)
    ]
    if lacking:
        raise DataError(
            f"The images cannot be paired by name: {'; '.join(lacking)}. Name each image as its reference (endings"
            " may differ), or ask only for metrics that need no pairs."
        )
    return [places[name] for name in images.names]


def single_size(folders: Sequence[FlatFolder]) -> Size:
    """Return the (height, width) that all images have.

    Raises:
        DataError: sizes differ; names two of the files.
    """
    files = [file for folder in folders for file in folder.files]
    first = files[0]
    other = next((file for file in files if file.size != first.size), None)
    if other is not None:
        one, two = (f"{file.path} is {file.size[0]}x{file.size[1]}" for file in (first, other))
        raise DataError(
            f"The images are not of one size: {one}, {two}. Give --resolution HEIGHTxWIDTH to have all brought to one"
            " size by the protocol's crop."
        )
    return first.size


def _paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        siblings = [entry.name for entry in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise DataError(f"There is no folder {folder}.{suggest(folder.name, siblings)}")
    found = [
        Path(place, file)
        for place, _, files in os.walk(folder)
        for file in files
        if file.lower().endswith(SUFFIXES) and not file.startswith(".")
    ]
    if not found:
        raise DataError(f"{folder} holds no image: none of its files ends in {', '.join(SUFFIXES)}.")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _read(path: Path, folder: Path) -> ImageFile:
    data = _bytes(path)
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is not an image that can be read ({error}). Replace or remove the file.") from error
    name = path.relative_to(folder).with_suffix("").as_posix()
    return ImageFile(path, name, hashlib.sha256(data).hexdigest(), (height, width))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    rest = len(names) - _SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
