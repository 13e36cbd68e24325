"""A stream of features does not depend on how the images were batched."""

import torch

from vtbench.features.network import FEATURE_BATCH, FeatureStream


def _features(images, sizes):
    passes = []

    def extract(batch):
        passes.append(len(batch))
        # depends on the batch, as float32 features do
        return {"pooled": batch.float().mean(dim=(2, 3)) + len(batch), "logits": batch.float().amax(dim=(2, 3))}

    stream = FeatureStream(extract)
    for batch in images.split(sizes):
        stream.add(batch)
    return stream.finish(), passes


def test_batches_do_not_show():
    images = torch.randint(0, 256, (FEATURE_BATCH * 2 + 5, 3, 4, 4), dtype=torch.uint8)
    one, passes = _features(images, [len(images)])
    many, _ = _features(images, [1, 20, 3, 9, 4])
    assert passes == [FEATURE_BATCH, FEATURE_BATCH, 5]
    assert all(torch.equal(one[layer], many[layer]) for layer in ("pooled", "logits"))
    assert torch.equal(one["pooled"][:FEATURE_BATCH] - FEATURE_BATCH, images[:FEATURE_BATCH].float().mean(dim=(2, 3)))


def test_nothing_gives_nothing():
    assert FeatureStream(lambda images: {"pooled": images}).finish() == {}
