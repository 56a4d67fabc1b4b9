"""What a table knows of an image: from columns to inputs, beside pixels and alone."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image
from support import abstract, complain, noise, read_rows, run_here, write_rows

import stochconv_jax
from stochconv_jax.config_limits import check_limits
from stochconv_jax.configs import base
from stochconv_jax.configs.papers import metadata_ensemble1, metadata_ensemble2
from stochconv_jax.configs.studies import metadata as metadata_study
from stochconv_jax.data.dataset.image_dataset import Example
from stochconv_jax.data.dataset.metadata import Metadata
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline.batches import Pipeline
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.evaluate import evaluate
from stochconv_jax.evaluation.external import external_images, folder_table
from stochconv_jax.evidence.study import make_runs
from stochconv_jax.models import Context
from stochconv_jax.models.branch import BranchOutput
from stochconv_jax.models.from_config import model_from_config
from stochconv_jax.prediction.command import main as predict
from stochconv_jax.prediction.table import rows_of
from stochconv_jax.runs.run import Run
from stochconv_jax.training.loop import train

SEXES = ("male", "female", "")
HEADER = ["image", "target", "patient", "age_approx", "sex", "smoker"]


def example(name, **known):
    return Example(name, "0", "", "", known)


ROWS = [
    example("a", age="30", sex="male", site="torso"),
    example("b", age="50", sex="female", site=""),
    example("c", age="", sex="", site="head/neck"),
    example("d", age="40", sex="male", site="torso"),
]


def test_inputs_equal_a_plain_reading_of_the_table():
    found = Metadata.fit(ROWS, ("age",), ("sex", "site"))
    # Mean 40, standard deviation of 30, 50 and 40.
    far = 10 / np.sqrt(200 / 3)
    expected = [
        # age, missing; female, male, missing; head/neck, torso, missing
        [-far, 0, 0, 1, 0, 0, 1, 0],
        [far, 0, 1, 0, 0, 0, 0, 1],
        [0, 1, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 1, 0, 0, 1, 0],
    ]
    inputs = found(ROWS)
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs, expected, rtol=1e-6)
    assert found.names[:3] == ("age", "age missing", "sex female")
    assert len(found.names) == inputs.shape[1]


def test_what_was_fitted_is_kept_and_read_to_the_bit(tmp_path):
    found = Metadata.fit(ROWS, ("age",), ("sex", "site"))
    kept = json.loads(json.dumps(found.to_json()))
    assert Metadata.from_json(kept, tmp_path) == found
    with pytest.raises(InputError, match="is damaged"):
        Metadata.from_json({"numbers": {"age": 3}}, tmp_path)


def test_a_category_that_training_did_not_meet_is_zeros_and_told_once():
    found = Metadata.fit(ROWS, (), ("site",))
    others = [example("e", site="palms"), example("f", site="palms"), example("g", site="")]
    np.testing.assert_array_equal(found(others), [[0, 0, 0], [0, 0, 0], [0, 0, 1]])
    (sentence,) = found.unseen(others)
    assert sentence.startswith("site is 'palms' of 2 images")
    assert not found.unseen(ROWS)


def test_what_is_no_number_is_named_with_its_row_and_column():
    with pytest.raises(InputError, match=r"column 'age' of e is 'abc', which is no number"):
        Metadata.fit([*ROWS, example("e", age="abc")], ("age",), ())
    found = Metadata.fit(ROWS, ("age",), ())
    with pytest.raises(InputError, match=r"column 'age' of f is 'inf'"):
        found([example("f", age="inf")])
    with pytest.raises(InputError, match="holds no number in the training split"):
        Metadata.fit([example("e", age="")], ("age",), ())
    with pytest.raises(InputError, match=r"names 'site', which holds no value in the training"):
        Metadata.fit([example("e", site=""), example("f", site="unknown")], (), ("site",))


def test_what_is_not_known_is_missing_however_it_is_written():
    cells = ("", "unknown", " Unknown", "n/a ", "None")
    rows = [example("a", age="30", site="torso"), example("b", age=" 50", site=" torso ")]
    rows += [example(cell, age=cell, site=cell) for cell in cells]
    found = Metadata.fit(rows, ("age",), ("site",))
    assert found.numbers == {"age": (40, 10)}
    assert found.categories == {"site": ("torso",)}
    np.testing.assert_array_equal(found(rows), [[-1, 0, 1, 0], [1, 0, 1, 0]] + 5 * [[0, 1, 0, 1]])
    assert not found.unseen(rows)


def test_a_column_of_one_number_tells_nothing():
    found = Metadata.fit([example("a", age="5"), example("b", age="5")], ("age",), ())
    np.testing.assert_array_equal(found([example("c", age="5")]), [[0, 0]])


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
    context = Context.of_pass(jax.random.key(0), jnp.arange(4), train=True)
    found = model.forward({"metadata": inputs}, context, stages=("metadata/head",))
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty-four images of noise whose class is the patient's age, and their table."""
    folder = tmp_path_factory.mktemp("folder")
    rows = [HEADER]
    for number in range(24):
        Image.fromarray(noise(number, 70, 70, 3)).save(folder / f"{number}.png")
        age = "" if number == 3 else str(30 + 40 * (number % 2) + number % 5)
        rows.append([f"{number}.png", number % 2, f"p{number}", age, SEXES[number % 3], "no"])
    rows[1][-1] = "yes"
    write_rows(folder / "labels.csv", rows)
    return folder


