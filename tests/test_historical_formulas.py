"""Net value, present value, memberships, windows and acquisition, against sums done by hand."""

import datetime as dt
import math
from decimal import Decimal, localcontext

import numpy as np
import pandas as pd
import pytest

import lifeworth as lw
from lifeworth.errors import DataError, UsageError
from lifeworth.historical.formulas import wilson

YEAR = 365.2425


def purchases(*rows, columns=("customer_id", "date", "amount", "shop", "returns", "cac")):
    return pd.DataFrame(rows, columns=list(columns))


TX = purchases(
    ("ann", "2023-01-01", 10.0, "north", 0.0, 12.0),
    ("ann", "2023-01-01T18:00", 5.0, "north", 1.5, None),  # the same day: the same order
    ("ann", "2023-04-11", 25.0, "south", 0.0, None),  # day 100
    ("bob", "2023-06-01", 40.0, "north", 2.5, 30.0),  # 214 days before the end
    ("eve", "2023-12-31", 20.0, "south", 0.0, 0.0),
)
COSTS = {
    "payments": lw.Cost(0.03, per="revenue"),
    "support": lw.Cost(2, per="order"),
    "onboarding": lw.Cost(1, per="customer"),
    "service": lw.Cost(12, per="year"),
    "returns": "returns",
}


def months(first, count, who, price=10.0):
    starts = pd.date_range(first, periods=count, freq="MS")
    return pd.DataFrame({"customer_id": who, "date": starts, "amount": price})


# Chances to renew up to June: ann 5 of 6 months, bob 3 of 3 (and did 2 times), eve 2 of 3.
MEMBERS = pd.concat([months("2023-01", 6, "ann"), months("2023-01", 3, "bob"), months("2023-04", 3, "eve")])


# ---- net value --------------------------------------------------------------------------------------------------


def test_net_value_by_hand():
    worth = lw.historical_clv(TX, "net_value", margin=0.5, costs=COSTS, acquisition_cost=10).loc["all"]
    service = 12 * (365 + 214 + 1) / YEAR
    net = 50 - 3 - 8 - 3 - service - 4 - 30
    assert worth["gross_margin"] == 50.0
    parts = [worth[f"cost_{name}"] for name in COSTS]
    assert parts == pytest.approx([3, 8, 3, service, 4], rel=1e-14)
    assert worth["acquisition"] == 30.0
    assert worth["net_value"] == pytest.approx(net, rel=1e-13)
    assert worth["clv"] == pytest.approx(net / 3, rel=1e-13)
    # What acquisition cost is not taken off twice.
    assert worth["ltv_to_cac"] == pytest.approx((net + 30) / 30, rel=1e-13)
    assert worth["allowable_cac"] == pytest.approx((net + 30) / 3 / 3, rel=1e-13)


def test_net_value_without_costs_is_revenue_per_customer():
    net = lw.historical_clv(TX, "net_value", margin=0.3, by="shop")
    plain = lw.historical_clv(TX, margin=0.3, by="shop")
    np.testing.assert_allclose(net["clv"], plain["clv"], rtol=1e-15)


def test_net_value_by_customer():
    worth = lw.historical_clv(TX, "net_value", by="customer_id", costs={"returns": "returns"}, acquisition_cost="cac")
    assert worth["clv"].to_dict() == {"ann": 40 - 1.5 - 12, "bob": 40 - 2.5 - 30, "eve": 20.0}
    assert worth["acquisition_cost"].to_dict() == {"ann": 12.0, "bob": 30.0, "eve": 0.0}
    assert worth["ltv_to_cac"].to_dict() == {"ann": 38.5 / 12, "bob": 37.5 / 30, "eve": math.inf}
    assert worth["payback_days"].to_dict() == {"ann": 0.0, "bob": 0.0, "eve": 0.0}
    assert worth.attrs["notes"] == [
        "In 1 rows acquisition cost nothing: ltv_to_cac is infinite, or NaN where clv is 0 too."
    ]


def test_an_order_sent_back_still_costs():
    frame = purchases(
        ("ann", "2023-01-01", 10.0, "x", 1.0, None),
        ("ann", "2023-02-01", 30.0, "x", 4.0, None),
        ("ann", "2023-02-01", -30.0, "x", 5.0, None),
        ("bob", "2023-02-01", 30.0, "x", 6.0, None),
        ("bob", "2023-02-01", -30.0, "x", 7.0, None),
    )
    worth = lw.historical_clv(frame, "net_value", costs={"returns": "returns"})
    assert worth.loc["all", ["customers", "orders", "revenue", "cost_returns"]].tolist() == [1, 1, 10.0, 10.0]
    # bob has bought nothing that counts: his 13 are in no row, and said.
    assert worth.attrs["notes"] == [
        "'returns' holds 13.00 of customers without a purchase that counts: it is in no row of this table."
    ]


