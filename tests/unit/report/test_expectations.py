"""Verdicts on a synthetic study whose arms' levels are known."""

import math

import pytest

from vtbench.evaluate.statistics import Error, Estimate
from vtbench.report.expectations import Outcome, expectation_sentence, expectation_table, outcomes
from vtbench.report.gather import load
from vtbench.report.results import Point, Results
from vtbench.schema.expectation import Expectation
from vtbench.schema.study import Route

NATIVE = Route(input="24x24", decode="96x96")


@pytest.fixture
def results(full_report):
    """Return results of the study with these expectations."""

    def results(*expectations, seeds=None, of_profile=()):
        data = load(full_report)
        plan, profile = data.plan, data.plan.profile.model_copy(update={"expectations": of_profile})
        study = plan.study.model_copy(update={"expectations": expectations})
        update = {"study": study, "profile": profile}
        if seeds is not None:
            update |= {"seeds": seeds, "cells": tuple(cell for cell in plan.cells if cell.seed in seeds)}
        return Results(data.model_copy(update={"plan": plan.model_copy(update=update)}))

    return results


def verdicts(results):
    return [(one.row.arm, one.other.arm, one.point.resolution, one.verdict) for one in outcomes(results)]


def test_better_is_held_contradicted_or_not_shown(results):
    found = results(
        Expectation(arm="grid_adaptive", better_than=("rope", "grid"), at="unseen"),
        Expectation(arm="rope", better_than="grid_adaptive", at="unseen"),
        Expectation(arm="grid", better_than="rope_learned", at="32x32"),
    )
    assert verdicts(found) == [
        ("grid_adaptive", "rope", "96x96", "held"),
        ("grid_adaptive", "grid", "96x96", "held"),
        ("rope", "grid_adaptive", "96x96", "contradicted"),
        ("grid", "rope_learned", "32x32", "not shown"),
    ]
    assert expectation_sentence(found) == "Of 4 tested expectations: 2 held, 1 contradicted, 1 not shown."


def test_what_one_expectation_speaks_of_is_corrected_together(results):
    one = Expectation(arm="grid_adaptive", better_than="rope", at="96x96")
    several = Expectation(arm="grid_adaptive", better_than=("rope", "rope_learned", "grid"), at="96x96")
    alone, again, *family = outcomes(results(one, one, several))
    assert alone.p_adjusted == again.p_adjusted == alone.estimate.p_value
    raw = [each.estimate.p_value for each in family]
    assert min(each.p_adjusted for each in family) == pytest.approx(3 * min(raw))


def test_what_is_counted_exactly_needs_no_correction(results):
    found = outcomes(results(Expectation(arm="grid_adaptive", better_than="rope", metric="gflops")))
    assert [one.p_adjusted for one in found] == [0, 0, 0]


def test_a_metric_in_which_more_is_better_and_one_that_is_counted(results):
    found = results(
        Expectation(arm="grid_adaptive", better_than="rope", metric="ssim", at="96x96"),
        Expectation(arm="grid_adaptive", better_than="rope", metric="gflops", at="96x96"),
        Expectation(arm="rope", better_than="grid_adaptive", metric="ssim", at="96x96"),
    )
    assert [verdict for *_, verdict in verdicts(found)] == ["held", "held", "contradicted"]


def test_sizes_by_name_and_by_whether_they_were_trained(results):
    def sizes(at):
        return [one.point.resolution for one in outcomes(results(Expectation(arm="grid", like="rope", at=at)))]

    assert sizes("all") == ["32x32", "48x48", "96x96"]
    assert sizes("trained") == ["32x32", "48x48"]
    assert sizes("unseen") == sizes("96x96") == ["96x96"]


def test_alike_within_a_margin(results):
    near = Expectation(arm="grid", like="rope_learned", at="32x32", within=0.2)
    far = Expectation(arm="grid_adaptive", like="rope", at="96x96", within=0.05)
    tight = Expectation(arm="grid", like="rope_learned", at="32x32", within=1e-4)
    assert [verdict for *_, verdict in verdicts(results(near, far, tight))] == ["held", "contradicted", "not shown"]


