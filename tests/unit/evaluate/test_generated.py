"""Classes and seeds are functions of the image's number; sources stand against the training split."""

import numpy as np
import pytest
import torch

from vtbench.data.dataset import ImageDataset
from vtbench.errors import DataError, ResolutionError, TrainingError
from vtbench.evaluate.generated import GeneratedImages, RealImages, Sampler, Selection, seeds_of
from vtbench.evaluate.sampled_codes import SampledCodes
from vtbench.schema.generation import GenerationConfig, GenerationPoint, Sampling

NONE = torch.empty(0, 3, 8, 8, dtype=torch.uint8)
PLAIN = Sampling(cfg_scale=1.0, top_k=None, top_p=None, temperature=1.0)
POINT = GenerationPoint(resolution="8x8", num_tokens=2, sampling=PLAIN)


class _Flat(ImageDataset):
    """Images of one colour: their number."""

    def __init__(self, num_images, labels):
        self.labels = np.asarray(labels, dtype=np.int64)
        self.content_key = f"flat{num_images}"

    def images(self, indices, size):
        return torch.tensor(indices, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, *size).contiguous()

    def training_pair(self, indices, input_size, target_size, rng, flip):
        raise AssertionError


def _config(**more):
    return GenerationConfig(resolutions=("8x8",), num_samples=10, batch_size=4, **more)


def _sampler(decode=None):
    def plain(codes, size, num_tokens):
        return (codes.float().mean(dim=(1, 2)) / 255)[:, None, None, None].expand(-1, 3, *size)

    return Sampler(
        sample=lambda labels, seeds, sampling, num_tokens: labels[:, None, None].expand(-1, 1, 4),
        decode=decode or plain,
        codebook_sizes=(16,),
        num_classes=3,
    )


def _source(tmp_path, sampler, **more):
    train = _Flat(20, np.arange(20) % 2)
    selection = Selection.of(_config(), train, 3)

    def sample(positions):
        labels = torch.from_numpy(selection.labels[positions.start : positions.stop])
        return sampler.sample(labels, seeds_of(positions), PLAIN, None)

    codes = SampledCodes(tmp_path / "codes", {}, 4, 16, sample)
    return GeneratedImages(sampler, POINT, (8, 8), codes, selection, train, 4, {}, **more), selection


def test_balanced_classes_take_turns_and_others_follow_the_training_split():
    train = _Flat(20, [0] * 15 + [1] * 5)
    assert Selection.of(_config(), train, 3).labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    many = GenerationConfig(resolutions=("8x8",), num_samples=40, classes="as_training")
    assert np.bincount(Selection.of(many, train, 2).labels).tolist() == [30, 10]


def test_the_reference_is_the_training_split_in_a_fixed_order():
    train = _Flat(20, np.zeros(20))
    whole = Selection.of(_config(), train, 1).reference
    assert sorted(whole) == list(range(20))
    assert Selection.of(_config(num_reference=7), train, 1).reference == whole[:7]
    with pytest.raises(DataError, match="no training images"):
        Selection.of(_config(), _Flat(1, [0]), 1)


def test_seeds_belong_to_images():
    assert seeds_of(range(4, 8)) == seeds_of(range(10))[4:8]
    assert len(set(seeds_of(range(100)))) == 100


def test_samples_are_decoded_from_a_prefix_of_kept_codes(tmp_path):
    seen = []

    def decode(codes, size, num_tokens):
        seen.append((codes.shape, size, num_tokens))
        return torch.full((len(codes), 3, *size), 0.5)

    source, _ = _source(tmp_path, _sampler(decode))
    images, codes = source.produced(range(4, 8), NONE, 0.0, True)
    assert images.shape == (4, 3, 8, 8)
    assert images.dtype == torch.uint8
    assert codes.shape == (4, 1, 2)
    assert seen == [((4, 1, 2), (8, 8), 2)]
    assert source.labels(range(4, 8)).tolist() == [1, 2, 0, 1]


def test_some_samples_are_those_of_the_pass(tmp_path):
    source, _ = _source(tmp_path, _sampler())
    images, _ = source.produced(range(4, 8), NONE, 0.0, False)
    assert torch.equal(source.some([7, 4]), images[[3, 0]])


def test_samples_are_written_if_asked_for(tmp_path):
    source, _ = _source(tmp_path, _sampler(), write_to=tmp_path / "written")
    source.produced(range(4, 8), NONE, 0.0, False)
    assert sorted(path.name for path in (tmp_path / "written").iterdir()) == [f"{i:06d}.png" for i in range(4, 8)]


def test_broken_samples_are_refused(tmp_path):
    for found, error in (
        (torch.full((4, 3, 8, 8), float("nan")), TrainingError),
        (torch.ones(4, 3, 4, 4), ResolutionError),
    ):
        source, _ = _source(tmp_path, _sampler(lambda codes, size, num_tokens, found=found: found))
        with pytest.raises(error, match="generated images"):
            source.produced(range(4), NONE, 0.0, False)


def test_shown_are_the_first_of_each_class_that_has_any(tmp_path):
    _, selection = _source(tmp_path, _sampler())
    assert selection.shown(4, 2) == [[0, 3], [1, 4], [2, 5]]


def test_real_images_stand_in_the_place_of_samples():
    validation, train = _Flat(5, np.arange(5)), _Flat(20, np.arange(20))
    source = RealImages(validation, [3, 1], train, [7, 2, 9], (8, 8), 4, {})
    images, codes = source.produced(range(2), NONE, 0.0, False)
    assert images[:, 0, 0, 0].tolist() == [3, 1]
    assert codes is None
    assert source.labels(range(2)).tolist() == [3, 1]
    assert source.reference(range(3))[:, 0, 0, 0].tolist() == source.reference_labels().tolist() == [7, 2, 9]