def test_a_window_is_not_charged_for_customers_who_came_before():
    options = {"acquisition_cost": 10, "costs": {"onboarding": lw.Cost(1, per="customer")}}
    worth = lw.historical_clv(TX, "net_value", start="2023-04-01", **options)
    assert worth.loc["all", ["customers", "acquisition", "cost_onboarding"]].tolist() == [3, 20.0, 2.0]
    assert worth.attrs["notes"][0].startswith("1 customers came before the start: what was paid once")
    service = lw.historical_clv(TX, "net_value", start="2023-12-01", costs={"s": lw.Cost(YEAR, per="year")})
    assert service["cost_s"].item() == pytest.approx(1, rel=1e-12)  # eve alone, who was there for a day


# ---- present value and today's money ------------------------------------------------------------------------------


def carried(flows, rate, as_of):
    """Flows (date, money) at a yearly rate to `as_of`, with 50 digits."""
    with localcontext() as context:
        context.prec = 50
        total = Decimal(0)
        for day, money in flows:
            years = Decimal((as_of - day).days) / Decimal("365.2425")
            total += Decimal(str(money)) * (1 + Decimal(str(rate))) ** years
        return float(total)


FLOWS = {
    "ann": [(dt.date(2023, 1, 1), 15), (dt.date(2023, 4, 11), 25)],
    "bob": [(dt.date(2023, 6, 1), 40)],
    "eve": [(dt.date(2023, 12, 31), 20)],
}


@pytest.mark.parametrize("rate", [0.1, 0.0, -0.05, 1.0])
@pytest.mark.parametrize("as_of", [None, "2026-02-28", "2020-01-01"])
def test_present_value_is_the_sum_of_flows_one_by_one(rate, as_of):
    day = dt.date(2023, 12, 31) if as_of is None else dt.date.fromisoformat(as_of)
    worth = lw.historical_clv(TX, "present_value", discount_rate=rate, as_of=as_of, by="customer_id", margin=0.5)
    expected = {who: carried(flows, rate, day) * 0.5 for who, flows in FLOWS.items()}
    assert worth["clv"].to_dict() == pytest.approx(expected, rel=1e-14)
    total = lw.historical_clv(TX, "present_value", discount_rate=rate, as_of=as_of, margin=0.5)
    assert total["net_value"].item() == pytest.approx(sum(expected.values()), rel=1e-14)


def test_present_value_on_the_day_of_acquisition():
    options = {"discount_rate": 0.1, "as_of": "first_purchase", "acquisition_cost": 10}
    worth = lw.historical_clv(TX, "present_value", by="customer_id", **options)
    ann = 15 + 25 * 1.1 ** (-100 / YEAR) - 10
    assert worth["clv"].to_dict() == pytest.approx({"ann": ann, "bob": 30, "eve": 10}, rel=1e-14)
    assert worth["ltv_to_cac"].to_dict() == pytest.approx({"ann": (ann + 10) / 10, "bob": 4, "eve": 2}, rel=1e-14)


def test_acquisition_is_carried_to_the_day_that_value_is():
    early = lw.historical_clv(TX, "present_value", discount_rate=0.1, as_of="2023-01-01", acquisition_cost=10)
    late = lw.historical_clv(TX, "present_value", discount_rate=0.1, as_of="2033-01-01", acquisition_cost=10)
    assert late["acquisition_cost"].item() == pytest.approx(early["acquisition_cost"].item() * 1.1 ** (3653 / YEAR))
    assert late["ltv_to_cac"].item() == pytest.approx(early["ltv_to_cac"].item(), rel=1e-13)


def test_costs_are_carried_like_sales():
    rate, day = 0.2, dt.date(2024, 12, 31)
    worth = lw.historical_clv(TX, "present_value", discount_rate=rate, as_of="2024-12-31", costs=COSTS).loc["all"]
    flows = [flow for each in FLOWS.values() for flow in each]
    firsts = [(each[0][0], 1) for each in FLOWS.values()]
    assert worth["cost_payments"] == pytest.approx(0.03 * carried(flows, rate, day), rel=1e-13)
    assert worth["cost_support"] == pytest.approx(carried([(when, 2) for when, _ in flows], rate, day), rel=1e-13)
    assert worth["cost_onboarding"] == pytest.approx(carried(firsts, rate, day), rel=1e-13)
    returns = carried([(dt.date(2023, 1, 1), 1.5), (dt.date(2023, 6, 1), 2.5)], rate, day)
    assert worth["cost_returns"] == pytest.approx(returns, rel=1e-13)
    # Service flows all the time: sums of a thousand slices a day, taken in their middle, come near.
    slices = 0.0
    for first, _ in firsts:
        middles = (np.arange((dt.date(2024, 1, 1) - first).days * 1000) + 0.5) / 1000
        slices += (12 / YEAR / 1000 * (1 + rate) ** (((day - first).days - middles) / YEAR)).sum()
    assert worth["cost_service"] == pytest.approx(slices, rel=1e-9)  # of slices of a thousandth of a day


