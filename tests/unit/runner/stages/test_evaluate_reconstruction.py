import shutil

import numpy as np
import pytest
from PIL import Image

from vtbench.errors import StoreError
from vtbench.evaluate.kept_rows import point_name, rows_of
from vtbench.launch.missing import missing_values
from vtbench.models.tokenizers.vibetoken import VibeToken
from vtbench.runner.stages import evaluate_reconstruction, train_tokenizer
from vtbench.schema.record import StageRecord
from vtbench.store.query import load_progress, wanted

NAME = evaluate_reconstruction.NAME
KINDS = ("original", "reconstruction")


@pytest.fixture
def context(make_plan, open_context):
    """A run that is trained, to be measured at two lengths."""
    with open_context(make_plan(evaluate__num_tokens=[None, 2])) as context:
        train_tokenizer.run(context)
        yield context


@pytest.fixture
def encoded(monkeypatch):
    """Record how many images each call of the encoder got."""
    encoded = []

    def encode(model, images, geometry, real=VibeToken.encode):
        encoded.append(len(images))
        return real(model, images, geometry)

    monkeypatch.setattr(VibeToken, "encode", encode)
    return encoded


def pictures(context):
    return sorted(path.name for path in context.store.samples_dir(context.spec.run_id).iterdir())


def test_every_metric_at_every_point(context):
    evaluate_reconstruction.run(context)
    record = context.writer.record
    found = sorted((v.name, v.params["num_tokens"] or 0) for v in record.metrics)
    assert found == [(name, length) for name in ("mae", "psnr", "psnr_mean_image") for length in (0, 2)]
    assert all(value.num_samples == 4 and value.checkpoint == "ema@3" for value in record.metrics)
    assert record.stage(NAME).status == "done"
    progress = load_progress(context.store, context.spec.run_id)
    assert (progress.stage, progress.step, progress.total) == (NAME, 8, 8)


def test_pictures_show_the_same_images_at_every_length(context):
    evaluate_reconstruction.run(context)
    stems = ("16x16_L2", "16x16_Lfull")
    assert pictures(context) == [f"{stem}_{kind}.png" for stem in stems for kind in ("original", "reconstruction")]
    folder = context.store.samples_dir(context.spec.run_id)
    images = {name: np.asarray(Image.open(folder / name)) for name in pictures(context)}
    assert {image.shape for image in images.values()} == {(16, 2 * 16, 3)}
    assert np.array_equal(images["16x16_L2_original.png"], images["16x16_Lfull_original.png"])
    assert not np.array_equal(images["16x16_L2_original.png"], images["16x16_L2_reconstruction.png"])


def test_what_is_known_is_not_measured_again(context, encoded):
    evaluate_reconstruction.run(context)
    # two batches and a strip of pictures at each of two points
    assert encoded == [2, 2, 2] * 2
    record = context.writer.record
    evaluate_reconstruction.run(context)
    assert encoded == [2, 2, 2] * 2
    assert context.writer.record == record


def test_a_lost_picture_is_drawn_again(context, encoded):
    evaluate_reconstruction.run(context)
    before, record = pictures(context), context.writer.record
    (context.store.samples_dir(context.spec.run_id) / before[0]).unlink()
    encoded.clear()
    evaluate_reconstruction.run(context)
    assert pictures(context) == before
    assert encoded == [2]
    assert context.writer.record == record


def test_a_stage_that_had_failed_is_done_in_the_end(context):
    evaluate_reconstruction.run(context)
    context.writer.set_stage(StageRecord(name=NAME, status="failed"))
    evaluate_reconstruction.run(context)
    assert context.writer.record.stage(NAME).status == "done"


def forget_values(context):
    """Drop what was measured from the record, but not what was taken of the images."""
    context.writer.update(metrics=())


def test_a_value_whose_rows_are_kept_needs_no_model(context, encoded):
    evaluate_reconstruction.run(context)
    record = context.writer.record
    shutil.rmtree(context.checkpoint_dir)
    forget_values(context)
    encoded.clear()
    evaluate_reconstruction.run(context)
    assert encoded == []
    assert context.writer.record.metrics == record.metrics


def test_a_value_whose_rows_are_gone_does(context):
    evaluate_reconstruction.run(context)
    shutil.rmtree(context.checkpoint_dir)
    shutil.rmtree(context.store.measured_dir(context.spec.run_id))
    forget_values(context)
    with pytest.raises(StoreError, match=r"weights .* are missing"):
        evaluate_reconstruction.run(context)


def test_each_values_rows_can_be_found(context):
    evaluate_reconstruction.run(context)
    folder = context.store.measured_dir(context.spec.run_id)
    for value in context.writer.record.metrics:
        point = folder / point_name(value.params["resolution"], value.params["num_tokens"])
        (rows,) = rows_of(point, value).values()
        assert rows.mean() == pytest.approx(value.value, rel=1e-12)


def test_the_record_says_how_each_value_was_measured(context):
    evaluate_reconstruction.run(context)
    record = context.writer.record
    assert {value.protocol for value in record.metrics} == set(record.protocols)
    assert all(fields["num_samples"] == 4 for fields in record.protocols.values())


def test_codes_are_measured(make_plan, open_context):
    plan = make_plan().model_copy(update={"metrics": ("psnr", "codebook_usage", "bits_per_pixel")})
    with open_context(plan) as context:
        train_tokenizer.run(context)
        evaluate_reconstruction.run(context)
        values = {value.name: value.value for value in context.writer.record.metrics}
    assert values["bits_per_pixel"] == 4 * 4 * 4 / 16**2  # 4 codebooks of 16 entries, 4 tokens
    assert 0 < values["codebook_usage"] <= 1


def test_routes_are_points_of_their_own(make_plan, open_context, store):
    routes = [{"input": "16x16", "decode": "16x24"}, {"input": "16x16", "decode": "16x16", "output": "16x24"}]
    plan = make_plan(evaluate__resolutions=["16x24"], evaluate__routes=routes)
    with open_context(plan) as context:
        train_tokenizer.run(context)
        evaluate_reconstruction.run(context)
        record = context.writer.record
        psnr = {v.params.get("route"): v for v in record.metrics if v.name == "psnr"}
        assert list(psnr) == [None, "from_16x16", "from_16x16_bicubic"]
        assert psnr["from_16x16_bicubic"].value not in (psnr[None].value, psnr["from_16x16"].value)
        assert "route" not in psnr[None].params
        assert len({v.value for v in record.metrics if v.name == "psnr_mean_image"}) == 1
        stems = ("16x24_Lfull", "16x24_Lfull_from_16x16", "16x24_Lfull_from_16x16_bicubic")
        assert pictures(context) == sorted(f"{stem}_{kind}.png" for stem in stems for kind in KINDS)
        for value in psnr.values():
            point = point_name("16x24", None, value.params.get("route"))
            rows = rows_of(store.measured_dir(context.spec.run_id) / point, value)
            assert next(iter(rows.values())).mean() == pytest.approx(value.value)
        evaluate_reconstruction.run(context)
        assert context.writer.record.metrics == record.metrics
        assert {v.key for v in wanted(plan, record.metrics)} == {v.key for v in record.metrics}
        plain = plan.model_copy(update={"evaluate": plan.evaluate.model_copy(update={"routes": ()})})
        assert {v.params.get("route") for v in wanted(plain, record.metrics)} == {None}
        assert missing_values(plan, record) == []
