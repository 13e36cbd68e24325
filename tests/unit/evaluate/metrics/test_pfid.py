"""pFID is the Frechet distance over images from perturbed codes, and grows as a decoder suffers."""

import numpy as np

from vtbench.evaluate.metric import Measured
from vtbench.evaluate.metrics.frechet import RfdEffnet
from vtbench.evaluate.metrics.pfid import PfdEffnet, Pfid


def test_it_asks_for_images_from_perturbed_codes():
    reference, produced = PfdEffnet().quantities()
    assert reference == RfdEffnet.reference()
    assert produced.perturb == PfdEffnet.protocol()["perturb"] == 0.1
    assert Pfid.network == "inception"


def test_the_value_is_taken_from_the_perturbed_rows():
    draw = np.random.default_rng(0)
    reference, clean, perturbed = (draw.normal(size=(50, 1280)) * spread for spread in (1.0, 1.0, 2.0))
    rows = {
        RfdEffnet.reference().key: reference,
        RfdEffnet.produced().key: clean,
        PfdEffnet.produced().key: perturbed,
    }
    measured = Measured(rows)
    assert PfdEffnet().compute(measured).value > 1.5 * RfdEffnet().compute(measured).value
    as_clean = Measured({RfdEffnet.reference().key: reference, RfdEffnet.produced().key: perturbed})
    assert PfdEffnet().compute(measured) == RfdEffnet().compute(as_clean)
