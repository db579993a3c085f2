"""The door: any table in, every row accounted for, and a sentence for what cannot be used."""

import datetime as dt
import decimal
import re
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, SourceError, UsageError
from lifeworth.rfm import rfm_summary
from lifeworth.tables import column_names, read_table
from lifeworth.transactions import Audit
from usable_rows import read_transactions


def purchases(*rows):
    return pd.DataFrame(rows, columns=["customer_id", "date", "amount"])


PLAIN = purchases(("a", "2024-01-01", 1.5), ("b", "2024-02-01", 2.5), ("a", "2024-03-01", 4.0))


def ids_of(column, **options):
    return read_transactions(PLAIN.assign(customer_id=column), **options)


def dates_of(column, **options):
    return read_transactions(PLAIN.assign(date=column), **options)


def amounts_of(column, **options):
    return read_transactions(PLAIN.assign(amount=column), **options)


# --- the same table in every form ---------------------------------------------------------------------


@pytest.mark.parametrize("ids", ["int", "text"])
def test_every_form_gives_the_same_rows(dressed, ids):
    frame = PLAIN.assign(date=pd.to_datetime(PLAIN["date"]))
    if ids == "int":
        frame["customer_id"] = [11, 2, 11]
    expected = read_transactions(frame)
    got = read_transactions(dressed(frame))
    assert got.customer_ids.dtype == expected.customer_ids.dtype
    assert got.customer_ids.tolist() == expected.customer_ids.tolist() == ([2, 11] if ids == "int" else ["a", "b"])
    assert got.customer.tolist() == expected.customer.tolist()
    assert (got.when == expected.when).all()
    assert got.amount.tolist() == expected.amount.tolist()
    assert got.row.tolist() == [0, 1, 2]
    assert (got.rows_in, got.left_out) == (3, {})


def test_every_form_counts_the_same_gaps(dressed):
    # Ids that no float can tell apart: a missing one beside them must not make them floats.
    frame = pd.DataFrame(
        {
            "customer_id": pd.array([2**60 + 1, None, 2**60 + 2, 2**60 + 1, 2**60 + 1], dtype="Int64"),
            "date": pd.to_datetime(["2024-01-01", "2024-01-02", None, "2024-01-04", "2024-01-05"]),
            "amount": [1.0, 2.0, 3.0, None, 5.0],
        }
    )
    got = read_transactions(dressed(frame))
    # So long a number is kept as text in a text file.
    assert got.customer_ids.tolist() == [str(2**60 + 1) if dressed.is_text else 2**60 + 1]
    assert got.row.tolist() == [0, 4]
    assert got.left_out == {"with a missing customer id": 1, "with a missing date": 1, "with a missing amount": 1}


def test_a_pandas_table_is_left_as_it_was():
    frame = PLAIN.convert_dtypes(dtype_backend="pyarrow")
    before = frame.copy(deep=True)
    read_transactions(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_other_columns_may_hold_anything():
    assert read_transactions(PLAIN.assign(date2=[{}, [], object()], customer=None)).rows_in == 3


# --- ids -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([17, 3, 17], [3, 17]),
        (["17", "3", "17"], ["17", "3"]),
        (["007", "7", "007"], ["007", "7"]),
        ([17.0, 3.0, 17.0], [3, 17]),
        (pd.Series([17, 3, 17], dtype=object), [3, 17]),
        (pd.Series([np.int64(17), 3, 17], dtype=object), [3, 17]),
        (pd.array([17, 3, 17], dtype="UInt8"), [3, 17]),
        (pd.Categorical([17, 3, 17], categories=[17, 99, 3]), [3, 17]),
        (pd.Categorical(["z", "a", "z"], categories=["z", "q", "a"]), ["a", "z"]),
        (["Zoë", "阿明", "Zoë"], ["Zoë", "阿明"]),
        (["b ", "b", "b "], ["b", "b "]),
        (np.array([2**64 - 1, 1, 2], dtype=np.uint64), [1, 2, 2**64 - 1]),
        ([True, False, True], [False, True]),
        ([uuid.UUID(int=2), uuid.UUID(int=1), uuid.UUID(int=2)], [uuid.UUID(int=1), uuid.UUID(int=2)]),
        ([decimal.Decimal(2), decimal.Decimal(1), decimal.Decimal(2)], [decimal.Decimal(1), decimal.Decimal(2)]),
    ],
)
def test_ids_of_every_kind(column, expected):
    got = ids_of(column)
    assert got.customer_ids.tolist() == expected
    assert [got.customer_ids[code] for code in got.customer] == list(column)
    assert got.left_out == {}


