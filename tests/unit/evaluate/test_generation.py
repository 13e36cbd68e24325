"""Samples are measured at every point; tokens are sampled once for each way of sampling."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vtbench.data.dataset import ImageDataset
from vtbench.errors import DataError
from vtbench.evaluate.frechet_distance import frechet_of_rows
from vtbench.evaluate.generated import Sampler
from vtbench.evaluate.generation import Generation, GenerationData, evaluate_generation
from vtbench.evaluate.kept_rows import rows_of
from vtbench.schema.generation import GenerationConfig

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
METRICS = ("gfd_effnet", "class_accuracy")


class _Colours(ImageDataset):
    """Two classes of images, dark and light, with a pattern of their own."""

    def __init__(self, num_images, content_key):
        draw = torch.Generator().manual_seed(len(content_key))
        self.labels = np.arange(num_images, dtype=np.int64) % 2
        level = torch.from_numpy(self.labels).float()[:, None, None, None] * 0.6
        self._coarse = level + 0.4 * torch.rand(num_images, 3, 4, 4, generator=draw)
        self.content_key = content_key

    def images(self, indices, size):
        fine = F.interpolate(self._coarse[torch.as_tensor(indices)], size, mode="bilinear")
        return (fine * 255).round().to(torch.uint8)

    def training_pair(self, indices, input_size, target_size, rng, flip):
        raise AssertionError


TRAIN, VAL = _Colours(60, "train"), _Colours(24, "val")


class _Model:
    """Codes are the levels of a 4x4 image, light for class 1."""

    def __init__(self):
        self.sampled, self.decoded = [], []

    def sample(self, labels, seeds, sampling, num_tokens):
        self.sampled.append((sampling.cfg_scale, len(labels)))
        draws = [np.random.default_rng(seed).integers(0, 40, (3, 16)) for seed in seeds]
        return torch.from_numpy(np.stack(draws)) + 60 * labels[:, None, None]

    def decode(self, codes, size, num_tokens):
        self.decoded.append((size, codes.shape[2]))
        whole = codes.float().mean(dim=2, keepdim=True).expand(-1, -1, 16).clone()
        whole[:, :, : codes.shape[2]] = codes.float()
        return F.interpolate(whole.view(-1, 3, 4, 4) / 100, size, mode="bilinear")

    @property
    def sampler(self):
        return Sampler(self.sample, self.decode, (100, 100, 100), 2)


CONFIG = GenerationConfig(
    resolutions=("24x24", "16x32"), num_tokens=(4, 16), cfg_scale=(1.0, 2.0), num_samples=20, batch_size=8
)


def _generation(tmp_path, model, config=CONFIG, metrics=METRICS, **more):
    data = GenerationData(
        train=TRAIN,
        validation=VAL,
        cache_dir=tmp_path / "cache",
        measured_dir=tmp_path / "measured",
        written_dir=tmp_path / "written",
        device=CPU,
        **more,
    )
    return Generation(model.sampler, config, metrics, "ema@7", "fp32", data)


def _evaluate(tmp_path, model, known=(), config=CONFIG, metrics=METRICS):
    generation = _generation(tmp_path, model, config, metrics)
    return generation, list(evaluate_generation(generation, config.points, known, config.num_samples))


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("generation"), _Model()
    generation, values = _evaluate(folder, model)
    return folder, model, generation, values


def test_every_metric_at_every_point_and_once_a_size_for_real_images(evaluated):
    _, _, generation, values = evaluated
    real, measured = values[:2], values[2:]
    assert [{v.name for v in part} for part in real] == [{"gfd_effnet_real", "class_accuracy_real"}] * 2
    assert [part[0].params for part in real] == [{"resolution": "24x24"}, {"resolution": "16x32"}]
    for point, part in zip(CONFIG.points, measured, strict=True):
        assert {v.name for v in part} == {*METRICS, "memorisation"}
        assert all(v.params == point.params and v.num_samples == 20 and v.checkpoint == "ema@7" for v in part)
        assert all(v.interval is not None for v in part)
    assert {v.protocol for part in values for v in part} == set(generation.protocols())
    fields = generation.protocols()[measured[0][0].protocol]
    assert fields["reference"] == "training split"
    assert fields["metric"]["classes"] == "balanced"


def test_tokens_are_sampled_once_for_each_way_of_sampling(evaluated):
    _, model, _, _ = evaluated
    assert sorted(model.sampled) == [(1.0, 4), (1.0, 8), (1.0, 8), (2.0, 4), (2.0, 8), (2.0, 8)]
    assert set(model.decoded) == {((24, 24), 4), ((24, 24), 16), ((16, 32), 4), ((16, 32), 16)}


def test_values_say_what_the_samples_are(evaluated):
    folder, _, _, values = evaluated
    found = {v.name: v.value for v in [*values[0], *values[3]]}
    assert found["class_accuracy"] == 1.0
    assert found["class_accuracy_real"] > 0.9
    assert 0 <= found["memorisation"] <= 1
    rows = rows_of(folder / "measured" / CONFIG.points[1].name, values[3][0])
    sides = [rows[f"features/effnet_lite0/pooled/{side}"] for side in ("reference", "produced")]
    assert [len(side) for side in sides] == [60, 20]
    assert found["gfd_effnet"] == pytest.approx(frechet_of_rows(*sides), rel=1e-6)


def test_what_is_known_is_not_measured_again_and_rows_are_kept(evaluated):
    folder, _, _, values = evaluated
    known = {v.key for part in values for v in part}
    model = _Model()
    _, again = _evaluate(folder, model, known)
    assert [part for part in again if part] == []
    _, more = _evaluate(folder, model, known, metrics=(*METRICS, "precision_effnet"))
    assert {v.name for part in more for v in part} == {"precision_effnet", "precision_effnet_real"}
    assert model.sampled == []
    assert model.decoded == []
    value, point = values[2][0], CONFIG.points[0]
    assert rows_of(folder / "measured" / point.name, value) is not None


@pytest.mark.slow
def test_a_killed_evaluation_ends_with_the_same_values(evaluated, tmp_path):
    _, _, _, values = evaluated
    generation = _generation(tmp_path, _Model())
    first = evaluate_generation(generation, CONFIG.points, (), CONFIG.num_samples)
    for _ in range(3):
        next(first)
    model = _Model()
    _, again = _evaluate(tmp_path, model)
    assert again == values
    assert {scale for scale, _ in model.sampled} == {2.0}  # the other way's codes were there


def test_pictures_are_a_row_a_class_and_neighbours_the_nearest(evaluated, monkeypatch):
    _, _, generation, _ = evaluated
    labels, rows = zip(*generation.picture_rows(CONFIG.points[1]), strict=True)
    assert labels == (0, 1)
    assert [row.shape for row in rows] == [(8, 3, 24, 24)] * 2
    for most, num in ((2 * 24 * 24 * 3, 3), (10, 1)):
        monkeypatch.setattr("vtbench.evaluate.generation.MOST_PIXELS", most)
        fewer = generation.picture_rows(CONFIG.points[1])
        assert [len(row) for _, row in fewer] == [num] * 2
        assert torch.equal(fewer[1][1], rows[1][:num])
    assert rows[0].float().mean() < rows[1].float().mean()
    samples, training = generation.nearest_pairs(CONFIG.points[1], 5)
    assert samples.shape == training.shape == (5, 3, 24, 24)


def test_metrics_of_pairs_are_refused_and_those_of_codes_have_no_real_images(evaluated, tmp_path):
    with pytest.raises(DataError, match="not paired"):
        _evaluate(tmp_path, _Model(), metrics=("psnr",))
    config = CONFIG.model_copy(update={"resolutions": ("24x24",), "num_tokens": (16,), "cfg_scale": (1.0,)})
    _, values = _evaluate(tmp_path, _Model(), config=config, metrics=("codebook_usage",))
    assert [[v.name for v in part] for part in values] == [[], ["codebook_usage", "memorisation"]]


def test_batches_and_other_reference_are_told_in_the_protocol(evaluated, tmp_path):
    _, _, _, values = evaluated
    for change in ({"num_reference": 30}, {"classes": "as_training"}):
        generation = _generation(tmp_path, _Model(), CONFIG.model_copy(update=change))
        assert values[2][0].protocol not in generation.protocols()