def test_todays_money_at_a_rate_is_present_value_at_that_rate():
    one = lw.historical_clv(TX, "todays_money", inflation=0.07, as_of="2026-06-01", by="shop")
    other = lw.historical_clv(TX, "present_value", discount_rate=0.07, as_of="2026-06-01", by="shop")
    np.testing.assert_allclose(one["clv"], other["clv"], rtol=1e-13)


INDEX = pd.Series([100.0, 110.0, 121.0, 132.0], index=pd.period_range("2023Q1", periods=4, freq="Q"))


@pytest.mark.parametrize(
    "inflation",
    [
        INDEX,
        INDEX.to_timestamp(),
        INDEX.iloc[::-1],
        INDEX.set_axis(["2023-01-01", "2023-04-01", "2023-07-01", "2023-10-01"]),
        INDEX.astype("Float64") / 7,
    ],
)
def test_todays_money_by_an_index(inflation):
    worth = lw.historical_clv(TX, "todays_money", inflation=inflation, margin=0.5).loc["all"]
    today = 15 * 132 / 100 + 25 * 132 / 110 + 40 * 132 / 110 + 20
    assert worth["revenue_today"] == pytest.approx(today, rel=1e-14)
    assert worth["clv"] == pytest.approx(today / 3 * 0.5, rel=1e-14)


def test_an_index_by_years():
    yearly = pd.Series([90.0, 100.0, 125.0], index=[2022, 2023, 2024])
    worth = lw.historical_clv(TX, "todays_money", inflation=yearly, as_of="2024-06-30")
    assert worth["revenue_today"].item() == 125.0


@pytest.mark.parametrize(
    ("inflation", "options", "error", "match"),
    [
        (INDEX[1:], {}, DataError, r"begins on 2023-04-01, and the purchases of the window on 2023-01-01"),
        (INDEX, {"as_of": "2024-02-01"}, DataError, r"ends before 2024-01-01, and as_of reaches 2024-02-01"),
        (INDEX[:1], {}, UsageError, r"fewer than two values"),
        (INDEX.set_axis(list("abcd")), {}, UsageError, r"no dates, periods or years"),
        (-INDEX, {}, UsageError, r"not all positive"),
        (INDEX.set_axis(["2023-01-01"] * 4), {}, UsageError, r"stand there twice"),
        ("3%", {}, UsageError, r"inflation='3%' must be a rate per year"),
        (0.03, {"as_of": "first_purchase"}, UsageError, r"has a meaning for present_value only"),
        (0.03, {"as_of": "soon"}, UsageError, r"as_of='soon' is not a date"),
    ],
)
def test_an_index_that_does_not_do(inflation, options, error, match):
    with pytest.raises(error, match=match):
        lw.historical_clv(TX, "todays_money", inflation=inflation, **options)


# ---- cost to revenue, contribution margin -------------------------------------------------------------------------


def test_cost_to_revenue_by_hand():
    worth = lw.historical_clv(TX, "cost_to_revenue", cost_ratio=0.6, duration=3).loc["all"]
    assert worth["yearly_revenue"] == pytest.approx(100 / 3 / (365 / YEAR), rel=1e-14)
    assert worth["clv"] == pytest.approx(100 / 3 / (365 / YEAR) * 0.4 * 3, rel=1e-14)


@pytest.mark.parametrize("duration", ["observed", 2.5])
def test_cost_to_revenue_is_order_value_frequency_duration_in_other_words(duration):
    one = lw.historical_clv(TX, "cost_to_revenue", cost_ratio=0.6, duration=duration, by="customer_id")
    other = lw.historical_clv(TX, "aov_frequency_duration", margin=0.4, duration=duration, by="customer_id")
    np.testing.assert_allclose(one["clv"], other["clv"], rtol=1e-13)