@pytest.mark.parametrize(
    "column",
    [
        [17.0, np.nan, 3.0],
        pd.array([17, None, 3], dtype="Int64"),
        pd.Series([17, None, 3], dtype=object),
        pd.Categorical([17, None, 3]),
        pd.array([17, None, 3], dtype=pd.ArrowDtype(pa.int16())),
    ],
)
def test_a_missing_id_makes_no_floats_of_the_others(column):
    got = ids_of(column)
    assert got.customer_ids.dtype.kind == "i"
    assert got.customer_ids.tolist() == [3, 17]
    assert got.left_out == {"with a missing customer id": 1}


@pytest.mark.parametrize("dtype", ["str", "string", object, "category", pd.ArrowDtype(pa.string())])
def test_blank_text_is_nobodys_id(dtype):
    got = ids_of(pd.Series(["", "a", " \t"]).astype(dtype))
    assert got.customer_ids.tolist() == ["a"]
    assert got.left_out == {"with a missing customer id": 2}


@pytest.mark.parametrize(
    ("column", "match"),
    [
        ([1.5, 2.0, 3.0], "fractional, infinite or very large numbers"),
        ([np.inf, 2.0, 3.0], "fractional, infinite or very large numbers"),
        ([2.0**53, 2.0, 3.0], "fractional, infinite or very large numbers"),
        (pd.Series([17, "17", 3], dtype=object), "mixes ids of type int and str: convert them to one type first"),
        ([[1], [2], [3]], "cannot be sorted"),
        ([{}, {}, {}], "cannot be sorted"),
    ],
)
def test_what_cannot_be_an_id(column, match):
    with pytest.raises(DataError, match=rf"'customer_id' .*{match}"):
        ids_of(column)


# --- dates -----------------------------------------------------------------------------------------------

DAYS = ["2024-01-13", "2024-02-01", "2024-03-04"]


@pytest.mark.parametrize(
    "column",
    [
        DAYS,
        ["2024/01/13", "2024/02/01", "2024/03/04"],
        ["2024/01/13 10:00", "2024/02/01 11:30", "2024/03/04 23:59"],
        ["13.01.2024", "01.02.2024", "04.03.2024"],
        ["20240113", "20240201", "20240304"],
        [20240113, 20240201, 20240304],
        np.array([20240113, 20240201, 20240304], dtype=np.int32),
        ["2024-01-13T10:00:00.123456", "2024-02-01", "2024-03-04 09:00"],
        ["2024-01-13T10:00Z", "2024-02-01T00:00Z", "2024-03-04T00:00Z"],
        pd.to_datetime(DAYS).astype("datetime64[ns]"),
        pd.to_datetime(DAYS).tz_localize("Pacific/Auckland"),
        [dt.date(2024, 1, 13), dt.date(2024, 2, 1), dt.date(2024, 3, 4)],
        pd.Series([dt.date(2024, 1, 13), dt.datetime(2024, 2, 1, 5), "2024-03-04"], dtype=object),
        pd.Series([np.datetime64(day) for day in DAYS], dtype=object),
        pd.Series([20240113, np.int64(20240201), 20240304], dtype=object),
        pd.Categorical(DAYS),
        pd.PeriodIndex(DAYS, freq="D"),
        pd.array(pd.to_datetime(DAYS), dtype=pd.ArrowDtype(pa.timestamp("ms"))),
        pd.array(pd.to_datetime(DAYS).tz_localize("UTC"), dtype=pd.ArrowDtype(pa.timestamp("us", "Asia/Tokyo"))),
        pd.array([dt.date(2024, 1, 13), dt.date(2024, 2, 1), dt.date(2024, 3, 4)], dtype=pd.ArrowDtype(pa.date32())),
        pd.array(DAYS, dtype=pd.ArrowDtype(pa.string())),
    ],
)
def test_dates_of_every_kind(column):
    got = dates_of(column)
    assert got.when.astype("datetime64[D]").astype(str).tolist() == DAYS
    assert got.left_out == {}


def test_whole_dates_that_a_gap_made_floats():
    got = dates_of([20240113.0, np.nan, 20240304.0])
    assert got.when.astype("datetime64[D]").astype(str).tolist() == ["2024-01-13", "2024-03-04"]
    assert got.left_out == {"with a missing date": 1}


@pytest.mark.parametrize("days", [[20240113, None, 20240304], [np.uint8(1), None, 2], [True, None, False]])
def test_categories_of_numbers_with_a_gap(days):
    column = pd.Categorical(days)
    if days[0] == 20240113:
        assert dates_of(column).left_out == {"with a missing date": 1}
    else:
        with pytest.raises(DataError, match=r"'date' (is not a column of dates|holds)"):
            dates_of(column)


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1])
def test_huge_numbers_are_no_dates(number):
    for column in (
        np.array([number] * 3, dtype=np.uint64),
        pd.Series([number] * 3, dtype=object),
        pd.Categorical([number] * 3),
    ):
        with pytest.raises(DataError, match=r"'date' (is not a column of dates|holds)"):
            dates_of(column)


