import inspect

import pytest

from vtbench import errors
from vtbench.errors import VtbenchError, suggest

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == "vtbench.errors"]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_one_that_the_user_can_mend_and_says_what_it_stands_for(kind):
    assert issubclass(kind, VtbenchError)
    assert kind.__doc__
    assert str(kind("what, where, how")) == "what, where, how"


def test_mistakes_exit_with_2_and_failures_with_1():
    failures = {kind.__name__ for kind in CLASSES if kind.exit_code == 1}
    assert failures == {
        "DiskFullError",
        "NonFiniteLossError",
        "ProcessLostError",
        "RunLockedError",
        "RunsFailedError",
        "TrainingError",
    }
    assert {kind.exit_code for kind in CLASSES} == {1, 2}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("psrn", " Did you mean 'psnr'?"),
        ("ssimm", " Did you mean 'ssim'?"),
        ("zzzz", " Choose from: mae, psnr, ssim."),
    ],
)
def test_the_nearest_choice_or_all_of_them(name, hint):
    assert suggest(name, ["ssim", "psnr", "mae"]) == hint


def test_without_choices_there_is_no_hint():
    assert suggest("psnr", []) == ""
