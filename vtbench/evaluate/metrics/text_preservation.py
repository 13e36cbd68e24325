"""Whether text stays legible: character and word error rates of an OCR engine.

TokBench (arXiv:2505.18142) reads reconstructions with an OCR engine, as text is lost long before other metrics show it.
The engine reads both images of a pair; its reading of the reference is the truth, so that what it cannot read anyway
does not count against a tokenizer. With d the Levenshtein distance (Unicode characters, or words between spaces),

    error rate = sum over images of d(reference's text, produced one's text) / sum of the lengths of the references'

which is 0 where all is read alike and may exceed 1. Lines are read from top to bottom, case and spaces count.

The engine is RapidOCR with PP-OCRv6's small models (Apache-2.0), which its package carries: the extra `ocr`. A fifth of
a CPU second an image; it never downloads. `vtbench.evaluate.text_pages` draws pages whose text is known.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from vtbench.errors import DataError, WeightsError
from vtbench.evaluate.metric import Batch, Measured, Metric, Quantity, Result, Value
from vtbench.evaluate.statistics import block_jackknife, without_each_block
from vtbench.features import weights

Read = Callable[[UInt8[np.ndarray, "height width 3"]], str]
"""An RGB image -> its lines of text, joined by newlines; empty if there is none."""

MODELS = {"Det": "PP-OCRv6_det_small.onnx", "Rec": "PP-OCRv6_rec_small.onnx"}
_PACKAGES = ("rapidocr", "onnxruntime")
_SHORTER_SIDE = 256
_TEXT_ERRORS = Quantity("text_errors", "pair", (4,), "int64")
"""Wrong characters, characters, wrong words, words of each pair."""


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the fewest insertions, deletions and replacements that turn one sequence into the other (Levenshtein)."""
    row = list(range(len(second) + 1))
    for i, left in enumerate(first, start=1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(second, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def text_errors(truth: str, text: str) -> tuple[int, int, int, int]:
    """Return wrong characters, characters of the truth, wrong words, words of the truth."""
    words = truth.split()
    return edit_distance(truth, text), len(truth), edit_distance(words, text.split()), len(words)


def model_paths() -> dict[str, Path]:
    """Return the engine's model files, by the part that they are for.

    Raises:
        WeightsError: a package is not installed, or lacks a file.
    """
    for package in _PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise WeightsError(f'Text metrics need the package {package}: pip install -e ".[ocr]" installs the engine.')
    spec = importlib.util.find_spec("rapidocr")
    assert spec is not None
    assert spec.origin is not None
    paths = {part: Path(spec.origin).parent / "models" / name for part, name in MODELS.items()}
    for path in paths.values():
        if not path.is_file():
            raise WeightsError(
                f'The installed package rapidocr lacks the model {path}. Mend it: pip install -e ".[ocr]", which'
                " takes the release that carries it."
            )
    return paths


@functools.cache
def engine() -> Read:
    """Return the OCR engine; made once a process, on one thread, so that it reads alike on every machine size."""
    from rapidocr import RapidOCR  # an optional package

    options: dict[str, str | int | bool] = {f"{part}.model_path": str(path) for part, path in model_paths().items()}
    threads = "EngineConfig.onnxruntime.{}_op_num_threads"
    options |= {threads.format("intra"): 1, threads.format("inter"): 1}
    options |= {"Global.use_cls": False, "Global.log_level": "error", "Det.limit_side_len": _SHORTER_SIDE}
    recognise = RapidOCR(params=options)

    def read(image: UInt8[np.ndarray, "height width 3"]) -> str:
        found = recognise(np.ascontiguousarray(image[:, :, ::-1]))
        return "\n".join(getattr(found, "txts", None) or ())  # declared as any of four types, three without it

    return read


class TextCharacterError(Metric):
    """Wrong characters in the produced images' text, as a share of the references' characters."""

    name = "text_character_error"
    title = "Character error (OCR)"
    higher_is_better = False
    min_samples = 100
    source = (
        "TokBench 2025: edit distance between RapidOCR's (PP-OCRv6 small) readings of produced and reference images"
    )
    value_range = (0.0, math.inf)
    equation = r"\sum_i d(t(x_i), t(\hat x_i)) / \sum_i |t(x_i)|"
    _columns: ClassVar[tuple[int, int]] = (0, 1)

    @classmethod
    def check(cls) -> None:
        """Raise a `WeightsError` if the engine or a model of it is missing."""
        model_paths()

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return the engine and its models' hashes."""
        hashes = {f"{part.lower()}_sha256": weights.sha256(path) for part, path in model_paths().items()}
        return {"engine": "rapidocr", "shorter_side": _SHORTER_SIDE, **hashes}

    def quantities(self) -> tuple[Quantity, ...]:
        """Return each pair's errors and lengths; both rates share them."""
        return (_TEXT_ERRORS,)

    def rows(self, batch: Batch) -> dict[str, Tensor]:
        """Return wrong characters, characters, wrong words and words of each pair."""
        read = engine()
        sides = (side.permute(0, 2, 3, 1).cpu().numpy() for side in (batch.reference, batch.produced))
        found = [text_errors(read(reference), read(produced)) for reference, produced in zip(*sides, strict=True)]
        return {_TEXT_ERRORS.key: torch.tensor(found, dtype=torch.int64).reshape(-1, 4)}

    def compute(self, measured: Measured) -> Result:
        """Return the error rate; `params` hold how much text there was.

        Raises:
            DataError: the engine reads no text in any reference image.
        """
        rows = np.asarray(measured.rows(_TEXT_ERRORS))[:, list(self._columns)]
        wrong, total = rows.sum(axis=0).tolist()
        if not total:
            raise DataError(f"{self.title}: no text is read in any reference image. Leave the metric out.")
        without = without_each_block(rows, _rate)
        if not without or any(map(math.isnan, without)):
            return Result(wrong / total, params={"length": total})
        interval = block_jackknife(wrong / total, without).interval
        return Result(wrong / total, interval, {"length": total}, without)


def _rate(rows: np.ndarray) -> float:
    """Return the share of wrong ones; NaN without any text."""
    wrong, total = rows.sum(axis=0).tolist()
    return wrong / total if total else math.nan


class TextWordError(TextCharacterError):
    """Wrong words in the produced images' text, as a share of the references' words."""

    name = "text_word_error"
    title = "Word error (OCR)"
    _columns = (2, 3)
