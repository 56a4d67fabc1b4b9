"""From logits to probabilities, in float64 on the host."""

import numpy as np
from scipy.special import expit, softmax


def class_probabilities(logits: np.ndarray) -> np.ndarray:
    """Returns the probability of each class, float64 [..., classes] from logits [..., outputs].

    One logit x is of the second of two classes: 1 / (1 + exp(x)) and 1 / (1 + exp(-x)), each exact
    however near to 0 it is. (In float32, logits of 17 and more would all become 1, and those of -17
    and less keep their ranks.) Several logits become their softmax.
    """
    exact = np.asarray(logits, np.float64)
    if exact.shape[-1] > 1:
        return softmax(exact, axis=-1)
    return expit(np.concatenate([-exact, exact], axis=-1))
