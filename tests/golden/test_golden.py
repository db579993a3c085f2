"""Public numbers stay what they were: `golden.json` holds them, `public_numbers.py` computes them again.

On the processor and with the libraries that made the file, every number is compared bit for bit. Elsewhere machine code
and BLAS may round differently: numbers that no random draw takes part in are then compared with a tolerance.
"""

import json
import sys

import numpy as np
import public_numbers as golden
import pytest

import lifeworth as lw

STORED = json.loads(golden.STORED.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found() -> dict:
    return golden.compute()


def _tolerance_elsewhere(name: str) -> float | None:
    """How far a number may be off, relative, on another processor; None where nothing can be said of it.

    Draws of a fit are resampled and futures are counts: where rounding moves a weight or a probability past a random
    number, another one is taken.
    """
    _, *parts = name.split("/")
    if parts[0] in ("rfm", "historical") or (parts[0] == "known" and "customer" not in parts):
        return 1e-9  # a fixed formula; where terms cancel, rounding grows by a few digits
    # A search for a mode ends within 1e-7 standard deviations of it, and those are up to the size of the parameter.
    return 1e-6 if "map" in parts else None


def test_every_number_is_there(found):
    assert list(found["numbers"]) == list(STORED["numbers"])
    assert len(STORED["numbers"]) > 100


def test_numbers_are_those_stored(found):
    same_machine = found["machine"] == STORED["machine"]
    wrong = []
    for name, stored in STORED["numbers"].items():
        now = found["numbers"][name]
        if now["shape"] != stored["shape"]:
            wrong.append(f"{name}: shape {now['shape']}, stored {stored['shape']}")
        elif same_machine and now["hash"] != stored["hash"]:
            wrong.append(f"{name}: {now['values']}, stored {stored['values']}")
        elif not same_machine and (tolerance := _tolerance_elsewhere(name)) is not None:
            values, before = (np.array(each["values"], dtype=float) for each in (now, stored))
            if not np.allclose(values, before, rtol=tolerance, atol=1e-12, equal_nan=True):
                wrong.append(f"{name}: {now['values']}, stored {stored['values']}")
    assert not wrong, "\n".join(wrong)


def test_scores_of_a_job_are_those_of_one_call(found):
    assert found["numbers"]["cdnow/job"] == found["numbers"]["cdnow/predict"]


def test_numbers_on_spark_are_those_of_one_process(found, tmp_path, monkeypatch):
    pytest.importorskip("pyspark")
    from java import java_home, local_session

    home = java_home()
    if home is None:
        pytest.skip("Spark needs Java 17 or newer")
    from lifeworth import spark
    from lifeworth.spark.tables import fetched

    for name, value in (("JAVA_HOME", home), ("PYSPARK_PYTHON", sys.executable), ("SPARK_LOCAL_IP", "127.0.0.1")):
        monkeypatch.setenv(name, value)
    lw.load_cdnow(sample=True).to_parquet(
        tmp_path / "orders.parquet", coerce_timestamps="us", allow_truncated_timestamps=True
    )
    with local_session(tmp_path) as session:
        rfm = spark.rfm_summary(session.read.parquet(str(tmp_path / "orders.parquet")), observation_end="1997-09-30")
        scores = spark.predict(spark.fit_clv(rfm, draws=100, seed=1), rfm, "39W", discount_rate=0.1)
        table = fetched(scores).to_pandas().sort_values("customer_id")
    assert golden.digest(table) == found["numbers"]["cdnow/predict"]
