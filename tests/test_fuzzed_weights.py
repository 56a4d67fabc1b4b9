"""Files of weights that are damaged: refused in a sentence, or what they were."""

import random

import h5py
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from mutations import found_or_told, mutate_bytes, mutate_json
from safetensors.numpy import save_file

from stochconv_jax.errors import InputError
from stochconv_jax.models.weights.read_file import read_weight_file
from stochconv_jax.models.weights.safetensors_file import write_safetensors_file

ARRAYS = {
    "conv.kernel": np.arange(108, dtype=np.float32).reshape(3, 3, 3, 4) / 108,
    "classifier.bias": np.array([0.5, -0.5], np.float32),
}
CHANNELS = "[0.25, 0.5, 0.75]"
# Nobody sums what is in a Keras file, in PyTorch's older ones or in others' safetensors.
SUMMED = ("ours.safetensors", "zip.pth")


def write(path, arrays=ARRAYS):
    if path.name == "ours.safetensors":
        about = {"pixels": "dataset", "pixel_mean": CHANNELS, "pixel_deviation": CHANNELS}
        write_safetensors_file(path, arrays, about)
    elif path.suffix == ".pth":
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        content = {"state_dict": tensors, "epoch": 3}
        torch.save(content, path, _use_new_zipfile_serialization=path.name == "zip.pth")
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                layer, variable = name.split(".")
                if path.name == "keras3.weights.h5":
                    file[f"layers/{layer}/vars/0"] = array
                else:
                    file[f"{layer}/{layer}/{variable}:0"] = array
    return path


def same(one, other):
    """Returns whether two files say the same."""
    equal = one.arrays.keys() == other.arrays.keys() and all(
        np.array_equal(array, other.arrays[name]) for name, array in one.arrays.items()
    )
    facts = ("backbone", "pixels", "pixel_mean", "pixel_deviation", "joined")
    return equal and all(getattr(one, fact) == getattr(other, fact) for fact in facts)


@pytest.mark.parametrize(
    "name", ["ours.safetensors", "zip.pth", "old.pth", "keras.h5", "keras3.weights.h5"]
)
def test_a_damaged_file_of_weights_is_refused_in_a_sentence(name, tmp_path):
    path = write(tmp_path / name)
    whole, content = read_weight_file(path), path.read_bytes()

    @given(st.integers(0, 2**32))
    def refuses(seed):
        rng = random.Random(seed)
        for _ in range(20):
            path.write_bytes(mutate_bytes(content, rng))
            found, told = found_or_told(read_weight_file, path)
            if told:
                assert str(path) in told
            elif name in SUMMED and found.layout == whole.layout:  # else no name fits a network
                assert same(found, whole)

    refuses()


def test_another_number_in_our_own_file_or_in_pytorchs_is_noticed(tmp_path):
    for name in SUMMED:
        path = write(tmp_path / name)
        content = bytearray(path.read_bytes())
        place = content.index(np.float32(-0.5).tobytes())
        content[place] ^= 1
        path.write_bytes(content)
        with pytest.raises(InputError, match="is damaged or cut short"):
            read_weight_file(path)


@pytest.mark.parametrize(
    "array",
    [
        np.array([b"a", b"b"]),
        np.array([1 + 1j]),
        np.array([1e300]),
        np.array([np.nan], np.float32),
    ],
)
def test_arrays_that_are_no_finite_numbers_are_refused(array, tmp_path):
    path = tmp_path / "keras.h5"
    with pytest.raises(InputError, match=r"keras\.h5: conv/kernel holds"):
        read_weight_file(write(path, {"conv.kernel": array}))


def test_arrays_that_are_said_to_be_larger_than_the_file_are_refused(tmp_path):
    with h5py.File(tmp_path / "large.h5", "w") as file:
        shape, chunks = (10**6, 10**6), (1000, 1000)
        file.create_dataset("conv/kernel", shape, "f4", chunks=chunks, compression="gzip")
    torch.save({"conv.weight": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "large.pth")
    for name in ("large.h5", "large.pth"):
        with pytest.raises(InputError, match=r"large\.\w+ is damaged.*larger than the file"):
            read_weight_file(tmp_path / name)


def test_a_compressed_file_of_keras_is_read(tmp_path):
    with h5py.File(tmp_path / "keras.h5", "w") as file:
        file.create_dataset("conv/kernel", data=np.zeros((1000, 100)), compression="gzip")
    path = tmp_path / "keras.h5"
    assert path.stat().st_size < 100_000
    assert read_weight_file(path).arrays["conv/kernel"].shape == (1000, 100)


TIMM = (
    b'{"architecture": "tf_efficientnet_b0", "pretrained_cfg": '
    b'{"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}'
)


@given(st.integers(0, 2**32))
@example(96)  # a mean of a number that no float holds
@example(97)  # a mean of lists of two lengths
def test_what_a_repository_of_timms_says_beside_the_weights_is_refused_or_read(tmp_path, seed):
    path = tmp_path / "model.safetensors"
    save_file(ARRAYS, path)
    rng = random.Random(seed)
    for mutate in (mutate_json, mutate_json, mutate_bytes):
        (tmp_path / "config.json").write_bytes(mutate(TIMM, rng))
        found, told = found_or_told(read_weight_file, path)
        if not told:
            assert isinstance(found.backbone, str)
            assert found.pixels in ("half", "")
