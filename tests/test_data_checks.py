"""What is refused, and what the audit's notes say, of data that is not what it seems: on every way into the product."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import lifeworth as lw
from lifeworth.errors import DataError
from lifeworth.transactions import data_notes
from lifeworth.transactions.data_notes import Column, DataNotes

# ---- duplicates -------------------------------------------------------------------------------------------------

SPELLINGS = pd.DataFrame(
    {
        "customer_id": ["a", "a", "b", "b", "c", "c", "d", "d"],
        "date": [
            "2024-01-05", "2024-01-05", "2024-01-05", "2024-01-05 00:00:00", "2024-01-06", "2024-01-06",
            "2024-01-06", "2024-01-06",
        ],
        "amount": ["10.0", "10.00", "7", "7.0", "$1,200.50", "1200.5", "3", "4"],
    }
)  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "frame", "arrow", "polars"])
def test_duplicates_are_compared_by_value(form, tmp_path):
    data = SPELLINGS
    if form == "csv":
        SPELLINGS.to_csv(data := tmp_path / "a.csv", index=False)
    if form == "arrow":
        data = pa.Table.from_pandas(SPELLINGS)
    if form == "polars":
        data = pl.from_pandas(SPELLINGS)
    rfm = lw.rfm_summary(data, duplicates="drop", decimal=".")
    assert rfm.audit.left_out == {"equal to an earlier row": 3}
    assert rfm.past_spend.tolist() == [10.0, 7.0, 1200.5, 7.0]
    worth = lw.historical_clv(data, by="customer_id", duplicates="drop", decimal=".")
    assert worth["clv"].tolist() == [10.0, 7.0, 1200.5, 7.0]
    assert lw.cohort_table(data, duplicates="drop", decimal=".")["revenue"].sum() == 1224.5


def test_rows_that_cannot_be_read_are_not_duplicates():
    many = [{"customer_id": k, "date": "2024-01-05", "amount": "1"} for k in range(2, 100)]
    rows = pd.DataFrame([{"customer_id": 1, "date": "2024-01-05", "amount": text} for text in ("x", "y")] + many)
    assert lw.rfm_summary(rows, duplicates="drop").audit.left_out == {"with an unreadable or infinite amount": 2}


# ---- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ids",
    [
        pd.to_datetime(["2024-01-05", "2024-01-06"]),
        pd.to_datetime(["2024-01-05", "2024-01-06"]).tz_localize("UTC"),
        pd.to_datetime(["2024-01-05", "2024-01-06"]).date,
        ["2024-01-05", "2024-01-06"],
        pd.Categorical(["2024-01-05 10:00:00", "2024-01-06 11:30:00"]),
    ],
)
@pytest.mark.parametrize("form", [pd.DataFrame, pa.Table.from_pandas])
def test_dates_are_no_customer_ids(ids, form, tmp_path):
    data = form(pd.DataFrame({"customer_id": ids, "date": [3, 4], "amount": [1.0, 2.0]}))
    said = "'customer_id' holds dates or times, which are no customer ids: check whether it was swapped"
    with pytest.raises(DataError, match=said):
        lw.rfm_summary(data)
    with pytest.raises(DataError, match=said):
        lw.historical_clv(data)
    with pytest.raises(DataError, match=said):
        lw.cohort_table(data)
    with pytest.raises(DataError, match=said):
        lw.RFMState(tmp_path / "state").update(data)
    table = data if isinstance(data, pa.Table) else pa.Table.from_pandas(data)
    with pytest.raises(DataError, match=said):
        lw.rfm_summary(pa.RecordBatchReader.from_batches(table.schema, table.to_batches()), memory_limit="100 MB")


@pytest.mark.parametrize("form", [pd.DataFrame, pa.Table.from_pandas])
def test_float32_ids_that_have_become_one_are_refused(form, tmp_path):
    ids = np.array([2**24, 2**24 + 1], dtype=np.float32)
    assert ids[0] == ids[1]
    data = form(pd.DataFrame({"customer_id": ids, "date": "2024-01-05", "amount": 1.0}))
    said = "ids of type float(32)? of 16,777,216 and above, where neighbouring whole numbers have become one value"
    with pytest.raises(DataError, match=said):
        lw.rfm_summary(data)
    with pytest.raises(DataError, match=said):
        lw.RFMState(tmp_path / "state").update(data)
    small = form(pd.DataFrame({"customer_id": ids / 2, "date": "2024-01-05", "amount": 1.0}))
    assert lw.rfm_summary(small).customer_id.tolist() == [2**23]


def test_epoch_times_say_how_they_are_converted():
    for scale, unit in ((1, "seconds"), (1_000, "milliseconds"), (1_000_000, "microseconds")):
        for values in ([1704067200 * scale] * 3, [1704067200.0 * scale + 0.5] * 3, [str(1704067200 * scale)] * 3):
            rows = pd.DataFrame({"customer_id": [1, 2, 3], "date": values, "amount": 1.0})
            with pytest.raises(
                DataError, match=rf"If these are {unit} since 1970 \(.* is 2024-01-01 in UTC\), convert"
            ):
                lw.rfm_summary(rows)


def test_a_line_for_excel_is_named(tmp_path):
    for mark in ";,":
        (path := tmp_path / "a.csv").write_text(
            f"sep={mark}\ncustomer_id{mark}date{mark}amount\n1{mark}2024-01-05{mark}3\n"
        )
        with pytest.raises(DataError, match=r"a.csv begins with a line for Excel, 'sep=', .*: delete this line"):
            lw.rfm_summary(path)


def test_naive_times_with_a_time_zone_say_what_to_do():
    rows = pd.DataFrame({"customer_id": [1], "date": ["2024-01-05 10:00:00"], "amount": 1.0})
    with pytest.raises(DataError, match=r'omit time_zone .* if they are UTC, say so .* \.dt\.tz_localize\("UTC"\)'):
        lw.rfm_summary(rows, time_zone="Europe/London")


def test_a_method_called_on_the_class_says_so():
    known = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    with pytest.raises(TypeError, match=r"called on an object, not on its class: write BetaGeo\(\)\.from_parameters"):
        lw.BetaGeo.from_parameters(known, "W")
    with pytest.raises(TypeError, match=r"write BetaGeo\(\)\.from_parameters"):
        lw.BetaGeo.from_parameters(values=known, time_unit="W")


# ---- columns beside the amounts ---------------------------------------------------------------------------------

SHOP = lw.simulate_transactions(300, seed=4).transactions[["customer_id", "date", "amount"]]


def frame_of(rows, folder):
    return rows


def arrow_of(rows, folder):
    return pa.Table.from_pandas(rows, preserve_index=False)


def polars_of(rows, folder):
    return pl.from_pandas(rows)


def lazy_of(rows, folder):
    return pl.from_pandas(rows).lazy()


def reader_of(rows, folder):
    table = arrow_of(rows, folder)
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=500))


def relation_of(rows, folder):
    import duckdb

    return duckdb.from_arrow(arrow_of(rows, folder))


def csv_of(rows, folder):
    rows.to_csv(folder / "one.csv", index=False)
    return folder / "one.csv"


def folder_of(rows, folder):
    """Two files, of which only the second has the last third of the rows and the further columns."""
    path = folder / f"parts-{len(list(folder.iterdir()))}"
    path.mkdir()
    cut = 2 * len(rows) // 3
    rows.iloc[:cut][["customer_id", "date", "amount"]].to_csv(path / "a.csv", index=False)
    rows.iloc[cut:].to_csv(path / "b.csv", index=False)
    return path


def parquet_of(rows, folder):
    rows.to_parquet(path := folder / f"one-{len(list(folder.iterdir()))}.parquet")
    return path


def parquets_of(rows, folder):
    path = folder / f"parquets-{len(list(folder.iterdir()))}"
    path.mkdir()
    cut = 2 * len(rows) // 3
    rows.iloc[:cut][["customer_id", "date", "amount"]].to_parquet(path / "a.parquet")
    rows.iloc[cut:].to_parquet(path / "b.parquet")
    return path


FORMS = [frame_of, arrow_of, polars_of, lazy_of, reader_of, relation_of, csv_of, folder_of, parquet_of, parquets_of]


def notes_of(form, rows, folder, **how):
    return " ".join(lw.rfm_summary(form(rows, folder), **how).audit.notes)


def one_row(values, other, row=-3):
    """A column of one value, with another in a single row near the end."""
    column = np.full(len(SHOP), values, dtype=object)
    column[row] = other
    return column


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["Currency", "order_currency", "CurrencyIsoCode", "presentment_currency", "Währung"])
def test_currencies_are_named_whatever_their_column_is_called(form, name, tmp_path):
    rows = SHOP.assign(**{name: one_row("EUR", "CHF")})
    assert f"Column {name!r} names several currencies (CHF, EUR)" in notes_of(form, rows, tmp_path)
    assert notes_of(form, rows, tmp_path, currency="EUR") == ""
    assert notes_of(form, SHOP.assign(**{name: "EUR"}), tmp_path) == ""


@pytest.mark.parametrize("form", [form for form in FORMS if form not in (lazy_of, reader_of, relation_of, folder_of)])
def test_a_column_of_codes_is_one_of_currencies(form, tmp_path):
    rows = SHOP.assign(unit=one_row("EUR", "CHF"))
    if form is not parquets_of:  # whose first file has no such column
        assert "Column 'unit' names several currencies (CHF, EUR)" in notes_of(form, rows, tmp_path)
    assert notes_of(form, SHOP.assign(unit=one_row("EUR", "piece")), tmp_path) == "" or form is parquets_of


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("limit", [None, "1 MB"])
def test_statuses_and_marks_that_are_not_used_are_named(form, limit, tmp_path):
    rows = SHOP.assign(**{"Financial Status": one_row("paid", "refunded"), "Fulfillment Status": "fulfilled"})
    seen = len(rows) if form not in (folder_of, parquets_of) else len(rows) - 2 * len(rows) // 3
    assert notes_of(form, rows, tmp_path, memory_limit=limit) == (
        f"Column 'Financial Status' is not used and says refunded in 1 of {seen:,} rows, which were counted like all "
        "others: filter them out first, such as data[~data['Financial Status'].isin(['refunded'])]."
    )
    rows = SHOP.assign(cancelled_at=one_row(None, "2024-01-05"), returning=True, return_policy=one_row("a", "b"))
    found = notes_of(form, rows, tmp_path, memory_limit=limit)
    assert found.startswith(f"Column 'cancelled_at' is not used and is set in 1 of {seen:,} rows")
    assert "data[data['cancelled_at'].isna()]" in found and "return" not in found
    rows = SHOP.assign(**{"Refunded Amount": one_row(0.0, 12.5)})
    found = notes_of(form, rows, tmp_path, memory_limit=limit)
    assert found.startswith(f"Column 'Refunded Amount' is not used and is not 0 in 1 of {seen:,} rows")
    assert "amount - data['Refunded Amount']" in found
    rows = SHOP.assign(cancelled=one_row(False, True), refunded=one_row("no", "no"))
    assert "Column 'cancelled' is not used and is set in 1 of" in notes_of(form, rows, tmp_path, memory_limit=limit)


def test_a_type_of_row_matters_where_no_amount_is_negative():
    rows = SHOP.assign(kind=one_row("sale", "refund"))
    assert "Column 'kind' is not used and says refund in 1 of" in " ".join(lw.rfm_summary(rows).audit.notes)
    rows.loc[rows.index[-3], "amount"] *= -1
    assert lw.rfm_summary(rows).audit.notes == ()


def test_every_result_carries_the_notes(tmp_path):
    rows = SHOP.assign(order_currency=one_row("EUR", "CHF"))
    said = "Column 'order_currency' names several currencies (CHF, EUR)"
    worth = lw.historical_clv(rows)
    assert said in worth.attrs["audit"] and said in worth.attrs["rows"]["notes"][0]
    assert said in lw.cohort_table(rows).attrs["audit"]
    calibration, _ = lw.train_test_split(rows, train_end=rows["date"].quantile(0.6))
    assert said in str(calibration.audit)
    state = lw.RFMState(tmp_path / "state")
    half = len(rows) // 2
    assert state.update(rows.iloc[:half]).audit.notes == ()
    assert said in str(state.update(rows.iloc[half:]).audit)
    again = lw.RFMState(tmp_path / "state")
    assert said in str(again.table().audit)
    assert again.table().audit.notes == lw.rfm_summary(rows).audit.notes


# ---- the same file twice ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_same_file_under_two_names_is_named(kind, tmp_path):
    cut = len(SHOP) // 2
    for name, rows in (("a", SHOP.iloc[:cut]), ("b", SHOP.iloc[cut:]), ("copy of b", SHOP.iloc[cut:])):
        path = tmp_path / f"{name}.{kind}"
        rows.to_csv(path, index=False) if kind == "csv" else rows.to_parquet(path)
    said = f"File copy of b.{kind} has the same contents as b.{kind}: their rows were counted twice unless"
    found = lw.rfm_summary(tmp_path)
    assert said in str(found.audit)
    assert said in lw.cohort_table(tmp_path).attrs["audit"]
    assert said in lw.historical_clv(tmp_path).attrs["audit"]
    dropped = lw.rfm_summary(tmp_path, duplicates="drop")
    assert dropped.past_spend.sum() == pytest.approx(SHOP.drop_duplicates()["amount"].sum(), rel=1e-12)  # sums differ
    (tmp_path / f"copy of b.{kind}").unlink()
    assert lw.rfm_summary(tmp_path).audit.notes == ()


# ---- ids that stand for nobody ----------------------------------------------------------------------------------

PEOPLE = lw.simulate_transactions(800, seed=11).transactions[["customer_id", "date", "amount"]]
PEOPLE = PEOPLE.assign(customer_id="c" + PEOPLE["customer_id"].astype(str).str.zfill(4))


def spill_of(rows, folder):
    """A file that is counted through temporary files (see `memory_of`)."""
    return csv_of(rows, folder)


def pushed_of(rows, folder):
    """A relation that DuckDB brings in order (see `memory_of`)."""
    return relation_of(rows, folder)


def memory_of(form):
    return {spill_of: {"memory_limit": "1 MB"}, pushed_of: {"pushdown": True}}.get(form, {})


def state_of(rows, folder):
    return rows


def table_of(form, rows, folder, **how):
    """The RFM table of some rows, by one of the ways in; a state takes them in two parts, a week apart."""
    if form is state_of:
        state = lw.RFMState(folder / f"state-{len(list(folder.iterdir()))}")
        edge = rows["date"].sort_values().iloc[len(rows) // 2]
        state.take_in(rows[rows["date"] < edge])
        return state.update(rows[rows["date"] >= edge])
    return lw.rfm_summary(form(rows, folder), **memory_of(form), **how)


WAYS = [
    frame_of,
    arrow_of,
    polars_of,
    reader_of,
    relation_of,
    csv_of,
    parquet_of,
    folder_of,
    spill_of,
    pushed_of,
    state_of,
]


@pytest.mark.parametrize("form", WAYS)
def test_one_id_with_much_of_the_rows_or_of_the_money_is_pointed_out(form, tmp_path):
    assert table_of(form, PEOPLE, tmp_path).audit.notes == ()
    guests = PEOPLE.copy()
    guests.loc[guests.index % 5 == 0, "customer_id"] = "shop@example.com"  # 20 % of the rows
    found = table_of(form, guests, tmp_path)
    assert "look whether" in " ".join(found.audit.notes)
    assert "One customer has 2" in " ".join(found.audit.notes)
    rich = PEOPLE.copy()
    some = rich["customer_id"] == rich["customer_id"].value_counts().index[3]
    rich.loc[some, "amount"] *= 0.14 / 0.86 * rich.loc[~some, "amount"].sum() / rich.loc[some, "amount"].sum()
    found = table_of(form, rich, tmp_path)
    (note,) = found.audit.notes
    assert note.startswith("One customer has 14% of all money: look whether such an id stands for no single customer")
    assert found.audit.examples["ids to look at"] == [rich.loc[some, "customer_id"].iloc[0]]


@pytest.mark.parametrize("form", [frame_of, csv_of, spill_of, pushed_of, state_of])
def test_one_id_with_much_of_the_rows_is_pointed_out_without_money(form, tmp_path):
    guests = PEOPLE.copy()
    guests.loc[guests.index % 5 == 0, "customer_id"] = "z"
    guests["date"] = guests["date"].dt.floor("7D")  # many rows, few purchases
    if form is state_of:
        state = lw.RFMState(tmp_path / "s", amount=None)
        state.take_in(guests.iloc[::2])
        notes = state.update(guests.iloc[1::2]).audit.notes
    else:
        notes = lw.rfm_summary(form(guests, tmp_path), amount=None, **memory_of(form)).audit.notes
    assert "One customer has 20% of all rows: look whether this id stands for all who have none" in " ".join(notes)


@pytest.mark.parametrize("form", WAYS)
def test_one_id_on_every_last_day_of_a_month_is_pointed_out(form, tmp_path):
    ends = pd.date_range("2024-01-31", "2025-12-31", freq="ME")
    closing = pd.DataFrame({"customer_id": "c9999", "date": ends + pd.Timedelta("18h"), "amount": 30.0})
    rows = pd.concat([PEOPLE, closing], ignore_index=True).sort_values("date")
    found = table_of(form, rows, tmp_path)
    (note,) = found.audit.notes
    assert note.startswith("One customer has a purchase on the last day of every month, 24 in all: look whether")
    assert found.audit.examples["ids to look at"] == ["c9999"]
    subscribers = [closing.assign(customer_id=f"d{k}") for k in range(40)]  # who are billed then
    assert table_of(form, pd.concat([PEOPLE, *subscribers]).sort_values("date"), tmp_path).audit.notes == ()


@pytest.mark.parametrize("form", WAYS)
@pytest.mark.parametrize("word", ["guest", "Total", "UNKNOWN", "-1"])
def test_words_for_nobody_are_pointed_out(form, word, tmp_path):
    rows = PEOPLE.copy()
    rows.loc[[30, 400], "customer_id"] = word
    found = table_of(form, rows, tmp_path)
    (note,) = found.audit.notes
    assert note.startswith("1 id is a word or a number for nobody, such as guest, unknown, total or -1, with 2 purch")
    assert found.audit.examples["ids to look at"] == [word]
    assert word not in str(found.audit).replace(note, "")


def test_numbers_for_nobody_are_pointed_out():
    assert lw.rfm_summary(SHOP).audit.notes == ()
    first = int(SHOP["customer_id"].min())
    ordinary = SHOP.assign(customer_id=SHOP["customer_id"] - first)  # 0 is a customer like any other
    assert lw.rfm_summary(ordinary).audit.notes == ()
    nobody = SHOP.assign(customer_id=SHOP["customer_id"].where(SHOP.index % 12 > 0, 0))
    assert "a word or a number for nobody" in str(lw.rfm_summary(nobody).audit)
    minus = SHOP.assign(customer_id=SHOP["customer_id"].where(SHOP.index != 7, -1))
    assert "a word or a number for nobody" in str(lw.rfm_summary(minus).audit)


# ---- one id in two spellings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", WAYS)
def test_one_number_in_two_spellings_is_pointed_out(form, tmp_path):
    plain = SHOP.assign(customer_id=(SHOP["customer_id"] + 100).astype(str))
    assert table_of(form, plain, tmp_path).audit.notes == ()
    last = plain["customer_id"].iloc[-1]
    for other in (f"{last}.0", f"00{last}"):
        rows = plain.copy()
        rows.loc[rows.index[-1], "customer_id"] = other
        rows.loc[rows.index[0], "customer_id"] = last
        (note,) = table_of(form, rows, tmp_path).audit.notes
        assert note.startswith("1 id is that of another customer but for zeros, as 00123, 123 and 123.0 are")
    padded = plain.assign(customer_id=plain["customer_id"].str.zfill(8))
    assert table_of(form, padded, tmp_path).audit.notes == ()
    rows = plain.copy()
    rows.loc[rows.index[-1], "customer_id"] = "1.23457E+11"
    (note,) = table_of(form, rows, tmp_path).audit.notes
    assert note.startswith("1 id is a number in scientific notation, as 1.23457E+11 is: a spreadsheet has rounded")


# ---- dates that stand apart -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", WAYS)
def test_dates_before_the_shop_and_long_after_it_are_pointed_out(form, tmp_path):
    for wrong, said in ((["1970-01-01"] * 40, "40 customers have a first purchase on 1970-01-01, long before all"),
                        (["1900-01-01"], "1 customer has a first purchase on 1900-01-01, long before all others"),
                        (["2004-03-01", "2004-05-01"], "2 customers have a first purchase between 2004-03-01 and"),
                        (["2204-03-01", "2204-05-01"], "2 customers have a purchase between 2204-03-01 and 2204-05-01"),
                        ):  # fmt: skip
        rows = PEOPLE.copy()
        chosen = rows.drop_duplicates("customer_id").index[: len(wrong)]
        rows["date"] = rows["date"].astype("datetime64[s]")
        rows.loc[chosen, "date"] = pd.to_datetime(wrong).as_unit("s")
        (note,) = table_of(form, rows, tmp_path).audit.notes
        assert note.startswith(said), note


def test_a_shop_that_paused_has_no_note():
    later = PEOPLE.assign(date=PEOPLE["date"] + pd.Timedelta(days=2000), customer_id="d" + PEOPLE["customer_id"])
    assert lw.rfm_summary(pd.concat([PEOPLE, later])).audit.notes == ()


# ---- rows that are there twice ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", WAYS)
def test_rows_doubled_by_a_join_are_pointed_out(form, tmp_path):
    twice = pd.concat([PEOPLE, PEOPLE]).sort_values("date")
    (note,) = table_of(form, twice, tmp_path).audit.notes
    assert note.startswith("Every row is there twice, with equal customer, time and amount, as a join")
    assert table_of(form, twice.iloc[:-1], tmp_path).audit.notes == ()
    if form is not state_of:
        assert table_of(form, twice, tmp_path, duplicates="drop").audit.notes == ()


def test_rows_that_come_again_in_a_later_night_are_pointed_out(tmp_path):
    state = lw.RFMState(tmp_path / "state")
    assert state.update(PEOPLE).audit.notes == ()
    assert "Every row is there twice" in str(state.update(PEOPLE).audit)


def odd_logs():
    """Logs with one fault each."""
    rich = PEOPLE.copy()
    rich.loc[rich["customer_id"] == rich["customer_id"].value_counts().index[3], "amount"] *= 200
    guest, zeros, early = (PEOPLE.copy() for _ in range(3))
    guest.loc[[30, 400], "customer_id"] = "guest"
    zeros["customer_id"] = zeros["customer_id"].str[1:].astype(int).add(1000).astype(str)
    zeros.loc[zeros.index[-1], "customer_id"] = "00" + zeros["customer_id"].iloc[0]
    early["date"] = early["date"].astype("datetime64[s]")
    early.loc[[5, 6], "date"] = pd.Timestamp("1990-01-01").as_unit("s")
    return {"rich": rich, "guest": guest, "zeros": zeros, "early": early, "twice": pd.concat([PEOPLE, PEOPLE])}


@pytest.mark.parametrize("fault", ["rich", "guest", "zeros", "early", "twice"])
def test_formulas_and_cohorts_have_the_notes_of_the_rfm_table(fault):
    rows = odd_logs()[fault]
    wanted = lw.rfm_summary(rows).audit.notes
    assert len(wanted) == 1
    assert tuple(lw.historical_clv(rows).attrs["rows"]["notes"]) == wanted
    assert lw.cohort_table(rows).attrs["audit"].endswith(wanted[0])


# ---- logs that are in order -------------------------------------------------------------------------------------

SHARED = Path(__file__).parents[1] / ".." / "shared" / "data"


def test_logs_that_are_in_order_have_no_notes():
    for rows in (lw.load_cdnow(), lw.load_cdnow(sample=True)):
        assert lw.rfm_summary(rows).audit.notes == ()
        assert lw.historical_clv(rows).attrs["rows"]["notes"] == []
    for seed in range(6):
        for customers in (30, 300, 3000):
            for refunds in (0.0, 0.2):
                shop = lw.simulate_transactions(customers, seed=seed, refunds=refunds).transactions
                shop = shop[["customer_id", "date", "amount"]]
                assert lw.rfm_summary(shop).audit.notes == (), (seed, customers, refunds)
                assert lw.rfm_summary(shop, amount=None, period="W").audit.notes == ()


@pytest.mark.parametrize("name", ["donations", "grocery_panel", "office"])
def test_real_logs_have_no_notes(name):
    path = SHARED / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip("the real logs are not here")
    rows = pd.read_csv(path)
    form = "%m/%d/%Y" if name == "donations" else None
    rfm = lw.rfm_summary(rows, "cust", amount=None, date_format=form)
    assert rfm.audit.notes == ()


@pytest.mark.parametrize(
    "values",
    [["EUR"] * 5, ["aa", "", "a", "a"], ["", ""], ["a", "aa"], ["ab", "ba"], ["EUR", None, "EUR"], [None, None], ["x"]],
)
@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_values_of_further_columns_are_counted(values, kind):
    """A column of one value throughout is recognised by its memory: that must not take others for one."""
    whole = pa.array(["first", *values, "last"], pa.string())
    for array in (pa.array(values, pa.string()), whole.slice(1, len(values))):
        array = array.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else array.cast(kind)
        notes = DataNotes({"currency": Column("currency")})
        notes.add(pa.table({"currency": array}))
        present = [value for value in values if value is not None]
        assert notes.columns["currency"].counts == {value: present.count(value) for value in present}
        assert notes.columns["currency"].rows == len(values)


@pytest.mark.parametrize("kind", ["status", "currency", "mark"])
def test_columns_of_codes_are_counted_as_their_text(kind):
    """Dictionaries, as Parquet stores columns of few values, with missing and repeated values."""
    values = ["paid", None, "cancelled", "paid", " No ", "12.50", "cancelled"] * 3
    plain = pa.array(values, pa.string())
    coded = pa.DictionaryArray.from_arrays(
        pa.array([0, None, 1, 4, 2, 3, 1] * 3, pa.int8()), pa.array(["paid", "cancelled", " No ", "12.50", "paid"])
    )
    assert coded.dictionary_decode().cast(pa.string()).equals(plain)
    expected = data_notes._seen(plain, kind)
    assert data_notes._seen(coded, kind) == expected
    assert data_notes._seen(coded.slice(2, 9), kind) == data_notes._seen(plain.slice(2, 9), kind)
    assert expected.rows == 21
