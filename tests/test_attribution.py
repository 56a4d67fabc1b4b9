"""Attributions against captum's, on one small network in both libraries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from captum.attr import GradientShap, IntegratedGradients, LayerGradCam, Occlusion

from stochconv_jax.explanations.attribution import (
    grad_cam,
    gradient_between,
    gradient_shap,
    integrated_gradients,
    occlusion,
)

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(3, 3, 3, 5)).astype(np.float32)
DENSE = RNG.normal(size=(5,)).astype(np.float32)
IMAGES = RNG.uniform(size=(2, 12, 10, 3)).astype(np.float32)
KEYS = jax.random.split(jax.random.key(1), 2)
BASELINE = RNG.uniform(size=(1, 12, 10, 3)).astype(np.float32)


def features(images):
    return jax.lax.conv_general_dilated(
        images, KERNEL, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def head(maps):
    # Squared, so that gradients differ along the way from a baseline.
    return jnp.tanh(maps * maps / 20).mean(axis=(1, 2)) @ DENSE


def score(images):
    return head(features(images))


class Features(torch.nn.Module):
    def forward(self, images):
        return torch.nn.functional.conv2d(images, torch.tensor(KERNEL.transpose(3, 2, 0, 1)))


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = Features()

    def forward(self, images):
        maps = self.features(images)
        return torch.tanh(maps * maps / 20).mean(dim=(2, 3)) @ torch.tensor(DENSE)


NETWORK = Network()


def as_torch(images):
    return torch.tensor(np.array(images).transpose(0, 3, 1, 2), requires_grad=True)


def as_images(tensor):
    return tensor.detach().numpy().transpose(0, 2, 3, 1)


def test_integrated_gradients_equal_captums_and_add_up():
    ours = integrated_gradients(score, IMAGES, BASELINE, steps=20)
    theirs = IntegratedGradients(NETWORK).attribute(
        as_torch(IMAGES), as_torch(BASELINE), n_steps=20, method="gausslegendre"
    )
    np.testing.assert_allclose(ours, as_images(theirs), atol=1e-6)
    total = np.sum(ours, axis=(1, 2, 3))
    np.testing.assert_allclose(total, score(IMAGES) - score(BASELINE), atol=1e-4)


def test_gradient_shap_equals_captums_for_the_same_draws():
    np.random.seed(3)
    theirs = GradientShap(NETWORK).attribute(
        as_torch(IMAGES), as_torch(BASELINE), n_samples=1, stdevs=0.0
    )
    np.random.seed(3)
    # captum draws which baseline before it draws how near to it.
    np.random.choice(1, len(IMAGES))
    places = np.random.uniform(0, 1, len(IMAGES)).astype(np.float32)
    ours = gradient_between(score, IMAGES, BASELINE, places)
    np.testing.assert_allclose(ours, as_images(theirs), atol=1e-6)


def test_gradient_shap_is_the_mean_over_baselines_and_places():
    others = RNG.uniform(size=(3, 12, 10, 3)).astype(np.float32)
    shap = gradient_shap(score, IMAGES, others, KEYS, samples=2000)
    each = [integrated_gradients(score, IMAGES, one[None]) for one in others]
    expected = np.mean(each, axis=0)
    assert np.linalg.norm(shap - expected) < 0.1 * np.linalg.norm(expected)
    noisy = gradient_shap(score, IMAGES, others, KEYS, samples=20, deviation=0.1)
    still = gradient_shap(score, IMAGES, others, KEYS, samples=20)
    assert not np.allclose(noisy, still)


@pytest.mark.parametrize(("size", "stride"), [(4, 2), (5, 3), (10, 1)])
def test_occlusion_equals_captums(size, stride):
    ours = occlusion(score, IMAGES, size, stride, baseline=0.25)
    theirs = Occlusion(NETWORK).attribute(
        as_torch(IMAGES),
        sliding_window_shapes=(3, size, size),
        strides=(3, stride, stride),
        baselines=0.25,
    )
    np.testing.assert_allclose(ours, as_images(theirs)[..., 0], atol=1e-5)


def test_grad_cam_equals_captums():
    ours = grad_cam(head, features(IMAGES))
    theirs = LayerGradCam(NETWORK, NETWORK.features).attribute(
        as_torch(IMAGES), relu_attributions=True
    )
    np.testing.assert_allclose(ours, as_images(theirs)[..., 0], atol=1e-6)
    assert ours.max() > 0