def test_the_wall_clock_of_the_zone_counts():
    late = pd.to_datetime(["2024-06-30T23:30", "2024-07-01T00:30", "2024-12-31T23:59"]).tz_localize("America/New_York")
    got = dates_of(late)
    assert got.time_zone == "America/New_York"
    assert got.when.astype("datetime64[D]").astype(str).tolist() == ["2024-06-30", "2024-07-01", "2024-12-31"]


def test_dates_at_the_ends_of_nanoseconds_and_of_time():
    got = dates_of(["1677-01-01", "2262-12-31", "9999-12-31"])
    assert got.when.astype("datetime64[D]").astype(str).tolist() == ["1677-01-01", "2262-12-31", "9999-12-31"]


@pytest.mark.parametrize(
    "column",
    [
        ["13/01/2024", "14/01/2024", "15/01/2024"],
        ["03/01/2024", "04/01/2024", "05/01/2024"],  # March to some, January to others
        ["13-01-2024", "14-01-2024", "15-01-2024"],
        ["Jan 13, 2024", "Jan 14, 2024", "Jan 15, 2024"],
        ["2023", "2024", "2025"],
        pd.Series(["2023", "2024", "2025"], dtype=object),
        ["202401", "202402", "202403"],
        [2023, 2024, 2025],
        [202311, 202312, 202313],  # 1 January 2023 and so on, to a lenient parser
        [1_704_067_200, 1_704_067_201, 1_704_067_202],
        [-1, 0, 1],
        ["x", "y", "2024-01-01"],
    ],
)
def test_unclear_dates_are_refused_with_advice(column):
    with pytest.raises(DataError, match=r"'date' is not a column of dates: .*the first: .*date_format"):
        dates_of(column)


def test_advice_on_dates_is_good_advice():
    got = dates_of(["03/01/2024", "14/01/2024", "15/01/2024"], date_format="%d/%m/%Y")
    assert got.when.astype("datetime64[D]").astype(str).tolist() == ["2024-01-03", "2024-01-14", "2024-01-15"]


def test_unreadable_dates_are_counted_and_shown():
    frame = pd.concat([PLAIN, PLAIN.assign(date="31.02.2024").head(1), PLAIN.assign(date="soon").head(1)])
    got = read_transactions(frame)
    assert got.left_out == {"with an unreadable date": 2}
    assert got.examples == {"with an unreadable date": ["31.02.2024", "soon"]}


def test_examples_that_are_blank_can_be_seen():
    frame = PLAIN.astype({"customer_id": object})
    frame = pd.concat([frame, *[frame.head(1).assign(customer_id=value) for value in ("", "\t ", None)]])
    assert read_transactions(frame).examples == {"with a missing customer id": ["''", r"'\t '", "None"]}


def test_integer_dates_that_are_no_days_are_counted():
    assert dates_of([19970101, 19970230, 19970202]).left_out == {"with an unreadable date": 1}


@pytest.mark.parametrize(
    "column",
    [
        ["2024-01-01T00:30+01:00", "2024-06-01T00:30+02:00", "2024-06-02T00:30+02:00"],
        ["2024-01-01T00:30+01:00", "2024-06-01T00:30", "2024-06-02T00:30+01:00"],
        ["2024-01-01T00:30Z", "2024-06-01T00:30Z", "2024-06-01"],
    ],
)
def test_mixed_zones_are_refused_in_our_own_words(column):
    with pytest.raises(
        DataError, match=r"'date' mixes time zones, or times with and without one: say with time_zone"
    ) as caught:
        dates_of(column)
    assert "utc=True" not in str(caught.value)


@pytest.mark.parametrize("layout", ["%Q", "%d/%m/%Y/%Y", "%"])
def test_a_format_that_is_none_is_the_users_error(layout):
    with pytest.raises(UsageError, match=r"date_format=.* is not a format of dates"):
        dates_of(DAYS, date_format=layout)


@pytest.mark.parametrize("column", [[1.5, 2.5, 3.5], [np.inf, 1.0, 2.0], [True, False, True]])
def test_numbers_are_no_dates(column):
    with pytest.raises(DataError, match=r"'date' holds numbers"):
        dates_of(column)


def test_objects_are_no_dates():
    with pytest.raises(DataError, match=r"'date' holds values of type dict, list, not dates"):
        dates_of([{}, [], {}])


