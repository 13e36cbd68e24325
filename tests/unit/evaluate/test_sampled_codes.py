"""Codes are sampled once, batch by batch, and are the same however they are asked for."""

import numpy as np
import torch

from vtbench.evaluate.sampled_codes import SampledCodes


def _codes(folder, calls, *, batch_size=4, codebook_size=100, about=None):
    def sample(positions):
        calls.append(positions)
        return torch.tensor([[[position, position + 1, position + 2]] for position in positions])

    return SampledCodes(folder, about or {"weights": 1}, batch_size, codebook_size, sample)


def test_a_batch_is_sampled_once_and_read_after_that(tmp_path):
    calls = []
    first = _codes(tmp_path, calls).of(range(4, 8))
    again = _codes(tmp_path, calls).of(range(4, 8))
    assert calls == [range(4, 8)]
    assert torch.equal(first, again)
    assert first.dtype == torch.int64
    assert first[:, 0, 0].tolist() == [4, 5, 6, 7]


def test_other_weights_are_other_codes(tmp_path):
    calls = []
    _codes(tmp_path, calls).of(range(4))
    _codes(tmp_path, calls, about={"weights": 2}).of(range(4))
    assert len(calls) == 2


def test_some_samples_whole_batches_and_keeps_the_order(tmp_path):
    calls = []
    found = _codes(tmp_path, calls).some([9, 1, 8, 2], total=10)
    assert found[:, 0, 0].tolist() == [9, 1, 8, 2]
    assert calls == [range(4), range(8, 10)]


def test_the_last_batch_of_more_images_is_not_taken_for_that_of_fewer(tmp_path):
    calls = []
    _codes(tmp_path, calls).of(range(4, 6))
    assert len(_codes(tmp_path, calls).of(range(4, 8))) == 4


def test_codes_take_two_bytes_where_they_fit(tmp_path):
    for size, kind in ((2**16, np.uint16), (2**16 + 1, np.int32)):
        codes = _codes(tmp_path, [], codebook_size=size, about={"size": size})
        codes.of(range(4))
        (path,) = codes.folder.glob("*.npy")
        assert np.load(path).dtype == kind
