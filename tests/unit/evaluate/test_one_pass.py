"""One pass takes everything once, survives a kill, and gives the same bits however it is shared."""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from vtbench.errors import DataError
from vtbench.evaluate.kept_rows import KeptRows
from vtbench.evaluate.metric import CODES, LABELS, Metric, Quantity, Result
from vtbench.evaluate.metrics.pfid import PfdEffnet
from vtbench.evaluate.metrics.psnr import Psnr
from vtbench.evaluate.one_pass import chunk_length, measure

WORKER = Path(__file__).parents[2] / "fakes" / "tiny_pass.py"


def _start(folder, *options, **environment):
    command = [sys.executable, str(WORKER), str(folder), *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", **environment}
    )


@pytest.fixture
def expected(tiny, tmp_path):
    """Return what an undisturbed pass gives."""
    found = tiny.values(tiny.all_metrics(), tiny.TinyPairs(), tmp_path / "undisturbed")
    tiny.TinyNetwork.passes.clear()
    return found


def test_a_network_runs_once_for_all_metrics_and_layers(tiny, tmp_path):
    source = tiny.TinyPairs()
    tiny.values([*tiny.all_metrics(), tiny.TinyDistance()], source, tmp_path)
    produced = [(num, layers) for num, layers in tiny.TinyNetwork.passes if layers == ("logits", "pooled")]
    reference = [(num, layers) for num, layers in tiny.TinyNetwork.passes if layers == ("pooled",)]
    assert [num for num, _ in produced] == [num for num, _ in reference] == [16, 16, 16, 16, 6]
    assert len(produced) + len(reference) == len(tiny.TinyNetwork.passes)
    assert [list(part) for part in source.asked] == [list(range(70)[at : at + 8]) for at in range(0, 70, 8)]


def test_rows_are_those_of_the_images_in_their_order(tiny, tmp_path):
    metrics = tiny.all_metrics()
    taken = measure(metrics, tiny.TinyPairs(), tmp_path / "rows", tmp_path / "cache")
    images = tiny.TinyPairs().reference(range(70))
    dark = (images * 0.8).to(torch.uint8)
    assert taken.measured.n == 70
    np.testing.assert_array_equal(taken.measured.rows(Psnr().quantities()[0]), Psnr().measure(images, dark).numpy())
    network = tiny.TinyNetwork()
    for quantity, side in zip(tiny.TinyDistance().quantities(), (images, dark), strict=True):
        rows = [network.features(part) for part in side.split(16)]
        np.testing.assert_array_equal(taken.measured.rows(quantity), torch.cat(rows).numpy())
        assert len(taken.measured.rows(quantity)) == 70
    assert not any("chunks" in str(path) and path.suffix == ".npz" for path in tmp_path.rglob("*"))


def test_batches_of_the_model_do_not_show(tiny, tmp_path, expected):
    for batch_size in (5, 64, 100):
        source = tiny.TinyPairs(batch_size=batch_size)
        assert tiny.values(tiny.all_metrics(), source, tmp_path / str(batch_size)) == expected


def test_a_second_pass_computes_nothing(tiny, tmp_path, expected):
    source = tiny.TinyPairs()
    assert tiny.values(tiny.all_metrics(), source, tmp_path / "undisturbed") == expected
    assert source.asked == []
    assert tiny.TinyNetwork.passes == []


def test_a_new_metric_takes_only_what_is_not_kept(tiny, tmp_path, expected):
    source = tiny.TinyPairs()
    tiny.values([Psnr(), tiny.TinyDistance()], source, tmp_path)
    tiny.TinyNetwork.passes.clear()
    again = tiny.TinyPairs()
    tiny.values([tiny.TinyDistance()], again, tmp_path)
    assert again.asked == []
    assert tiny.values(tiny.all_metrics(), again, tmp_path) == expected
    assert sum(map(len, again.asked)) == 70
    assert {layers for _, layers in tiny.TinyNetwork.passes} == {("logits",)}


def test_reference_features_are_shared_by_other_models(tiny, tmp_path):
    tiny.values([tiny.TinyDistance()], tiny.TinyPairs(), tmp_path)
    tiny.TinyNetwork.passes.clear()
    tiny.values([tiny.TinyDistance()], tiny.TinyPairs(about={"what": "another model"}), tmp_path)
    assert sum(num for num, _ in tiny.TinyNetwork.passes) == 70  # the produced images alone


def test_other_images_under_the_same_description_are_not_taken_for_these(tiny, tmp_path, expected, caplog):
    folder = tmp_path / "undisturbed"
    with caplog.at_level(logging.WARNING):
        other = tiny.values(tiny.all_metrics(), tiny.TinyPairs(seed=1), folder)
    assert "are not those" in caplog.text
    assert all(other[name] != expected[name] for name in expected)
    assert other == tiny.values(tiny.all_metrics(), tiny.TinyPairs(seed=1), tmp_path / "fresh")


