"""How much of an image's class its tokens show: top-1 accuracy of a linear classifier on them.

FlexTok (arXiv:2502.13967, appendix B): the quantised latents of all tokens are concatenated into one vector, 6 x tokens
numbers for its six FSQ channels, and a linear classifier is fitted with the tokenizer frozen.

Deviations: FlexTok trains on ImageNet's training set with AdamW, random crops and a search over learning rates, and
tests on the validation set. Here only the measured images are used: each is judged by a logistic regression fitted to
the four fifths of them that do not hold it (`vtbench.evaluate.linear_classifier`), which needs no search and has no
seed, but sees fewer images. Values compare tokenizers measured on the same images; they are not FlexTok's.
"""

from __future__ import annotations

import numpy as np

from vtbench.evaluate.linear_classifier import FOLDS, PENALTY, cross_fitted_accuracies
from vtbench.evaluate.metric import LABELS, LATENTS, Measured, Metric, Quantity, Result, Value


class LinearProbe(Metric):
    """Share of images whose class a linear classifier reads from their tokens."""

    name = "linear_probe"
    title = "Linear probe (tokens)"
    higher_is_better = True
    min_samples = 1000
    source = "FlexTok 2025, appendix B: top-1 from concatenated quantised latents; logistic regression, 5 folds"
    value_range = (0.0, 1.0)
    equation = r"\mathrm{mean}_i\, [\arg\max (W_{-i}^\top \mathrm{vec}(z_q(x_i)) + b_{-i}) = y_i]"

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return how the classifier is fitted."""
        return {"folds": FOLDS, "penalty": PENALTY, "fitted_to": "the measured images of the other folds"}

    def quantities(self) -> tuple[Quantity, ...]:
        """Return the quantised latents and the labels."""
        return (LATENTS, LABELS)

    def compute(self, measured: Measured) -> Result:
        """Return the share; `params` hold that of always naming the most frequent class.

        Raises:
            DataError: there are too few images, or only one class.
        """
        latents = np.asarray(measured.rows(LATENTS))
        labels = np.asarray(measured.rows(LABELS))
        flat = latents.reshape(len(latents), -1)
        (value,) = cross_fitted_accuracies(flat, [flat], labels)
        frequent = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
        return Result(value, params={"most_frequent_class": frequent, "num_features": flat.shape[1]})