# --- amounts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        [1, 2, 3],
        ["1", " 2.0", "3e0"],
        [decimal.Decimal("1.00"), decimal.Decimal(2), decimal.Decimal(3)],
        pd.Series([1, 2.0, "3"], dtype=object),
        pd.Categorical([1.0, 2.0, 3.0]),
        pd.array([1, 2, 3], dtype="Int64"),
        np.array([1, 2, 3], dtype=np.float32),
        pd.array(
            [decimal.Decimal(1), decimal.Decimal(2), decimal.Decimal(3)], dtype=pd.ArrowDtype(pa.decimal128(9, 2))
        ),
    ],
)
def test_amounts_of_every_kind(column):
    got = amounts_of(column)
    assert got.amount.dtype == np.float64
    assert got.amount.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ([1.0, np.nan, 3.0], "with a missing amount"),
        (pd.array([1, None, 3], dtype="Int64"), "with a missing amount"),
        ([decimal.Decimal(1), None, decimal.Decimal(3)], "with a missing amount"),
        ([decimal.Decimal(1), decimal.Decimal("NaN"), decimal.Decimal(3)], "with a missing amount"),
        ([1.0, np.inf, 3.0], "with an unreadable or infinite amount"),
        ([1.0, -np.inf, 3.0], "with an unreadable or infinite amount"),
        (["1", "1e999", "3"], "with an unreadable or infinite amount"),
        (["1", "2,50", "3"], "with an unreadable or infinite amount"),
        (["1", "", "3"], "with an unreadable or infinite amount"),
    ],
)
def test_amounts_that_cannot_be_used_are_counted(column, reason):
    got = amounts_of(column)
    assert got.amount.tolist() == [1.0, 3.0]
    assert got.left_out == {reason: 1}


@pytest.mark.parametrize("column", [["1,50", "2,50", "3"], ["$1", "$2", "$3"], ["1.234,50", "2 €", "x"]])
def test_amounts_in_another_notation_are_refused_with_the_option_that_reads_them(column):
    with pytest.raises(DataError, match=r"'amount' is not a column of amounts: .* \(on the command line, --decimal"):
        amounts_of(column)


TAKEN_OFF = "currencies, and marks between thousands, are then taken off."
ONE = 'Say decimal="{0}" (on the command line, --decimal "{0}") if that is the mark before the cents; ' + TAKEN_OFF
BOTH = (
    'Say which mark stands before the cents: decimal="," or decimal="." (on the command line, --decimal); ' + TAKEN_OFF
)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        *[
            (text, ONE.format(mark))
            for text, mark in (
                ("1,234.50", "."), ("-1,234,567.5", "."), ("$12.00", "."), ("CHF 1'234.50", "."),
                ("1.234,50", ","), ("1.234.567", ","), ("12,50", ","), ("12,50 EUR", ","),
            )
        ],
        *[
            (text, BOTH)
            for text in ("1,234", "€ 1.234", "12 €")
        ],
        *[
            (text, ONE.format(",").replace("off.", f"off, and {text} is money that went out."))
            for text in ("12,50-", "(12,50)", "(1.234,50 €)")
        ],
        ("1,234.50 k€", "Write amounts as plain numbers, as 12.50 (take away all that is no part of the number, such "
                        "as the currency, take away the commas between thousands)."),
    ],
)  # fmt: skip
def test_advice_on_amounts_says_what_to_do(text, advice):
    with pytest.raises(DataError) as caught:
        amounts_of([text] * 3)
    assert str(caught.value) == (
        f"Column 'amount' is not a column of amounts: 3 of 3 values are not numbers (the first: {text!r}). {advice}"
    )


@pytest.mark.parametrize("text", ["free", "n/a", "?"])
def test_no_advice_on_what_is_no_amount(text):
    with pytest.raises(DataError, match=r"as plain numbers, as 12.50\.$"):
        amounts_of([text] * 3)


@pytest.mark.parametrize(
    ("bad", "rows", "refused"), [(10, 20, False), (10, 100, False), (11, 1_099, True), (11, 1_100, False), (2, 3, True)]
)
@pytest.mark.parametrize("read", ["read_transactions", "rfm_summary"])
def test_a_few_unreadable_values_are_counted_and_more_are_refused(bad, rows, refused, read):
    """More than half, or more than ten and one in a hundred: a column misread, and money lost without a word."""
    good = rows - bad
    for column, values in (
        ("amount", ["1,50"] * bad + ["1.50"] * good),
        ("date", ["soon"] * bad + ["2024-01-01"] * good),
    ):
        frame = pd.DataFrame({"customer_id": range(rows), "date": "2024-01-01", "amount": 1.0}).assign(
            **{column: values}
        )
        if refused:
            with pytest.raises(DataError, match=rf"'{column}' is not a column of .*: {bad} of {rows:,} values"):
                (read_transactions if read == "read_transactions" else rfm_summary)(frame)
        elif read == "rfm_summary":
            assert list(rfm_summary(frame).audit.left_out.values()) == [bad]
        else:
            assert list(read_transactions(frame).left_out.values()) == [bad]


