"""Processes that train together: real ones, two on this machine, which talk by gloo."""

import json
import signal
import time

import jax
import numpy as np
import pytest
from support import SMALL, TOY, command, read_rows, run_here, without_times
from two_processes import finish, starting

from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.evaluate import evaluate
from stochconv_jax.hosts.environment import Place, find_place
from stochconv_jax.inference.trained_network import TrainedNetwork
from stochconv_jax.runs.run import Run
from stochconv_jax.training import loop

STUDY = """
import small_config
from stochconv_jax.configs.studies.base import make_study

def get_config():
    return make_study(small_config.get_config(), {"stem": {"model": {"join": "stem"}}}, seeds=(0,))
"""
# 41 images, so that neither two processes nor batches of 8 divide them; 20 steps in two epochs.
# RMSProp would blow rounding up where a gradient is nearly zero.
FIELDS = SMALL | {
    "data.synthetic_count": "41",
    "train.steps_per_epoch": "10",
    "train.optimizer": "sgd",
    "train.learning_rate": "0.02",
    "eval.split": "all",
    "eval.samples": "2",
    "eval.checkpoint": "latest",
}
GOES_ON = "the same command goes on from the last checkpoint, also on fewer hosts"


@pytest.fixture
def start():
    with starting() as start:
        yield start


def state_of(directory):
    run = Run.open(directory)
    return jax.tree.leaves(TrainedNetwork.restore(run).state)


def test_two_processes_of_two_devices_make_the_run_of_one_with_four(start, prepared, tmp_path):
    (tmp_path / "small.py").write_text(STUDY)
    fields = {name: value for name, value in FIELDS.items() if name != "model.join"}
    fields["data.prepared_directory"] = str(prepared)
    overrides = [f"--config.base.{name}={value}" for name, value in fields.items()]
    study = [f"--config={tmp_path / 'small.py'}", f"--workdir={tmp_path / 'study'}", *overrides]
    processes = start(["-m", "stochconv_jax.study", *study], devices=2)
    arguments = command("tests/small_config.py", tmp_path / "one", prepared, **FIELDS)
    run_here(loop.train, arguments)
    run_here(evaluate, arguments)
    codes, ((told, _), (silent, _)) = finish(processes)
    assert codes == [0, 0], told
    assert "epoch 2/2" in told
    assert silent == ""

    one, two = tmp_path / "one", tmp_path / "study" / "stem" / "seed0"
    for single, joint in zip(state_of(one), state_of(two), strict=True):
        np.testing.assert_allclose(joint, single, atol=1e-5)
    predictions = [read_rows(directory / "eval" / "predictions.csv") for directory in (one, two)]
    assert [row["id"] for row in predictions[0]] == [row["id"] for row in predictions[1]]
    assert len({row["id"] for row in predictions[1]}) == 41
    probabilities = [[float(row["probability"]) for row in rows] for rows in predictions]
    np.testing.assert_allclose(probabilities[1], probabilities[0], atol=1e-5)
    metrics = json.loads((two / "eval" / "metrics.json").read_text())
    assert metrics["images"] == 41
    assert metrics["provenance"]["device"].startswith("4 ")
    assert read_rows(two / "metrics.csv")[1]["epoch"] == "2"


def test_a_lost_process_ends_the_other_and_one_process_goes_on(start, prepared, tmp_path):
    def words(run, epochs):
        fields = TOY | {"train.epochs": str(epochs)}
        return command("tests/small_config.py:base", tmp_path / run, prepared, **fields)

    table = tmp_path / "joint" / "metrics.csv"
    processes = start(["train.py", *words("joint", 500)])
    while not table.exists():
        assert all(process.poll() is None for process in processes), finish(processes)
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    codes, ((_, told), _) = finish(processes)
    assert time.monotonic() - killed < 40
    assert codes == [1, -signal.SIGKILL]
    assert told.count("error: ") == 1
    assert "process 1 (on " in told
    assert GOES_ON in told
    assert "Traceback" not in told
    run_here(loop.train, words("joint", max(len(read_rows(table)) + 1, 2)))
    run_here(loop.train, words("alone", 2))
    tables = (tmp_path / "alone" / "metrics.csv", table)
    alone, joint = (without_times(read_rows(path)) for path in tables)
    for expected, found in zip(alone, joint, strict=False):
        for name, value in expected.items():
            assert float(found[name]) == pytest.approx(float(value), rel=1e-2)


def test_a_mistake_ends_both_with_one_message(start, prepared, tmp_path):
    fields = SMALL | {"data.high_size": "(128, 96)"}
    words = command("tests/small_config.py", tmp_path / "run", prepared, **fields)
    codes, said = finish(start(["train.py", *words]))
    assert codes == [2, 2]
    told = "".join(f"{out}{error}" for out, error in said)
    assert told.count("error: ") == 1
    assert "synthetic lesions are square" in said[0][1]
    assert not (tmp_path / "run").exists()