def test_cost_ratio_from_a_column():
    worth = lw.historical_clv(TX, "cost_to_revenue", cost_ratio="returns", by="shop")
    assert worth["cost_ratio"].to_dict() == {"north": 4 / 55, "south": 0.0}
    dear = lw.historical_clv(TX.assign(returns=50.0), "cost_to_revenue", cost_ratio="returns", duration=1)
    assert dear["clv"].item() < 0
    assert "cost_ratio above 1" in dear.attrs["notes"][0]
    free = lw.historical_clv(TX.assign(amount=0.0), "cost_to_revenue", cost_ratio="returns", duration=1)
    assert math.isinf(free["cost_ratio"].item())
    assert free["clv"].item() == pytest.approx(-4 / 3 / (365 / YEAR), rel=1e-14)


def test_contribution_margin_by_hand():
    worth = lw.historical_clv(
        TX, "contribution_margin", margin=0.5, costs={"support": lw.Cost(2), "returns": "returns"}
    ).loc["all"]
    assert worth["contribution"] == 50 - 8 - 4
    assert worth["clv"] == pytest.approx(38 / 3, rel=1e-14)
    assert worth["average_order_value"] == 25.0
    assert worth["orders_per_customer"] == pytest.approx(4 / 3)
    assert worth["tenure"] == pytest.approx((365 + 214 + 1) / 3 / YEAR, rel=1e-14)
    assert worth["loyalty"] == pytest.approx(1 / 3)
    with pytest.raises(UsageError, match=r"'service' per year is no part of a contribution margin"):
        lw.historical_clv(TX, "contribution_margin", costs={"service": lw.Cost(2, per="year")})


def test_tenure_is_counted_from_the_first_order_ever():
    worth = lw.historical_clv(TX, "contribution_margin", start="2023-04-01", by="customer_id")
    assert worth.loc["ann", "tenure"] == pytest.approx(365 / YEAR, rel=1e-14)
    assert worth.loc["ann", "loyalty"] == 0.0  # one order in the window


# ---- memberships --------------------------------------------------------------------------------------------------


def test_retention_by_hand():
    worth = lw.historical_clv(MEMBERS, "retention", end="2023-06-30", margin=0.5, discount_rate=0.1).loc["all"]
    assert worth[["active_periods", "chances", "renewals"]].tolist() == [12, 10, 9]
    discount = 1.1 ** (1 / 12) - 1
    assert worth["retention"] == 0.9
    assert worth["margin_per_period"] == 5.0
    assert worth["clv"] == pytest.approx(5 * 0.9 / (1 + discount - 0.9), rel=1e-13)
    low, high = worth["retention_lower"], worth["retention_upper"]
    assert worth["clv_lower"] == pytest.approx(5 * low / (1 + discount - low), rel=1e-13)
    assert worth["clv_upper"] == pytest.approx(5 * high / (1 + discount - high), rel=1e-13)
    # The sum that the formula is short for: margin in k periods if still there, discounted.
    series = sum(5 * 0.9**k / 1.1 ** (k / 12) for k in range(1, 2000))
    assert worth["clv"] == pytest.approx(series, rel=1e-12)  # 0.9^2000 is nothing


@pytest.mark.parametrize(("successes", "trials"), [(9, 10), (0, 7), (7, 7), (1, 1), (123, 4567)])
def test_the_interval_is_wilsons(successes, trials):
    lower, upper = wilson(successes, trials, 0.95)
    share = successes / trials
    assert 0 <= lower <= share <= upper <= 1
    # Its bounds are where the score test rejects: 1.959964 standard errors away, by the bound's own variance.
    for bound in (lower, upper):
        if 0 < bound < 1:
            assert abs(share - bound) == pytest.approx(1.959963984540054 * math.sqrt(bound * (1 - bound) / trials))


def test_the_last_month_counts_when_it_is_over():
    # Without an end the window ends with 1 June, in a month that is not over: who has not paid still may.
    worth = lw.historical_clv(MEMBERS, "retention", discount_rate=0.1).loc["all"]
    assert worth[["chances", "renewals"]].tolist() == [8, 7]
    # From 15 March on March is not whole: April to June are.
    late = lw.historical_clv(MEMBERS, "retention", discount_rate=0.1, start="2023-03-15", end="2023-06-30").loc["all"]
    assert late[["customers", "active_periods", "chances", "renewals"]].tolist() == [2, 6, 4, 4]


def test_a_pause_is_a_loss():
    frame = pd.concat([months("2023-01", 2, "ann"), months("2023-04", 2, "ann")])
    worth = lw.historical_clv(frame, "retention", end="2023-05-31", discount_rate=0.1).loc["all"]
    assert worth[["active_periods", "chances", "renewals"]].tolist() == [4, 3, 2]


