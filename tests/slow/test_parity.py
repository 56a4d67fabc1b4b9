import numpy as np
import pytest
from parity import keras_twin, random_keras
from support import abstract, count_parameters
from test_efficientnet import OFFICIAL


@pytest.mark.parametrize("name", OFFICIAL)
def test_parameter_counts_are_the_official_ones(name):
    model = abstract(f"efficientnet_{name}", branches=("global",), num_outputs=1000)
    assert count_parameters(model) == OFFICIAL[name]


@pytest.mark.parametrize("number", range(1, 8))
def test_logits_equal_keras(number, tmp_path):
    theirs = random_keras(f"EfficientNetB{number}", 128 + number)
    path = tmp_path / "network.weights.h5"
    expected, actual = keras_twin(theirs, f"efficientnet_b{number}", path)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