def flags(folder, workdir, data, prepared, **fields):
    fields = {
        "data.directory": folder,
        "data.prepared_directory": prepared,
        "data.group_column": "patient",
        "data.numeric_columns": "('age',)",
        "data.category_columns": "('sex','smoker')",
        "data.validation_fraction": 0.34,
        "data.high_size": "(64, 64)",
        "data.low_size": "(64, 64)",
        "model.branches": "('metadata',)",
        "model.backbone": "six_conv_cnn",
        "model.conventions": "pytorch",
        "model.batch_norm_momentum": 0.5,
        "train.batch_size": 8,
        "train.epochs": 1,
        "eval.batch_size": 8,
        "eval.resamples": 20,
    } | fields
    # Relative to the place of this file, wherever the tests are run.
    config = base.__file__
    changed = [f"--config.{name}={value}" for name, value in fields.items()]
    return [f"--config={config}:{data}", f"--workdir={workdir}", *changed]


@pytest.fixture(scope="module")
def joined(tmp_path_factory, folder):
    """A run of one epoch that sees small images and the table."""
    workdir = tmp_path_factory.mktemp("joined")
    prepared = tmp_path_factory.mktemp("prepared_joined")
    # A backbone that does not learn, so that no convolution's gradient is compiled.
    changed = {"model.branches": "('global','metadata')", "train.backbone_rate": 0.0}
    run_here(train, flags(folder, workdir, "folder", prepared, **changed))
    return workdir


@pytest.fixture(scope="module")
def alone(tmp_path_factory, folder):
    """A run on the table without images."""
    workdir = tmp_path_factory.mktemp("alone")
    fields = {"train.epochs": 8, "train.optimizer": "adam", "train.learning_rate": 0.01}
    run_here(train, flags(folder, workdir, "table", workdir / "none", **fields))
    return workdir


def test_it_is_fitted_on_the_training_split_alone(joined):
    run = Run.open(joined)
    dataset = run.load_dataset()
    kept = json.loads((joined / "metadata.json").read_text())
    ages = [
        float(dataset.examples[index].known["age"])
        for index in dataset.indices("train")
        if dataset.examples[index].known["age"]
    ]
    assert kept["numbers"]["age"]["mean"] == pytest.approx(np.mean(ages))
    assert kept["numbers"]["age"]["deviation"] == pytest.approx(np.std(ages))
    assert kept["categories"]["sex"] == ["female", "male"]
    assert kept["inputs"][:2] == ["age", "age missing"]


def test_batches_bring_the_row_of_their_image(joined):
    run = Run.open(joined)
    dataset = run.load_dataset()
    (batch, *_) = run.pipeline(dataset).evaluation_batches("train", 8)
    assert batch["image_low"].shape == (8, 64, 64, 3)
    assert batch["metadata"].dtype == np.float32
    rows = [dataset.examples[index] for index in batch["index"]]
    np.testing.assert_array_equal(batch["metadata"], run.metadata(rows))


def test_other_values_of_a_column_are_other_data(joined, folder, tmp_path):
    table = (folder / "labels.csv").read_text()
    (tmp_path / "labels.csv").write_text(table.replace(",71,", ",17,"))
    config = Run.open(joined).config.copy_and_resolve_references().unlock()
    config.data.table = str(tmp_path / "labels.csv")
    with pytest.raises(InputError, match="was trained on other data"):
        Run.open(joined, config).load_dataset()


def test_evaluation_and_prediction_read_the_table_as_training_did(joined, folder, tmp_path):
    run_here(evaluate, [f"--workdir={joined}", "--config.eval.split=all"])
    evaluated = {
        row["id"]: float(row["probability"]) for row in read_rows(joined / "eval/predictions.csv")
    }
    output = tmp_path / "out.csv"
    arguments = [joined, folder, "--table", folder / "labels.csv", "--output", output]
    predict([str(argument) for argument in arguments])
    rows = {row["image"].rpartition("/")[2]: row for row in read_rows(output)}
    assert len(rows) == len(evaluated) == 24
    for name, row in rows.items():
        # The images are 70x70 and were framed to 64x64 both times.
        assert float(row["probability"]) == pytest.approx(evaluated[name], abs=1e-4)
    run = stochconv_jax.load_run(joined)
    known = [{"age": age, "sex": "male", "smoker": "no"} for age in ("30", "90")]
    young, old = run.predict([folder / "0.png"] * 2, known).logits[:, 0, 0]
    assert young != old
    with pytest.raises(InputError, match="is given age, sex, smoker of each image; bring a table"):
        run.predict([folder / "0.png"])


