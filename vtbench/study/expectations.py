"""Where the expectations of a study can be tested: at which sizes, ways and lengths of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vtbench.errors import RegistryError, suggest
from vtbench.evaluate import METRICS
from vtbench.schema.expectation import Expectation
from vtbench.schema.run import RunConfig
from vtbench.schema.study import Study, StudyPlan
from vtbench.study.search import COUNTED
from vtbench.study.yaml_file import KeyPath, YamlFile

TRAINED, UNSEEN, ALL = "trained", "unseen", "all"


class Place(NamedTuple):
    """Size, name of the way to it (None: encoded and decoded at it) and number of tokens (None: all)."""

    resolution: str
    route: str | None
    num_tokens: int | None


def training_sizes(plan: StudyPlan) -> set[str]:
    """Return the input resolutions that any of a plan's cells is trained at."""
    run_ids = {cell.run_id: None for cell in plan.cells}
    return {size for run_id in run_ids for size in sizes_of(plan.runs[run_id].config)}


def sizes_of(config: RunConfig) -> Iterable[str]:
    """Return the input resolutions that a run is trained at; a generator's are those of its tokens."""
    return config.mixing.inputs if config.generator is None else config.generator.tokens.resolutions


def places(plan: StudyPlan, expectation: Expectation) -> list[Place]:
    """Return the places of a plan that an expectation speaks of."""
    known, trained = _measured(plan), training_sizes(plan)
    lengths = {place.num_tokens for place in known}
    full = None if None in lengths else max((length for length in lengths if length is not None), default=None)

    def fits(place: Place) -> bool:
        size = {ALL: True, TRAINED: place.resolution in trained, UNSEEN: place.resolution not in trained}
        length = {"each": True, "full": place.num_tokens == full}.get(str(expectation.num_tokens))
        return (
            place.route == expectation.route
            and size.get(expectation.at, place.resolution == expectation.at)
            and (length if length is not None else place.num_tokens in _lengths(expectation))
        )

    return [place for place in known if fits(place)]


def arm_problems(study: Study, file: YamlFile) -> Iterator[str]:
    """Yield what is wrong with expectations whatever the profile: arms and metrics that are not there."""
    arms = [arm.name for arm in study.arms]
    lists: list[tuple[KeyPath, tuple[Expectation, ...]]] = [(("expectations",), study.expectations)]
    for profile in study.profiles:
        lists.append((("profiles", profile.name, "expectations"), profile.expectations))
    for place, expectations in lists:
        for index, one in enumerate(expectations):
            where = file.locate((*place, index))
            for arm in (one.arm, *one.others):
                if arm not in arms:
                    yield f"{where}: expectations[{index}]: no arm is called '{arm}'.{suggest(arm, arms)}"
            try:
                if one.metric not in (None, *COUNTED):
                    METRICS.check(one.metric)
            except RegistryError as error:
                yield f"{where}: expectations[{index}].metric: {error}"


def place_problems(plan: StudyPlan) -> Iterator[tuple[KeyPath, str]]:
    """Yield expectations of a plan that nothing which it measures can test."""
    of_profile: KeyPath = ("profiles", plan.profile.name, "expectations")
    paths: list[KeyPath] = [("expectations", index) for index in range(len(plan.study.expectations))]
    paths += [(*of_profile, index) for index in range(len(plan.profile.expectations))]
    for path, one in zip(paths, plan.expectations, strict=True):
        found = places(plan, one)
        if not found:
            what = f"nothing is measured {_words(one)}"
            yield path, f"{what}; the profile {plan.profile.name} measures {_listed(_measured(plan))}"
        elif one.than_route is not None:
            ways = {place.route for place in _measured(plan) if place.resolution in {each.resolution for each in found}}
            if one.than_route not in ways:
                names = sorted(filter(None, ways))
                yield path, f"than_route: no way is called '{one.than_route}'.{suggest(one.than_route, names)}"


def _measured(plan: StudyPlan) -> list[Place]:
    """Return all that a plan measures of its cells' runs."""
    evaluate = plan.evaluate
    if any(plan.runs[cell.run_id].config.generator is not None for cell in plan.cells):
        points = () if evaluate.generation is None else evaluate.generation.points
        return list(dict.fromkeys(Place(point.resolution, None, point.num_tokens) for point in points))
    return [Place(size, way, length) for size, way in evaluate.places for length in evaluate.num_tokens]


def _lengths(one: Expectation) -> tuple[int, ...]:
    """Return the numbers of tokens that an expectation names."""
    if isinstance(one.num_tokens, str):
        return ()
    return one.num_tokens if isinstance(one.num_tokens, tuple) else (one.num_tokens,)


def _words(one: Expectation) -> str:
    named = ", ".join(map(str, _lengths(one)))
    length = f" with {named} tokens" if named else ""
    way = "" if one.route is None else f" by the route {one.route}"
    return f"at {one.at}{' sizes' if one.at in (TRAINED, UNSEEN, ALL) else ''}{length}{way}"


def _listed(known: list[Place]) -> str:
    names = dict.fromkeys(place.resolution + (f" {place.route}" if place.route else "") for place in known)
    lengths = dict.fromkeys(str(place.num_tokens) for place in known if place.num_tokens is not None)
    return ", ".join(names) + (f" with {', '.join(lengths)} tokens" if lengths else "")
