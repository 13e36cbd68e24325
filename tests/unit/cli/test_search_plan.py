import pytest

from vtbench.cli.search_plan import search_cost
from vtbench.launch.search import SearchRequest, run_search
from vtbench.study.expand import expand
from vtbench.study.fairness import facts

IMAGES = ("root: nowhere", "root: images")
WIDTH = ("losses.quantizer: {choices: [0.5, 1.0, 2.0]}", "tokenizer.num_latent_tokens: {low: 2, high: 8, type: int}")


def test_a_plan_says_what_is_tried_and_what_it_costs_at_most(call, folder, make_search):
    make_search(IMAGES)
    result = call("plan", "small_search.yaml", "--root", "store", "--seeds", "2")
    assert result.exit_code == 0, result.stderr
    for text in (
        "train.optimizer.learning_rate   0.0001 to 0.01 (log)",
        "0.5, 1.0, 2.0",
        "objectives: psnr@16x16 (max)",
        "sampler: tpe, seed 3, 2 trials at once; median pruner looks at mse after 2, 4 steps",
        "trials: 5, 0 of them told; at most 10 runs to make",
        "what is searched changes no trial's cost",
        "time: seconds (said by the study for all of its trials)",
    ):
        assert text in result.stdout
    assert "Needed before running" not in result.stdout
    assert not (folder / "store" / "studies").exists()


def test_the_costliest_corner_bounds_the_cost(make_search, store, answer):
    study = make_search(WIDTH, ("losses.quantizer: 1.0", "tokenizer.num_latent_tokens: 4"))
    cost, plan = search_cost(study, "tiny", None, {}, store)
    assert cost.corner == {"train.optimizer.learning_rate": 1e-4, "tokenizer.num_latent_tokens": 8}
    assert plan.study.arms[0].set == cost.corner
    largest = facts(expand(study, set={"tokenizer.num_latent_tokens": 8}))[0].training_flops
    assert cost.flops == pytest.approx(5 * largest)
    assert cost.disk_bytes > 0
    assert cost.device_hours(plan) is None
    resources = plan.profile.resources.model_copy(update={"peak_flops": 1e9, "utilisation": 0.5})
    profile = plan.profile.model_copy(update={"resources": resources})
    hours = cost.device_hours(plan.model_copy(update={"profile": profile}))
    assert hours == pytest.approx(cost.flops / 5e8 / 3600)


def test_what_was_told_is_not_counted_again(make_search, store, answer):
    run_search(store, SearchRequest(study=make_search(), profile="tiny"), answer)
    cost, _ = search_cost(make_search(("trials: 5", "trials: 8")), "tiny", None, {}, store)
    assert (cost.trials, cost.told, cost.runs_left) == (8, 5, 3)
    cost, _ = search_cost(make_search(("steps: 8", "steps: 9")), "tiny", None, {}, store)
    assert (cost.told, cost.runs_left) == (0, 5)
