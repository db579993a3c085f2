"""Signals while kernels compile and run, and processes that are forked from one that has used several threads."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from lifeworth.kernels import _jit

PREAMBLE = """
import os, signal, sys
import lifeworth as lw
known = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
rfm = lw.rfm_summary(lw.load_cdnow(sample=True))
clv = lw.CLV(known)
"""
FORKED = """
import multiprocessing, warnings
warnings.simplefilter("ignore")
def work(_):
    try:
        return len(clv.predict(rfm, "4W"))
    except Exception as error:
        return str(error)
WORK_BEFORE
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.map_async(work, [0]).get(timeout=500)[0])
"""


def run(code):
    return subprocess.run(
        [sys.executable, "-c", PREAMBLE + code], capture_output=True, text=True, check=False, timeout=550
    )


def test_a_forked_process_says_at_once_that_it_cannot():
    done = run(FORKED.replace("WORK_BEFORE", "work(0)"))
    assert done.stdout == (
        "This process was forked after lifeworth had used several threads, which a forked process does not have: start "
        'processes with multiprocessing.get_context("spawn"), or before the first call.\n'
    ), done.stderr


def test_a_signal_that_the_compiler_swallows_is_heard():
    with pytest.raises(KeyboardInterrupt), _jit._signals_noted():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(10**6):
                pass
        except KeyboardInterrupt:  # as a callback of the compiler does, whose errors are ignored
            pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_becomes_another_error_is_the_signal():
    with pytest.raises(KeyboardInterrupt), _jit._signals_noted():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(10**6):
                pass
        except KeyboardInterrupt as error:
            raise SystemError("returned a result with an exception set") from error


def test_other_errors_of_the_compiler_stay():
    with pytest.raises(ValueError, match="other"), _jit._signals_noted():
        raise ValueError("other")


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_forked_process_has_locks_of_its_own():
    with _jit._one_compilation_at_a_time, _jit._one_parallel_call_at_a_time:
        child = os.fork()
        if child == 0:
            parallel, compiling = _jit._one_parallel_call_at_a_time, _jit._one_compilation_at_a_time
            os._exit(0 if parallel.acquire(timeout=5) and not compiling._is_owned() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


INTERRUPTED = """
import threading
signal.alarm(500)  # whoever hears no signal is not waited for
signal.signal(signal.SIGINT, signal.default_int_handler)
import numpy as np
spend = lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44})
rng = np.random.default_rng(0)
draws = {name: value * np.exp(rng.normal(0, 0.05, 200)) for name, value in
         {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}.items()}
clv = lw.CLV(lw.BetaGeo().from_parameters(draws, time_unit="W"), spend)
work = {
    "predict": lambda: clv.predict(rfm, "13W")["clv"].sum(),
    "predict_total": lambda: clv.predict_total(rfm, "13W").expected_value,
    "laplace": lambda: lw.BetaGeo().fit(rfm, method="laplace", draws=200).draws["r"].sum(),
    "map": lambda: lw.GammaGamma().fit(rfm, method="map").draws["p"].sum(),
}[sys.argv[1]]
before = work()
for number in range(int(sys.argv[2])):
    try:
        print(number, flush=True)
        while True:
            work()
    except KeyboardInterrupt:
        pass
assert work() == before
print("the same", threading.active_count(), flush=True)
"""


@pytest.mark.parametrize("what", ["predict", "predict_total", "laplace", "map"])
def test_ctrl_c_is_a_keyboard_interrupt_wherever_it_comes(what):
    """Twelve signals at random moments of each: none is lost, none becomes another error, and answers stay."""
    signals = 12
    process = subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + INTERRUPTED, what, str(signals)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    moments = random.Random(7)
    for number in range(signals):
        line = process.stdout.readline()
        assert line == f"{number}\n", line + process.stderr.read()
        time.sleep(moments.uniform(0.0, 0.3))  # the work takes about as long
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=550)
    assert process.returncode == 0, err
    assert out.startswith("the same")
    assert "Exception ignored" not in err