def test_a_photograph_without_a_row_is_not_predicted(joined, folder, tmp_path, capsys):
    table = tmp_path / "some.csv"
    write_rows(table, [HEADER, ["0", "", "", "55", "unknown", "no"]])
    output = tmp_path / "out.csv"
    arguments = [joined, folder / "0.png", folder / "1.png", "--table", table, "--output", output]
    predict([str(argument) for argument in arguments])
    first, second = read_rows(output)
    assert first["decision"]
    assert second["problem"] == "the table has no row of it"
    with pytest.raises(SystemExit):
        predict([str(a) for a in (joined, folder / "1.png", "--table", table, "--output", output)])
    assert "none of the 1 files could be used" in capsys.readouterr().err


def test_photographs_of_one_name_have_the_rows_of_their_own_paths(joined, folder, tmp_path, capsys):
    for place in "ab":
        (tmp_path / "photos" / place).mkdir(parents=True)
        picture = (folder / "0.png").read_bytes()
        (tmp_path / "photos" / place / "IMG_1.png").write_bytes(picture)
    table, output = tmp_path / "known.csv", tmp_path / "out.csv"
    arguments = [str(a) for a in (joined, tmp_path / "photos", "--table", table)]
    columns = ["image", "age", "sex", "smoker"]
    rows = [columns, ["a/IMG_1.png", "30", "male", "no"], ["b/IMG_1", "75", "male", "no"]]
    write_rows(table, rows)
    predict([*arguments, "--output", str(output)])
    young, old = (float(row["probability"]) for row in read_rows(output))
    assert young != old
    write_rows(table, [columns, ["IMG_1", "30", "male", "no"]])
    with pytest.raises(SystemExit):
        predict([*arguments, "--output", str(tmp_path / "none.csv")])
    error = capsys.readouterr().err
    assert "a/IMG_1.png and " in error
    assert "b/IMG_1.png have one row of the table, IMG_1; " in error
    assert not (tmp_path / "none.csv").exists()


