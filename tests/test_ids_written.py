"""Ids of every type come back from a file of scores as they were, or are refused in one sentence."""

import datetime as dt
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lifeworth as lw
from lifeworth.tables import id_type, to_arrow_with_ids

N = 9


@pytest.fixture(scope="module")
def clv():
    return lw.CLV(lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, "W"))


def table(ids):
    n = len(ids)
    columns = {"frequency": [k % 3 for k in range(n)], "recency": [float(k % 3) for k in range(n)], "T": [9.0] * n}
    return pa.table({"customer_id": ids, **columns})


IDS = {
    "decimal": pa.array([Decimal(10 ** (4 * k)) for k in range(N)], pa.decimal128(38, 0)),
    "decimal with cents": pa.array([Decimal(10 ** (2 * k)).scaleb(-2) for k in range(N)], pa.decimal128(38, 2)),
    "decimal of 256 bits": pa.array([Decimal(10 ** (8 * k)) for k in range(N)], pa.decimal256(76, 0)),
    "uint64": pa.array([2**64 - 1 - k for k in range(N)], pa.uint64()),
    "binary": pa.array([bytes([200 + k, 0, k]) for k in range(N)]),
    "fixed binary": pa.array([bytes([200 + k] * 16) for k in range(N)], pa.binary(16)),
    "dictionary": pa.array([f"c{k}" for k in range(N)]).dictionary_encode(),
    "text": pa.array([f"c{k}" for k in range(N)], pa.large_string()),
    "int8": pa.array(range(N), pa.int8()),
}


def as_file(data, path):
    pq.write_table(data, path / "rfm.parquet")
    return path / "rfm.parquet"


DOORS = {
    "RFM": lambda data, path: lw.RFM.from_frame(data, "W"),
    "pandas": lambda data, path: lw.RFM.from_frame(data.to_pandas(), "W"),
    "file": as_file,
    "blocks": lambda data, path: [data.slice(start, 2) for start in range(0, len(data), 2)],
    "transactions": lambda data, path: lw.rfm_summary(
        pa.table({"customer_id": data["customer_id"], "date": [dt.datetime(2024, 1, 1 + k) for k in range(len(data))]}),
        amount=None,
    ),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", IDS)
def test_scores_in_blocks_have_the_ids_that_went_in(kind, door, clv, tmp_path):
    if (kind, door) == ("decimal of 256 bits", "blocks"):
        pytest.skip("the first block does not tell that 38 digits will not do: refused, see below")
    given = DOORS[door](table(IDS[kind]), tmp_path)
    clv.score(given, tmp_path / "scores.parquet", "39W", uncertainty=None, rows_per_block=2)
    back = pq.read_table(tmp_path / "scores.parquet")["customer_id"].to_pylist()
    assert sorted(back) == sorted(IDS[kind].to_pylist())


@pytest.mark.parametrize(
    ("ids", "back"),
    [
        ([10**k for k in range(15, 30, 2)], [Decimal(10**k) for k in range(15, 30, 2)]),  # some fit into 64 bits
        ([uuid.UUID(int=k) for k in range(1, 9)], [str(uuid.UUID(int=k)) for k in range(1, 9)]),
        ([Decimal("1.5"), Decimal(2), Decimal("3.25")], [Decimal("1.5"), Decimal(2), Decimal("3.25")]),
    ],
    ids=["large numbers", "UUIDs", "decimals of several scales"],
)
def test_objects_of_python_are_written(ids, back, clv, tmp_path):
    frame = table(list(range(len(ids)))).to_pandas().assign(customer_id=pd.Series(ids, dtype=object))
    clv.score(lw.RFM.from_frame(frame, "W"), tmp_path / "s.parquet", "39W", uncertainty=None, rows_per_block=2)
    assert pq.read_table(tmp_path / "s.parquet")["customer_id"].to_pylist() == back


def test_ids_that_cannot_be_written_are_one_sentence(clv, tmp_path):
    out = tmp_path / "s.parquet"
    for ids, says in (
        ([Decimal(1), Decimal(10**50)], r"not all of the type decimal128\(38, 0\), that of the first rows"),
        ([Decimal(10**90), Decimal(1)], "numbers of more than 76 digits"),
        ([(1, 2), (3, 4)], "of the type tuple, which cannot be written"),
    ):
        blocks = [pd.DataFrame({"customer_id": [one], "frequency": 0, "recency": 0.0, "T": 3.0}) for one in ids]
        with pytest.raises(lw.DataError, match=says) as caught:
            clv.score(blocks, out, "39W", uncertainty=None)
        assert "\n" not in str(caught.value)
        assert not out.exists()


def test_the_type_of_ids_is_that_of_all_customers():
    ids = pd.Index([Decimal(1), Decimal(10**50)])
    assert id_type(ids) == pa.decimal256(76, 0)
    assert id_type(pd.Index([1, 2])) is None
    assert to_arrow_with_ids(pd.DataFrame({"customer_id": [1]}), None).schema.field(0).type == pa.int64()


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        (pd.date_range("2024-01-01", periods=3), "dates or times"),
        (pd.date_range("2024-01-01", periods=3, tz="UTC"), "dates or times"),
        ([dt.date(2024, 1, k) for k in (1, 2, 3)], "dates or times"),
        ([dt.time(k) for k in (1, 2, 3)], "dates or times"),
        (pd.period_range("2024-01", periods=3, freq="M"), "periods"),
        (pd.to_timedelta([1, 2, 3], unit="D"), "durations"),
        (np.array([1j, 2j, 3j]), "complex numbers"),
    ],
)
def test_dates_are_no_ids(ids, says):
    rfm = pd.DataFrame({"customer_id": ids, "frequency": 0, "recency": 0.0, "T": 3.0})
    with pytest.raises(lw.DataError, match=f"Column 'customer_id' holds {says}, which are no customer ids"):
        lw.RFM.from_frame(rfm, "W")
    swapped = pd.DataFrame({"who": pd.date_range("2024-01-01", periods=3), "when": ids, "amount": 1.0})
    with pytest.raises(lw.DataError, match=f"Column 'when' holds {says}"):
        lw.rfm_summary(swapped, customer_id="when", date="who")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (pd.to_timedelta([60, 61], unit="D"), "holds durations .* divide them by the time unit, such as pd.Timedelta"),
        (pd.Series(pd.to_timedelta([60, 61], unit="D")).astype(object), "holds durations"),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), "holds dates"),
        (pd.period_range("2024-01", periods=2, freq="M"), "holds periods"),
        (np.array([1 + 2j, 3 + 0j]), "holds complex numbers"),
        ([1 + 2j, 3 + 0j], "holds complex numbers"),
        ([True, True], "holds True and False"),
    ],
)
@pytest.mark.parametrize("column", ["T", "recency", "frequency", "monetary_value", "past_spend"])
def test_numbers_of_an_rfm_table_are_numbers(column, values, says):
    frame = pd.DataFrame({"customer_id": [1, 2], "frequency": 1, "recency": 2.0, "T": 3.0, "monetary_value": 1.0})
    frame["past_spend"] = 9.0
    for data in (frame.assign(**{column: values}), _arrow(frame.assign(**{column: values}))):
        if data is None:
            continue
        with pytest.raises(lw.DataError, match=rf"{column} {says}.* \(2 rows; customer 1, 2\)") as caught:
            lw.RFM.from_frame(data, "W")
        assert "\n" not in str(caught.value)


def _arrow(frame):
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except pa.ArrowException:  # Arrow has no complex numbers
        return None