def test_a_long_value_is_shown_in_short():
    with pytest.raises(DataError) as caught:
        amounts_of(["x" * 1_000_000, "y\nz", "z"])
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "column",
    [
        [True, False, True],
        pd.Series([True, False, True], dtype=object),
        pd.to_timedelta([1, 2, 3], unit="s"),
        pd.to_datetime(DAYS),
        [1j, 2j, 3j],
    ],
)
def test_what_is_no_money_is_refused(column):
    with pytest.raises(DataError, match=r"'amount' holds .* values, not amounts of money"):
        amounts_of(column)


# --- whole tables ----------------------------------------------------------------------------------------


def test_every_missing_column_is_named_beside_those_there_are():
    with pytest.raises(DataError, match=r"no column 'customer_id' and no column 'date'; it has: amount, x"):
        read_transactions(PLAIN[["amount"]].assign(x=1))
    with pytest.raises(DataError, match=r"no columns at all"):
        read_transactions(pd.DataFrame())


@pytest.mark.parametrize("read", [read_transactions, rfm_summary, lw.cohort_table, lw.historical_clv, lw.backtest])
def test_missing_columns_are_told_with_the_options_that_name_them(read):
    german = PLAIN.set_axis(["Kunden-Nr", "Kaufdatum", "Betrag"], axis=1)
    with pytest.raises(DataError) as caught:
        read(german)
    assert str(caught.value) == (
        "The table has no column 'customer_id' and no column 'date' and no column 'amount'; it has: Kunden-Nr, "
        'Kaufdatum, Betrag. Say which columns they are with customer_id="Kunden-Nr", date="Kaufdatum" and '
        'amount="Betrag" (on the command line, --customer-id, --date and --amount).'
    )
    with pytest.raises(DataError, match=r'no column \'amount\'; .*Say which column it is with amount="\.\.\." \(on'):
        read(PLAIN.rename(columns={"amount": "x"}))  # nothing there looks like it: no guess
    with pytest.raises(DataError, match=r'no column \'client\'; .*customer_id="\.\.\." \(on .* --customer-id\)'):
        read(PLAIN.assign(customer_nr=1, client_no=2), customer_id="client")  # three look like it


def test_a_column_of_dates_and_one_of_amounts_complain_together():
    with pytest.raises(DataError, match=r"'date' is not a column of dates.*'amount' is not a column of amounts"):
        read_transactions(PLAIN.assign(date="x", amount="y"))


@pytest.mark.parametrize("table", [pd.DataFrame, lambda frame: pa.Table.from_pandas(frame, preserve_index=False)])
def test_columns_of_the_same_name_are_refused(table):
    frame = pd.concat([PLAIN, PLAIN[["amount"]]], axis=1)
    if table is not pd.DataFrame:
        twice = pa.Table.from_pandas(PLAIN, preserve_index=False)
        frame = twice.append_column("amount", twice["amount"])
    with pytest.raises(DataError, match=r"more than one column named 'amount'"):
        read_transactions(frame)


def test_the_same_column_twice_is_the_users_error():
    with pytest.raises(UsageError, match=r"must be different columns"):
        read_transactions(PLAIN, date="amount")


@pytest.mark.parametrize("data", [None, 3, [1, 2], {"customer_id": [1]}, np.zeros((2, 3)), PLAIN["amount"], b"x.csv"])
def test_what_is_no_table_is_refused(data):
    with pytest.raises(DataError, match=r"is not a table: give a pandas, Polars or PyArrow table"):
        read_transactions(data)


def test_an_empty_table_and_one_without_a_usable_row():
    with pytest.raises(DataError, match=r"has no rows"):
        read_transactions(PLAIN.head(0))
    with pytest.raises(DataError, match=r"None of the 3 rows can be used: 3 with a missing customer id"):
        ids_of([None, None, None])
    with pytest.raises(DataError, match=r"None of the 3 rows can be used: 3 with a missing date"):
        dates_of([None, None, None])
    with pytest.raises(
        DataError, match=r"None of the 3 rows can be used: 1 with a missing .*, 2 with an unreadable or inf"
    ):
        read_transactions(PLAIN.assign(customer_id=[None, "a", "b"], amount=np.inf))


