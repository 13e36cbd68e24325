import pytest

from vtbench.cost.tokenizer import count_tokenizer
from vtbench.runner.stages import measure_cost, train_tokenizer
from vtbench.schema.record import StageRecord

NAME = measure_cost.NAME


@pytest.fixture
def context(make_plan, open_context):
    """A run that is trained, to be measured at two sizes and two lengths."""
    plan = make_plan(evaluate__num_tokens=[None, 2], evaluate__resolutions=["16x16", "16x24"])
    with open_context(plan) as context:
        train_tokenizer.run(context)
        yield context


def by_point(context, name):
    found = [v for v in context.writer.record.metrics if v.name == name]
    return {(v.params["resolution"], v.params["num_tokens"]): v for v in found}


POINTS = {(size, length) for size in ("16x16", "16x24") for length in (None, 2)}


def test_every_point_is_counted_and_measured(context):
    measure_cost.run(context)
    model = context.trained_tokenizer()
    gflops = by_point(context, "gflops")
    assert gflops.keys() == POINTS
    assert gflops["16x24", 2].value == count_tokenizer(model, (16, 24), 2).gflops
    assert gflops["16x24", None].value > gflops["16x24", 2].value > gflops["16x16", 2].value
    for name in ("images_per_second_encode", "images_per_second_decode", "peak_memory_bytes"):
        found = by_point(context, name)
        assert found.keys() == POINTS
        assert all(value.value > 0 and not value.deterministic for value in found.values())
    (parameters,) = [v for v in context.writer.record.metrics if v.name == "num_parameters"]
    assert parameters.value == sum(parameter.numel() for parameter in model.parameters())
    assert context.writer.record.stage(NAME).status == "done"


def test_only_what_is_missing_is_measured(context):
    measure_cost.run(context)
    record = context.writer.record
    measure_cost.run(context)
    assert context.writer.record == record
    # it had failed after the last value: nothing is missing but the word that it is done
    context.writer.set_stage(StageRecord(name=NAME, status="failed"))
    measure_cost.run(context)
    assert context.is_done(NAME)
    assert context.writer.record.metrics == record.metrics
    kept = tuple(value for value in record.metrics if value.params.get("resolution") != "16x24")
    context.writer.update(metrics=kept)
    measure_cost.run(context)
    assert by_point(context, "gflops").keys() == POINTS
    known = {value.key: value for value in kept}
    assert all(value == known[value.key] for value in context.writer.record.metrics if value.key in known)


def test_a_route_costs_encoding_at_one_size_and_decoding_at_another(make_plan, open_context):
    routes = [{"input": "16x16", "decode": "16x24"}]
    with open_context(make_plan(evaluate__resolutions=["16x24"], evaluate__routes=routes)) as context:
        train_tokenizer.run(context)
        measure_cost.run(context)
        found = {v.params.get("route"): v.value for v in context.writer.record.metrics if v.name == "gflops"}
        model = context.trained_tokenizer()
        assert found == {
            None: count_tokenizer(model, (16, 24)).gflops,
            "from_16x16": count_tokenizer(model, (16, 16), decode_size=(16, 24)).gflops,
        }
        assert found["from_16x16"] < found[None]
        record = context.writer.record
        measure_cost.run(context)
        assert context.writer.record == record
