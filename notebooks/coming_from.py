# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Coming from pymc-marketing, lifetimes or CLVTools
#
# The models are the same, published long ago. So the same data must give the same numbers, and where they differ there
# is a reason worth knowing. This notebook lets them stand side by side, customer by customer: pymc-marketing runs here,
# live; what lifetimes 0.11.3 and CLVTools 0.12.1 (an R package) gave on the same table is written down.
#
# ## Names
#
# | lifeworth | pymc-marketing 1.3 | lifetimes 0.11 | CLVTools 0.12 |
# |---|---|---|---|
# | `rfm_summary` | `clv.rfm_summary` | `summary_data_from_transaction_data` | `clvdata` |
# | `train_test_split` | `clv.rfm_train_test_split` | `calibration_and_holdout_data` | `clvdata(estimation.split=)` |
# | `BetaGeo` | `BetaGeoModel` | `BetaGeoFitter` | `bgnbd` |
# | `ModifiedBetaGeo` | `ModifiedBetaGeoModel` | `ModifiedBetaGeoFitter` | |
# | `ParetoNBD` | `ParetoNBDModel` | `ParetoNBDFitter` | `pnbd` |
# | `GammaGamma` | `GammaGammaModel` | `GammaGammaFitter` | `gg` |
# | `fit(method="nuts")` | `fit(method="mcmc")` | | |
# | `fit(method="laplace")`, the default | | | |
# | `BetaGeo(priors="flat").fit(rfm, "map")` | | `fit` | the default |
# | `fit.probability_alive` | `expected_probability_alive` | `conditional_probability_alive` | `PAlive` |
# | `fit.expected_purchases` | `expected_purchases` | `conditional_expected_number_of_purchases_up_to_time` | `CET` |
# | `fit.probability_no_purchase` | `expected_probability_no_purchase` | | |
# | `spend.expected_spend` | `expected_customer_spend` | `conditional_expected_average_profit` | `gg`'s `predict` |
# | `clv.predict` | `expected_customer_lifetime_value` | `customer_lifetime_value` | `predicted.CLV` |
# | `clv.predict_total`, `clv.new_customer`, `clv.score` | | | |
# | `segment` | `clv.rfm_segments` | | |
#
# Type the old name and the error says the new one:

# %%
import lifeworth as lw

try:
    lw.summary_data_from_transaction_data
except AttributeError as error:
    print(error)

# %% [markdown]
# ## The same table
#
# `rfm_summary` counts purchases by `period` and tells time in `time_unit`. The published CDNOW table is by day, in
# weeks; the others have one argument for both. Columns have the same names, so a table made elsewhere is taken as it
# is, by `lw.RFM.from_frame(frame, time_unit="W")`.

# %%
import warnings

import pandas as pd

transactions = lw.load_cdnow(sample=True)
rfm = lw.rfm_summary(transactions, period="D", time_unit="W", observation_end="1997-09-30")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pymc_marketing import clv as pm_clv

    theirs = pm_clv.rfm_summary(
        transactions[transactions["date"] <= "1997-09-30"],
        "customer_id",
        "date",
        "amount",
        observation_period_end="1997-09-30",
        time_unit="D",
        time_scaler=7,
    )
both = rfm.to_pandas().merge(theirs, on="customer_id", suffixes=("", "_theirs"))
largest = {
    name: (both[name] - both[f"{name}_theirs"]).abs().max() for name in ("frequency", "recency", "T", "monetary_value")
}
print("largest difference of any customer:", {name: float(f"{value:.1g}") for name, value in largest.items()})

# %% [markdown]
# ## The same parameters
#
# Without priors there is one right answer, the maximum of the likelihood.

# %%
fit = lw.BetaGeo(priors="flat").fit(rfm, method="map")
spend = lw.GammaGamma(priors="flat").fit(rfm, method="map")
ours = {name: float(draws[0]) for one in (fit, spend) for name, draws in one.draws.items()}
pd.DataFrame(
    {
        "lifeworth": ours,
        "lifetimes 0.11.3": {
            "r": 0.242595,
            "alpha": 4.413603,
            "a": 0.792922,
            "b": 2.425906,
            "p": 6.249572,
            "q": 3.744225,
            "v": 15.443521,
        },
        "CLVTools 0.12.1": {
            "r": 0.2425945,
            "alpha": 4.4136019,
            "a": 0.7929199,
            "b": 2.4258881,
            "p": 6.2493492,
            "q": 3.7442563,
            "v": 15.4443067,
        },
        "published (2005, 2013)": {
            "r": 0.243,
            "alpha": 4.414,
            "a": 0.793,
            "b": 2.426,
            "p": 6.25,
            "q": 3.74,
            "v": 15.44,
        },
    }
).round(5)

