import pytest
from support import SMALL, command, run_here

from stochconv_jax.configs import base
from stochconv_jax.training.early_stopping import epochs_without_gain, is_finished
from stochconv_jax.training.history import read_history
from stochconv_jax.training.loop import train

NAN = float("nan")


def rows(*pairs):
    return [{"val_auc": auc, "val_loss": loss} for auc, loss in pairs]


@pytest.mark.parametrize(
    ("pairs", "waited"),
    [
        ([], 0),
        ([(0.6, 0.7)], 0),
        # A higher area or a lower loss is a gain, and staying the same is none.
        ([(0.6, 0.7), (0.7, 0.8)], 0),
        ([(0.6, 0.7), (0.5, 0.6)], 0),
        ([(0.6, 0.7), (0.6, 0.7)], 1),
        # Against the best before, not the last.
        ([(0.8, 0.5), (0.6, 0.7), (0.7, 0.6)], 2),
        ([(0.8, 0.5), (0.6, 0.7), (0.9, 0.6)], 0),
        ([(NAN, 0.5), (NAN, 0.6)], 1),
        ([(NAN, 0.5), (NAN, 0.4)], 0),
        ([(NAN, 0.5), (0.5, 0.6), (0.4, 0.7)], 1),
    ],
)
def test_epochs_are_waited_for_since_the_last_gain(pairs, waited):
    assert epochs_without_gain(rows(*pairs)) == waited


def test_epochs_or_patience_end_a_training():
    section = base.get_config().train.copy_and_resolve_references()
    section.epochs = 3
    worse = rows((0.8, 0.5), (0.7, 0.6))
    assert not is_finished(worse, section)
    assert is_finished([*worse, *rows((0.9, 0.4))], section)
    section.patience = 1
    assert is_finished(worse, section)
    section.patience = 2
    assert not is_finished(worse, section)


def test_a_run_ends_where_nothing_was_gained_and_says_so(prepared, tmp_path, capsys):
    def go_on(**fields):
        run_here(train, command("tests/small_config.py", tmp_path, prepared, **(SMALL | fields)))

    go_on(**{"train.epochs": "1"})
    # It may be asked of a run that is under way.
    patient = {"train.epochs": "40", "train.patience": "1"}
    go_on(**patient)
    history = read_history(tmp_path)
    lengths = range(2, len(history) + 1)
    ends = [length for length in lengths if epochs_without_gain(history[:length])]
    assert ends == [len(history)]
    assert len(history) < 40
    go_on(**patient)
    assert capsys.readouterr().out.count(f"stopped after epoch {len(history)}") == 2
