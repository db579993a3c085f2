"""What lifeworth gives, in the kind of table that a user works with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from lifeworth.errors import DataError, UsageError

if TYPE_CHECKING:
    import polars
    import pyarrow
    import xarray


def to_polars(table: Any) -> polars.DataFrame:
    """Anything tabular that lifeworth gives, as a Polars data frame.

    Parameters
    ----------
    table : an RFM table, predictions, a holdout, segments, totals, or any other pandas frame. What an index holds
        becomes columns.

    Raises
    ------
    UsageError : Polars is not installed, or it is nothing tabular.

    Examples
    --------
    >>> import lifeworth as lw
    >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    >>> lw.to_polars(calibration).select("frequency", "recency").row(0)
    (2, 30.428571428571427)
    """
    try:
        import polars
    except ImportError as error:
        raise UsageError('Polars is not installed: pip install "lifeworth[polars]".') from error
    made = polars.from_arrow(to_arrow(table))
    assert isinstance(made, polars.DataFrame)
    return made


def to_arrow(table: Any) -> pyarrow.Table:
    """Anything tabular that lifeworth gives, as a PyArrow table; see `to_polars`.

    What pandas carries in `attrs`, such as the units of an RFM table, is in the metadata of its schema.

    Examples
    --------
    >>> import lifeworth as lw
    >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    >>> lw.to_arrow(calibration).column_names
    ['customer_id', 'frequency', 'recency', 'T', 'monetary_value']
    """
    import pyarrow as pa

    frame = _plain(table)
    metadata = {"PANDAS_ATTRS": json.dumps(frame.attrs)} if frame.attrs else None
    made = pa.Table.from_pandas(frame, preserve_index=False)
    return made.replace_schema_metadata(metadata)


def to_xarray(table: Any) -> xarray.Dataset:
    """Convert any table of lifeworth to an xarray data set, for use with ArviZ.

    Parameters
    ----------
    table : as in `to_polars`.

    Returns
    -------
    Dataset along customer_id where there is such a column, else along the frame's own index; what pandas carries in
    `attrs` is in its `attrs`. Posterior draws of predictions are in `Fit.to_datatree(rfm, predictions=...)`.

    Examples
    --------
    >>> import lifeworth as lw
    >>> calibration = lw.rfm_summary(lw.load_cdnow(sample=True), observation_end="1997-09-30")
    >>> fit = lw.BetaGeo().from_parameters({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, time_unit="W")
    >>> predictions = lw.to_xarray(lw.CLV(fit).predict(calibration, "39W", uncertainty=None))
    >>> round(float(predictions["expected_purchases"].sel(customer_id=1)), 3)
    1.226
    """
    frame = _frame(table)
    if "customer_id" in frame.columns:
        frame = frame.set_index("customer_id")
    made: xarray.Dataset = frame.to_xarray()
    for name, value in frame.attrs.items():  # files of xarray hold numbers and text
        made.attrs[str(name)] = json.dumps(value) if isinstance(value, (dict, list)) else value
    return made


def _frame(table: Any) -> pd.DataFrame:
    to_pandas = getattr(table, "to_pandas", None)
    frame = to_pandas() if callable(to_pandas) else table
    if isinstance(frame, pd.Series):
        frame = frame.to_frame(frame.name or "value")
    if not isinstance(frame, pd.DataFrame):
        raise UsageError(f"{type(table).__name__} is not a table: give an RFM table, predictions, segments or a frame.")
    return frame


def _plain(table: Any) -> pd.DataFrame:
    """A frame with a default index."""
    frame = _frame(table)
    if isinstance(frame.index, pd.RangeIndex) and frame.index.name is None:
        return frame
    names = [name for name in frame.index.names if name in frame.columns]
    if names:
        raise DataError(f"The index and a column are both named {' and '.join(map(repr, names))}.")
    return frame.reset_index()