@pytest.mark.parametrize(("renewal", "chances"), [("D", 12), ("W", 12), ("Q", 2), ("Y", 0)])
def test_other_renewal_periods(renewal, chances):
    options = {"end": "2023-06-30", "discount_rate": 0.1, "renewal": renewal}
    if chances:
        # Nobody pays twice in days or weeks that follow each other; ann and bob meet a second quarter, ann renews.
        worth = lw.historical_clv(MEMBERS, "retention", **options).loc["all"]
        assert worth["chances"] == chances
        assert worth["renewals"] == (1 if renewal == "Q" else 0)
    else:
        with pytest.raises(DataError, match=r'Nobody has had a chance to renew: .* renewal="Y"'):
            lw.historical_clv(MEMBERS, "retention", **options)


def test_retention_without_end():
    loyal = months("2023-01", 6, "ann")
    with pytest.raises(DataError, match=r"Everybody renewed \(retention 100%\).*without end"):
        lw.historical_clv(loyal, "retention", end="2023-06-30", discount_rate=0)
    worth = lw.historical_clv(loyal, "retention", end="2023-06-30", discount_rate=0.1).loc["all"]
    assert worth["retention"] == worth["retention_upper"] == 1.0
    assert worth["clv"] == pytest.approx(10 / (1.1 ** (1 / 12) - 1), rel=1e-12)
    with pytest.raises(UsageError, match=r"retention=1 is not below 1 \+ discount rate"):
        lw.historical_clv(loyal, "retention", discount_rate=0, retention=1)
    by_group = lw.historical_clv(
        MEMBERS.assign(plan=MEMBERS["customer_id"].map({"ann": "a", "bob": "b", "eve": "a"})),
        "retention", by="plan", end="2023-06-30", discount_rate=0,
    )  # fmt: skip
    assert by_group["clv"].to_dict() == pytest.approx({"a": math.inf, "b": 10 * 2 / 3 / (1 / 3)})
    assert "clv is without end, shown as inf" in by_group.attrs["notes"][0]


def test_a_group_that_could_not_renew_yet():
    frame = pd.concat([MEMBERS.assign(plan="old"), months("2023-06", 1, "kim").assign(plan="new")])
    worth = lw.historical_clv(frame, "retention", by="plan", end="2023-06-30", discount_rate=0.1)
    assert worth["chances"].to_dict() == {"new": 0, "old": 10}
    assert math.isnan(worth.loc["new", "clv"])
    assert worth.loc["old", "retention"] == 0.9
    assert "no customer has had a chance to renew" in worth.attrs["notes"][0]


def test_retention_that_is_known():
    worth = lw.historical_clv(MEMBERS, "retention", end="2023-06-30", discount_rate=0, retention=0.8).loc["all"]
    assert worth["clv"] == pytest.approx(10 * 0.8 / 0.2, rel=1e-13)
    assert "retention_lower" not in worth.index


# ---- windows from the first purchase ------------------------------------------------------------------------------


def test_windows_by_hand():
    worth = lw.historical_clv(TX, "first_purchase_windows", windows=(1, 100, 101, 365), margin=0.5)
    assert worth.index.tolist() == [("all", 1), ("all", 100), ("all", 101), ("all", 365)]
    assert worth["customers"].tolist() == [3, 2, 2, 1]  # eve has been here for one day, bob for 214
    assert worth["too_young"].tolist() == [0, 1, 1, 2]
    assert worth["revenue"].tolist() == [75.0, 55.0, 80.0, 40.0]  # ann's second order is on day 100: in 101 days
    assert worth["orders"].tolist() == [3, 2, 3, 2]
    assert worth["clv"].tolist() == [12.5, 13.75, 20.0, 20.0]
    assert worth.attrs["notes"][0] == "1 of 3 customers are too young for 100 days and are left out of them."


def test_windows_by_the_source_of_the_first_order():
    worth = lw.historical_clv(TX, "first_purchase_windows", by="shop", windows=[101])
    assert worth.index.names == ["shop", "days"]
    # ann came by north: what she bought in the south is what north brought.
    assert worth.loc[("north", 101), ["customers", "revenue"]].tolist() == [2, 80.0]
    assert worth.loc[("south", 101), ["customers", "too_young"]].tolist() == [0, 1]
    assert math.isnan(worth.loc[("south", 101), "clv"])
    assert worth.attrs["notes"][-1] == "In 1 rows no customer is old enough (customers is 0): clv is NaN."


def test_windows_leave_out_those_who_came_before_the_start():
    worth = lw.historical_clv(TX, "first_purchase_windows", start="2023-04-01", windows=[30])
    assert worth["customers"].tolist() == [1]
    assert worth["revenue"].tolist() == [40.0]
    assert "1 customers came before the start" in worth.attrs["notes"][1]