def test_the_longest_name_that_the_table_has_decides():
    table = {name: {"age": name} for name in ("photos/1.png", "a/1", "1.png", "2", "3.5")}
    paths = [pathlib.Path("photos", name) for name in ("1.png", "a/1.png", "a/2.png", "3.5.png")]
    searched = [pathlib.Path("photos/a"), pathlib.Path("photos")]
    found = [row and row["age"] for row in rows_of(table, paths, searched)]
    assert found == ["photos/1.png", "a/1", "2", "3.5"]
    assert rows_of(table, [pathlib.Path("photos/b/4.png")], searched) == [None]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (None, "bring a table of them (--table)"),
        ([["image", "age", "sex"], ["0", "5", "male"]], "no column 'smoker', which the network"),
        ([["file", "age"], ["0", "5"]], "no column 'image'"),
        ([["image", "age", "sex", "smoker"], ["0", "old", "", ""]], "'old', which is no number"),
        ([["image"], ["0"], ["0"]], "row 3 names 0 again"),
    ],
)
def test_mistakes_in_prediction_are_one_sentence(joined, folder, tmp_path, capsys, rows, sentence):
    arguments = [joined, folder / "0.png", "--output", tmp_path / "out.csv"]
    if rows:
        write_rows(tmp_path / "known.csv", rows)
        arguments += ["--table", tmp_path / "known.csv"]
    with pytest.raises(SystemExit) as stopped:
        predict([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_a_run_is_judged_on_other_images_and_their_table(joined, folder, tmp_path, capsys):
    others = tmp_path / "others"
    others.mkdir()
    rows = [HEADER]
    for number in range(8):
        Image.fromarray(noise(100 + number, 70, 70, 3)).save(others / f"{number}.png")
        rows.append([f"{number}.png", number % 2, f"q{number}", "44", "male", "often"])
    write_rows(others / "labels.csv", rows)
    judge_on(joined, others)
    assert "smoker is 'often' of 8 images" in capsys.readouterr().out
    write_rows(others / "labels.csv", [row[:3] for row in rows])
    with pytest.raises(InputError, match=r"no column 'age' or 'age_approx' or 'age_approximate'"):
        judge_on(joined, others)


def test_a_table_alone_trains_is_evaluated_and_predicted(alone, folder, tmp_path, capsys):
    run = Run.open(alone)
    assert not run.sees_pixels
    dataset = run.load_dataset()
    assert len(dataset.records) == 0
    (batch, *_) = run.pipeline(dataset).evaluation_batches("train", 8)
    assert set(batch) == {"metadata", "label", "index", "mask"}
    run_here(evaluate, [f"--workdir={alone}"])
    metrics = json.loads((alone / "eval/metrics.json").read_text())
    assert metrics["roc_auc"] > 0.9  # the age tells the class
    output = tmp_path / "out.csv"
    predict([str(a) for a in (alone, "--table", folder / "labels.csv", "--output", output)])
    assert len(read_rows(output)) == 24
    with pytest.raises(SystemExit):
        predict([str(alone), str(folder), "--table", str(folder / "labels.csv")])
    assert "reads no pixels; leave the images out" in capsys.readouterr().err


@pytest.mark.parametrize("corrected", [False, True])
def test_rows_that_trained_are_known_again_under_another_label_and_without_their_group(
    alone, folder, tmp_path, corrected
):
    run = Run.open(alone)
    rows = read_rows(folder / "labels.csv")
    strange = {**rows[0], "image": "strange", "age_approx": "47"}
    written = [HEADER, *([row[name] for name in HEADER] for row in [*rows, strange])]
    if corrected:
        written[1][1] = "1"
    write_rows(tmp_path / "labels.csv", written)
    found = external_images(run, folder_table(run, str(tmp_path), "", "", "", ""))
    own = run.load_dataset()
    unseen = [
        row.id for row, split in zip(own.examples, own.splits, strict=True) if split == "test"
    ]
    assert {row.id for row in found.dataset.examples} == {*unseen, "strange"}
    assert "are the very files that the run was trained or validated on" in found.left_out[0]


def test_from_python_a_row_for_each_image_in_which_none_is_missing(alone):
    run = stochconv_jax.load_run(alone)
    known = [{"age": nothing, "sex": "male", "smoker": "no"} for nothing in (None, "", " unknown")]
    none, *others = run.predict(["a", "b", "c"], known).logits[:, 0, 0]
    np.testing.assert_array_equal(others, [none, none])
    with pytest.raises(InputError, match="3 images and 2 rows of what is known"):
        run.predict(["a", "b", "c"], known[:2])


def test_prepared_images_are_not_decoded_for_the_table_alone(joined, monkeypatch):
    run = Run.open(joined)
    dataset = run.load_dataset()
    monkeypatch.setattr(Pipeline, "_views", None)
    pipeline = Pipeline(dataset, (64, 64), pixels=False, metadata=run.metadata(dataset.examples))
    assert next(pipeline.training_batches(8, 0, 0))["metadata"].shape[0] == 8


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model.branches": "('global','metadata')"}, "which has no images"),
        ({"data.numeric_columns": "()", "data.category_columns": "()"}, "no column is named"),
        ({"data.category_columns": "('age',)"}, "name 'age' twice"),
        ({"data.category_columns": "('weight',)"}, "no column 'weight'"),
        ({"data.category_columns": "('target',)"}, "holds the classes"),
        ({"data.category_columns": "('source',)"}, "names 'source', which tells of"),
        ({"data.numeric_columns": "('width',)"}, "names 'width', which tells of"),
        ({"data.numeric_columns": "('smoker',)", "data.category_columns": "()"}, "is no number"),
        ({"data.folds": "1"}, "data.folds is 1"),
        ({"model.weights": "efficientnet_lite0"}, "which has none"),
    ],
)
def test_mistakes_are_one_sentence(monkeypatch, capsys, folder, tmp_path, fields, sentence):
    fields = {"data.numeric_columns": "('age',)", **fields}
    arguments = flags(folder, tmp_path / "run", "table", tmp_path, **fields)
    assert sentence in complain(monkeypatch, capsys, train, arguments)
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_table_is_divided_into_folds_by_group(folder):
    config = base.get_config("table")
    with config.unlocked():
        config.data.directory = str(folder)
        config.data.group_column = "patient"
        config.data.folds = 4
    seen = []
    for fold in range(4):
        config.data.fold = fold
        dataset = load_dataset(config.data)
        seen += [dataset.examples[index].id for index in dataset.indices("validation")]
    assert sorted(seen) == sorted(example.id for example in dataset.examples)


def test_images_that_a_backbone_learns_from_need_their_columns_in_the_manifest(prepared):
    config = base.get_config()
    with config.unlocked():
        config.data.high_size = (128, 128)
        config.data.synthetic_count = 40
        config.data.prepared_directory = str(prepared)
        config.data.numeric_columns = ("age",)
    with pytest.raises(InputError, match="names 'age', which is not known of the images"):
        load_dataset(config.data)


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


def judge_on(run, others):
    evaluate(Run.open(run).config, run, data=str(others))