def test_a_row_with_several_faults_is_counted_once():
    frame = purchases((None, None, None), ("a", None, None), ("a", "2024-01-01", None), ("a", "2024-01-01", 1.0))
    got = read_transactions(frame)
    assert list(got.left_out.values()) == [1, 1, 1]
    assert got.row.tolist() == [3]


# --- files -----------------------------------------------------------------------------------------------


def written(folder, text, name="table.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


HEAD = "customer_id,date,amount\n"


def test_leading_zeros_of_a_csv_file_stay(tmp_path):
    got = read_transactions(written(tmp_path, HEAD + "007,2024-01-01,5\n7,2024-02-01,6\n"))
    assert got.customer_ids.tolist() == ["007", "7"]
    assert got.amount.tolist() == [5.0, 6.0]


@pytest.mark.parametrize(
    "text",
    [
        HEAD.replace("\n", "\r\n") + "7,2024-01-01,5\r\n",
        "\ufeff" + HEAD + "7,2024-01-01,5\n",
        HEAD + "7,20240101,5",
        HEAD + "7,2024-01-01,5,\n",  # a comma at the end of each line
        HEAD + "\n7,2024-01-01,5\n\n",
        '"customer_id","date","amount"\n"7","2024-01-01","5.0"\n',
        'note,amount,date,customer_id\n"a, b",5,2024-01-01,7\n',
        "customer_id,date,amount,x,x\n7,2024-01-01,5,1,2\n",
    ],
)
def test_csv_files_as_they_come(text, tmp_path):
    got = read_transactions(written(tmp_path, text))
    assert got.customer_ids.tolist() == [7]
    assert got.when.astype("datetime64[D]").astype(str).tolist() == ["2024-01-01"]
    assert got.amount.tolist() == [5.0]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_files_of_other_separators_are_read(separator, encoding, tmp_path):
    """As spreadsheets write them where the comma is in numbers; names and values may hold the others."""
    lines = [
        ["date", '"amount, net"', "customer_id"],
        ["2024-01-01", "5.50", '"Müller; Co|\t"'],
        ["2024-01-02", "1", "b,c"],
    ]
    path = tmp_path / "table.csv"
    path.write_text("".join(separator.join(line) + "\n" for line in lines), encoding=encoding)
    expected = pd.DataFrame({"customer_id": ["Müller; Co|\t", "b,c"], "n": [5.5, 1.0]})
    for limit in (None, "1KB"):  # as a whole, and a batch at a time
        rfm = rfm_summary(path, amount="amount, net", observation_end="2024-02-01", memory_limit=limit)
        assert rfm.customer_id.tolist() == expected["customer_id"].tolist()
        assert rfm.past_spend.tolist() == expected["n"].tolist()
    assert column_names(path) == ["date", "amount, net", "customer_id"]


def test_a_folder_may_hold_files_of_different_separators(tmp_path):
    (tmp_path / "a.csv").write_text("customer_id;date;amount\n7;2024-01-01;5\n")
    (tmp_path / "b.csv").write_text("customer_id,date,amount\n7,2024-01-09,6\n")
    assert rfm_summary(tmp_path, observation_end="2024-02-01").past_spend.tolist() == [11.0]


def test_decimal_commas_behind_semicolons_are_told(tmp_path):
    with pytest.raises(DataError, match=r'not a column of amounts.*Say decimal=","'):
        read_transactions(written(tmp_path, "customer_id;date;amount\n7;2024-01-01;5,50\n"))


def test_a_single_column_with_a_mark_in_its_name_is_told(tmp_path):
    with pytest.raises(DataError, match=r"seem to be separated by ';'"):
        read_transactions(written(tmp_path, "\ncustomer_id;date;amount\n7;2024-01-01;5\n"))


def test_a_short_line_is_counted(tmp_path):
    got = read_transactions(written(tmp_path, HEAD + "7,2024-01-01\n8,2024-01-01,5\n9\n"))
    assert got.customer_ids.tolist() == [8]
    assert got.left_out == {"with a missing date": 1, "with a missing amount": 1}


def test_a_column_twice_in_a_csv_file_is_refused(tmp_path):
    path = written(tmp_path, "customer_id,date,amount,amount\n7,2024-01-01,5,6\n")
    with pytest.raises(DataError, match=r"more than one column named 'amount'"):
        read_transactions(path)


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file(text, tmp_path):
    with pytest.raises(DataError, match=r"table.csv is empty"):
        read_transactions(written(tmp_path, text))


def test_a_header_alone(tmp_path):
    with pytest.raises(DataError, match=r"has no rows"):
        read_transactions(written(tmp_path, HEAD))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_is_named_as_such(encoding, tmp_path):
    with pytest.raises(SourceError, match=r"not text in UTF-8 .* Save it as UTF-8"):
        read_transactions(written(tmp_path, HEAD + "é,2024-01-01,5\n", encoding=encoding))


@pytest.mark.parametrize("name", ["nothing.csv", "nothing.parquet", "none/nothing.csv"])
def test_a_file_that_is_not_there(name, tmp_path):
    with pytest.raises(SourceError, match=r"does not exist"):
        read_transactions(tmp_path / name)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "folder.parquet").mkdir()
    damaged = written(tmp_path, "not parquet", "damaged.parquet")
    unended = written(tmp_path, HEAD + '"7,2024-01-01,5\n', "unended.csv")
    for path in (tmp_path / "folder.csv", tmp_path / "folder.parquet", damaged, unended):
        with pytest.raises(SourceError, match=rf"{path.name} could not be read: ") as caught:
            read_transactions(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["table.xlsx", "table"])
