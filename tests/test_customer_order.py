"""Values given for each customer reach that customer, whatever the order of rows."""

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.rfm import by_customer

PARAMETERS = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}


@pytest.fixture(scope="module")
def clv():
    spend = lw.GammaGamma().from_parameters({"p": 6.25, "q": 3.74, "v": 15.44})
    return lw.CLV(lw.BetaGeo().from_parameters(PARAMETERS, "W"), spend)


@pytest.fixture
def shop():
    """Rows in no order, with what belongs to each customer."""
    rng = np.random.default_rng(3)
    n = 40
    frame = pd.DataFrame(
        {
            "customer_id": rng.permutation(np.arange(100, 100 + n)),
            "frequency": rng.integers(0, 9, n),
            "recency": 0.0,
            "T": rng.integers(30, 60, n).astype(float),
            "monetary_value": rng.uniform(5, 80, n),
            "past_spend": rng.uniform(10, 900, n),
        }
    )
    frame["recency"] = np.where(frame["frequency"] > 0, frame["T"] * 0.7, 0.0)
    frame["margin"] = rng.uniform(0.1, 0.9, n)
    frame["country"] = rng.choice(["IT", "DE", "FR"], n)
    return frame


def truth(clv, frame, **terms):
    """Each customer valued alone, in the order of the rows."""
    alone = [
        clv.predict(lw.RFM.from_frame(frame.iloc[[row]], "W"), "39W", uncertainty=None, margin=margin, **terms)
        for row, margin in enumerate(frame["margin"])
    ]
    return pd.concat(alone).set_index("customer_id")["clv"]


def test_arrays_of_another_order_are_refused(clv, shop):
    rfm = lw.RFM.from_frame(shop, "W")
    assert list(rfm.customer_id) == sorted(shop["customer_id"])
    np.testing.assert_array_equal(shop["customer_id"].to_numpy()[rfm.row_order], rfm.customer_id)
    for name in ("margin", "cost_per_order", "cost_per_active_year", "acquisition_cost"):
        for values in (shop["margin"].to_numpy(), list(shop["margin"]), shop["margin"].array):
            with pytest.raises(lw.UsageError, match=rf"{name} is an array, and the RFM table was sorted") as caught:
                clv.predict(rfm, "39W", **{name: values})
            assert "\n" not in str(caught.value)
    for values in (shop["country"].to_numpy(), list(shop["country"])):
        with pytest.raises(lw.UsageError, match="by is an array, and the RFM table was sorted"):
            clv.predict_total(rfm, "39W", by=values)
    with pytest.raises(lw.UsageError, match="margin is an array"):
        clv.predict(rfm.take(rfm.frequency >= 0), "39W", margin=shop["margin"].to_numpy())


@pytest.mark.parametrize("make", [lambda s: s, dict], ids=["series", "dict"])
def test_values_by_customer_reach_their_customer(make, clv, shop):
    rfm = lw.RFM.from_frame(shop, "W")
    margin = make(shop.sample(frac=1, random_state=1).set_index("customer_id")["margin"])
    told = clv.predict(rfm, "39W", uncertainty=None, margin=margin).set_index("customer_id")["clv"]
    # rtol: means over draws are summed in another order
    pd.testing.assert_series_equal(told.loc[shop["customer_id"]], truth(clv, shop), rtol=1e-12)
    by = make(shop.set_index("customer_id")["country"])
    totals = clv.predict_total(rfm, "39W", by=by, margin=margin, uncertainty="mean").to_pandas()
    expected = truth(clv, shop).groupby(shop.set_index("customer_id")["country"]).sum()
    for country, value in expected.items():
        assert totals.loc[(country, "value"), "expected"] == pytest.approx(value, rel=1e-12)


def test_a_series_by_row_number_is_refused(clv, shop):
    numbered = shop.assign(
        customer_id=np.random.default_rng(1).permutation(len(shop))
    )  # ids that look like row numbers
    for frame in (shop, numbered, numbered.sort_values("customer_id", ignore_index=True)):
        rfm = lw.RFM.from_frame(frame, "W")
        with pytest.raises(lw.UsageError, match="index of margin counts rows and does not hold customer ids"):
            clv.predict(rfm, "39W", margin=frame["margin"])
        with pytest.raises(lw.UsageError, match="index of by counts rows and does not hold customer ids"):
            clv.predict_total(rfm, "39W", by=frame["country"])
    margin = numbered.set_index("customer_id")["margin"].sort_index()
    assert len(clv.predict(lw.RFM.from_frame(numbered, "W"), "39W", margin=margin, uncertainty=None)) == len(shop)
    margin = dict(enumerate(margin))
    assert len(clv.predict(lw.RFM.from_frame(numbered, "W"), "39W", margin=margin, uncertainty=None)) == len(shop)