# %% [markdown]
# ## The same customers
#
# One customer after the other. lifeworth's fit goes over into a pymc-marketing model (`to_pymc_marketing`), so that
# here it is *their* code that computes. It works the other way round too: `lw.BetaGeo.from_pymc_marketing(model,
# time_unit="W")`.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    model = fit.to_pymc_marketing(rfm)
    purchases = model.expected_purchases(future_t=39).mean(("chain", "draw")).to_numpy()
    alive = model.expected_probability_alive().mean(("chain", "draw")).to_numpy()

side = pd.DataFrame(
    {
        "customer_id": rfm.customer_id,
        "P(alive)": fit.probability_alive(rfm),
        "P(alive), pymc-marketing": alive,
        "purchases": fit.expected_purchases(rfm, "39W"),
        "purchases, pymc-marketing": purchases,
        "spend": spend.expected_spend(rfm),
    }
).head(3)
side["purchases, lifetimes"] = [1.225994, 0.203419, 0.194794]
side["spend, lifetimes"] = [24.653919, 18.910018, 35.170371]
clvtools = pd.read_csv("../tests/reference/cdnow_sample_bgnbd_clvtools.csv").set_index("customer_id").loc[[1, 2, 3]]
side["purchases, CLVTools"] = clvtools["expected_purchases_39w"].to_numpy()
side["spend, CLVTools"] = clvtools["expected_spend"].to_numpy()
side.set_index("customer_id").T.round(5)

# %%
print(
    f"largest difference of any of {len(rfm):,} customers to pymc-marketing: "
    f"{abs(fit.expected_purchases(rfm, '39W') - purchases).max():.1e} purchases"
)

# %% [markdown]
# ## Where the answers differ, and why
#
# **Priors.** pymc-marketing's default priors are fixed in numbers, lifeworth's in shares of the data's own scale.
# Below: the mode under pymc-marketing's priors, beside that under ours and the maximum likelihood. On 2,357 customers
# the difference is small; on a few hundred, or in days or hours instead of weeks, it is not.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    mode = pm_clv.BetaGeoModel()
    mode.fit(data=rfm.to_pandas()[["customer_id", "frequency", "recency", "T"]], method="map", progressbar=False)
    posterior = mode.idata["posterior"]
    of_theirs = {name: float(posterior[name].mean()) for name in ("r", "alpha", "a", "b")}
pd.DataFrame(
    {
        "maximum likelihood": {name: ours[name] for name in of_theirs},
        "mode, pymc-marketing's priors": of_theirs,
        "mode, lifeworth's priors": {
            name: float(d[0]) for name, d in lw.BetaGeo().fit(rfm, method="map").draws.items()
        },
    }
).round(3)

# %% [markdown]
# **Frequent buyers.** The published formula takes a difference of two nearly equal numbers. For a customer with many
# purchases nothing is left of it. lifeworth computes an integral without a difference and without a pole.

# %%
known = lw.BetaGeo().from_parameters({"r": 0.25, "alpha": 4.0, "a": 0.8, "b": 2.5}, time_unit="D")
busy = lw.RFM.from_frame(
    pd.DataFrame(
        {"customer_id": ["busy", "busier"], "frequency": [300, 600], "recency": [360.0, 725.0], "T": [365.0, 730.0]}
    ),
    time_unit="D",
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    published = known.to_pymc_marketing(busy).expected_purchases(future_t=3650).mean(("chain", "draw")).to_numpy()
pd.DataFrame(
    {"lifeworth": known.expected_purchases(busy, 3650), "pymc-marketing": published}, index=list(busy.customer_id)
).round(3)

# %% [markdown]
# **Intervals.** `expected_purchases` of others gives an interval of the expectation: how sure we are of an average. It
# says next to nothing about what a customer will do. `clv.predict` gives the customer's own by default
# (`uncertainty="customer"`), and the other on demand (`"mean"`).

# %%
clv = lw.fit_clv(rfm, seed=1)
for how in ("mean", "customer"):
    row = clv.predict(rfm, "39W", uncertainty=how, seed=1).iloc[0]
    print(f"{how:>8}: between {row['purchases_lower']:.2f} and {row['purchases_upper']:.2f} purchases")

# %% [markdown]
# ## What to be careful about
#
# - **`frequency` counts repeat purchases here too**, and `monetary_value` leaves the first purchase out. A table made
#   with `include_first_transaction=True` is another table.
# - **Say the unit.** There is none in a pymc-marketing or lifetimes table; `RFM.from_frame` asks for it, and horizons
#   may then be "39W" or "12M".
# - **A discount rate is per year here.** lifetimes takes it per month, pymc-marketing per month of `future_t`.
# - **lifetimes is no longer kept up.** Its numbers above were taken after giving it back a module (`pkg_resources`)
#   that today's Python environments no longer have.
