"""The small study on real pictures, expanded, with its plan in a store: what launchers and runners are given.

The small search likewise; its runs are answered by a formula, in milliseconds, where a test is about the search alone.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtbench.evaluate import METRICS
from vtbench.schema.record import MetricValue, Provenance, RunError, RunRecord, StageRecord
from vtbench.store.files import write_atomic
from vtbench.store.layout import Store
from vtbench.store.query import dump, save_plan
from vtbench.study.expand import expand
from vtbench.study.load import load_study

FAKES = Path(__file__).parents[1] / "fakes"
TEXT = (FAKES / "small_study.yaml").read_text()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def make_plan(tmp_path, store):
    """Write pictures and the study, and return its plan as it is in the store; `a__b=1` sets `a.b`."""
    draw = np.random.default_rng(0)
    for split in ("train", "val"):
        folder = tmp_path / "images" / split / "a"
        folder.mkdir(parents=True)
        for number in range(4):
            Image.fromarray(draw.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    path = tmp_path / "small.yaml"
    path.write_text(TEXT.replace("IMAGES,", "").replace("root: IMAGES", f"root: {tmp_path / 'images'}"))

    def make_plan(**overrides):
        plan = expand(load_study(path), set={key.replace("__", "."): value for key, value in overrides.items()})
        save_plan(store, plan)
        return plan

    return make_plan


@pytest.fixture
def make_generator_plan(make_plan):
    """Return a plan as `make_plan`, of generators of one block on the tokens of the small study's tokenizers."""

    def make_generator_plan(**overrides):
        size = {"width": 16, "num_layers": 1, "num_heads": 2}
        model = {"name": "vibetoken_gen", "size": size, "num_head_layers": 1, "num_classes": 1}
        sections = {
            "generator__model": model,
            "generator__tokens": {"resolutions": ["16x16"]},
            "generator__train": {"steps": 3, "batch_size": 2, "log_every": 1, "checkpoint_every": 2},
        }
        return make_plan(**{**sections, **overrides})

    return make_generator_plan


@pytest.fixture
def make_search(tmp_path):
    """Write the small search and return its study; pairs of arguments are replaced in its text."""

    def make_search(*changes):
        text = (FAKES / "small_search.yaml").read_text().replace("IMAGES,", "").replace("root: IMAGES", "root: nowhere")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "small_search.yaml"
        path.write_text(text)
        return load_study(path)

    return make_search


def answer_runs(store, plan, broken=0.009):
    """Leave what workers would leave of a plan's runs: best at a rate of 0.002; above `broken` training diverges."""
    for run_id, spec in plan.runs.items():
        rate, quantizer = spec.config.train.optimizer.learning_rate, spec.config.losses.quantizer
        loss = abs(math.log(rate / 0.002)) + 0.1 * quantizer + 0.001 * spec.seed
        lines = [json.dumps({"step": step, "mse": loss / (step + 1)}) for step in range(spec.config.train.steps)]
        write_atomic(store.log_path(run_id), "".join(f"{line}\n" for line in lines), sync=False)
        failed = rate > broken
        values = {"psnr": 20 - loss, "mae": loss / 100, "gflops": 1 / quantizer}
        record = RunRecord(
            spec=spec,
            status="failed" if failed else "done",
            stages=(StageRecord(name="train_tokenizer", status="done", seconds=2.0),),
            metrics=() if failed else tuple(_measured(name, value) for name, value in values.items()),
            provenance=Provenance(
                commit=None, dirty_hash=None, packages={}, hardware="none", command="", started="2026-11-22T00:00:00"
            ),
            error=RunError(kind="NonFiniteLossError", message="training broke at step 3") if failed else None,
        )
        write_atomic(store.record_path(run_id), dump(record), sync=False)


def _measured(name, value):
    version = METRICS.load(name).version if name in METRICS else 1
    params = {"resolution": "16x16", "num_tokens": None}
    return MetricValue(
        name=name, metric_version=version, value=value, num_samples=4, params=params, protocol="p", checkpoint="c"
    )


@pytest.fixture
def answer(store):
    """Return a function that answers the runs of a plan, as launchers take it; it notes which runs it was given."""

    def answer(plan, unwanted=None):
        answer.made += list(plan.runs)
        answer_runs(store, plan)

    answer.made, answer.at = [], answer_runs
    return answer