@pytest.mark.parametrize(
    ("low", "high", "like", "no_worse"),
    [
        (-0.5, 0.5, "held", "held"),
        (-2.0, 0.5, "not shown", "held"),  # a distance: less is better
        (-0.5, 2.0, "not shown", "not shown"),
        (-3.0, -2.0, "contradicted", "held"),
        (2.0, 3.0, "contradicted", "contradicted"),
        (-2.0, 2.0, "not shown", "not shown"),
    ],
)
def test_intervals_against_margins(results, low, high, like, no_worse):
    one = outcomes(results(Expectation(arm="grid", like="rope", at="96x96")))[0]
    unit = Estimate(0.0, (Error(1.0, 2.0),)).interval.high
    estimate = Estimate((low + high) / 2, (Error((high - low) / 2 / unit, 2.0),))
    for relation, expected in (("like", like), ("no_worse_than", no_worse)):
        expectation = Expectation(arm="grid", **{relation: "rope"})
        changed = {"expectation": expectation, "estimate": estimate, "margin": 1.0}
        assert Outcome(**{**vars(one), **changed}).verdict == expected


def test_one_seed_says_nothing(results):
    found = results(Expectation(arm="grid_adaptive", better_than="rope", at="96x96"), seeds=(0,))
    assert [verdict for *_, verdict in verdicts(found)] == ["one seed"]
    assert expectation_sentence(found) == "Of 1 tested expectation: 1 not tested, as there is one seed."


def test_what_is_not_there_is_said(results):
    found = results(Expectation(arm="grid", better_than="rope", metric="lpips", at="96x96"))
    (one,) = outcomes(found)
    assert one.verdict == "missing"
    assert math.isnan(one.p_adjusted)
    assert expectation_table(found).rows[0][2:] == ("–", "–", "–", "–", "missing")


def test_the_profiles_own_stand_after_the_studys(results):
    first, second = (Expectation(arm="grid", like="rope", at=at) for at in ("32x32", "96x96"))
    found = results(first, of_profile=(second,))
    assert [one.point.resolution for one in outcomes(found)] == ["32x32", "96x96"]


def test_ways_of_one_arm(full_report):
    data = load(full_report)
    values = [*data.values]
    for value in data.values:
        if value.resolution == "48x48":
            values.append(value.model_copy(update={"resolution": "96x96", "route": NATIVE.name}))
    enlarged = Route(input="24x24", decode="24x24", output="96x96")
    for value in data.values:
        if value.resolution == "96x96":
            values.append(value.model_copy(update={"route": enlarged.name}))
    expectation = Expectation(arm="rope", better_than="rope", at="96x96", route=NATIVE.name, than_route=enlarged.name)
    evaluate = data.plan.evaluate.model_copy(update={"routes": (NATIVE, enlarged)})
    study = data.plan.study.model_copy(update={"expectations": (expectation,)})
    plan = data.plan.model_copy(update={"evaluate": evaluate, "study": study})
    results = Results(data.model_copy(update={"values": tuple(values), "plan": plan}))
    (one,) = outcomes(results)
    assert one.than == Point("96x96", None, enlarged.name)
    assert one.verdict == "held"
    ((first, at, *_),) = expectation_table(results).rows
    assert (first, at) == ("RoPE better than 96×96 from 24×24 bicubic in the same arm", "96×96 from 24×24")


def test_without_expectations_there_is_nothing(results):
    assert expectation_table(results()) is None
    assert expectation_sentence(results()) == ""


def test_the_table_says_what_was_expected(results):
    found = expectation_table(
        results(
            Expectation(arm="grid_adaptive", better_than="rope", at="96x96"),
            Expectation(arm="grid", like="rope_learned", at="32x32", within=0.2),
        )
    )
    better, like = found.rows
    assert better[0] == "Dynamic grid + adaptive patch better than RoPE"
    assert (better[4], better[-1]) == ("–", "held")
    assert like[0] == "Dynamic grid like Learnable RoPE"
    assert like[4].startswith("±")
    assert (like[5], like[-1]) == ("–", "held")
    assert found.title == "Expectations, rFD (EfficientNet-Lite0)"


def test_of_several_metrics_each_row_names_its_own(results):
    found = expectation_table(
        results(
            Expectation(arm="grid_adaptive", better_than="rope", at="96x96"),
            Expectation(arm="grid_adaptive", better_than="rope", at="96x96", metric="ssim"),
        )
    )
    assert [row[2] for row in found.rows] == ["rFD (EfficientNet-Lite0)", "SSIM"]
    assert found.columns[2].name == "Metric"