def test_other_images_are_noticed_in_a_pass_that_was_interrupted(tiny, tmp_path):
    with _start(tmp_path, "--die", "between", "2") as process:
        assert process.wait() == -signal.SIGKILL
    found = tiny.values(tiny.all_metrics(), tiny.TinyPairs(seed=1), tmp_path)
    assert found == tiny.values(tiny.all_metrics(), tiny.TinyPairs(seed=1), tmp_path / "fresh")


@pytest.mark.parametrize(("place", "count"), [("between", 2), ("inside", 3)])
def test_a_killed_pass_goes_on_where_it_was(tiny, tmp_path, expected, place, count):
    with _start(tmp_path, "--die", place, str(count)) as process:
        assert process.wait() == -signal.SIGKILL
    source = tiny.TinyPairs()
    assert tiny.values(tiny.all_metrics(), source, tmp_path) == expected
    first = count * 16  # what was done is not done again
    assert sorted(position for part in source.asked for position in part) == list(range(first, 70))
    assert sum(num for num, layers in tiny.TinyNetwork.passes if "logits" in layers) == 70 - first
    references = sum(num for num, layers in tiny.TinyNetwork.passes if "logits" not in layers)
    assert references == 70 - first - (16 if place == "inside" else 0)  # a chunk's references come before its images


@pytest.mark.slow
def test_two_processes_share_the_work_and_give_the_same_bits(tiny, tmp_path, expected):
    processes = [_start(tmp_path, RANK=str(rank), WORLD_SIZE="2") for rank in (0, 1)]
    results = [json.loads(process.communicate()[0]) for process in processes]
    assert [result["values"] for result in results] == [expected, expected]
    asked = sorted(position for result in results for part in result["asked"] for position in range(*part))
    assert asked == list(range(70))
    assert sum(result["images"] for result in results) == 140


