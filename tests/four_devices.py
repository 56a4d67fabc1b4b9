"""Gradients of a sum over images that is divided over four devices."""

import jax
import numpy as np
from jax.sharding import PartitionSpec

from stochconv_jax.runs.devices import DATA_AXIS, make_mesh


def assert_gradients_equal_one_devices(loss, kernel, *arrays, check_vma):
    """Compares the gradients in the kernel and in the first of the arrays, divided over images."""

    def gradients(kernel, *arrays):
        kernel_gradient, gradient = jax.grad(loss, (0, 1))(kernel, *arrays)
        # With check_vma=True the gradient of what every device holds is summed already.
        return kernel_gradient if check_vma else jax.lax.psum(kernel_gradient, DATA_AXIS), gradient

    replicated, divided = PartitionSpec(), PartitionSpec(DATA_AXIS)
    on_four = jax.shard_map(
        gradients,
        mesh=make_mesh(4),
        in_specs=(replicated, *[divided] * len(arrays)),
        out_specs=(replicated, divided),
        check_vma=check_vma,
    )
    expected = jax.jit(jax.grad(loss, (0, 1)))(kernel, *arrays)
    for one, other in zip(jax.jit(on_four)(kernel, *arrays), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
