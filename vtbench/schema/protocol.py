"""How a number was measured: the fields of a protocol, its fingerprint, and what differs between two.

Two values may stand beside each other only if their protocols are the same. A protocol holds all that decides a value
beside the model, the metric's own version and the point (resolution, number of tokens).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from vtbench.errors import ProtocolError
from vtbench.schema.base import Frozen, content_hash

Scalar = str | int | float | bool | None
Fields = Mapping[str, Any]
"""A protocol's fields as JSON, as records keep them."""

FEATURE_FIELDS = ("network", "weights_sha256", "preprocessing", "feature_batch", "feature_precision")
MODEL_FIELDS = ("batch_size", "precision")
_NOT_OF_THE_REFERENCE = (*MODEL_FIELDS, *FEATURE_FIELDS, "rounding", "value_range", "split_order", "metric")
ABSENT = "not stated"
"""What a field counts as that one of two protocols does not have."""


class Protocol(Frozen):
    """All that decides a value beside the model, the metric's own version and the point.

    Attributes:
        content_key: which images are measured (`ImageDataset.content_key`, or a folder's).
        num_samples: how many of them.
        split: which split of them.
        selection: which images of the split, and in which order.
        crop: how an image comes to the aspect ratio (`adm`, `shorter side`, `centre only`, `none`).
        resize_filter: how it comes to the size.
        antialias: whether the filter's support grows with the reduction.
        value_range: the range of the numbers that the model sees and returns.
        rounding: how those become 8-bit (`round`, `half up`, `truncate`), or `none`.
        reference: what the measured images are compared with.
        reference_key: content hash of the reference images, where they are not the measured ones' originals.
        split_order: in which order images fall into the splits of a metric that has splits.
        batch_size: images a forward pass of the model: its float32 outputs drift with it.
        precision: of the model's forward pass.
        network: feature network, of a metric that has one.
        weights_sha256: SHA-256 of its weights file in hex.
        preprocessing: how images of other sizes reach the network.
        feature_batch: images a forward pass of the network.
        feature_precision: of that pass.
        metric: what else the metric adds.
    """

    content_key: str
    num_samples: int
    split: str = "val"
    selection: str = "first of permutation 0"
    crop: str = "adm"
    resize_filter: str = "box halvings, then bicubic"
    antialias: bool = True
    value_range: str = "[0, 1]"
    rounding: str = "round"
    reference: str = "same images"
    reference_key: str | None = None
    split_order: str = "as selected"
    batch_size: int | None = None
    precision: str | None = None
    network: str | None = None
    weights_sha256: str | None = None
    preprocessing: str | None = None
    feature_batch: int | None = None
    feature_precision: str | None = None
    metric: dict[str, Scalar] = Field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """Return the fields as JSON, for a record."""
        return self.model_dump(mode="json")

    def fingerprint(self) -> str:
        """Return 12 hex digits; equal protocols have equal ones. A field that is None is as good as absent."""
        return content_hash({name: value for name, value in self.fields().items() if value is not None})

    def replace(self, **fields: Any) -> Protocol:
        """Return a copy with other values, checked."""
        return Protocol.model_validate({**dict(self), **fields})

    def of_metric(self, facts: Mapping[str, Any]) -> Protocol:
        """Return this protocol with what a metric says of itself (`Metric.protocol()`).

        Args:
            facts: those called as one of `FEATURE_FIELDS` (`features` is another name for `network`) become that
                field; all others go to `metric`.
        """
        named = {"network" if name == "features" else name: value for name, value in facts.items()}
        own = {name: value for name, value in named.items() if name in FEATURE_FIELDS}
        rest = {name: value for name, value in named.items() if name not in FEATURE_FIELDS}
        return self.replace(**own, metric={**self.metric, **rest})

    def differences(self, other: Protocol) -> dict[str, tuple[Any, Any]]:
        """Return the fields that differ: name -> (ours, theirs); a metric's own fields are called `metric.NAME`."""
        return differences(self.fields(), other.fields())

    def images_key(self, resolution: str) -> str:
        """Return what stands for the reference images at `resolution`, in their order, whatever the model."""
        fields = {name: value for name, value in self.fields().items() if name not in _NOT_OF_THE_REFERENCE}
        return content_hash({"resolution": resolution, **fields})


def differences(ours: Fields, theirs: Fields) -> dict[str, tuple[Any, Any]]:
    """Return the fields in which two protocols, as records keep them, differ: name -> (ours, theirs)."""
    left, right = _flat(ours), _flat(theirs)
    return {
        name: (left.get(name, ABSENT), right.get(name, ABSENT))
        for name in dict.fromkeys([*left, *right])
        if left.get(name, ABSENT) != right.get(name, ABSENT)
    }


def difference_text(ours: Fields | None, theirs: Fields | None) -> str:
    """Return `They differ in crop ('adm' against 'none') and ...`, for a message; says so if a record is too old."""
    if ours is None or theirs is None:
        return "Which field differs cannot be said: a record of an older version does not hold its protocol."
    found = [f"{name} ({one!r} against {other!r})" for name, (one, other) in differences(ours, theirs).items()]
    if not found:
        return "Their fields are the same, so one of the records was changed by hand."
    return f"They differ in {found[0] if len(found) == 1 else ', '.join(found[:-1]) + ' and ' + found[-1]}."


def require_same(what: str, values: Mapping[str, str], protocols: Mapping[str, Fields], mend: str = "") -> None:
    """Refuse to compare values that were measured in different ways.

    Args:
        what: what would be compared, for the message: `PSNR at 64x64`.
        values: label of a value -> fingerprint of its protocol.
        protocols: fingerprint -> fields, as far as they are known.
        mend: a sentence that says what to do.

    Raises:
        ProtocolError: two fingerprints differ; names the two values, both fingerprints, each field that differs
            and both of its values.
    """
    first: tuple[str, str] | None = None
    for label, fingerprint in values.items():
        if first is None:
            first = (label, fingerprint)
        elif fingerprint != first[1]:
            known = difference_text(protocols.get(first[1]), protocols.get(fingerprint))
            raise ProtocolError(
                f"{what} was measured in two ways: protocol {first[1]} ({first[0]}) and protocol {fingerprint}"
                f" ({label}). {known} They cannot be compared or stand in one column.{f' {mend}' if mend else ''}"
            )


def _flat(fields: Fields) -> dict[str, Any]:
    own = {f"metric.{name}": value for name, value in (fields.get("metric") or {}).items()}
    return {name: value for name, value in fields.items() if name != "metric"} | own