def test_a_file_of_another_kind_is_the_users_error(name, tmp_path):
    with pytest.raises(UsageError, match=r"give a .parquet or .csv file"):
        read_transactions(written(tmp_path, HEAD, name))


def test_column_names_without_reading_the_table(tmp_path):
    PLAIN.to_parquet(tmp_path / "table.parquet")
    assert column_names(written(tmp_path, HEAD)) == list(PLAIN.columns)
    assert column_names(tmp_path / "table.parquet") == list(PLAIN.columns)


def test_whole_tables_come_whole(tmp_path):
    path = written(tmp_path, "a,b\n1,x\n,y\n")
    got = read_table(path)
    assert got["a"].dtype == pd.Int64Dtype()
    assert got["a"].isna().tolist() == [False, True]
    assert got["b"].tolist() == ["x", "y"]


# --- the audit -------------------------------------------------------------------------------------------


def test_an_audit_that_does_not_add_up_is_impossible():
    with pytest.raises(AssertionError, match=r"does not add up"):
        Audit(rows_in=3, rows_used=2)


def test_an_audit_speaks_and_comes_back():
    audit = Audit(
        1_234, 1_230, {"after the end": 3, "with a missing date": 1}, {"after the end": ["x"]}, 2, 7, 1, ("N.",)
    )
    assert str(audit) == (
        "1,234 rows in, 1,230 used for 7 customers; left out: 3 after the end, 1 with a missing date. "
        "1 customer had no purchase up to the end. N."
    )
    assert audit.to_pandas()["rows"].tolist() == [1_234, 3, 1, 1_230]
    again = Audit.from_dict(audit.to_dict())
    assert again.examples == {}  # they may hold customers' ids
    assert again.to_dict() == audit.to_dict()


def test_record_batches_and_their_readers_are_tables():
    table = pa.table({"customer_id": [1, 1, 2], "date": [dt.date(2026, 1, day) for day in (1, 2, 3)]})
    batch = table.to_batches()[0]
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=1))
    for source in (batch, reader):
        pd.testing.assert_frame_equal(read_table(source), read_table(table))


# --- layouts of Arrow ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(0)])
def test_an_id_without_a_byte_is_nobodys_in_every_layout(kind):
    values = [b"", b""] if kind == pa.binary(0) else [b"", b"", b"a"]
    day = dt.date(2024, 1, 1)
    for ids in (pa.array(values, kind), pa.array(values[:2], kind)):
        log = pa.table({"customer_id": ids, "date": [day] * len(ids)})
        if len(ids) == 3:
            rfm = rfm_summary(log, amount=None)
            assert (rfm.customer_id.tolist(), rfm.audit.left_out) == ([b"a"], {"with a missing customer id": 2})
        else:
            with pytest.raises(DataError, match=r"2 with a missing customer id"):
                rfm_summary(log, amount=None)
    assert ids_of(pd.Series([b"", b"a", b" "], dtype=object)).customer_ids.tolist() == [b" ", b"a"]


@pytest.mark.parametrize("read", [read_table, rfm_summary])
@pytest.mark.parametrize(
    "ids",
    [
        pa.array(["a", "x" * 70_000, None], pa.string_view()),
        pa.array([b"a", b"x" * 70_000, None], pa.binary_view()),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array(["a", "b", None])),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array([1, 2, None])),
    ],
)
def test_layouts_that_pandas_has_not(ids, read):
    got = read(pa.table({"customer_id": ids, "date": [dt.date(2024, 1, 1)] * 3, "amount": [1.0, 2.0, 3.0]}))
    expected = [value for value in ids.to_pylist() if value is not None]
    if read is rfm_summary:
        assert got.customer_id.tolist() == expected
        assert got.audit.left_out == {"with a missing customer id": 1}
    else:
        assert got["customer_id"].dropna().tolist() == expected


