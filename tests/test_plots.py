"""Pictures: named axes, bounded artists, honest about thin data, and nothing left behind."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import lifeworth as lw
from browser import browser, misplaced, words_of
from lifeworth import plots
from lifeworth.errors import SourceError, UsageError
from lifeworth.plots.holdout import gains_curve
from lifeworth.plots.palette import DARK, LIGHT, SERIES
from lifeworth.plots.posterior import kernel_density
from lifeworth.plots.style import PAPER, compact, share, style


def tracking(weeks=20):
    when = pd.date_range("1997-01-05", periods=weeks, freq="W")
    expected = np.linspace(400, 200, weeks)
    return pd.DataFrame(
        {
            "week_end": when,
            "actual": expected + 10,
            "expected": expected,
            "lower": expected - 30,
            "upper": expected + 30,
            "cumulative_lower": expected.cumsum() * 0.97,
            "cumulative_upper": expected.cumsum() * 1.03,
        }
    )


def deciles(count=10):
    predicted = 170 / np.arange(1, count + 1) ** 2
    return pd.DataFrame(
        {
            "decile": np.arange(1, count + 1),
            "customers": 100,
            "predicted": predicted,
            "actual": predicted * 1.1,
            "lower": predicted * 0.9,
            "upper": predicted * 1.2,
        }
    )


def groups(count=8):
    values = np.arange(count) * 0.5
    labels = [*map(str, range(count - 1)), f"{count - 1}+"]
    return pd.DataFrame({"group": labels, "customers": 10, "predicted": values, "actual": values + 0.1})


def skewed(customers=2000):
    return np.random.default_rng(5).lognormal(2, 1.5, customers)


def alive_grid(rows=12, columns=20):
    cells = np.linspace(0, 1, columns)[None, :] ** np.arange(1, rows + 1)[:, None]
    cells[0, 1:] = np.nan
    return pd.DataFrame(cells, index=np.arange(rows), columns=np.arange(columns) * 2.0)


def posterior_draws():
    random = np.random.default_rng(4)
    return {name: random.normal(2.0, 0.1, (2, 300)) for name in ("r", "alpha", "a", "b")}


def timelines(customers=3, days=90):
    alive = np.exp(-np.arange(days) / 60)
    path = pd.DataFrame({"date": pd.date_range("1997-01-01", periods=days), "probability_alive": alive})
    path["purchase"] = np.arange(days) % 30 == 0
    return pd.concat([path.assign(customer_id=f"c{k}") for k in range(customers)])


def cohorts(count=6):
    born = pd.date_range("1997-01-01", periods=count, freq="MS")
    rows = [(day, age, 100 // (age + 1), 50.0 * age) for k, day in enumerate(born) for age in range(count - k)]
    return pd.DataFrame(rows, columns=["cohort", "age", "customers", "revenue"])


def known():
    return lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")


def coverage():
    when = pd.date_range("1997-07-01", periods=4, freq="MS")
    of = {"customers": [0.8, 0.82, 0.79, 0.81], "total": [0.0, 1.0, 0.0, 0.0]}
    frames = [pd.DataFrame({"cutoff": when, "of": name, "raw": raw, "target": "value"}) for name, raw in of.items()]
    return pd.concat(frames).assign(calibrated=[np.nan, 0.9, 0.91, 0.9, np.nan, 1.0, 1.0, 0.0])


def judged():
    """Scores, totals, parameters and histograms of two methods at four cut-offs."""
    when = pd.date_range("1997-07-01", periods=4, freq="QS")
    methods = {"BG/NBD": "model", "order value × frequency × duration": "baseline", "the last period again": "baseline"}
    scores = [
        {"cutoff": day, "method": name, "kind": kind, "metric": "nmae", "value": 1.2 + k / 4, "lower": 1, "upper": 2.5}
        for k, day in enumerate(when)
        for name, kind in methods.items()
    ]
    totals = [
        {"cutoff": day, "predicted": 22_000.0 + k, "actual": 23_000.0, "lower": 20_000.0, "upper": 24_000.0}
        for k, day in enumerate(when)
    ]
    parameters = [
        {"cutoff": day, "parameter": name, "mean": 1 + k * n / 9, "lower": 0.8, "upper": 2.0}
        for k, day in enumerate(when)
        for n, name in enumerate(("r", "alpha", "a", "b", "p", "q", "v"))
    ]
    pit = [
        {"cutoff": day, "lower_edge": edge, "upper_edge": edge + 0.1, "height": 1 + edge - k / 9}
        for k, day in enumerate(when)
        for edge in np.linspace(0, 0.9, 10)
    ]
    tables = {"scores": scores, "totals": totals, "parameters": parameters, "pit": pit}
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}


def in_segments():
    names = ["champions", "potential loyalists", "need attention", "hibernating", "lost", "promising"]
    shares = {"customer_share": [0.1, 0.05, 0.2, 0.25, 0.4, 0], "past_share": [0.5, 0.1, 0.2, 0.1, 0.1, 0]}
    frame = pd.DataFrame(shares | {"future_share": [0.7, 0.1, 0.1, 0.05, 0.05, 0]}, index=names)
    return frame.assign(customers=(frame["customer_share"] * 2000).astype(int))


def effects():
    terms = ["channel[T.shop]", "channel[T.a very long name of a channel]", "log(first_spend)"]
    middles = np.array([1.4, 0.6, 1.05])
    rows = [
        pd.DataFrame({"effect": effect, "term": terms, "ratio": middles, "ratio_of": of})
        for effect, of in (("purchase", "rate"), ("dropout", "odds"), ("spend", "mean spend"))
    ]
    table = pd.concat(rows, ignore_index=True)
    return table.assign(ratio_lower=table["ratio"] / 1.2, ratio_upper=table["ratio"] * 1.2)


EVERY = {
    "effects": lambda **ax: plots.plot_effects(effects(), **ax),
    "scores": lambda **ax: plots.plot_backtest_scores(judged()["scores"], **ax),
    "totals": lambda **ax: plots.plot_backtest_totals(judged()["totals"], "value", currency="EUR", **ax),
    "drift": lambda **ax: plots.plot_parameter_drift(judged()["parameters"], **ax),
    "pit": lambda **ax: plots.plot_pit(judged()["pit"], **ax),
    "segments": lambda **ax: plots.plot_segments(in_segments(), **ax),
    "posterior": lambda **ax: plots.plot_posterior(
        posterior_draws(), prior={"r": lambda x: np.exp(-x)}, reference={"a": 2.1}, axes=ax.get("axes")
    ),
    "tracking": lambda **ax: plots.plot_tracking(tracking(), "1997-03-01", **ax),
    "cumulative": lambda **ax: plots.plot_tracking(tracking(), "1997-03-01", cumulative=True, **ax),
    "both": lambda **ax: plots.plot_tracking_both(tracking(), "1997-03-01", axes=ax.get("axes")),
    "deciles": lambda **ax: plots.plot_deciles(deciles(), currency="EUR", **ax),
    "purchases": lambda **ax: plots.plot_deciles(deciles(), value="purchases", **ax),
    "frequency": lambda **ax: plots.plot_calibration_by_frequency(groups(), **ax),
    "values": lambda **ax: plots.plot_value_distribution(skewed(), currency="EUR", **ax),
    "alive": lambda **ax: plots.plot_alive_heatmap(alive_grid(), **ax),
    "past and future": lambda **ax: plots.plot_past_future(skewed(), skewed()[::-1], currency="EUR", **ax),
    "timelines": lambda **ax: plots.plot_customer_timelines(timelines(), **ax),
    "cohorts": lambda **ax: plots.plot_cohorts(cohorts(), **ax),
    "revenue": lambda **ax: plots.plot_cohorts(cohorts(18), "revenue", relative=False, **ax),
    "frequency and recency": lambda **ax: plots.plot_frequency_recency(known(), 39.0, cells=20, **ax),
    "expected purchases": lambda **ax: plots.plot_frequency_recency(known(), 39.0, "26W", cells=20, **ax),
    "coverage": lambda **ax: plots.plot_interval_coverage(coverage(), **ax),
    "lift": lambda **ax: plots.plot_lift(deciles().assign(lift=np.linspace(3, 0.1, 10)), **ax),
    "gains": lambda **ax: plots.plot_gains(skewed(), {"model": skewed() ** 0.5, "constant": np.ones(2000)}, **ax),
}
ON_ONE_AXES = [name for name in EVERY if name not in ("posterior", "both")]


def axes_of(picture):
    return list(np.ravel(np.asarray(picture, dtype=object)))


def words(ax):
    found = [text.get_text() for text in ax.texts]
    legend = ax.get_legend()
    return " ".join(found + ([text.get_text() for text in legend.get_texts()] if legend else []))


def said(ax):
    """The sentence that stands where the data would have been."""
    assert not ax.lines
    assert not ax.patches
    assert not ax.collections
    (text,) = ax.texts
    return text.get_text()


@pytest.mark.parametrize("name", EVERY)
def test_axes_are_named_and_the_picture_can_be_drawn(name):
    picture = EVERY[name]()
    for ax in axes_of(picture):
        if ax.xaxis.get_tick_params()["labelbottom"]:
            assert ax.get_xlabel()
    assert all(ax.get_ylabel() for ax in axes_of(picture)[:1])
    assert plots.to_png(picture, scale=0.5).startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def blank():
    with browser() as opened:
        yield opened.new_page()


@pytest.mark.parametrize("width", [None, 3.9], ids=["desk", "phone"])
@pytest.mark.parametrize("name", EVERY)
def test_no_word_is_cut_or_stands_on_another(blank, name, width):
    """As a browser shows the picture, in its own fonts, also laid out anew for a phone."""
    words, sheet = words_of(blank, plots.to_svg(EVERY[name](), width=width, themed=True))
    assert len(words) > 5
    assert misplaced(words, sheet) == []


def test_words_that_do_are_found(blank):
    figure = Figure(figsize=(3, 2))
    figure.text(0.5, 0.5, "here")
    figure.text(0.5, 0.52, "there")
    figure.text(0.9, 0.1, "a long way out")
    words, sheet = words_of(blank, plots.to_svg(figure))
    assert misplaced(words, sheet) == ["a long way out is cut", "here stands on there"]


@pytest.mark.parametrize("name", EVERY)
def test_settings_stay_as_they_were_and_pyplot_holds_no_figure(name):
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    figure = plots.figure_of(EVERY[name]())
    plots.to_svg(figure)
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []
    assert mpl.colors.to_hex(figure.get_facecolor()) == PAPER


@pytest.mark.parametrize("name", EVERY)
def test_the_users_own_settings_do_not_leak_in(name):
    with mpl.rc_context({"figure.facecolor": "black", "axes.grid": True, "font.size": 40, "axes.facecolor": "red"}):
        strange = plots.to_svg(EVERY[name]())
    assert strange == plots.to_svg(EVERY[name]())


@pytest.mark.parametrize("name", ON_ONE_AXES)
def test_draws_into_given_axes(name):
    ax = Figure().add_subplot()
    assert EVERY[name](ax=ax) is ax
    assert ax.get_xlabel()
    assert ax.get_ylabel()


def test_draws_into_given_arrays_of_axes():
    four = Figure().subplots(2, 2)
    assert list(EVERY["posterior"](axes=four)) == list(four.ravel())
    two = Figure().subplots(2, 1)
    assert list(EVERY["both"](axes=two)) == list(two)
    with pytest.raises(UsageError, match="4 parameters need as many axes; 2 were given"):
        EVERY["posterior"](axes=two)
    with pytest.raises(UsageError, match="two axes, not 4"):
        EVERY["both"](axes=four)


def test_importing_the_room_loads_no_matplotlib():
    program = "import sys, lifeworth.plots, lifeworth.plots.palette; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_promised_name_is_there():
    assert all(callable(getattr(plots, name)) for name in plots.__all__)
    assert set(plots.__all__) <= set(dir(plots))
    with pytest.raises(AttributeError, match="no attribute 'plot_nothing'"):
        _ = plots.plot_nothing


def test_a_notebook_is_handed_the_figure(monkeypatch):
    # The inline backend shows what pyplot holds; elsewhere nobody would ever close it.
    import matplotlib.pyplot as plt

    monkeypatch.setattr("lifeworth.plots.style._in_notebook", lambda: True)
    ax = plots.plot_tracking(tracking())
    assert [plt.figure(number) for number in plt.get_fignums()] == [ax.figure]
    plt.close(ax.figure)


# --- posterior ------------------------------------------------------------------------------------------------------


def test_posterior_prints_mean_and_interval():
    draws = np.linspace(0, 1, 1001)
    (ax,) = plots.plot_posterior({"r": draws}, labels={"r": "r (per week)"})
    assert ax.get_title(loc="left") == "r"
    assert ax.get_title(loc="right") == "0.500   [0.050, 0.950]"
    assert ax.get_xlabel() == "r (per week)"


def test_density_integrates_to_one_and_stays_where_the_sample_is():
    random = np.random.default_rng(2)
    # 0.1 % of the draws lie outside the grid on purpose, and the sum over 240 cells is coarse: 1 %.
    for sample in (random.normal(0, 1, 5000), random.exponential(1, 5000), random.beta(0.7, 3, 5000)):
        grid, density = kernel_density(sample)
        assert np.sum(density) * (grid[1] - grid[0]) == pytest.approx(1, abs=0.01)
        assert (density >= 0).all()
        if sample.min() > 0:
            assert grid[0] > 0
    grid, density = kernel_density(random.normal(3, 0.5, 200_000))
    truth = np.exp(-(((grid - 3) / 0.5) ** 2) / 2) / (0.5 * np.sqrt(2 * np.pi))
    # The noise of 200,000 draws at Silverman's width is about 0.7 % of the peak; four times that is 3 %.
    np.testing.assert_allclose(density, truth, atol=0.03 * truth.max())


def test_posterior_of_strange_draws():
    axes = plots.plot_posterior(
        {
            "fixed": np.full(50, 3.0),
            "lost": np.full(50, np.nan),
            "none": [],
            "some": np.append(np.arange(98.0), [np.nan, np.inf]),
        },
        reference={"fixed": 3.0, "some": np.nan},
    )
    assert "a single value, no spread" in words(axes[0])
    assert said(axes[1]) == "No finite draws."
    assert said(axes[2]) == "No draws."
    assert "2 of 100 draws not finite" in axes[3].get_title(loc="right")
    plots.to_png(axes, scale=0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"draws": {}}, "draws is empty"),
        ({"draws": {str(i): [1.0, 2] for i in range(25)}}, "up to 24 parameters, not 25"),
        ({"draws": {"r": [1.0, 2]}, "interval": 1.0}, "between 0 and 1"),
        ({"draws": {"r": ["x"]}}, "the draws of r must hold numbers"),
        ({"draws": {"r": [1.0, 2, 3]}, "prior": {"r": lambda x: 1.0}}, "one density for each value"),
    ],
)
def test_posterior_refuses(arguments, message):
    with pytest.raises(UsageError, match=message):
        plots.plot_posterior(**arguments)


# --- tracking -------------------------------------------------------------------------------------------------------


def test_boundary_stands_at_the_end_of_training():
    ax = plots.plot_tracking(tracking(), "1997-03-01")
    assert "calibration holdout" in words(ax)
    (line,) = [line for line in ax.lines if len(line.get_xdata()) == 2]
    assert mpl.dates.num2date(line.get_xdata()[0]).date().isoformat() == "1997-03-01"
    outside = plots.plot_tracking(tracking(), "2001-01-01")
    assert "holdout" not in words(outside)


def test_running_total_has_no_band_made_of_weekly_bounds():
    frame = tracking()
    assert len(plots.plot_tracking(frame, cumulative=True).collections) == 1
    without = frame.drop(columns=["cumulative_lower", "cumulative_upper"])
    ax = plots.plot_tracking(without, cumulative=True)
    assert not ax.collections
    model = ax.lines[0].get_ydata()
    np.testing.assert_allclose(model, frame["expected"].cumsum())


def test_weeks_not_known_yet_are_a_gap():
    frame = tracking()
    frame["actual"] = pd.array([*range(15), *[None] * 5], dtype="Int64")
    ax = plots.plot_tracking(frame, cumulative=True)
    assert np.isnan(ax.lines[1].get_ydata()[15:]).all()


def test_tracking_of_thin_data():
    assert said(plots.plot_tracking(tracking().iloc[:0])) == "There is no week to show."
    unknown = tracking().assign(actual=np.nan, expected=np.nan)
    assert "known" in said(plots.plot_tracking(unknown))
    zeros = tracking().assign(actual=0, expected=0.0, lower=0, upper=0)
    plots.to_png(plots.plot_tracking_both(zeros, "1997-03-01"), scale=0.5)
    plots.to_png(plots.plot_tracking(tracking(1), "1997-01-05"), scale=0.5)


def test_tracking_takes_dates_as_they_come():
    frame = tracking().iloc[::-1].assign(week_end=lambda table: table["week_end"].astype(str))
    ax = plots.plot_tracking(frame, pd.Timestamp("1997-03-01"))
    assert (np.diff(ax.lines[0].get_xdata().astype("datetime64[D]").astype(int)) > 0).all()
    with pytest.raises(UsageError, match="dates, not numbers"):
        plots.plot_tracking(tracking().assign(week_end=1))
    with pytest.raises(UsageError, match="must hold dates"):
        plots.plot_tracking(tracking().assign(week_end="soon"))
    with pytest.raises(UsageError, match="at least one is missing"):
        plots.plot_tracking(tracking().assign(week_end=pd.NaT))
    with pytest.raises(UsageError, match="lacks the columns week_end, expected; it has actual"):
        plots.plot_tracking(tracking()[["actual"]])


# --- holdout --------------------------------------------------------------------------------------------------------


def test_deciles_print_both_means_so_that_small_ones_can_be_read():
    ax = plots.plot_deciles(deciles())
    written = words(ax)
    for number in ("170.0", "187.0", "1.7", "1.9"):
        assert f" {number} " in f" {written} "
    assert [label.get_text() for label in ax.get_yticklabels()][::9] == ["highest  1", "lowest  10"]
    assert ax.yaxis_inverted()


def test_deciles_of_thin_data():
    assert "no customers" in said(plots.plot_deciles(deciles().iloc[:0]))
    assert "known" in said(plots.plot_deciles(deciles().assign(predicted=np.nan, actual=np.nan)))
    half = plots.plot_deciles(deciles(3).assign(actual=[1.0, np.nan, 0.0]).drop(columns=["lower", "upper"]))
    assert "n/a" in words(half)
    for frame in (deciles(1), deciles(4).assign(predicted=0, actual=0, lower=0, upper=0)):
        plots.to_png(plots.plot_deciles(frame), scale=0.5)
    refunds = plots.plot_deciles(deciles(2).assign(actual=[5.0, -3.0]))
    assert refunds.get_xlim()[0] <= -3
    with pytest.raises(UsageError, match="1,000 deciles"):
        plots.plot_deciles(deciles(1000))
    with pytest.raises(UsageError, match='"spend" or "purchases"'):
        plots.plot_deciles(deciles(), value="clv")


def test_groups_carry_their_number_of_customers():
    ax = plots.plot_calibration_by_frequency(groups())
    assert ax.get_xticklabels()[-1].get_text() == "7+\n10"
    assert "no customers" in said(plots.plot_calibration_by_frequency(groups().iloc[:0]))
    assert "known" in said(plots.plot_calibration_by_frequency(groups().assign(predicted=np.nan, actual=np.nan)))
    for count in (1, 30):
        plots.to_png(plots.plot_calibration_by_frequency(groups(count)), scale=0.5)
    with pytest.raises(UsageError, match="41 groups"):
        plots.plot_calibration_by_frequency(groups(41))


def test_gains_of_a_constant_score_are_the_diagonal():
    actual = skewed()
    grid, found = gains_curve(actual, np.zeros(actual.size))
    np.testing.assert_allclose(found, grid, atol=1e-12)  # rounding of a sum of 2,000 terms
    _, best = gains_curve(actual, actual)
    _, reverse = gains_curve(actual, -actual)
    assert (best >= grid).all()
    np.testing.assert_allclose(reverse, 1 - best[::-1], atol=1e-12)
    assert best[0] == 0
    assert best[-1] == pytest.approx(1)


def test_gains_do_not_depend_on_the_order_of_customers():
    actual, score = skewed(), np.round(skewed() % 7)
    order = np.random.default_rng(0).permutation(actual.size)
    np.testing.assert_allclose(gains_curve(actual, score)[1], gains_curve(actual[order], score[order])[1], atol=1e-12)


def test_gains_of_thin_data():
    assert "no customers" in said(plots.plot_gains([], {"model": []}))
    assert "no spend in the holdout" in said(plots.plot_gains(np.zeros(9), {"model": np.arange(9)}))
    plots.to_png(plots.plot_gains([3.0], {"model": [1.0]}), scale=0.5)


@pytest.mark.parametrize(
    ("actual", "scores", "message"),
    [
        ([1.0, 2.0], {}, "scores is empty"),
        ([1.0, 2.0], {"model": [1.0]}, "1 values for 2 customers"),
        ([1.0, 2.0], {"model": [1.0, np.nan]}, "model lacks a value for 1 of 2 customers"),
        ([1.0, np.nan], {"model": [1.0, 2]}, "actual lacks a value"),
        ([1.0, 2.0], {str(i): [1.0, 2] for i in range(7)}, "up to 6 scores, not 7"),
    ],
)
def test_gains_refuse(actual, scores, message):
    with pytest.raises(UsageError, match=message):
        plots.plot_gains(actual, scores)


# --- customers ------------------------------------------------------------------------------------------------------


def test_values_name_what_is_not_shown():
    ax = plots.plot_value_distribution(np.concatenate([skewed(100), np.zeros(7), [-4.0], [np.nan] * 3]))
    assert ax.get_xscale() == "log"
    assert "not shown: 8 customers at or below zero, 3 without a value" in ax.get_xlabel()
    assert "hold" not in words(ax)  # a share of a sum of gains and losses would say nothing
    assert "top 10 % hold" in words(plots.plot_value_distribution(skewed()))


def test_values_of_thin_data():
    assert "There are no values" in said(plots.plot_value_distribution([]))
    assert "No customer has" in said(plots.plot_value_distribution([np.nan]))
    assert "The only customer" in said(plots.plot_value_distribution([3.0]))
    assert "All 5 customers have the same predicted value: 0" in said(plots.plot_value_distribution(np.zeros(5)))
    for values in ([-3.0, -1.0, 2.0], [1.0, 1.5], [0.0, 0.0, 0.0, 5.0], [1e-9, 1e9]):
        plots.to_png(plots.plot_value_distribution(values), scale=0.5)
    with pytest.raises(UsageError, match="between 0 and 1"):
        plots.plot_value_distribution([1.0, 2.0], top=1)


def test_heat_map_is_bounded_however_large_the_grid():
    ax = plots.plot_alive_heatmap(np.random.default_rng(0).random((900, 1200)))
    assert ax.collections[0].get_array().size == 160 * 160
    assert ax.get_xlim()[1] >= 1199


def test_heat_map_of_thin_data():
    assert "No combination" in said(plots.plot_alive_heatmap(np.full((3, 3), np.nan)))
    for grid in ([[0.5]], [[1.0, 1.0]], np.zeros((6, 6))):
        plots.to_png(plots.plot_alive_heatmap(grid), scale=0.5)
    plots.to_png(plots.plot_alive_heatmap(np.full((6, 6), 3.0), low=None, high=None), scale=0.5)
    with pytest.raises(UsageError, match="rows and columns"):
        plots.plot_alive_heatmap([1.0, 2.0])
    with pytest.raises(UsageError, match="2 frequencies and 2 recencies"):
        plots.plot_alive_heatmap(np.ones((2, 3)), frequency=[0, 1], recency=[0, 1])
    with pytest.raises(UsageError, match="recency must be finite and increase"):
        plots.plot_alive_heatmap(np.ones((2, 2)), recency=[1, 0])


def test_past_and_future_is_bounded_and_counts_every_customer():
    past = np.random.default_rng(1).lognormal(3, 2, 200_000)
    ax = plots.plot_past_future(past, past[::-1])
    (cells,) = ax.collections
    assert cells.get_array().size < 3500
    assert cells.get_array().sum() == 200_000
    assert len(ax.texts) == 4


def test_past_and_future_of_thin_data():
    assert "No customer has both" in said(plots.plot_past_future([np.nan, 1.0], [1.0, np.nan]))
    assert "No customer's predicted value is above zero" in said(plots.plot_past_future([1.0, 2.0], [0.0, -1.0]))
    ax = plots.plot_past_future([1.0, 2.0, 0.0, 4.0, np.nan], [1.0, 2.0, 3.0, -4.0, 1.0])
    assert "drawn at the edge: 2" in ax.get_xlabel()
    assert "omitted, without a value: 1" in ax.get_xlabel()
    plots.to_png(plots.plot_past_future([5.0], [2.0]), scale=0.5)
    with pytest.raises(UsageError, match="past has 2 values and future 1"):
        plots.plot_past_future([1.0, 2.0], [1.0])


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_svg_is_small_clean_and_always_the_same(name):
    svg = plots.to_svg(EVERY[name](), themed=True)
    assert svg == plots.to_svg(EVERY[name](), themed=True)
    assert len(svg) < 160_000
    root = ET.fromstring(svg)  # what matplotlib wrote itself moments ago
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert "<!DOCTYPE" not in svg
    assert "<metadata" not in svg
    assert PAPER not in svg.split("</style>", 1)[1]  # a variable in its place
    assert "prefers-color-scheme:dark" in svg


def test_svg_changes_coordinates_and_never_words():
    (ax,) = plots.plot_posterior({"r": np.linspace(0.23871, 0.25151, 500)}, labels={"r": "r at 0.123456789"})
    svg = plots.to_svg(ax)
    assert "r at 0.123456789" in svg
    assert ax.get_title(loc="right") in svg


def test_hostile_names_stay_text_in_svg():
    nasty = "</text><script>alert(1)</script> \"&' $\\frac{1}{0}$"
    ax = plots.plot_gains([3.0, 1.0], {nasty: [2.0, 1.0]}, mark=None)
    root = ET.fromstring(plots.to_svg(ax))
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert nasty in [element.text for element in root.iter() if element.tag.endswith("text")]


def test_layout_at_another_width_is_put_back():
    ax = EVERY["deciles"]()
    figure, label = plots.figure_of(ax), ax.get_xlabel()
    before = figure.get_size_inches().copy()
    narrow = ET.fromstring(plots.to_svg(ax, width=3.5))
    assert float(narrow.get("width").removesuffix("pt")) == pytest.approx(3.5 * 72)
    assert (figure.get_size_inches() == before).all()
    assert ax.get_xlabel() == label


def test_save_writes_whole_files_only(tmp_path):
    ax = EVERY["frequency"]()
    for name in ("a.png", "a.svg"):
        assert plots.save(ax, tmp_path / name).stat().st_size > 5000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg"]
    with pytest.raises(UsageError, match=r"\.png or \.svg"):
        plots.save(ax, tmp_path / "a.pdf")
    with pytest.raises(SourceError, match="cannot be written"):
        plots.save(ax, tmp_path / "a.png" / "b.png")
    with pytest.raises(UsageError, match="must be a Matplotlib figure"):
        plots.figure_of([])


# --- style ----------------------------------------------------------------------------------------------------------


def luminance(color):
    channels = np.array(mpl.colors.to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_text_colours_can_be_read(theme):
    for role in ("ink", "muted", "good", "careful", "bad"):
        assert contrast(theme[role], theme["wash"]) >= 4.5, role
    for role in ("ink", "muted", "model", "actual", "good", "careful", "bad"):
        assert contrast(theme[role], theme["paper"]) >= 4.5, role


def test_model_and_actual_differ_for_colour_blind_eyes():
    # Viénot, Brettel & Mollon (1999): linear RGB as protanopes and deuteranopes see it.
    protan = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
    deutan = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
    for theme in (LIGHT, DARK):
        model, actual = (np.array(mpl.colors.to_rgb(theme[role])) ** 2.2 for role in ("model", "actual"))
        for eye in (np.eye(3), protan, deutan):
            # 0.15 in linear RGB is several times the smallest difference the eye tells apart.
            assert np.linalg.norm(eye @ (model - actual)) > 0.15


def test_numbers_in_pictures():
    assert [compact(value) for value in (0, 1234.5, -12.34, 0.00012, np.nan)] == [
        "0",
        "1,234",
        "−12.3",
        "1.20e−04",
        "n/a",
    ]
    assert [share(value) for value in (0, 0.0123, 0.5, 1, np.nan)] == ["0 %", "1.2 %", "50 %", "100 %", "n/a"]


def test_what_a_notebooks_backend_switches_on_stays_on():
    """The inline backend is loaded with the first picture, inside the style, and makes Matplotlib interactive."""
    before = mpl.is_interactive()
    try:
        mpl.interactive(False)
        with style():
            mpl.interactive(True)
        assert mpl.is_interactive()
        with pytest.raises(ValueError, match="broken"), style():
            mpl.interactive(False)
            raise ValueError("broken")
        assert not mpl.is_interactive()
    finally:
        mpl.interactive(before)


# --- lives and cohorts ------------------------------------------------------------------------------------------


def test_purchases_of_a_timeline_are_all_there():
    ax = plots.plot_customer_timelines(timelines(2, days=3000))
    marks = [line for line in ax.lines if line.get_marker() == "|"]
    assert [len(line.get_xdata()) for line in marks] == [100, 100]
    curves = [line for line in ax.lines if line.get_label() == "probability of being alive"]
    assert len(curves[0].get_xdata()) <= 500  # three thousand days, and no more points than a picture shows
    assert [label.get_text() for label in ax.get_yticklabels()] == ["c0", "c1"]
    with pytest.raises(UsageError, match="at most 12"):
        plots.plot_customer_timelines(timelines(13))


def test_a_cohort_is_measured_against_its_own_beginning():
    ax = plots.plot_cohorts(cohorts())
    (mesh,) = ax.collections
    cells = mesh.get_array().reshape(6, 6)
    np.testing.assert_allclose(cells[:, 0], 1)
    assert cells[0, 1] == pytest.approx(0.5)
    assert cells.mask[5, 1:].all()
    assert mesh.get_clim() == (0.0, pytest.approx(0.5))  # age 0 is one for all, and sets no colour
    assert "50 %" in words(ax)
    with pytest.raises(UsageError, match="make at most 60"):
        plots.plot_cohorts(cohorts(61))
    assert "no cohorts" in said(plots.plot_cohorts(cohorts().iloc[:0]))


def test_a_grid_of_a_model_is_what_the_model_says():
    ax = plots.plot_frequency_recency(known(), 39.0, most=4, cells=5)
    cells = ax.collections[0].get_array().reshape(5, 5)
    rfm = lw.RFM.from_frame(pd.DataFrame({"customer_id": [1], "frequency": 2, "recency": 19.5, "T": 39.0}), "W")
    assert cells[2, 2] == pytest.approx(known().probability_alive(rfm)[0])
    assert cells.mask[0, 1:].all()  # nobody came back without coming back
    assert cells.mask[1:, 0].all()
    many = plots.plot_frequency_recency(known(), 39.0, "12M", most=100_000, cells=30)
    assert many.collections[0].get_array().size <= 30 * 30


def test_coverage_counts_totals_and_says_where_history_was_too_short():
    told = words(plots.plot_interval_coverage(coverage()))
    assert "1 of 4" in told
    assert "2 of 3" in told
    assert "history too short" in words(plots.plot_interval_coverage(coverage().assign(calibrated=np.nan)))


def test_long_names_of_methods_end_their_lines_between_words():
    from lifeworth.plots.backtest import _in_lines

    assert _in_lines("bg_nbd") == "bg_nbd"
    assert _in_lines("aov_frequency_duration") == "aov_frequency_\nduration"
    assert _in_lines("revenue_per_customer") == "revenue_per_customer"
    assert _in_lines("mean of the last three years") == "mean of the last\nthree years"


# Linear red, green and blue as seen without one kind of cone: Machado, Oliveira & Fernandes (2009), IEEE TVCG 15(6).
SIGHTS = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def oklab(colour, sight):
    """Ottosson (2020): a space in which equal distances look about equal; black and white are 1 apart."""
    values = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    cones = [
        [0.41222147, 0.53633254, 0.05144599],
        [0.21190350, 0.68069955, 0.10739696],
        [0.08830246, 0.28171884, 0.62997870],
    ]
    axes = [
        [0.21045426, 0.79361778, -0.00407205],
        [1.97799850, -2.42859221, 0.45059371],
        [0.02590404, 0.78277177, -0.80867577],
    ]
    return np.array(axes) @ np.cbrt(np.array(cones) @ np.clip(np.array(SIGHTS[sight]) @ linear, 0, 1))


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_curves_differ_for_every_kind_of_colour_vision(theme, sight):
    """By 0.12, six times what is just noticed side by side; they differ in their dashes, too."""
    seen = [oklab(theme[role], sight) for role in SERIES]
    for k, one in enumerate(seen):
        for other in seen[:k]:
            assert np.linalg.norm(one - other) > 0.12


def test_effects_show_every_ratio_with_its_interval():
    table = effects()
    ax = plots.plot_effects(table)
    intervals = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "-"]
    drawn = [tuple(x) for x in intervals if x[0] != x[1]]
    for lower, upper in zip(table["ratio_lower"], table["ratio_upper"], strict=True):
        assert (lower, upper) in drawn
    assert ax.get_xscale() == "log"
    low, high = ax.get_xlim()
    assert low < table["ratio_lower"].min()
    assert high > table["ratio_upper"].max()
    hollow = [line.get_markerfacecolor() == PAPER for line in ax.lines if line.get_marker() in ("o", "s", "D")]
    assert hollow == [False, False, True] * 3


def test_effects_of_many_levels_keep_the_strongest():
    many = pd.concat([effects()] * 10, ignore_index=True).assign(effect="purchase", ratio_of="rate")
    many["ratio"] = np.geomspace(1.01, 3, len(many))
    many = pd.concat([many, many.tail(20)], ignore_index=True)
    many["ratio_lower"], many["ratio_upper"] = many["ratio"] / 1.1, many["ratio"] * 1.1
    ax = plots.plot_effects(many)
    assert f"{len(many) - 40} more are closer to 1" in ax.get_xlabel()
    assert min(line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o") > many["ratio"].min()


def test_effects_without_covariates_and_wrong_tables_get_a_sentence():
    assert said(plots.plot_effects(effects().head(0))) == "The model has no covariates."
    with pytest.raises(UsageError, match="ratio_of"):
        plots.plot_effects(effects().drop(columns="ratio_of"))
    with pytest.raises(UsageError, match="must hold positive numbers"):
        plots.plot_effects(effects().assign(ratio=-1.0))
    with pytest.raises(UsageError, match="must be a fit with covariates"):
        plots.plot_effects(3)