def test_arrays_follow_rows_in_the_order_of_ids(clv, shop):
    frame = shop.sort_values("customer_id", ignore_index=True)
    rfm = lw.RFM.from_frame(frame, "W")
    assert rfm.row_order is None
    told = clv.predict(rfm, "39W", uncertainty=None, margin=frame["margin"].to_numpy())
    # rtol: means over draws are summed in another order
    np.testing.assert_allclose(told["clv"], truth(clv, frame), rtol=1e-12)


def test_a_table_given_as_it_is_keeps_the_order_of_its_rows(clv, shop):
    fit = clv.purchases
    ids = list(shop["customer_id"])
    told = clv.predict(shop, "39W", uncertainty=None, margin=shop["margin"].to_numpy())
    assert list(told["customer_id"]) == ids
    np.testing.assert_allclose(told["clv"], truth(clv, shop), rtol=1e-12)  # summed in another order
    totals = clv.predict_total(
        shop, "39W", by=shop["country"].to_numpy(), margin=list(shop["margin"]), uncertainty="mean"
    ).to_pandas()
    expected = truth(clv, shop).groupby(shop["country"].to_numpy()).sum()
    assert totals.loc[("IT", "value"), "expected"] == pytest.approx(expected["IT"], rel=1e-12)
    rfm = lw.RFM.from_frame(shop, "W")
    place = rfm.customer_id.get_indexer(ids)
    for answer in (
        lambda table: fit.probability_alive(table),
        lambda table: fit.probability_alive(table, draws=True),
        lambda table: fit.probability_alive(table, horizon="13W"),
        lambda table: fit.expected_purchases(table, "39W"),
        lambda table: fit.expected_purchases(table, "39W", draws=True),
        lambda table: fit.probability_no_purchase(table, "39W"),
        lambda table: fit.purchase_pmf(table, "39W", 3),
    ):
        np.testing.assert_array_equal(answer(shop), answer(rfm)[place])


@pytest.mark.parametrize("values", [["a"] * 3, np.ones((40, 2)), "IT", 7])
def test_another_number_of_values_is_one_sentence(values, clv, shop):
    with pytest.raises(lw.UsageError, match=r"by has [\d,]+ groups for 40 customers"):
        clv.predict_total(lw.RFM.from_frame(shop, "W"), "39W", by=values)


def test_a_customer_twice_or_missing_is_one_sentence(clv, shop):
    rfm = lw.RFM.from_frame(shop, "W")
    margin = shop.set_index("customer_id")["margin"]
    twice = pd.concat([margin, margin.iloc[:2]])
    with pytest.raises(lw.DataError, match="margin has more than one value for customers such as"):
        clv.predict(rfm, "39W", margin=twice)
    with pytest.raises(lw.DataError, match=r"1 of 40 customers are not in it"):
        clv.predict(rfm, "39W", margin=margin.iloc[1:])
    with pytest.raises(lw.DataError, match=r"40 of 40 customers are not in it"):
        clv.predict(rfm, "39W", margin=margin.set_axis(margin.index.astype(str)))


def test_what_is_missing_for_a_customer_is_no_number(clv, shop):
    margin = shop.set_index("customer_id")["margin"]
    margin.iloc[0] = np.nan
    with pytest.raises(lw.UsageError, match="margin=nan must lie between 0 and 1"):
        clv.predict(lw.RFM.from_frame(shop, "W"), "39W", margin=margin)


def test_customers_are_taken_by_id_or_by_the_order_of_the_table(shop):
    rfm = lw.RFM.from_frame(shop, "W")
    italian = shop.set_index("customer_id")["country"] == "IT"
    assert set(rfm.take(italian).customer_id) == set(shop.loc[shop["country"] == "IT", "customer_id"])
    with pytest.raises(lw.UsageError, match="index of rows counts rows"):
        rfm.take(shop["country"] == "IT")
    assert len(rfm.take(rfm.frequency > 0)) == (shop["frequency"] > 0).sum()


def test_alignment_is_by_the_ids_own_type():
    rfm = lw.RFM.from_frame(pd.DataFrame({"customer_id": ["b", "a"], "frequency": 0, "recency": 0, "T": 1}), "W")
    assert list(by_customer({"a": 1.0, "b": 2.0}, rfm, "margin")) == [1.0, 2.0]
    assert list(by_customer(pd.Series(["x", "y"], index=["b", "a"]), rfm, "by")) == ["y", "x"]
