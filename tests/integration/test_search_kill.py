"""A search that is killed with all of its processes, at random moments, ends with the trials of one that is not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtbench.store.layout import Store
from vtbench.store.query import load_plan, load_records
from vtbench.store.search import load_ledger

TEXT = (Path(__file__).parents[1] / "fakes" / "small_search.yaml").read_text()
PLAN = "small_search@tiny"


def start(folder, root):
    command = [sys.executable, "-m", "vtbench", "run", "search.yaml", "--root", root, "--report-dir", f"{root}-report"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True)


@pytest.mark.slow
def test_kill_at_random_moments(tmp_path):
    draw = np.random.default_rng(0)
    for split in ("train", "val"):
        images = tmp_path / "images" / split / "a"
        images.mkdir(parents=True)
        for number in range(4):
            Image.fromarray(draw.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(images / f"{number}.png")
    (tmp_path / "search.yaml").write_text(TEXT.replace("IMAGES,", "").replace("root: IMAGES", "root: images"))
    assert start(tmp_path, "calm").wait() == 0
    calm, wild = Store(tmp_path / "calm"), Store(tmp_path / "wild")
    expected = load_ledger(calm, PLAN)
    assert len(expected.told) == 5
    assert {trial.state for trial in expected.trials} >= {"done"}

    moments, kills = random.Random(5), 0
    for _ in range(6):
        process = start(tmp_path, "wild")
        begun = time.monotonic()
        # longer each time, so that every part of the search is met and some of it gets done
        limit = moments.uniform(2.0, 8.0) * (1 + kills)
        while process.poll() is None and time.monotonic() - begun < limit:
            time.sleep(0.02)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    assert start(tmp_path, "wild").wait() == 0
    assert kills > 0
    assert load_ledger(wild, PLAN) == expected
    of_calm, of_wild = (load_records(store, load_plan(store, PLAN)) for store in (calm, wild))
    done = [run_id for trial in expected.trials if trial.state == "done" for run_id in trial.run_ids]
    assert [of_wild[run_id].outcome() for run_id in done] == [of_calm[run_id].outcome() for run_id in done]
    report = "README.md"
    shown = [
        (tmp_path / f"{root}-report" / report).read_text().partition("## Provenance")[0] for root in ("calm", "wild")
    ]
    assert shown[0] == shown[1]
