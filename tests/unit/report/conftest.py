"""A synthetic study in a real store: written by `RunWriter`, with logs and picture strips."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from synthetic_costs import PROVENANCE, make_cost, make_cost_plan

from vtbench.report.protocol_data import MeasuredCell, ProtocolReportData
from vtbench.schema.generation import GenerationConfig
from vtbench.schema.protocol import Protocol
from vtbench.schema.record import MetricValue, Provenance, RunError, StageRecord
from vtbench.schema.run import (
    Component,
    GeneratorConfig,
    MixingConfig,
    RunConfig,
    RunSpec,
    TokensConfig,
    TrainConfig,
)
from vtbench.schema.study import Arm, ArmFacts, Cell, EvaluateConfig, Profile, Study, StudyPlan
from vtbench.store import query
from vtbench.store.layout import Store
from vtbench.store.writer import RunWriter
from vtbench.study.protocol_study import load_protocol_study

ARMS = (
    Arm(name="rope", title="RoPE", set={"tokenizer.pos_embed": "rope"}),
    Arm(name="rope_learned", title="Learnable RoPE", set={"tokenizer.pos_embed": "rope_learned"}),
    Arm(name="grid", title="Dynamic grid", set={"tokenizer.pos_embed": "grid"}),
    Arm(name="grid_adaptive", title="Dynamic grid + adaptive patch", set={"tokenizer.patch_embed": "adaptive"}),
)
RESOLUTIONS = ("32x32", "48x48", "96x96")
NUM_PICTURES = 8
NUM_SAMPLES = 384
LEVEL = {"rope": 1.0, "rope_learned": 0.8, "grid": 0.85, "grid_adaptive": 0.5}


def make_plan(arms=ARMS, seeds=(0, 1, 2), published=("vibetoken",), data="icons"):
    profile = Profile(
        name="tiny",
        note="Icons instead of ImageNet, 3 + 3 layers of width 128, Muon, codebooks initialised from the first batch.",
        cost="about 8 minutes on two cores",
        set={"train.steps": 600, "train.batch_size": 16},
    )
    study = Study(
        name="pos_embed",
        path="studies/pos_embed.yaml",
        question="Which position embedding lets a 1D tokenizer reconstruct at resolutions it was not trained at?",
        source="VibeToken (arXiv:2604.24885), ablation of position and patch embeddings",
        expected="The dynamic grid & the adaptive patch keep the distance low at unseen sizes; RoPE degrades most.",
        base={},
        arms=arms,
        seeds=seeds,
        metrics=("rfd_effnet", "psnr", "ssim", "mae"),
        profiles=(profile,),
        reference_arm=arms[0].name,
        published=published,
    )
    runs, cells, facts = {}, [], []
    for arm in arms:
        config = RunConfig(
            tokenizer=Component(
                name="vibetoken", **{path.rpartition(".")[2]: value for path, value in arm.set.items()}
            ),
            data=Component(name=data),
            mixing=MixingConfig(inputs={"32x32": 0.5, "48x48": 0.5}),
            train=TrainConfig(steps=600, batch_size=16),
        )
        for seed in seeds:
            run_id = f"{arm.name}-{seed}"
            runs[run_id] = RunSpec(run_id=run_id, config=config, seed=seed)
            cells.append(Cell(arm=arm.name, coordinates={}, seed=seed, run_id=run_id))
        facts.append(
            ArmFacts(
                arm=arm.name,
                coordinates={},
                num_parameters=1_040_000 + 1024 * len(arm.name),
                training_flops=2.5e13 * LEVEL.get(arm.name, 1.0),
                images_seen=9600,
                steps=600,
                num_tokens="32",
            )
        )
    return StudyPlan(
        study=study,
        profile=profile,
        seeds=seeds,
        metrics=study.metrics,
        evaluate=EvaluateConfig(resolutions=RESOLUTIONS, num_samples=NUM_SAMPLES),
        cells=tuple(cells),
        runs=runs,
        facts=tuple(facts),
    )


def make_values(arm, seed, protocol="0123456789ab"):
    level = LEVEL.get(arm, 1.0)
    noise = np.random.default_rng([seed, len(arm)])
    shared = np.random.default_rng(seed).normal()
    values = []
    for resolution in RESOLUTIONS:
        size = int(resolution.partition("x")[0])
        distance = 40 * (size / 32) ** (1.5 * level) * (1 + 0.03 * shared + 0.01 * noise.normal())
        measured = {
            "rfd_effnet": distance,
            "psnr": 18.5 - level - size / 40 + 0.1 * noise.normal(),
            "psnr_mean_image": 11.6,
            "ssim": 0.62 - 0.1 * level,
            "mae": 0.061 + 0.01 * level,
            "gflops": 0.21 * level * (size / 32) ** 2,
            "images_per_second_encode": 410.0 / level + seed,
            "images_per_second_decode": 388.0 / level + seed,
        }
        point = {"resolution": resolution, "num_tokens": None}
        values += [_value(name, value, point, protocol) for name, value in measured.items() if name != "rfd_effnet"]
        blocks = tuple(
            distance * (1 + 0.01 * np.random.default_rng(size).normal(size=10) + 0.002 * noise.normal(size=10))
        )
        values.append(_value("rfd_effnet", distance, point, protocol, blocks))
    values.append(_value("num_parameters", 1_040_000.0 + 1024 * len(arm), {}, protocol))
    values.append(_value("peak_memory_bytes", 9e8 + 1e6 * seed, {}, protocol))
    return values


def _value(name, value, params, protocol, without_blocks=()):
    quality = name in ("rfd_effnet", "psnr", "psnr_mean_image", "ssim", "mae")
    return MetricValue(
        name=name,
        metric_version=1,
        value=float(value),
        interval=(float(value) - 1, float(value) + 1) if without_blocks else None,
        without_blocks=tuple(map(float, without_blocks)),
        num_samples=NUM_SAMPLES if quality else 1,
        params=params,
        protocol=protocol if quality else "cost",
        checkpoint="last",
    )


def draw_strip(size, noise, seed=0):
    """Simple pictures side by side, `noise` in [0, 1] between clean and unrecognisable."""
    random = np.random.default_rng(seed)
    shades = np.random.default_rng(1)
    cells = []
    for _ in range(NUM_PICTURES):
        image = Image.new("RGB", (size, size), "white")
        colour = tuple(int(level) for level in shades.integers(0, 256, 3))
        ImageDraw.Draw(image).ellipse((size // 6, size // 6, size * 5 // 6, size * 5 // 6), fill=colour)
        pixels = np.asarray(image).astype(float)
        mixed = (1 - noise) * pixels + noise * random.integers(0, 256, pixels.shape)
        cells.append(mixed.astype(np.uint8))
    return Image.fromarray(np.concatenate(cells, axis=1))


def write_run(store, plan, cell, *, values=None, status="done", error=None, steps=600):
    provenance = Provenance(
        commit="c0ffee0123",
        dirty_hash="abcdef012345",
        packages={"torch": "2.15.0", "numpy": "2.4.6"},
        hardware="a CPU, 2 cores, 8.0 GiB memory",
        command="python -m vtbench run studies/pos_embed.yaml --seeds 3",
        started=f"2026-01-01T00:0{cell.seed}:00+00:00",
        finished=f"2026-01-01T01:0{cell.seed}:00+00:00",
    )
    with RunWriter(store, plan.runs[cell.run_id], provenance) as writer:
        random = np.random.default_rng([cell.seed, len(cell.arm)])
        for step in range(1, steps + 1, 2):
            mse = 0.25 * LEVEL.get(cell.arm, 1.0) * step**-0.4 * (1 + 0.1 * random.normal())
            writer.log(step, {"loss": mse * 1.3, "mse": mse, "learning_rate": 1e-3})
        writer.set_stage(StageRecord(name="train_tokenizer", status="done", steps=steps, seconds=31.5))
        writer.add_metrics(make_values(cell.arm, cell.seed) if values is None else values)
        folder = store.samples_dir(cell.run_id)
        folder.mkdir(parents=True)
        for resolution in RESOLUTIONS:
            size = int(resolution.partition("x")[0])
            draw_strip(size, 0.0).save(folder / f"{resolution}_Lfull_original.png")
            noise = 0.5 * LEVEL.get(cell.arm, 1.0)
            draw_strip(size, noise, seed=cell.seed).save(folder / f"{resolution}_Lfull_reconstruction.png")
        writer.update(status=status, error=error)


def write_study(root, *, leave_out=(), fail=(), **options):
    """Write a whole study; run ids in `leave_out` get no record, those in `fail` a failed one without values."""
    store, plan = Store(root), make_plan(**options)
    query.save_plan(store, plan)
    for cell in plan.cells:
        if cell.run_id in leave_out:
            continue
        if cell.run_id in fail:
            error = RunError(
                kind="NonFiniteLossError", message="the loss became NaN at step 31", stage="train_tokenizer"
            )
            write_run(store, plan, cell, values=[], status="failed", error=error, steps=31)
        else:
            write_run(store, plan, cell)
    return store, plan


class Synthetic:
    """The builders above, for tests."""

    arms = ARMS
    resolutions = RESOLUTIONS
    plan = staticmethod(make_plan)
    study = staticmethod(write_study)
    values = staticmethod(make_values)
    run = staticmethod(write_run)
    strip = staticmethod(draw_strip)


@pytest.fixture(scope="session")
def synthetic():
    return Synthetic


@pytest.fixture(scope="session")
def full_store(tmp_path_factory):
    """Store and plan of four arms and three seeds, all done; not to be written to."""
    return write_study(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="session")
def full_report(full_store, tmp_path_factory):
    """Folder of the rendered report of `full_store`; not to be written to."""
    from vtbench.report.render import render_study

    store, plan = full_store
    return render_study(store, plan.id, tmp_path_factory.mktemp("report")).parent


GENERATION = GenerationConfig(
    resolutions=("32x32", "48x48"), num_tokens=(4, 16), cfg_scale=(1.0, 2.0), num_samples=100, num_shown=3
)


def write_generation(root, arms=ARMS[:2], seeds=(0, 1)):
    """Write a study of generators: 2 arms, 2 sizes x 2 lengths x 2 ways of sampling, 2 classes shown."""
    store, plan = Store(root), make_plan(arms=arms, seeds=seeds, published=())
    generator = GeneratorConfig(
        model=Component(name="vibetoken_gen"),
        tokens=TokensConfig(resolutions=("32x32",)),
        train=TrainConfig(steps=600, batch_size=16),
    )
    runs = {
        name: run.model_copy(update={"config": run.config.model_copy(update={"generator": generator})})
        for name, run in plan.runs.items()
    }
    evaluate = plan.evaluate.model_copy(update={"generation": GENERATION})
    changes = {"runs": runs, "evaluate": evaluate, "metrics": ("gfd_effnet", "class_accuracy", "psnr")}
    plan = plan.model_copy(update=changes)
    query.save_plan(store, plan)
    for cell in plan.cells:
        write_run(store, plan, cell, values=make_generation_values(cell))
        for point in GENERATION.points:
            size = int(point.resolution.partition("x")[0])
            for kind, rows in (("samples", 2), ("neighbours", 2)):
                pixels = np.full((rows * size, 3 * size, 3), 40 * cell.seed, np.uint8)
                Image.fromarray(pixels).save(store.samples_dir(cell.run_id) / f"{point.name}_{kind}.png")
    return store, plan


def make_generation_values(cell):
    """Distances fall with the tokens and with guidance, most for the second arm; costs grow with both."""
    level, values = LEVEL[cell.arm], []
    for point in GENERATION.points:
        guided, length = point.sampling.cfg_scale > 1, point.num_tokens
        distance = 100 * level + 20 / length - 5 * guided + cell.seed
        found = {
            "gfd_effnet": distance,
            "class_accuracy": 0.3 + 0.01 * length + 0.1 * guided,
            "memorisation": 0.4,
            "gflops": 0.1 * length * (1 + guided),
            "seconds_per_image": 0.002 * length * (1 + guided) + 0.001,
            "seconds_per_image_sampling": 0.002 * length * (1 + guided),
            "seconds_per_image_decoder": 0.001,
        }
        for name, value in found.items():
            made = _value(name, value, point.params, "0123456789ab")
            if name in ("gfd_effnet", "class_accuracy", "memorisation"):
                made = made.model_copy(update={"num_samples": 100, "interval": (value - 1, value + 1)})
            if name.startswith("seconds"):
                made = made.model_copy(update={"num_samples": 50, "interval": (0.9 * value, 1.2 * value)})
            values.append(made)
    for size in GENERATION.resolutions:
        real = _value("gfd_effnet_real", 7.25, {"resolution": size}, "0123456789ab")
        values.append(real.model_copy(update={"num_samples": 90}))
    return [*values, _value("num_parameters", 2e6, {}, "cost")]


@pytest.fixture(scope="session")
def generation_report(tmp_path_factory):
    """Folder of the rendered report of a study of generators; not to be written to."""
    from vtbench.report.render import render_study

    store, plan = write_generation(tmp_path_factory.mktemp("generation"))
    return render_study(store, plan.id, tmp_path_factory.mktemp("generation_report")).parent


@pytest.fixture(scope="session")
def many_rows(full_store, tmp_path_factory):
    """Data of a study of 4 arms x 20 axis values: of each arm the point `train.steps=5` has the least distance."""
    from vtbench.report.gather import gather

    store, plan = full_store
    data = gather(store, plan.id, tmp_path_factory.mktemp("many"))
    firsts = [cell for cell in plan.cells if cell.seed == 0]
    cells, runs, infos, values, curves = [], {}, [], [], []
    for cell in firsts:
        for steps in range(20):
            run_id = f"{cell.arm}-{steps}"
            cells.append(Cell(arm=cell.arm, coordinates={"train.steps": steps}, seed=0, run_id=run_id))
            runs[run_id] = plan.runs[cell.run_id].model_copy(update={"run_id": run_id})
            info = next(info for info in data.runs if info.run_id == cell.run_id)
            infos.append(info.model_copy(update={"run_id": run_id, "status": "done" if steps else "failed"}))
            for value in data.values:
                if value.run_id == cell.run_id:
                    worse = abs(steps - 5) if value.metric == "rfd_effnet" else 0
                    values.append(value.model_copy(update={"run_id": run_id, "value": value.value + worse}))
            curve = next(curve for curve in data.curves if curve.run_id == cell.run_id)
            curves.append(curve.model_copy(update={"run_id": run_id}))
    many = plan.model_copy(update={"cells": tuple(cells), "runs": runs, "seeds": (0,), "facts": ()})
    lists = {"runs": tuple(infos), "values": tuple(values), "curves": tuple(curves), "strips": ()}
    return data.model_copy(update={"plan": many, **lists})


@pytest.fixture(scope="session")
def cost_plan():
    return make_cost_plan


@pytest.fixture(scope="session")
def cost_report(tmp_path_factory):
    """Folder of the rendered report of `make_cost_plan()`; not to be written to."""
    from vtbench.report.cost_study import render_costs

    plan = make_cost_plan()
    costs = [make_cost(cell.arm, cell.workload.resolution) for cell in plan.cells]
    return render_costs(plan, costs, PROVENANCE, tmp_path_factory.mktemp("cost")).parent


@pytest.fixture(scope="session")
def costs(cost_report):
    from vtbench.report.cost_data import Costs, load_costs

    return Costs(load_costs(cost_report))


@pytest.fixture(scope="session")
def uncounted(tmp_path_factory):
    """The same study, of which only the first arm has been counted."""
    from vtbench.report.cost_data import Costs, gather_costs

    plan = make_cost_plan()
    found = [make_cost("grid", cell.workload.resolution) if cell.arm == "grid" else None for cell in plan.cells]
    return Costs(gather_costs(plan, found, PROVENANCE, tmp_path_factory.mktemp("uncounted")))


PROTOCOL_STUDY = Path(__file__).parents[2] / "fakes" / "small_protocol_study.yaml"


@pytest.fixture
def protocol_data():
    """A protocol study's data: made-up values under real protocols; blur is better than JPEG except for one arm."""
    study = load_protocol_study(PROTOCOL_STUDY)
    shift = {"canonical": 0.0, "seed_voken": 30.0, "unitok": 0.25, "cut": 400.0, "truncate": 1.0, "jpeg": 5.0}
    values, protocols = [], {}
    for arm in study.arms:
        for metric in ("rfd_effnet", "psnr"):
            if metric == "psnr" and arm.name == "others":
                continue
            fields = arm.resolved().of(over_features=metric != "psnr")
            del fields["preprocessing"]
            own = {"reference": arm.reference, "metric": {"jpeg": arm.reference_jpeg, "prepared_by": arm.prepared_by}}
            protocol = Protocol.model_validate({**fields, "content_key": "c", "num_samples": 4, **own})
            protocols[protocol.fingerprint()] = protocol.fields()
            for damage, base in {"blur_1": 20.0, "jpeg_20": 40.0}.items():
                distance = base + shift.get(arm.name, 500.0)
                value = distance if metric == "rfd_effnet" else 60 - distance / 10
                cell = {"arm": arm.name, "degradation": damage, "metric": metric, "value": value, "num_samples": 4}
                values.append(MeasuredCell(**cell, protocol=protocol.fingerprint()))
    return ProtocolReportData(
        study=study,
        values=tuple(values),
        protocols=protocols,
        left_out={"rfid": "a file is missing."},
        provenance=PROVENANCE,
    )
