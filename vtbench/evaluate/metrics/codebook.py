"""How a codebook is used: the share of its entries that occur, the entropy of their frequencies, and Zipf's slope.

Frequencies are counted over all tokens of all produced images, each codebook by itself; the value is the mean over the
codebooks, and `params` hold each one's. With p_k the frequency of entry k:

- usage: |{k : p_k > 0}| / codebook_size;
- entropy: H = -sum p_k log2 p_k, in bits; perplexity: 2^H, the size of a codebook that is used evenly with this entropy
  (van den Oord et al. 2017, arXiv:1711.00937, count codes so);
- Zipf's slope: the least-squares slope of log p over log rank, of the entries that occur (Zipf 1949; in words about
  -1). 0 means that all occur equally often.

All are estimated from counts and biased where tokens are few: of an evenly used codebook about 63 % occurs in as many
tokens as there are entries, and the entropy of N tokens is about (codebook_size - 1) / (2 N ln 2) bits too small.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int, Int64

from vtbench.errors import DataError
from vtbench.evaluate.metric import CODES, Measured, Metric, Quantity, Result
from vtbench.evaluate.statistics import block_jackknife, without_each_block

_IMAGES = 4096


def code_counts(
    codes: Int[np.ndarray, "images codebooks tokens"], codebook_sizes: Sequence[int]
) -> list[Int64[np.ndarray, " codebook_size"]]:
    """Return how often each entry of each codebook occurs.

    Raises:
        DataError: there are no codes, or they do not fit the codebooks.
    """
    if not codes.size:
        raise DataError("Codebook metrics need the codes of at least one image.")
    if codes.shape[1] != len(codebook_sizes):
        raise DataError(f"Codes of {codes.shape[1]} codebooks do not fit {len(codebook_sizes)} codebook sizes.")
    counts = []
    for codebook, size in enumerate(codebook_sizes):
        total = np.zeros(size, dtype=np.int64)
        for start in range(0, len(codes), _IMAGES):
            part = codes[start : start + _IMAGES, codebook].reshape(-1)
            if part.min() < 0 or part.max() >= size:
                raise DataError(f"Codebook {codebook} has {size} entries, and codes from {part.min()} to {part.max()}.")
            total += np.bincount(part, minlength=size)
        counts.append(total)
    return counts


def usage(counts: Int64[np.ndarray, " codebook_size"]) -> float:
    """Return the share of entries that occur, in (0, 1]."""
    return float(np.count_nonzero(counts) / len(counts))


def entropy(counts: Int64[np.ndarray, " codebook_size"]) -> float:
    """Return the entropy in bits, from 0 to log2 of the codebook's size."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum()) + 0.0  # not -0.0


def perplexity(counts: Int64[np.ndarray, " codebook_size"]) -> float:
    """Return 2 to the entropy, from 1 to the codebook's size."""
    return 2 ** entropy(counts)


def zipf_slope(counts: Int64[np.ndarray, " codebook_size"]) -> float:
    """Return the slope of log frequency over log rank, at most 0; NaN where a single entry occurs."""
    frequencies = np.sort(counts[counts > 0])[::-1].astype(np.float64)
    if len(frequencies) < 2:
        return math.nan
    x = np.log(np.arange(1, len(frequencies) + 1))
    y = np.log(frequencies)
    x -= x.mean()
    return float((x * (y - y.mean())).sum() / (x * x).sum())


class CodebookMetric(Metric):
    """A number for each codebook; the value is their mean."""

    higher_is_better = True

    def quantities(self) -> tuple[Quantity, ...]:
        """Return the codes."""
        return (CODES,)

    @abstractmethod
    def of_counts(self, counts: Int64[np.ndarray, " codebook_size"]) -> float:
        """Return the number of one codebook from how often its entries occur; NaN where it has none."""

    def compute(self, measured: Measured) -> Result:
        """Return the mean over codebooks; `params` hold each codebook's number as `codebook_0`, ...

        Raises:
            DataError: there are no codes, the codebooks' sizes are unknown, or no codebook has this number.
        """
        if measured.codebook_sizes is None:
            raise DataError(f"{self.title} needs the number of entries of each codebook, which is not known here.")
        sizes = measured.codebook_sizes
        values = self._of_rows(measured.rows(CODES), sizes)
        if not values:
            raise DataError(f"{self.title} is not defined: each codebook uses a single entry.")
        without = without_each_block(measured.rows(CODES), lambda rows: _mean(self._of_rows(rows, sizes)))
        without = () if any(map(math.isnan, without)) else without
        value = _mean(values)
        interval = block_jackknife(value, without).interval if without else None
        return Result(value, interval, {f"codebook_{index}": each for index, each in values.items()}, without)

    def _of_rows(self, codes: Int[np.ndarray, "num codebooks tokens"], sizes: tuple[int, ...]) -> dict[int, float]:
        """Return the number of each codebook that has it."""
        values = {index: self.of_counts(counts) for index, counts in enumerate(code_counts(codes, sizes))}
        return {index: value for index, value in values.items() if not math.isnan(value)}


def _mean(values: Mapping[int, float]) -> float:
    return math.fsum(values.values()) / len(values) if values else math.nan


class CodebookUsage(CodebookMetric):
    """Share of the entries that occur at least once."""

    name = "codebook_usage"
    title = "Codebook usage"
    min_samples = 2048
    source = "entries that occur in the codes of the measured images / codebook size; mean over codebooks"
    value_range = (0.0, 1.0)
    equation = r"|\{k : p_k > 0\}| / K"

    def of_counts(self, counts: Int64[np.ndarray, " codebook_size"]) -> float:
        """Return the share."""
        return usage(counts)


class CodebookEntropy(CodebookMetric):
    """Entropy of the frequencies of entries."""

    name = "codebook_entropy"
    title = "Codebook entropy"
    unit = "bits"
    min_samples = 2048
    source = "Shannon 1948, plug-in estimate from the codes of the measured images; mean over codebooks"
    value_range = (0.0, math.inf)
    equation = r"H = -\sum_k p_k \log_2 p_k"

    def of_counts(self, counts: Int64[np.ndarray, " codebook_size"]) -> float:
        """Return the entropy in bits."""
        return entropy(counts)


class CodebookPerplexity(CodebookMetric):
    """Number of entries of an evenly used codebook with the same entropy."""

    name = "codebook_perplexity"
    title = "Codebook perplexity"
    min_samples = 2048
    source = "2^entropy of the codes of the measured images, as in VQ-VAE's code; mean over codebooks"
    value_range = (1.0, math.inf)
    equation = r"2^H"

    def of_counts(self, counts: Int64[np.ndarray, " codebook_size"]) -> float:
        """Return the perplexity."""
        return perplexity(counts)


class CodebookZipfSlope(CodebookMetric):
    """Slope of log frequency over log rank: the flatter, the more evenly the entries are used."""

    name = "codebook_zipf_slope"
    title = "Zipf slope"
    min_samples = 2048
    source = "Zipf 1949: least squares of log frequency over log rank, entries that occur; mean over codebooks"
    value_range = (-math.inf, 0.0)
    equation = r"\log p_{(r)} \approx s \log r + c"

    def of_counts(self, counts: Int64[np.ndarray, " codebook_size"]) -> float:
        """Return the slope."""
        return zipf_slope(counts)