def test_a_cohort_that_is_too_young():
    with pytest.raises(DataError, match=r"No customer's first purchase is 400 days or more before the end"):
        lw.historical_clv(TX, "first_purchase_windows", windows=[400])
    with pytest.raises(UsageError, match=r'period="W" is too coarse for windows of days'):
        lw.historical_clv(TX, "first_purchase_windows", period="W")


def test_the_group_of_the_first_order_is_that_of_its_earliest_row():
    frame = purchases(
        ("ann", "2023-01-01T12:00", 99.0, "late", 0, None),
        ("ann", "2023-01-01T09:00", 1.0, "early", 0, None),
        ("ann", "2023-01-01T08:00", -0.5, "refund", 0, None),
        ("bob", "2023-01-01T09:00", 5.0, "small", 0, None),
        ("bob", "2023-01-01T09:00", 6.0, "large", 0, None),
        ("eve", "2022-12-01", 6.0, "undone", 0, None),
        ("eve", "2022-12-01", -6.0, "undone", 0, None),
        ("eve", "2023-01-02", 7.0, None, 0, None),
    )
    worth = lw.historical_clv(frame, by="shop", assign="first_order")
    assert [*worth.index[:2], pd.isna(worth.index[2])] == ["early", "large", True]
    assert worth["revenue"].tolist() == [99.5, 11.0, 7.0]


# ---- cohorts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cohort", "labels"),
    [
        ("M", ["2023-01-01", "2023-06-01", "2023-12-01"]),
        ("Q", ["2023-01-01", "2023-04-01", "2023-10-01"]),
        ("Y", ["2023-01-01"]),
        ("W", ["2022-12-26", "2023-05-29", "2023-12-25"]),
        ("D", ["2023-01-01", "2023-06-01", "2023-12-31"]),
    ],
)
def test_cohorts_are_those_of_the_first_purchase(cohort, labels):
    worth = lw.historical_clv(TX, by="cohort", cohort=cohort)
    assert worth.index.name == "cohort"
    assert worth.index.strftime("%Y-%m-%d").tolist() == labels
    assert worth["revenue"].tolist() == ([100.0] if cohort == "Y" else [40.0, 40.0, 20.0])


def test_cohorts_know_the_time_before_the_window():
    worth = lw.historical_clv(TX, by="cohort", start="2023-04-01")
    assert worth["revenue"].tolist() == [25.0, 40.0, 20.0]
    assert worth.index[0] == pd.Timestamp("2023-01-01")


def test_a_column_named_cohort_is_not_passed_over(dressed):
    frame = TX.drop(columns="cac").assign(cohort="mine")
    with pytest.raises(UsageError, match=r"the table has a column 'cohort' as well"):
        lw.historical_clv(dressed(frame), by="cohort")
    assert len(lw.historical_clv(dressed(frame.drop(columns="cohort")), by="cohort")) == 3


# ---- acquisition --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cost", "days"), [(0, 0), (25, 0), (25.01, 100), (37.5, 100), (37.51, None)])
def test_payback_is_when_the_mean_customer_has_paid_for_it(cost, days):
    # On day 0 three customers have brought 75, 25 each; on day 100 two have been seen, who brought 25 more: 12.50 each.
    worth = lw.historical_clv(TX, acquisition_cost=cost)
    assert worth["payback_days"].item() == days or (days is None and math.isnan(worth["payback_days"].item()))
    assert ("payback_days is NaN" in " ".join(worth.attrs["notes"])) == (days is None)


def test_payback_asks_those_who_have_been_seen_at_that_age():
    frame = purchases(
        ("ann", "2023-01-01", 10.0, "x", 0, None),
        ("ann", "2023-01-11", 10.0, "x", 0, None),
        ("bob", "2023-01-02", 10.0, "x", 0, None),
    )
    # On the day ann was ten days old bob was nine: 10 each on day 0, and 10 of one on day 10. A day later it is 5 each.
    options = {"acquisition_cost": 18}
    assert lw.historical_clv(frame, end="2023-01-11", **options)["payback_days"].item() == 10
    assert math.isnan(lw.historical_clv(frame, end="2023-01-12", **options)["payback_days"].item())


def test_payback_pays_other_costs_first():
    options = {"acquisition_cost": 20, "costs": {"x": lw.Cost(1), "y": lw.Cost(0.02, per="revenue"), "r": "returns"}}
    # A customer brings 25 - 1 - 0.50 - 4 / 3 on day 0: 22.17.
    assert lw.historical_clv(TX, "net_value", **options)["payback_days"].item() == 0
    assert lw.historical_clv(TX, "net_value", **options | {"acquisition_cost": 22.17})["payback_days"].item() == 100
    dear = options | {"costs": options["costs"] | {"onboarding": lw.Cost(3, per="customer")}}
    assert lw.historical_clv(TX, "net_value", **dear)["payback_days"].item() == 100
    # By day 100 service has cost 100 / 365.2425 of 50, 13.69, and 34.48 less that is 20.79.
    steady = {"s": lw.Cost(50, per="year")}
    gains = lambda cac: lw.historical_clv(TX, "net_value", acquisition_cost=cac, costs=steady)["payback_days"].item()  # noqa: E731
    assert gains(25) == 0
    assert math.isnan(gains(25.1))  # 37.50 - 13.69 on day 100 is less


