"""Amounts as people and tills write them: read as the option says, and never guessed."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from typer.testing import CliRunner

import lifeworth as lw
from lifeworth.cli import app
from lifeworth.errors import DataError, UsageError
from lifeworth.historical import historical_clv
from lifeworth.transactions.amounts import from_text
from usable_rows import read_transactions

NO_BREAK, NARROW, THIN = "\u00a0", "\u202f", "\u2009"


BOOKS = [
    ("(12,50)", -12.5),
    ("(12,50 €)", -12.5),
    ("€ (1.234,50)", -1234.5),
    ("12,50-", -12.5),
    ("1.234,50- EUR", -1234.5),
    ("12,50 \u2212", -12.5),
]


def number(text, decimal):
    values, _ = from_text(pa.array([text]), decimal)
    return None if np.isnan(values[0]) else float(values[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("237,54", 237.54),
        ("237,54 €", 237.54),
        (f"237,54{NO_BREAK}€", 237.54),
        ("€ 1.234,56", 1234.56),
        ("€1.234.567,8", 1234567.8),
        ("-1 234,50", -1234.5),
        (f"1{NARROW}234{NARROW}567,00 €", 1234567.0),
        (f"1{THIN}234,5", 1234.5),
        ("\u22121.234,50 EUR", -1234.5),
        ("-€ 5,00", -5.0),
        ("€ -5,00", -5.0),
        ("+5,00 kr", 5.0),
        ("1'234,50 CHF", 1234.5),
        ("99,90 zł", 99.9),
        ("1.234 Kč", 1234.0),
        ("R$ 1.234,56", 1234.56),
        ("12", 12.0),
        ("12,", 12.0),
        (",5", 0.5),
        ("1234,5", 1234.5),
        ("1,5e3", 1500.0),
        ("  7,00\t", 7.0),
    ],
)
def test_what_a_decimal_comma_reads(text, value):
    assert number(text, ",") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$1,234.50", 1234.5),
        ("$1,234", 1234.0),
        ("-$1,234,567.5", -1234567.5),
        ("US$ 12.00", 12.0),
        ("CHF 1'234.50", 1234.5),
        ("CHF 1\u2019234.50", 1234.5),
        ("£12", 12.0),
        ("12.50 USD", 12.5),
        ("Rs.500.50", 500.5),
        ("12.50kr.", 12.5),
        ("fr. 12", 12.0),
        ("1.5E-3", 0.0015),
        ("$12.00 USD", 12.0),
        ("1.234", 1.234),
        (".5", 0.5),
        ("1e5", 1e5),
    ],
)
def test_what_a_decimal_point_reads(text, value):
    assert number(text, ".") == value


@pytest.mark.parametrize(
    "text",
    [
        "12.50",  # another mark
        "1,234.50",
        "1.23",
        "1.2345,0",
        "12.34.567",
        "0.123",  # no thousands begin with nothing
        "1.234 567,00",  # two marks between thousands
        "1.234E5",
        "1,2,3",
        "--5",
        "-€ -5",
        "kr",
        "5 k€",  # thousands of euros, not five
        "5 m$",
        "5 MIO",
        "5 %",
        "5 CR",
        "EUR",
        "€",
        "",
        " ",
        "-",
        ",",
        "n/a",
        "inf",
        "nan",
        "12,50 12,50",
        "5,00 €/kg",
        "9" * 400,
    ],
)
def test_what_would_need_a_guess_is_no_number(text):
    assert number(text, ",") is None


FRAME = pd.DataFrame(
    {
        "customer_id": ["a", "a", "b", "b", "c", "c"],
        "date": ["2024-01-01", "2024-01-09", "2024-01-02", "2024-02-01", "2024-01-05", "2024-03-01"],
        "amount": [1234.56, 237.54, 0.5, 1000.0, 7.0, -2.5],
    }
)
COMMA = FRAME.assign(amount=["1.234,56 €", "237,54€", "0,50 €", f"€{NO_BREAK}1.000", "7", "-2,50 €"])
POINT = FRAME.assign(amount=["$1,234.56", "237.54", "$0.50", "$ 1,000", "7", "-$2.50"])


@pytest.mark.parametrize(("written", "decimal"), [(COMMA, ","), (POINT, ".")])
@pytest.mark.parametrize(
    "dressed",
    [
        lambda frame: frame,
        lambda frame: frame.astype({"amount": object}),
        lambda frame: frame.astype({"amount": "category"}),
        lambda frame: frame.astype({"amount": pd.ArrowDtype(pa.string())}),
        pa.Table.from_pandas,
        pl.from_pandas,
        lambda frame: pl.from_pandas(frame).lazy(),
        lambda frame: pa.Table.from_pandas(frame).to_reader(),
    ],
)
def test_every_door_reads_the_same(written, decimal, dressed):
    expected = lw.rfm_summary(FRAME)
    got = lw.rfm_summary(dressed(written), decimal=decimal)
    pd.testing.assert_frame_equal(got.to_pandas(), expected.to_pandas())
    np.testing.assert_array_equal(got.past_spend, expected.past_spend)
    assert got.audit == expected.audit


def test_every_function_that_takes_transactions_takes_the_mark(tmp_path):
    split = [lw.train_test_split(f, train_end="2024-01-31", **o) for f, o in ((FRAME, {}), (COMMA, {"decimal": ","}))]
    pd.testing.assert_frame_equal(split[0][0].to_pandas(), split[1][0].to_pandas())
    pd.testing.assert_frame_equal(split[0][1], split[1][1])
    pd.testing.assert_frame_equal(lw.cohort_table(COMMA, decimal=","), lw.cohort_table(FRAME))
    pd.testing.assert_frame_equal(historical_clv(COMMA, decimal=","), historical_clv(FRAME))
    pd.testing.assert_frame_equal(lw.clv_definitions(COMMA, decimal=","), lw.clv_definitions(FRAME))
    np.testing.assert_array_equal(read_transactions(COMMA, decimal=",").amount, FRAME["amount"])
    state = lw.RFMState(tmp_path / "state", decimal=",")
    state.update(COMMA.head(3))
    grown = state.update(COMMA.tail(3))
    pd.testing.assert_frame_equal(grown.to_pandas(), lw.rfm_summary(FRAME).to_pandas())
    with pytest.raises(UsageError, match="begun with other settings"):
        lw.RFMState(tmp_path / "state")


def test_costs_are_read_by_the_same_mark():
    costs = [1.5, 2.0, 0.0, 1000.0, 3.0, 0.25]
    written = COMMA.assign(cost=["1,50 €", "2", "0,00", "1.000,00", "3,0", "0,25 €"])
    got = historical_clv(written, "net_value", costs={"cost": "cost"}, decimal=",")
    pd.testing.assert_frame_equal(got, historical_clv(FRAME.assign(cost=costs), "net_value", costs={"cost": "cost"}))


def _shop():
    """The sample of CDNOW, and the same as a German would write it."""
    frame = lw.load_cdnow(sample=True)
    german = [f"{amount:,.2f} $".translate(str.maketrans(",.", ".,")) for amount in frame["amount"]]
    return frame, frame.assign(amount=german)


def test_backtests_and_comparisons_take_the_mark():
    frame, written = _shop()
    options = {"method": "map", "bootstrap": 0}
    plain, got = (
        lw.backtest(f, 1, "8W", baselines=["own_rate"], futures=0, **options, **mark)
        for f, mark in ((frame, {}), (written, {"decimal": ","}))
    )
    pd.testing.assert_frame_equal(got.scores, plain.scores)
    plain, got = (
        lw.compare_clv(f, "1997-09-30", baselines=["own_rate"], **options, **mark)
        for f, mark in ((frame, {}), (written, {"decimal": ","}))
    )
    pd.testing.assert_frame_equal(got.customers, plain.customers)


def test_columns_of_numbers_are_left_as_they_are():
    """Not a copy, not a look: 1.234 is 1.234 where it is a number already."""
    expected = lw.rfm_summary(FRAME).to_pandas()
    for decimal in (",", "."):
        pd.testing.assert_frame_equal(lw.rfm_summary(FRAME, decimal=decimal).to_pandas(), expected)
    mixed = FRAME.assign(amount=pd.Series([1234.56, "237,54", 0.5, "1.000,00 €", 7, "-2,5"], dtype=object))
    pd.testing.assert_frame_equal(lw.rfm_summary(mixed, decimal=",").to_pandas(), expected)


def test_what_cannot_be_read_is_in_the_audit():
    """12.50 has the other mark: 1250 would be a guess, and so would 12.5."""
    odd = pd.concat([COMMA.head(5), COMMA.head(2).assign(amount=["12.50", None])], ignore_index=True)
    audit = lw.rfm_summary(odd, decimal=",").audit
    assert audit.left_out == {"with a missing amount": 1, "with an unreadable or infinite amount": 1}
    assert audit.examples["with an unreadable or infinite amount"] == ["12.50"]


def test_the_refusal_names_the_option():
    for frame, mark in ((COMMA.head(3), ","), (POINT.iloc[[0, 2, 5]], ".")):
        with pytest.raises(DataError, match=rf'are not numbers \(the first: .*Say decimal="\{mark}" \(on .*--decimal'):
            lw.rfm_summary(frame)
    with pytest.raises(DataError, match=r'Say which mark .*decimal="," or decimal="\."'):
        lw.rfm_summary(FRAME.assign(amount="€ 1.234"))
    with pytest.raises(DataError, match=r'not numbers with decimal="," \(the first: \'12.50\'\). Say decimal="\."'):
        lw.rfm_summary(FRAME.assign(amount="12.50"), decimal=",")
    with pytest.raises(DataError, match=r"Write amounts as plain numbers, as 12.50"):
        lw.rfm_summary(FRAME.assign(amount="5,-"), decimal=",")


def test_currencies_are_not_added_up():
    mixed = COMMA.assign(amount=["1,00 €", "2,00 EUR", "3,00 $", "4,00 USD", "5,00", "6,00"])
    with pytest.raises(DataError, match=r"'amount' mixes currencies \(EUR, USD\): convert all to one first"):
        lw.rfm_summary(mixed, decimal=",")
    one = lw.rfm_summary(mixed.drop(index=[2, 3]), decimal=",")
    assert one.past_spend.sum() == 14.0


@pytest.mark.parametrize("decimal", ["", ";", "comma", 1, True])
def test_a_mark_that_is_none_is_refused(decimal):
    for call in (lw.rfm_summary, lw.cohort_table, historical_clv, read_transactions, lw.backtest):
        with pytest.raises(UsageError, match=r'must be "," or "\."'):
            call(FRAME, decimal=decimal)


# --- files, commands, jobs -------------------------------------------------------------------------------------


def _csv(folder, frame, name="orders.csv"):
    frame.to_csv(folder / name, sep=";", index=False)
    return folder / name


def test_the_command_line_takes_it(tmp_path):
    run = CliRunner().invoke
    path = _csv(tmp_path, COMMA)
    assert run(app, ["rfm", str(path), "--out", str(tmp_path / "rfm.csv"), "--decimal", ","]).exit_code == 0
    got = pd.read_csv(tmp_path / "rfm.csv")
    np.testing.assert_array_equal(got["monetary_value"], lw.rfm_summary(FRAME).monetary_value)
    told = run(app, ["rfm", str(path), "--out", str(tmp_path / "rfm.csv")])
    assert isinstance(told.exception, DataError)
    assert '--decimal ","' in str(told.exception)
    lw.rfm_summary(FRAME).to_parquet(tmp_path / "rfm.parquet")
    fit = ["fit", str(tmp_path / "rfm.parquet"), "--model", str(tmp_path / "model"), "--decimal", ","]
    with pytest.raises(UsageError, match="omit --decimal, which would have no effect"):
        run(app, fit, catch_exceptions=False)


def test_a_job_takes_it(tmp_path):
    frame, written = _shop()
    runs = {}
    for name, table, mark in (("plain", frame, ""), ("written", written, 'decimal = ","\n')):
        folder = tmp_path / name
        folder.mkdir()
        _csv(folder, table)
        (folder / "job.toml").write_text(
            f'name = "night"\n[source]\npath = "orders.csv"\n{mark}[scores]\nhorizon = "8W"\n'
            '[sink]\npath = "scores.parquet"\n'
        )
        lw.run_job(lw.read_job(folder / "job.toml"))
        runs[name] = pd.read_parquet(folder / "scores.parquet")
    pd.testing.assert_frame_equal(runs["written"], runs["plain"])
    (tmp_path / "plain" / "job.toml").write_text(
        (tmp_path / "written" / "job.toml").read_text().replace('decimal = ","', 'decimal = ";"')
    )
    with pytest.raises(UsageError, match=r"source.decimal must be ',' or '\.'"):
        lw.read_job(tmp_path / "plain" / "job.toml")


def test_an_incremental_job_takes_it(tmp_path):
    frame, written = _shop()
    (tmp_path / "orders").mkdir()
    job = (
        'name = "night"\n[source]\npath = "orders"\ndecimal = ","\n[rfm]\nincremental = true\n'
        '[scores]\nhorizon = "8W"\n[sink]\npath = "scores.parquet"\n'
    )
    (tmp_path / "job.toml").write_text(job)
    for night, rows in enumerate((written.head(3000), written.iloc[3000:])):
        _csv(tmp_path / "orders", rows, f"{night}.csv")
        ran = lw.run_job(lw.read_job(tmp_path / "job.toml"))
    assert json.loads((ran.folder / "manifest.json").read_text())["incremental"]["from_the_start"] is False
    assert ran.manifest["rfm"]["audit"]["rows_used"] == len(frame)
    assert pd.read_parquet(tmp_path / "scores.parquet")["customer_id"].nunique() == frame["customer_id"].nunique()


# ---- money that went out, as books have it -----------------------------------------------------------------------


@pytest.mark.parametrize(("text", "value"), BOOKS)
def test_brackets_and_a_minus_behind_are_money_that_went_out(text, value):
    assert number(text, ",") == value


@pytest.mark.parametrize(
    "text", ["12,-", "12,--", "12,- €", "(-12,5)", "-(12,5)", "((12,5))", "(12,5", "12,5)", "1,5e3-"]
)
def test_what_may_be_no_debt_is_none(text):
    assert number(text, ",") is None


def test_nothing_owed_has_no_sign():
    values, _ = from_text(pa.array(["(0.00)", "1.00"]), ".")
    assert not np.signbit(values[0])


def test_refunds_in_brackets_lower_what_was_spent():
    rows = pd.DataFrame({
        "customer_id": ["a", "a", "a"], "date": ["2024-01-01", "2024-02-01", "2024-02-01"],
        "amount": ["£30.00", "£30.00", "(£10.00)"],
    })  # fmt: skip
    rfm = lw.rfm_summary(rows, decimal=".")
    assert rfm.to_pandas()["monetary_value"].tolist() == [20.0]
    with pytest.raises(DataError, match=r'Say decimal="\."'):
        lw.rfm_summary(rows)
    with pytest.raises(DataError, match=r"\(10\.00\) is money that went out"):
        lw.rfm_summary(rows.assign(amount=["(10.00)", "(10.00)", "30"]))