def test_a_process_whose_partner_is_dead_does_its_part_too(tiny, tmp_path, expected):
    source = tiny.TinyPairs()
    assert tiny.values(tiny.all_metrics(), source, tmp_path, rank=1, world=3) == expected
    assert [part.start // 16 for part in source.asked if part.start % 16 == 0] == [1, 4, 0, 2, 3]


def test_progress_counts_produced_images(tiny, tmp_path):
    seen = []
    tiny.values(tiny.all_metrics(), tiny.TinyPairs(), tmp_path, on_progress=seen.append)
    assert seen == [*range(8, 70, 8), 70]
    seen.clear()
    tiny.values(tiny.all_metrics(), tiny.TinyPairs(), tmp_path, on_progress=seen.append)
    assert seen == [16, 32, 48, 64, 70]


class _Unpaired:
    """More references than produced images, or none."""

    def make(self, tiny, num_reference, num_produced):
        source = tiny.TinyPairs(num=max(num_reference, num_produced))
        source.paired, source.num_reference, source.num_produced = False, num_reference, num_produced
        source.produced = lambda positions, reference, perturb, with_codes: (
            (source._images[positions.start : positions.stop] * 0.8).to(torch.uint8),
            None,
        )
        return source


@pytest.mark.parametrize(("num_reference", "num_produced"), [(70, 20), (20, 70)])
def test_sets_of_different_sizes(tiny, tmp_path, num_reference, num_produced):
    source = _Unpaired().make(tiny, num_reference, num_produced)
    metric = tiny.TinyDistance()
    taken = measure([metric], source, tmp_path / "rows", tmp_path / "cache")
    reference, produced = (taken.measured.rows(quantity) for quantity in metric.quantities())
    assert (len(reference), len(produced), taken.measured.n) == (num_reference, num_produced, num_produced)
    assert metric.compute(taken.measured).value > 0


def test_no_references_at_all(tiny, tmp_path):
    source = _Unpaired().make(tiny, 0, 20)
    taken = measure([tiny.TinyConfidence()], source, tmp_path / "rows", tmp_path / "cache")
    assert tiny.TinyConfidence().compute(taken.measured).value != 0
    with pytest.raises(DataError, match="Tiny distance needs reference images"):
        measure([tiny.TinyDistance()], source, tmp_path / "rows", tmp_path / "cache")
    with pytest.raises(DataError, match="not paired"):
        measure([Psnr()], source, tmp_path / "rows", tmp_path / "cache")


class _Needs(Metric):
    name, title, higher_is_better, source, value_range, equation = "needs", "Needs", True, "tests", (0.0, 1.0), "-"

    def __init__(self, quantity):
        self._quantity = quantity

    def quantities(self):
        return (self._quantity,)

    def compute(self, measured):
        return Result(0.0)


@pytest.mark.parametrize(("quantity", "what"), [(CODES, "codes"), (LABELS, "labels")])
def test_what_the_images_do_not_have_is_said_at_once(tiny, tmp_path, quantity, what):
    source = tiny.TinyPairs()
    with pytest.raises(DataError, match=f"Needs needs {what}"):
        measure([_Needs(quantity)], source, tmp_path / "rows", tmp_path / "cache")
    with pytest.raises(DataError, match="needs codes"):
        measure([PfdEffnet()], source, tmp_path / "rows", tmp_path / "cache")
    assert source.asked == source.looked == []


class _Labelled:
    def make(self, tiny):
        source = tiny.TinyPairs(num=20)
        source.labels = lambda positions: torch.tensor([position % 7 for position in positions])
        source.codebook_sizes = lambda: (5, 5)
        source.latents = lambda codes: codes.transpose(1, 2).float() / 2
        source.variants = []

        def produced(positions, reference, perturb, with_codes):
            source.variants.append((perturb, with_codes))
            codes = torch.tensor([[[position % 5] * 3, [4] * 3] for position in positions], dtype=torch.int32)
            return reference // (4 if perturb else 2), codes

        source.produced = produced
        return source


def test_codes_latents_labels_and_perturbed_images(tiny, tmp_path):
    from vtbench.evaluate.metric import LATENTS, features

    source = _Labelled().make(tiny)
    perturbed = features("tiny", "pooled", "produced", perturb=0.25)
    plain = features("tiny", "pooled", "produced")
    metrics = [_Needs(quantity) for quantity in (CODES, LATENTS, LABELS, perturbed, plain)]
    taken = measure(metrics, source, tmp_path / "rows", tmp_path / "cache")
    rows = taken.measured
    assert rows.codebook_sizes == (5, 5)
    assert rows.size == (12, 14)
    assert rows.rows(CODES).shape == (20, 2, 3)
    assert rows.rows(CODES)[:, 0, 0].tolist() == [index % 5 for index in range(20)]
    np.testing.assert_array_equal(rows.rows(LATENTS), rows.rows(CODES).transpose(0, 2, 1) / 2)
    assert rows.rows(LABELS).tolist() == [index % 7 for index in range(20)]
    network, images = tiny.TinyNetwork(), tiny.TinyPairs(num=20).reference(range(20))
    for quantity, divisor in ((perturbed, 4), (plain, 2)):
        features_of = torch.cat([network.features(part) for part in (images // divisor).split(16)])
        np.testing.assert_array_equal(rows.rows(quantity), features_of.numpy())
    assert set(source.variants) == {(0.0, True), (0.25, False)}


def test_a_metric_that_returns_rows_of_another_shape_is_caught(tiny, tmp_path):
    class Wrong(_Needs):
        def rows(self, batch):
            return {"wrong": torch.zeros(3)}

    with pytest.raises(AssertionError, match="wrong"):
        measure(
            [Wrong(Quantity("wrong", "pair", (), "float64"))],
            tiny.TinyPairs(),
            tmp_path / "rows",
            tmp_path / "cache",
        )


def test_another_version_of_a_quantity_is_other_rows(tiny, tmp_path):
    class Newer(Psnr):
        version = Psnr.version + 1

    source = tiny.TinyPairs()
    tiny.values([Psnr()], source, tmp_path)
    before = len(source.asked)
    tiny.values([Newer()], source, tmp_path)
    assert len(source.asked) == 2 * before


def test_other_weights_of_a_network_are_other_features(tiny, tmp_path, monkeypatch):
    tiny.values([tiny.TinyDistance()], tiny.TinyPairs(), tmp_path)
    tiny.TinyNetwork.passes.clear()
    other = tmp_path / "weights"
    other.write_text("other")
    monkeypatch.setattr(tiny.TinyNetwork, "weights_file", other)
    tiny.values([tiny.TinyDistance()], tiny.TinyPairs(), tmp_path)
    assert sum(num for num, _ in tiny.TinyNetwork.passes) == 140


def test_chunks_hold_whole_batches_and_fit_into_memory():
    assert chunk_length((64, 64), 16) == chunk_length((256, 256), 64) == 256
    assert chunk_length((64, 64), 100) == 400
    assert chunk_length((64, 64), 24) == 240
    assert chunk_length((1024, 1024), 16) == 16
    assert chunk_length((1024, 1024), 8) * 3 * 1024**2 <= 2**26


def test_a_partial_join_is_an_error(tmp_path):
    kept = KeptRows(tmp_path, {}, 2)
    kept.write_chunk(kept.chunk_path(0, ["a"]), {"a": np.zeros(4)}, "digest")
    with pytest.raises(Exception, match="4 of 8 rows of a"):
        kept.finish(["a"], 8)
