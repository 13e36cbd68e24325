"""The compiled step computes what the plain one does.

Traced and run by `aot_eager`, which needs no C++ compiler and takes seconds, where `inductor` takes a minute a model.
What is compiled, how often, and what enters it is the same.
"""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys, torch
from torch._dynamo.utils import counters
from vtbench.models.generators import GENERATORS
from vtbench.models.generators.base import Condition
from vtbench.models.generators.compiled import CompiledSampler

name, options = sys.argv[1], json.loads(sys.argv[2])
torch.manual_seed(0)
kind = GENERATORS.load(name)
model = kind(kind.Config.model_validate_json(json.dumps(options))).eval()
for parameter in model.parameters():
    torch.nn.init.normal_(parameter, std=0.3)
sampler = CompiledSampler(model, backend="aot_eager")
condition = Condition(labels=torch.arange(2), height=torch.full((2,), 64.0), width=torch.full((2,), 96.0))
codes = torch.randint(model.codebook_size, (2, model.num_codebooks, 6))
largest = 0.0
with torch.no_grad():
    whole = model.hidden(codes[:, :, :-1], condition)
    for _ in range(2):  # the second time on a cache that holds what the first one wrote
        cache = sampler.new_cache(2, 6)
        model.prefill(condition, cache)
        for token, position in enumerate(torch.arange(6).unbind(0)):
            if token > 0:
                hidden = sampler.step(codes[:, :, token - 1 : token], position, cache)
                largest = max(largest, float((hidden - whole[:, token : token + 1]).abs().max()))
graphs = counters["stats"]["unique_graphs"]
options = {"seeds": [3, 4], "cfg_scale": 2.0}
equal = torch.equal(sampler.generate(condition, **options), model.generate(condition, **options))
again = torch.equal(sampler.generate(condition, **options), model.generate(condition, **options))
breaks = len(counters["graph_break"])
print(json.dumps({"largest": largest, "graphs": graphs, "equal": equal, "again": again, "breaks": breaks}))
"""
SIZE = {"size": {"width": 32, "num_layers": 2, "num_heads": 2}, "num_classes": 5, "ffn_multiple": 8}
OPTIONS = {
    "flextok_ar": {**SIZE, "max_num_tokens": 6, "codebook_size": 20},
    "llamagen": {**SIZE, "grid_size": [2, 3], "codebook_size": 20},
    "vibetoken_gen": {**SIZE, "max_num_tokens": 6, "num_codebooks": 3, "codebook_size": 7, "num_head_layers": 1},
}


@pytest.mark.parametrize(
    "name", [name if name == "llamagen" else pytest.param(name, marks=pytest.mark.slow) for name in OPTIONS]
)
def test_one_graph_serves_all_places_and_gives_the_outputs_of_the_whole_sequence(name):
    # a process of its own: the annotations that tests check are no code that can be traced
    command = [sys.executable, "-c", SCRIPT, name, json.dumps(OPTIONS[name])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["largest"] < 1e-4
    assert (found["graphs"], found["breaks"]) == (1, 0)
    assert found["equal"]
    assert found["again"]
