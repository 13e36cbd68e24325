import numpy as np
import pytest
from PIL import Image

from vtbench.data.image_folder_flat import FlatFolder, pair, single_size
from vtbench.errors import DataError


@pytest.fixture
def fill(tmp_path):
    """Write images of random pixels: name -> (height, width); the pixels follow the name without its ending."""

    def fill(folder, sizes, shift=0):
        for name, (height, width) in sizes.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            draw = np.random.default_rng(sum(path.stem.encode()) + shift)
            Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        return tmp_path / folder

    return fill


def test_files_of_any_nesting_and_ending_in_the_order_of_their_paths(fill):
    sizes = {"b/2.png": (4, 6), "a.JPG": (8, 8), "b/c/1.webp": (4, 6), "b/1.jpeg": (4, 6)}
    folder = fill("x", sizes)
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_text("not an image either")
    found = FlatFolder(folder)
    assert found.names == ("a", "b/1", "b/2", "b/c/1")
    assert found.sizes == {(4, 6): 3, (8, 8): 1}
    assert np.asarray(found.read(2)).shape == (4, 6, 3)


def test_a_folder_is_known_by_its_files_bytes_alone(fill):
    one, two = FlatFolder(fill("x", {"a.png": (4, 4), "b.png": (4, 4)})), FlatFolder(fill("y", {"a.png": (4, 4)}))
    assert one.content_key != two.content_key
    (two.folder / "0.png").write_bytes((one.folder / "b.png").read_bytes())
    renamed = FlatFolder(two.folder)
    assert renamed.content_key == one.content_key
    assert renamed.order_key() != one.order_key() == renamed.order_key([1, 0])
    fill("x", {"b.png": (4, 4)}, shift=1)
    assert FlatFolder(one.folder).content_key != one.content_key


def test_images_are_paired_by_name_whatever_the_ending(fill):
    images = FlatFolder(fill("x", {"c/1.png": (4, 4), "c/2.png": (4, 4), "a.png": (4, 4)}))
    reference = FlatFolder(fill("y", {"c/2.jpg": (4, 4), "c/1.png": (4, 4), "a.webp": (4, 4)}))
    assert [reference.names[index] for index in pair(images, reference)] == list(images.names)


def test_what_has_no_partner_is_listed(fill):
    images = FlatFolder(fill("x", {f"{index}.png": (2, 2) for index in range(8)}))
    reference = FlatFolder(fill("y", {"0.png": (2, 2), "other.png": (2, 2)}))
    with pytest.raises(DataError) as error:
        pair(images, reference)
    assert f"{reference.folder} has no partner of '1', '2', '3', '4', '5' and 2 more" in str(error.value)
    assert f"{images.folder} has no partner of 'other'" in str(error.value)
    assert "need no pairs" in str(error.value)


def test_two_sizes_are_refused_and_both_files_named(fill):
    one, two = FlatFolder(fill("x", {"a.png": (4, 4)})), FlatFolder(fill("y", {"a.png": (4, 4), "b.png": (4, 6)}))
    assert single_size([one]) == (4, 4)
    with pytest.raises(DataError, match=r"a\.png is 4x4, .*b\.png is 4x6\. Give --resolution"):
        single_size([one, two])


def test_a_wrong_folder_gets_the_nearest_name(fill, tmp_path):
    fill("images", {"a.png": (4, 4)})
    with pytest.raises(DataError, match=r"no folder .*imges.* Did you mean 'images'"):
        FlatFolder(tmp_path / "imges")


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no image.*\.png"):
        FlatFolder(tmp_path)


def test_a_file_that_is_no_image_is_named(fill):
    folder = fill("x", {"a.png": (4, 4)})
    (folder / "b.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"b\.png is not an image"):
        FlatFolder(folder)
    data = (folder / "a.png").read_bytes()
    (folder / "b.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"b\.png is not an image"):
        FlatFolder(folder).read(1)


def test_two_files_of_one_name_are_refused(fill):
    with pytest.raises(DataError, match=r"a\.jpg and .*a\.png have the same name"):
        FlatFolder(fill("x", {"a.png": (4, 4), "a.jpg": (4, 4)}))
