import subprocess
import sys

import pytest
import torch

from vtbench.cost.compiler import without_compiler

COUNT = """
import sys, torch
from vtbench.cost.compiler import without_compiler
with without_compiler():
    product = torch.randn(2, 3, device="meta").mul(2)
assert product.shape == (2, 3)
assert "torch._dynamo" not in sys.modules
assert "_dynamo" not in vars(torch)
"""


def run(text):
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_meta_kernels_run_without_the_compiler():
    run(COUNT)


@pytest.mark.slow
def test_the_compiler_works_afterwards():
    after = """
marked = [fn for fn in vars(torch._refs).values() if hasattr(getattr(fn, "__wrapped__", None), "__dynamo_disable")]
assert not marked
compiled = torch.compile(lambda x: x * 2 + 1, backend="eager")
assert compiled(torch.ones(3)).tolist() == [3, 3, 3]
torch.randn(2, 3, device="meta").mul(2)
"""
    run(COUNT + after)


@pytest.mark.slow
@pytest.mark.parametrize("need", ["assert not torch._dynamo.is_compiling()", "import torch._inductor.config"])
def test_whoever_needs_the_compiler_inside_gets_it(need):
    text = f"""
import sys, torch
from vtbench.cost.compiler import without_compiler
with without_compiler():
    torch.randn(2, 3, device="meta").mul(2)
    {need}
assert callable(sys.modules["torch._dynamo"].optimize)
torch.randn(2, 3, device="meta").mul(3)
"""
    run(text)


def test_a_compiler_that_is_there_is_left_alone():
    torch.compile(lambda x: x, backend="eager")(torch.ones(1))
    there = sys.modules["torch._dynamo"]
    with without_compiler():
        assert sys.modules["torch._dynamo"] is there
    assert sys.modules["torch._dynamo"] is there