def test_allowable_cost_of_acquisition():
    worth = lw.historical_clv(TX, margin=0.3, target_ratio=4)
    assert worth["allowable_cac"].item() == 10 / 4
    assert "ltv_to_cac" not in worth
    assert lw.historical_clv(TX, margin=0.3, acquisition_cost=5)["allowable_cac"].item() == pytest.approx(10 / 3)
    losing = lw.historical_clv(TX, "net_value", costs={"x": lw.Cost(99)}, target_ratio=3)
    assert losing["allowable_cac"].item() == 0.0


def test_margin_of_nothing_pays_nothing_back():
    worth = lw.historical_clv(TX, margin=0, acquisition_cost=1)
    assert worth["clv"].item() == worth["ltv_to_cac"].item() == worth["allowable_cac"].item() == 0.0
    assert math.isnan(worth["payback_days"].item())


def test_windows_know_the_cost_of_those_who_are_old_enough():
    worth = lw.historical_clv(TX, "first_purchase_windows", windows=[100, 365], acquisition_cost="cac")
    assert worth["acquisition_cost"].tolist() == [21.0, 12.0]
    assert worth["ltv_to_cac"].tolist() == [27.5 / 21, 40 / 12]


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ([1.0, 2.0, 1.0, 3.0, 4.0], r"says two things of 1 customers \(first: ann\)"),
        ([1.0, None, None, None, 4.0], r"says nothing readable of 1 customers \(first: bob\): write 0"),
        ([1.0, None, None, -3.0, 4.0], r"is negative for 1 customers \(first: bob\)"),
    ],
)
def test_a_column_of_acquisition_costs_that_cannot_be(values, match):
    with pytest.raises(DataError, match=match):
        lw.historical_clv(TX.assign(cac=values), acquisition_cost="cac")


def test_costs_must_be_known_in_every_row(dressed):
    frame = TX.drop(columns="cac").assign(returns=[0.0, None, 1.0, None, 1.0])
    with pytest.raises(DataError, match=r"'returns' has no readable amount in 2 rows \(first customers: ann, bob\)"):
        lw.historical_clv(dressed(frame), "net_value", costs={"returns": "returns"})
    worth = lw.historical_clv(dressed(frame.fillna({"returns": 2.0})), "net_value", costs={"returns": "returns"})
    assert worth["cost_returns"].item() == 6.0


# ---- options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "options", "match"),
    [
        (
            "revenue_per_customer",
            {"discount_rate": 0.1},
            r"discount_rate has no part in .*'present_value', 'retention'",
        ),
        ("cost_to_revenue", {"cost_ratio": 0.5, "margin": 0.5}, r"margin has no part in"),
        ("net_value", {"duration": 3}, r"duration has no part in"),
        ("present_value", {}, r"needs discount_rate"),
        ("todays_money", {}, r"needs inflation"),
        ("cost_to_revenue", {}, r"needs cost_ratio"),
        ("present_value", {"discount_rate": 5}, r"must lie between -1 and 1: write 10 % as 0.1"),
        ("net_value", {"costs": 5}, r"must say what each cost is"),
        ("net_value", {"costs": {"x": 5}}, r"The cost 'x' is 5"),
        ("net_value", {"acquisition_cost": -5}, r"acquisition_cost=-5 must be money"),
        ("net_value", {"acquisition_cost": True}, r"acquisition_cost=True must be money"),
        ("net_value", {"target_ratio": 0}, r"target_ratio=0 must be"),
        ("cost_to_revenue", {"cost_ratio": "-"}, r"no column '-'"),
        ("cost_to_revenue", {"cost_ratio": -0.1}, r"cost_ratio=-0.1 must be"),
        ("retention", {"discount_rate": 0.1, "renewal": "h"}, r"renewal='h' is not a span"),
        ("retention", {"discount_rate": 0.1, "renewal": "W", "period": "M"}, r"shorter than period"),
        ("retention", {"discount_rate": 0.1, "retention": 1.2}, r"retention=1.2 is the share"),
        ("retention", {"discount_rate": 0.1, "confidence": 95}, r"confidence=95 must lie"),
        ("retention", {"discount_rate": 0.1, "confidence": 0.9, "retention": 0.5}, r"leave out either"),
        ("retention", {"discount_rate": 0.1, "by": "customer_id"}, r"which one customer has not"),
        ("first_purchase_windows", {"windows": [0]}, r"windows=\[0\] must be"),
        ("first_purchase_windows", {"windows": 30}, r"windows=30 must be"),
        ("first_purchase_windows", {"windows": [30, 30]}, r"must be different"),
        ("revenue_per_customer", {"cohort": "M"}, r'a meaning with by="cohort" only'),
        ("revenue_per_customer", {"by": "cohort", "cohort": "decade"}, r"cohort='decade' is not a span"),
        ("revenue_per_customer", {"by": "cohort", "cohort": "D", "period": "W"}, r"choose a shorter period"),
        ("revenue_per_customer", {"assign": "first_order"}, r"a column of groups only"),
        ("revenue_per_customer", {"by": "shop", "assign": "last"}, r'must be "orders" or "first_order"'),
        ("revenue_per_customer", {"duplicates": "no"}, r"duplicates='no' is not a policy"),
    ],
)
def test_options_that_make_no_sense(method, options, match):
    with pytest.raises((UsageError, DataError), match=match):
        lw.historical_clv(TX, method, **options)