# What programs do, without the seconds that they take to begin.
EXCHANGE = """
import os, sys, time
from stochconv_jax.command_line import mistakes_in_a_sentence
from stochconv_jax.errors import InputError
from stochconv_jax.hosts import exchange, watch
from stochconv_jax.hosts.joining import joined

def fails_in(number):
    if exchange.process_number() == number:
        raise InputError(f"a mistake of {number}")
    return number

def caught(function):
    try:
        return function()
    except InputError as error:
        return str(error)

with mistakes_in_a_sentence(""), joined():
    told = exchange.of_first(lambda: [os.getpid(), 0.1])
    assert (told[0] == os.getpid()) == exchange.is_first() and told[1] == 0.1
    assert caught(lambda: exchange.of_first(lambda: fails_in(0))) == "a mistake of 0"
    for number in (0, 1):
        told = caught(lambda: exchange.together(lambda: fails_in(number)))
        assert f"a mistake of {number}" in told
    order = []
    exchange.first_then_others(lambda: order.append(time.time()))
    times = exchange.of_first(lambda: order)
    assert exchange.together(lambda: order[0]) >= times[0]
    print("said", flush=True)
    if sys.argv[1] == "mistake":
        fails_in(1)
        time.sleep(60)
    if sys.argv[1] == "leave" and exchange.is_first():
        os._exit(9)
    if sys.argv[1] == "leave":
        time.sleep(60)
"""


@pytest.mark.parametrize(("what", "codes"), [("mistake", [2, 2]), ("leave", [9, 1])])
def test_processes_agree_and_end_together(start, what, codes):
    found, said = finish(start(["-c", EXCHANGE, what]))
    assert found == codes, said
    assert [out.count("said") for out, _ in said] == [1, 0]
    errors = [error for _, error in said]
    if what == "mistake":  # of process 1, while process 0 waits for something else
        assert errors[0].startswith("error: process 1 (on ")
        assert errors[0].endswith("a mistake of 1\n")
        assert errors[1] == ""
    if what == "leave":
        assert errors[1].startswith("error: process 0 can no longer be reached")
        assert errors[1].endswith(f"{GOES_ON}\n")


def test_tasks_of_slurm_join(start):
    step = SLURM | {"SLURM_STEP_NODELIST": "localhost"}
    found, said = finish(start(["-c", EXCHANGE, "end"], number_name="SLURM_PROCID", **step))
    assert found == [0, 0], said
    assert [out.count("said") for out, _ in said] == [1, 0]
    assert [error for _, error in said] == ["", ""]


@pytest.mark.parametrize("number", [0, 1])
def test_a_process_whose_others_do_not_come_says_so(start, number):
    program = (
        "from stochconv_jax.hosts import joining; joining.JOIN_SECONDS = 2.0\n"
        "with joining.joined(): pass"
    )
    processes = start(["-c", program])
    processes[1 - number].kill()
    _, said = finish(processes)
    assert processes[number].returncode == 2
    error = said[number][1]
    assert error.startswith(f"error: process {number} of 2 ")
    assert "within 2 s; start the same command" in error
    assert error.count("\n") == 1


def variables(address="node1:1234", count="2", number="1", **more):
    names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    given = dict(zip(names, (address, count, number), strict=True)) | more
    return {name: value for name, value in given.items() if value}


SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_NODELIST": "node[07-08]",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "0",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_NTASKS": "2",
}


def test_the_environment_says_which_process_this_is():
    assert find_place({}) is None
    assert find_place(variables()) == Place(1, 2, "node1:1234")
    # Of a Kubernetes Job that is indexed.
    assert find_place(variables(number="", JOB_COMPLETION_INDEX="1")) == Place(1, 2, "node1:1234")
    assert find_place(SLURM) == Place(1, 2, "")
    assert find_place(SLURM | {"SLURM_STEP_NUM_NODES": "1"}) == Place(1, 2, "", own_devices=False)


def test_a_process_that_is_alone_does_not_wait_for_others():
    assert find_place(SLURM | {"JAX_NUM_PROCESSES": "1"}) is None
    # srun -n1, and a shell, in a job of several tasks; what Kubernetes sets in any indexed Job
    assert find_place(SLURM | {"SLURM_STEP_NUM_TASKS": "1"}) is None
    assert find_place({"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "2", "SLURM_PROCID": "0"}) is None
    assert find_place({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "3"}) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (variables(address=""), "JAX_COORDINATOR_ADDRESS of"),
        (variables(number=""), "JAX_PROCESS_ID of"),
        (variables(number="2"), "JAX_PROCESS_ID is 2 and JAX_NUM_PROCESSES 2; number"),
        (variables(count="two"), "JAX_NUM_PROCESSES is 'two'"),
        (variables(address="node1"), "JAX_COORDINATOR_ADDRESS is 'node1'; write HOST:PORT"),
    ],
)
def test_variables_that_do_not_fit_are_told(given, message):
    with pytest.raises(InputError, match=message):
        find_place(given)
