import functools

import jax
import numpy as np
import pytest
import torch
from jax.sharding import PartitionSpec

from stochconv_jax.runs.devices import DATA_AXIS, make_mesh
from stochconv_jax.training.loss import cross_entropy, mean_cross_entropy

RNG = np.random.default_rng(0)


def mean_over(devices, logits, labels, smoothing=0.0, class_weights=()):
    loss = functools.partial(
        mean_cross_entropy,
        smoothing=smoothing,
        class_weights=class_weights,
        axis_name=DATA_AXIS,
    )
    divided = PartitionSpec(DATA_AXIS)
    return jax.jit(
        jax.shard_map(
            lambda logits, labels: loss(logits, labels),
            mesh=make_mesh(devices),
            in_specs=(divided, divided),
            out_specs=PartitionSpec(),
        )
    )(logits, labels)


def test_cross_entropy_is_binary_for_one_output_and_softmax_for_several():
    logits, labels = np.array([[2.0], [-1.0]], np.float32), np.array([1, 0])
    expected = [np.log1p(np.exp(-2.0)), np.log1p(np.exp(-1.0))]
    assert cross_entropy(logits, labels) == pytest.approx(expected, rel=1e-5)
    both = np.concatenate([np.zeros((2, 1), np.float32), logits], axis=1)
    assert cross_entropy(both, labels) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_mean_loss_is_pytorchs_on_one_device_and_on_four(outputs, smoothing, weighted):
    classes = max(outputs, 2)
    logits = RNG.normal(size=(12, outputs)).astype(np.float32) * 3
    # Devices meet classes, and so weights, that differ.
    labels = np.sort(RNG.integers(0, classes, 12)).astype(np.int32)
    weights = (1.0, 0.2, 4.0)[:classes] if weighted else ()
    both = logits if outputs > 1 else np.concatenate([np.zeros_like(logits), logits], axis=1)
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(both),
        torch.tensor(labels).long(),
        weight=torch.tensor(weights) if weighted else None,
        label_smoothing=smoothing,
    )
    for devices in (1, 4):
        found = mean_over(devices, logits, labels, smoothing, weights)
        assert float(found) == pytest.approx(float(expected), rel=1e-5)
