"""Networks of a metadata branch, beside pixels and alone, and the configs that make them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from support import abstract

from stochconv_jax.config_limits import check_limits
from stochconv_jax.configs import base
from stochconv_jax.configs.papers import metadata_ensemble1, metadata_ensemble2
from stochconv_jax.configs.studies import metadata as metadata_study
from stochconv_jax.errors import InputError
from stochconv_jax.evidence.study import make_runs
from stochconv_jax.models import Context
from stochconv_jax.models.branch import BranchOutput
from stochconv_jax.models.from_config import model_from_config


def shapes(*branches, **arguments):
    arguments = {"branches": branches, "metadata_inputs": 7} | arguments
    return abstract("six_conv_cnn", **arguments)


def network(*branches):
    """A network of any numbers: quicker than one that is initialised."""
    graph, state = nnx.split(shapes(*branches))
    rng = np.random.default_rng(0)
    fill = lambda leaf: jnp.asarray(rng.uniform(0.1, 1, leaf.shape), leaf.dtype)  # noqa: E731
    return nnx.merge(graph, jax.tree.map(fill, state))


def test_the_ensemble_joins_512_and_256_features_in_one_dense_layer():
    found = shapes("global", "metadata")
    assert found.classifier.kernel.shape == (768, 1)
    assert found.branches.metadata.dense.kernel.shape == (7, 256)
    assert found.branches["global"].stages.head.dense1.kernel.shape == (900, 512)
    assert found.branches["global"].stages.head.dense2.kernel.shape == (512, 512)


def test_the_branch_is_dense_norm_relu_and_the_logits_depend_on_it():
    model = network("metadata")
    inputs = jax.random.normal(jax.random.key(1), (4, 7))

    @nnx.jit
    def forward(model, inputs):
        context = Context.of_pass(jax.random.key(0), jnp.arange(4), train=True)
        return model.forward({"metadata": inputs}, context, stages=("metadata/head",))

    found = forward(model, inputs)
    branch = model.branches.metadata
    x = np.array(inputs) @ np.array(branch.dense.kernel) + np.array(branch.dense.bias)
    x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
    x = x * np.array(branch.norm.scale) + np.array(branch.norm.bias)
    np.testing.assert_allclose(
        found.stages["metadata/head"], np.maximum(x, 0), rtol=1e-3, atol=1e-4
    )
    assert not np.allclose(found.logits[0], found.logits[1])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((("global", "metadata"), "stem"), "join at 'head', not at 'stem'"),
        ((("metadata", "metadata"), "head"), "two metadata branches"),
    ],
)
def test_networks_that_cannot_be(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        shapes(*arguments[0], join=arguments[1])


def test_a_backbone_whose_classifier_pools_is_refused():
    config = base.get_config()
    with config.unlocked():
        config.model.backbone = "receptive_cnn"
        config.model.branches = ("global", "metadata")
        config.data.numeric_columns = ("age",)
    with pytest.raises(InputError, match="classifier pools"):
        model_from_config(config, 1, abstract=True)


def test_evidence_is_read_from_the_global_branchs_own_rows_of_the_classifier():
    """Whichever branch comes first, guided windows follow the same features."""
    first, second = network("global", "metadata"), network("metadata", "global")
    nnx.update(second.branches["global"], nnx.state(first.branches["global"]))
    kernel = first.classifier.kernel[...]
    second.classifier.kernel[...] = jnp.concatenate([kernel[-256:], kernel[:-256]])
    last_map = jax.random.normal(jax.random.key(0), (1, 2, 2, 100))
    found = {"global": BranchOutput(jnp.zeros((1, 512)), last_map)}
    one, other = first.evidence(found), second.evidence(found)
    assert np.ptp(one) > 0
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "backbone"),
    [(metadata_ensemble1, "six_conv_cnn"), (metadata_ensemble2, "resnest101")],
)
def test_the_thesiss_ensembles_make_networks(module, backbone):
    check_limits(module.get_config("isic"))
    config = module.get_config()
    assert config.is_locked
    check_limits(config)
    assert config.model.backbone == backbone
    if backbone == "resnest101":
        config.model.backbone = "resnest50"  # the same but for its depth
    model = model_from_config(config, 1, abstract=True)
    assert model.branch_names == ("global", "metadata")


def test_the_study_is_five_folds_of_a_table():
    assert make_runs(metadata_study.get_config("images"))
    runs = make_runs(metadata_study.get_config())
    assert {run.config.data.fold for run in runs} == set(range(5))
    assert {run.config.data.name for run in runs} == {"table"}
