"""A fingerprint changes with everything that changes a number, and a refusal says what differs."""

import pytest
from pydantic import ValidationError

from vtbench.errors import ProtocolError
from vtbench.schema.protocol import ABSENT, Protocol, difference_text, differences, require_same

PROTOCOL = Protocol(content_key="abc", num_samples=100, batch_size=16, precision="fp32")
OF_THE_IMAGES = {
    "content_key": "abd",
    "num_samples": 101,
    "split": "train",
    "selection": "all",
    "crop": "none",
    "resize_filter": "bilinear",
    "antialias": False,
    "reference": "training statistics",
    "reference_key": "abe",
}
OF_THE_REST = {
    "batch_size": 8,
    "precision": "bf16",
    "rounding": "truncate",
    "value_range": "[-1, 1]",
    "split_order": "sorted by class",
    "network": "inception",
    "weights_sha256": "0f",
    "preprocessing": "none",
    "feature_batch": 8,
    "feature_precision": "bf16",
    "metric": {"k": 3},
}


def test_every_field_is_tried_here():
    assert {*OF_THE_IMAGES, *OF_THE_REST} == set(Protocol.model_fields)


@pytest.mark.parametrize(("name", "value"), [*OF_THE_IMAGES.items(), *OF_THE_REST.items()])
def test_every_field_is_in_the_fingerprint(name, value):
    assert PROTOCOL.replace(**{name: value}).fingerprint() != PROTOCOL.fingerprint()


def test_equal_protocols_have_equal_fingerprints_and_no_differences():
    again = Protocol.model_validate(PROTOCOL.fields())
    assert again.fingerprint() == PROTOCOL.fingerprint() == PROTOCOL.replace(split="val").fingerprint()
    assert again.differences(PROTOCOL) == {}


def test_the_images_key_follows_the_images_and_not_the_model():
    keys = {PROTOCOL.replace(**{name: value}).images_key("8x8") for name, value in OF_THE_IMAGES.items()}
    assert len(keys | {PROTOCOL.images_key("8x8"), PROTOCOL.images_key("8x16")}) == len(OF_THE_IMAGES) + 2
    assert PROTOCOL.replace(**OF_THE_REST).images_key("8x8") == PROTOCOL.images_key("8x8")


def test_a_value_of_the_wrong_type_is_refused():
    with pytest.raises(ValidationError, match="antialias"):
        PROTOCOL.replace(antialias="yes")


def test_a_metrics_facts_go_to_their_fields():
    found = PROTOCOL.of_metric({"features": "inception", "weights_sha256": "0f", "splits": 10})
    assert (found.network, found.weights_sha256, found.metric) == ("inception", "0f", {"splits": 10})
    assert found == PROTOCOL.of_metric({"network": "inception", "weights_sha256": "0f", "splits": 10})


def test_differences_name_the_field_and_both_values():
    other = PROTOCOL.replace(crop="none", metric={"splits": 10})
    assert PROTOCOL.differences(other) == {"crop": ("adm", "none"), "metric.splits": (ABSENT, 10)}
    assert differences({"a": 1}, {"b": 1}) == {"a": (1, ABSENT), "b": (ABSENT, 1)}


def test_only_equal_fingerprints_may_be_compared():
    other = PROTOCOL.replace(crop="none", rounding="truncate")
    ours, theirs = PROTOCOL.fingerprint(), other.fingerprint()
    require_same("PSNR", {"a": ours, "b": ours}, {})
    require_same("PSNR", {}, {})
    with pytest.raises(ProtocolError) as refusal:
        require_same("PSNR", {"a": ours, "b": theirs}, {ours: PROTOCOL.fields(), theirs: other.fields()}, "Do this.")
    text = str(refusal.value)
    for piece in (ours, theirs, "(a)", "(b)", "crop ('adm' against 'none') and rounding ('round' against 'truncate')"):
        assert piece in text
    assert text.endswith("Do this.")


def test_a_refusal_says_that_old_records_do_not_hold_their_fields():
    with pytest.raises(ProtocolError, match="older version"):
        require_same("PSNR", {"a": "1", "b": "2"}, {"1": PROTOCOL.fields()})
    assert "changed by hand" in difference_text({"a": 1}, {"a": 1})