@pytest.mark.parametrize("memory_limit", [None, 1], ids=["whole", "stream"])
def test_a_line_with_more_values_than_the_header_has_names_is_refused(tmp_path, memory_limit):
    """An amount of 1,50 is not one of 1."""
    lines = "".join(f"{n},2024-01-0{1 + n % 9},5\n" for n in range(200))
    long = written(tmp_path, HEAD + lines + "7,2024-01-01,1,50\n8,2024-01-02,1\n9,2024-01-01,2,50\n", "long.csv")
    with pytest.raises(DataError, match=r"long\.csv: line 202 has 4 values under a header of 3, and 1 more"):
        rfm_summary(long, memory_limit=memory_limit)


def test_empty_values_beyond_the_last_name_are_nothing(tmp_path):
    path = written(tmp_path, HEAD + "7,2024-01-01,5,\n8,2024-01-02,6,,\n\n")
    assert rfm_summary(path).past_spend.tolist() == [5.0, 6.0]


# ---- dates that the message can help with -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "advice"),
    [
        (["03/04/2024 14:05", "12/11/2024 09:00"], '"%d/%m/%Y %H:%M" (day-month-year) or date_format="%m/%d/%Y %H:%M"'),
        (["03/04/2024 14:05", "13/11/2024 09:00"], '"%d/%m/%Y %H:%M" (day-month-year); on the command line'),
        (["03/04/2024", "04/30/2024"], 'written: date_format="%m/%d/%Y" (month-day-year); on the command line'),
        (["3/4/24 1:05 PM", "3/14/24 1:05 AM"], '"%m/%d/%y %I:%M %p" (month-day-year);'),
        (["3-Mar-2024", "14-Apr-2024"], 'written: date_format="%d-%b-%Y" (day-month-year);'),
        ([45000, 45001], '(45000 is 2023-03-15), say date_format="excel"'),
        (["45000.25", "45001"], 'say date_format="excel"'),
        ([45000.25, 45001.5], 'If Excel wrote them, say date_format="excel"'),
    ],
)
def test_messages_name_the_format_that_the_dates_have(column, advice):
    rows = pd.DataFrame({"customer_id": [1, 2], "date": column})
    with pytest.raises(DataError, match=re.escape(advice)):
        read_transactions(rows, amount=None)


def test_the_format_that_a_message_names_reads_the_dates():
    rows = pd.DataFrame({"customer_id": [1, 2], "date": ["03/04/2024 14:05", "13/11/2024 09:00"]})
    with pytest.raises(DataError) as error:
        read_transactions(rows, amount=None, date_format="%d/%m/%Y")
    assert 'cannot be read with date_format="%d/%m/%Y"' in str(error.value)
    named = re.search(r'written: date_format="([^"]*)"', str(error.value))[1]
    when = read_transactions(rows, amount=None, date_format=named).when
    assert when.astype("datetime64[m]").astype(str).tolist() == ["2024-04-03T14:05", "2024-11-13T09:00"]


@pytest.mark.parametrize(
    "column",
    [
        [45000.25, 45001.5, None],
        ["45000.25", "45001.5", None],
        pd.Series([45000.25, 45001.5, None], dtype=object),
        pd.Series([45000.25, 45001.5, None], dtype="Float64"),
    ],
)
def test_dates_that_excel_counts(column):
    rows = pd.DataFrame({"customer_id": [1, 2, 3], "date": column})
    read = read_transactions(rows, amount=None, date_format="excel")
    assert read.when.astype("datetime64[m]").astype(str).tolist() == ["2023-03-15T06:00", "2023-03-16T12:00"]
    assert read.left_out == {"with a missing date": 1}


@pytest.mark.parametrize("column", [[1, 2], [60, 60], [20230315, 20230316], ["2023-03-15", "x"]])
def test_what_excel_does_not_count_is_refused(column):
    rows = pd.DataFrame({"customer_id": [1, 2], "date": column})
    with pytest.raises(DataError, match='with date_format="excel"'):
        read_transactions(rows, amount=None, date_format="excel")


def test_excel_dates_out_of_memory_are_those_in_memory(tmp_path):
    path = tmp_path / "big.csv"
    days = np.arange(45_000, 45_600)
    pd.DataFrame({"customer_id": days % 37, "date": days, "amount": 1.0}).to_csv(path, index=False)
    whole = lw.rfm_summary(path, date_format="excel")
    parts = lw.rfm_summary(path, date_format="excel", memory_limit="1KB")
    pd.testing.assert_frame_equal(whole.to_pandas(), parts.to_pandas())
    assert whole.observation_end == pd.Timestamp("2024-11-03")
    with pytest.raises(DataError, match='say date_format="excel"'):
        lw.rfm_summary(path, memory_limit="1KB")
