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
# # A nightly job
#
# The notebook is closed, and somebody wants these numbers every morning. Nobody will look at diagnostics at four
# o'clock, so the job must do it: fit, ask whether the model would have foretold the last quarter, and only then
# publish. Here is half a year in the life of such a job, with one night on which things go wrong.

# %%
import os
import tempfile
from pathlib import Path

import pandas as pd

import lifeworth as lw

SMALL = os.environ.get("LIFEWORTH_SMALL") == "1"  # a smaller shop, for a quick check of this notebook
folder = Path(tempfile.mkdtemp())
shop = lw.simulate_transactions(
    2_000 if SMALL else 8_000,
    seed=5,
    start="2024-01-01",
    end="2025-12-31",
    acquisition_end="2025-06-30",
    currency="EUR",
)
shop

# %% [markdown]
# ## The job is a file
#
# Not a script: a file that says what is wanted. `lifeworth init` writes one with a comment on every key. A password
# would stand in it as `${SHOP_DATABASE}`, and come from the environment.

# %%
(folder / "orders").mkdir()
(folder / "job.toml").write_text(
    """
name = "nightly"

[source]
path = "orders"            # a folder that gets a file a month

[rfm]
currency = "EUR"

[model]
register_as = "shop"       # every fit is a version, the last good one the champion

[gate]
backtest = "13W"           # hold 13 weeks back, foretell them ...
most_bias = 0.15           # ... within 15 % of the purchases made, or publish nothing

[scores]
horizon = "13W"

[sink]
path = "scores.parquet"
"""
)
job = lw.read_job(folder / "job.toml")

# %% [markdown]
# ## Half a year of nights
#
# A month's file arrives, the job runs. In a shell it is `lifeworth run job.toml`, in a crontab or in Airflow likewise;
# the exit code says what happened. Here it is called from Python.

# %%
months = shop.transactions.groupby(shop.transactions["date"].dt.to_period("M"))
accounts = []


def arrive(month, rows):
    """The shop's export of a month lands in the folder."""
    rows.to_parquet(folder / "orders" / f"{month}.parquet")


for month, rows in months:
    if str(month) > "2025-06":
        break
    arrive(month, rows)
    if str(month) >= "2025-01":
        ran = lw.run_job(job)
        accounts.append(ran.manifest)
        print(ran.manifest["run_id"], ran.manifest["status"], f"{ran.manifest['output']['rows']:,} customers")

# %% [markdown]
# ## What every night leaves behind
#
# An account: which files it read, with their checksums, how many rows it left out and why, the verdict on the fit,
# what the gate found, what it published. Whoever asks in March what was known in January finds it here.

# %%
last = accounts[-1]
bias = last["model"]["backtest"]["candidate"]["purchases"]["bias"]
print(f"backtest of the fit: {bias:+.1%} purchases; moved since the fit before: {last['model']['drift']}")
{key: last[key] for key in ("job", "run_id", "status", "exit_code", "output")}

# %%
registry = lw.Registry(folder / "models")
print("versions", registry.versions("shop"), "champion", registry.champion("shop"))

# %% [markdown]
# ## The night when the export broke
#
# In July the export stops on the tenth and nobody notices. The file is there, its rows are fine, the fit converges, its
# diagnostics are good. Only that customers seem to have stopped buying.

# %%
july = months.get_group(pd.Period("2025-07"))
arrive("2025-07", july[july["date"] < "2025-07-11"])
august = months.get_group(pd.Period("2025-08"))
arrive("2025-08", august[august["date"] >= "2025-08-25"])
before = (folder / "scores.parquet").read_bytes()
try:
    lw.run_job(job)
except lw.FitError as error:
    print(f"exit code {error.exit_code}: {error}")
print("the scores of last month are untouched:", (folder / "scores.parquet").read_bytes() == before)

# %% [markdown]
# The backtest stopped it: a model that has seen the spring foretells the last quarter, and the quarter did not happen.
# One sentence, an exit code, nothing published; the shop goes on with the scores of last month. In the morning the
# files are exported anew, and the next run is as if nothing had been.

# %%
arrive("2025-07", july)
arrive("2025-08", august)
ran = lw.run_job(job)
accounts.append(ran.manifest)
print(ran.manifest["run_id"], ran.manifest["status"])

# %% [markdown]
# ## Were the nights right?
#
# Each night foretold what its customers would spend in the next 13 weeks. The shop is made up, so we know.

# %%
from lifeworth.plots.style import ACTUAL, MODEL, dress, label_axes, legend_above, new_figure, style

rows = []
for account in accounts:
    end = pd.Timestamp(account["run_id"])
    value = account["scores"]["totals"]["value"]
    happened = shop.holdout(end, end + pd.Timedelta(weeks=13))["spend"].sum()
    rows.append({"night": f"{end:%Y-%m-%d}", **value, "happened": happened})
nights = pd.DataFrame(rows).set_index("night")
nights.round(0)

# %%
with style():
    ax = new_figure(3.5).add_subplot()
    dress(ax)
    places = range(len(nights))
    ax.vlines(places, nights["lower"], nights["upper"], color=MODEL, linewidth=7, alpha=0.3, label="90 % interval")
    ax.plot(places, nights["expected"], "o", color=MODEL, label="foretold")
    ax.plot(places, nights["happened"], "D", color=ACTUAL, markersize=5, label="happened")
    ax.set_xticks(list(places), list(nights.index))
    ax.yaxis.set_major_formatter("{x:,.0f}")
    label_axes(ax, "night", "spend in the 13 weeks after (EUR)")
    legend_above(ax)

# %% [markdown]
# ## What to be careful about
#
# - **A good verdict does not mean good data.** On the broken night every diagnostic was fine. Only time held back can
#   tell.
# - **Set the gate from experience.** Look at the bias of a dozen past nights before you choose `most_bias`: too tight,
#   and the first busy December stops the job; too loose, and it stops nothing.
# - **`otherwise = "champion"`** scores with the last good model instead of stopping. Right for a bad fit, wrong for
#   bad data.
# - **Watch the account, not the log.** `[records] metrics` writes a file for monitoring; alert when it gets old.
# - **This shop obeys the model.** Yours has seasons: its nights will be outside their intervals more often.
