"""Compare our models with golden files made by the official ones: `python tests/parity/check.py FILE [FILE ...]`.

A golden file (safetensors) holds a tiny official model's weights (`state/*`), inputs (`input/*`) and outputs
(`output/*`), and in its metadata the model's name and every number of its architecture. The model is built from that
config, loads the weights strictly, and each output is computed again: floating-point values must agree to 1e-4
absolute (guided logits, in which rounding is multiplied, to 5e-4), integers exactly. An output that no comparison
covers counts as a failure.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import torch
from safetensors import safe_open
from torch import Tensor

TOLERANCE, GUIDED_TOLERANCE = 1e-4, 5e-4


def tolerance(name: str) -> float:
    """Return the largest difference that an output may have."""
    return GUIDED_TOLERANCE if name.endswith(("/guided_logits", "/next_logits")) else TOLERANCE


def _comparison(model: str) -> ModuleType:
    """Import the file beside this one that knows how to run `model`."""
    path = Path(__file__).with_name(f"golden_{model}.py")
    if not path.exists():
        known = sorted(p.stem.removeprefix("golden_") for p in path.parent.glob("golden_*.py"))
        raise SystemExit(f"no comparison for the model '{model}' yet; there are: {', '.join(known)}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path: Path) -> tuple[str, dict, dict[str, Tensor]]:
    """Return the model's name, its config and all tensors of a golden file."""
    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
    return metadata["model"], json.loads(metadata["config"]), tensors


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors under `prefix/`, without it."""
    return {key.removeprefix(f"{prefix}/"): value for key, value in tensors.items() if key.startswith(f"{prefix}/")}


def difference(ours: Tensor, golden: Tensor) -> float:
    """Return the largest absolute difference; infinite for another shape, or for integers that are not all equal."""
    if ours.shape != golden.shape:
        return float("inf")
    if not golden.is_floating_point():
        return 0.0 if torch.equal(ours, golden) else float("inf")
    return float((ours.detach() - golden).abs().max())


def check(path: Path) -> dict[str, float]:
    """Return each output's difference; an output without a comparison is infinite."""
    model, config, tensors = read(path)
    golden = part(tensors, "output")
    with torch.no_grad():
        ours = _comparison(model).outputs(config, part(tensors, "state"), part(tensors, "input"), list(golden))
    return {name: difference(ours[name], golden[name]) if name in ours else float("inf") for name in golden}


def main(arguments: list[str]) -> int:
    """Print a line for each file; return 1 if any output differs."""
    if not arguments:
        print(__doc__)
        return 2
    failed = False
    for argument in arguments:
        differences = check(Path(argument))
        wrong = {name: value for name, value in differences.items() if value > tolerance(name)}
        failed = failed or bool(wrong)
        finite = [value for value in differences.values() if value != float("inf")]
        print(
            f"{Path(argument).name}: compared {len(finite)} of {len(differences)} outputs,"
            f" {len(wrong)} differ, largest difference {max(finite, default=float('nan')):.1e}"
        )
        for name, value in wrong.items():
            print(f"  {name}: {value:.1e}")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