@pytest.mark.parametrize(
    ("options", "match"), [({"per": "day"}, r"per='day' is not one of"), ({}, r"A cost of -1 per")]
)
def test_costs_that_are_none(options, match):
    with pytest.raises(UsageError, match=match):
        lw.Cost(-1, **options)


# ---- definitions --------------------------------------------------------------------------------------------------


def test_every_formula_is_explained():
    table = lw.clv_definitions()
    from lifeworth.historical import METHODS

    assert set(METHODS) <= set(table.index)
    assert table.index.is_unique
    assert set(table["counts"]) == {"past", "future", "past and future"}
    words = table.drop(columns="needs")
    assert words.map(lambda text: isinstance(text, str) and len(text) > 2).all().all()


def test_definitions_beside_each_other_with_their_numbers():
    beside = lw.clv_definitions(TX, margin=0.5, discount_rate=0.1)
    assert beside.loc["net_value", "clv"] == pytest.approx(100 / 3 / 2)
    alone = lw.historical_clv(TX, "present_value", margin=0.5, discount_rate=0.1)
    assert beside.loc["present_value", "clv"] == alone["clv"].item()
    assert beside.loc["cost_to_revenue", "note"] == "needs cost_ratio"
    assert math.isnan(beside.loc["cost_to_revenue", "clv"])
    with pytest.raises(UsageError, match=r"has no option by"):
        lw.clv_definitions(TX, by="shop")
    with pytest.raises(UsageError, match=r"margin has no effect without data"):
        lw.clv_definitions(margin=0.5)
    with pytest.raises(DataError, match=r"no column 'customer_id'"):
        lw.clv_definitions(TX[["date", "amount"]])


# ---- CDNOW --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cdnow():
    return lw.load_cdnow()


def test_cdnow_is_worth_what_was_published(cdnow):
    # 69,659 transactions of 23,570 customers, 2,500,315.63 dollars; 67,591 customer-days.
    worth = lw.historical_clv(cdnow, refunds="error").loc["all"]
    assert worth[["customers", "orders"]].tolist() == [23_570, len(cdnow.drop_duplicates(["customer_id", "date"]))]
    assert worth["revenue"] == pytest.approx(2_500_315.63, abs=0.005)
    assert worth["clv"] == pytest.approx(106.08, abs=0.005)
    assert lw.historical_clv(cdnow, end="1997-09-30")["clv"].item() == pytest.approx(73.12, abs=0.005)


def test_cdnow_windows_against_plain_pandas(cdnow):
    worth = lw.historical_clv(cdnow, "first_purchase_windows", by="cohort")
    first = cdnow.groupby("customer_id")["date"].transform("min")
    age = (cdnow["date"] - first).dt.days
    old = first.groupby(cdnow["customer_id"]).first()
    for (cohort, days), row in worth.iterrows():
        within = first.dt.to_period("M").dt.to_timestamp() == cohort
        assert row["revenue"] == pytest.approx(cdnow["amount"][within & (age < days)].sum(), rel=1e-12)
        assert row["customers"] == (old.dt.to_period("M").dt.to_timestamp() == cohort).sum()
    assert worth["customers"].groupby(level="cohort", observed=True).max().tolist() == [7846, 8476, 7248]
    assert worth["too_young"].sum() == 0  # all came by March 1997 and were seen for fifteen months
