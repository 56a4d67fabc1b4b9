import hashlib

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from configs import base
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline.shrink import shrink
from stochconv_jax.data.preparation.lesion_drawing import draw_lesion


def texture_features(image):
    """Energies of first and second differences of the middle, at three distances."""
    grey = image.astype(float).mean(axis=-1)
    height, width = (side // 3 for side in grey.shape)
    grey = grey[height : 2 * height, width : 2 * width]
    energies = []
    for axis in (0, 1):
        for distance in (1, 2, 3):
            difference = grey - np.roll(grey, distance, axis)
            energies.append(np.log(difference[4:-4, 4:-4].std() + 0.1))
    return [*energies, np.log(grey.std() + 0.1)]


def classify(images, labels):
    model = make_pipeline(StandardScaler(), LogisticRegression())
    features = np.array([texture_features(image) for image in images])
    scores = cross_val_predict(model, features, labels, cv=5, method="predict_proba")[:, 1:]
    return roc_auc_score(labels, scores)


def test_classes_differ_at_full_resolution_and_not_in_the_small_image():
    labels = np.arange(160) % 2
    images = [draw_lesion(np.random.default_rng((7, i)), 512, bool(i % 2)) for i in range(160)]
    assert classify(images, labels) > 0.95
    assert classify([shrink(image, (112, 112)) for image in images], labels) < 0.68


@pytest.mark.parametrize("size", [512, 1024])
def test_a_lesion_is_a_function_of_its_seed(size):
    first, again, other = (draw_lesion(np.random.default_rng(s), size, True) for s in (1, 1, 2))
    assert first.shape == (size, size, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_builder_keeps_order_labels_and_bits(tmp_path):
    def load(directory, synthetic_seed=5):
        config = base.get_config().data
        config.update(
            synthetic_count=20,
            synthetic_seed=synthetic_seed,
            high_size=(128, 128),
            test_fraction=0.2,
            prepared_directory=str(directory),
        )
        return load_dataset(config)

    one, other = load(tmp_path / "one"), load(tmp_path / "other")
    assert one.num_outputs == 1
    assert list(one.labels) == [0, 1] * 10
    assert [example.id for example in one.examples[:2]] == ["lesion_000000", "lesion_000001"]
    assert sorted(np.unique(one.splits)) == ["test", "train", "validation"]
    for index in range(20):
        assert one.records[index]["image"] == other.records[index]["image"]
        assert one.records[index]["id"].decode() == one.examples[index].id
        assert one.examples[index].sha256 == hashlib.sha256(one.records[index]["image"]).hexdigest()
    assert one.identity == other.identity
    assert one.identity["framing"] == {"size": [128, 128], "crop_above": 0, "crop_to": 0}
    assert load(tmp_path / "one", synthetic_seed=6).identity != one.identity
