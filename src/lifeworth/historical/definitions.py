"""What each number called customer lifetime value is: what it counts, what it assumes, when it misleads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lifeworth.historical import formulas
from lifeworth.historical.formulas import Worth

Counts = Literal["past", "future", "past and future"]


@dataclass(frozen=True)
class Formula:
    """A definition of customer lifetime value, in words and, if it is one of the classic ones, as a function.

    Attributes
    ----------
    name : its name in `historical_clv`, or the function of lifeworth that returns it.
    label : its display name.
    formula : how it is computed.
    counts : "past", "future" or "past and future".
    of : the customers to whom the number applies.
    assumes : what must hold for it to mean what it seems to.
    trap : when it misleads.
    source : where the idea is from.
    takes, needs : its options, and those that are required.
    compute : the function, or None where the definition is computed elsewhere.
    """

    name: str
    label: str
    formula: str
    counts: Counts
    of: str
    assumes: str
    trap: str
    source: str
    takes: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ()
    compute: Callable[..., Worth] | None = None


_ALWAYS = frozenset({"acquisition_cost", "target_ratio"})
_ANYONE = "a customer, or the average customer of a group"

CLASSIC: tuple[Formula, ...] = (
    Formula(
        name="revenue_per_customer",
        label="Revenue per customer",
        formula="revenue / customers × margin",
        counts="past",
        of=_ANYONE,
        assumes="Nothing: it is a sum and a count of what happened in the window.",
        trap="Mixes customers of five years with those of five days, so it falls when a shop grows fast and rises when "
        "it acquires no customers. It contains no information about the future.",
        source="What accounting and analytics tools report (average revenue per customer).",
        takes=_ALWAYS | {"margin"},
        compute=formulas.revenue_per_customer,
    ),
    Formula(
        name="aov_frequency_duration",
        label="Order value × frequency × duration",
        formula="revenue / orders × orders / customers / years of the window × relationship duration × margin",
        counts="past and future",
        of="the average customer of a group",
        assumes="Every customer is the average customer, continues at the average rate of the window, and stays for "
        "the given duration; no customer has left before.",
        trap="The observed duration (first to last order) is too short for all who will buy again and 0 for those who "
        "bought once; and the yearly rate is that of the whole window, too low for customers who were acquired "
        "late in it.",
        source="The product of averages of e-commerce handbooks; its parts as in Farris, Bendle, Pfeifer & Reibstein "
        "(2010), Marketing Metrics, chapter 5.",
        takes=_ALWAYS | {"margin", "duration"},
        compute=formulas.aov_frequency_duration,
    ),
    Formula(
        name="net_value",
        label="Net historical value",
        formula="revenue × margin − service, retention and after-sale costs − acquisition",
        counts="past",
        of=_ANYONE,
        assumes="Costs can be given per customer, order, revenue or year; what was paid once for customers acquired "
        "before the window is not charged to it.",
        trap="Young customers look like losses, as their acquisition is paid and their orders are to come. Do not "
        "compare it with acquisition cost again: that is taken off already.",
        source="Customer profitability: Mulhern (1999), Journal of Interactive Marketing 13(1); on acquisition "
        "spending Pfeifer, Haskins & Conroy (2005), Journal of Managerial Issues 17(1).",
        takes=_ALWAYS | {"margin", "costs"},
        compute=formulas.net_value,
    ),
    Formula(
        name="present_value",
        label="Net present value of past cash flows",
        formula="Σ cash flow × (1 + yearly rate)^(years from the flow to as_of)",
        counts="past",
        of=_ANYONE,
        assumes="Money earns the same effective rate all the time; an order is paid on the first instant of its "
        "period.",
        trap="With as_of today, past money grows: the number exceeds the sum of the flows. With "
        'as_of="first_purchase" each customer is valued on a day of their own, as for a decision to acquire them. '
        "Neither is a forecast.",
        source="Dwyer (1997), Journal of Direct Marketing 11(4); Berger & Nasr (1998), Journal of Interactive "
        "Marketing 12(1), case 1.",
        takes=_ALWAYS | {"margin", "costs", "discount_rate", "as_of"},
        needs=("discount_rate",),
        compute=formulas.present_value,
    ),
    Formula(
        name="todays_money",
        label="Past sales in today's money",
        formula="Σ sale × price index at as_of / price index at the sale × margin / customers",
        counts="past",
        of=_ANYONE,
        assumes="The index is that of what was sold, or of what the money would have bought; it steps at its dates.",
        trap="Corrects for prices, not for the cost of capital: it is not a net present value, and using both counts "
        "inflation twice if the discount rate is nominal.",
        source="Deflation by a price index: Consumer Price Index Manual (ILO and others, 2020), chapter 1.",
        takes=_ALWAYS | {"margin", "inflation", "as_of"},
        needs=("inflation",),
        compute=formulas.todays_money,
    ),
    Formula(
        name="cost_to_revenue",
        label="Cost-to-revenue method",
        formula="revenue per customer and year × (1 − cost ratio) × relationship duration",
        counts="past and future",
        of="the average customer of a group",
        assumes="Costs are one share of revenue for all customers and all years, fixed costs with them; and all that "
        "order value × frequency × duration assumes, of which it is another form.",
        trap="Multiplying the revenue of the whole window by years counts time twice: here it is revenue per year. An "
        "average cost ratio hides which customers are unprofitable.",
        source="A convention of management accounting; equal to order value × frequency × duration with margin = 1 − "
        "cost ratio.",
        takes=_ALWAYS | {"cost_ratio", "duration"},
        needs=("cost_ratio",),
        compute=formulas.cost_to_revenue,
    ),
    Formula(
        name="contribution_margin",
        label="Contribution margin over the customer's life",
        formula="revenue × margin − costs that depend on orders and revenue; with tenure, loyalty and order value",
        counts="past",
        of=_ANYONE,
        assumes="Costs that do not depend on orders are not allocated; tenure is the time since the first order.",
        trap="Long tenure is not loyalty: a customer who bought once three years ago has a tenure of three years. And "
        "loyalty (the share who bought again) is lower if customers are young.",
        source="Reinartz & Kumar (2000), On the profitability of long-life customers in a noncontractual setting, "
        "Journal of Marketing 64(4).",
        takes=_ALWAYS | {"margin", "costs"},
        compute=formulas.contribution_margin,
    ),
    Formula(
        name="retention",
        label="Retention formula for memberships",
        formula="margin per renewal period × r / (1 + d − r), r = renewals / chances to renew",
        counts="future",
        of="the average customer of a group who has just paid",
        assumes="Customers who do not pay in a period have left, and this is known; retention and margin are the same "
        "for all customers and constant; the first payment, already received, is not counted (add one margin if it "
        "is).",
        trap="Shops without contracts have no renewals: a pause looks like a loss. Retention differs among customers, "
        "so the longer a cohort lives the better it renews, and one r undervalues it. Near r = 1 + d the value runs "
        "away. Billing every 30 days skips a calendar month now and then. A customer's renewals are not independent: "
        "the interval is too narrow rather than too wide.",
        source="Gupta & Lehmann (2003), Customers as assets, Journal of Interactive Marketing 17(1); interval: Wilson "
        "(1927), JASA 22; the trap: Fader & Hardie (2010), Marketing Science 29(1).",
        takes=_ALWAYS | {"margin", "discount_rate", "renewal", "retention", "confidence"},
        needs=("discount_rate",),
        compute=formulas.retention,
    ),
    Formula(
        name="first_purchase_windows",
        label="Value in the first days since the first purchase",
        formula="revenue within the given days from the first order / customers old enough × margin",
        counts="past",
        of=_ANYONE,
        assumes="The first order in the data is the first order: customers of before the log look new.",
        trap="It compares cohorts fairly and stops at the window: the best customers in 30 days need not be the best "
        "in a year. Long windows cover only old cohorts.",
        source="Cohort analysis, as in Fader, Hardie & Ross (2022), The Customer-Base Audit.",
        takes=_ALWAYS | {"margin", "windows"},
        compute=formulas.first_purchase_windows,
    ),
)

# Other numbers, of lifeworth and of shops, that have the same name.
OTHERS: tuple[Formula, ...] = (
    Formula(
        name="RFM.past_spend",
        label="Past spend",
        formula="sum of all orders, the first with them",
        counts="past",
        of="a customer",
        assumes="Nothing.",
        trap="Ranks the oldest customers first, whether they are still active or not.",
        source="The RFM table.",
    ),
    Formula(
        name="CLV.predict",
        label="Predicted value of a known customer",
        formula="expected repeat purchases in the horizon × expected spend × margin, discounted, over posterior draws",
        counts="future",
        of="a customer",
        assumes="Purchases, leaving and spend are as the model's, and the future is like the past.",
        trap="Past spend is not included: add it for past and future together. A comparison with the past formulas "
        "compares future spend with past spend.",
        source="Fader, Hardie & Lee (2005), Journal of Marketing Research 42(4).",
    ),
    Formula(
        name="CLV.new_customer",
        label="Predicted value of a customer acquired today",
        formula="the same for a customer without known history, by age",
        counts="future",
        of="the average new customer",
        assumes="New customers come as those in the data came.",
        trap="The number to compare with acquisition cost, unlike that of existing customers, who are the survivors.",
        source="Fader, Hardie & Lee (2005), Marketing Science 24(2).",
    ),
)
FORMULAS: dict[str, Formula] = {formula.name: formula for formula in CLASSIC}
