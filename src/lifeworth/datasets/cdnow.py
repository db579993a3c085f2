"""CDNOW, the data set on which most models of customers were shown first."""

from __future__ import annotations

from importlib.resources import as_file, files

import pandas as pd


def load_cdnow(sample: bool = False) -> pd.DataFrame:
    """Purchases at CDNOW, an online music shop, 1997-01-01 to 1998-06-30.

    Parameters
    ----------
    sample : the published 1/10 sample (2,357 customers, numbered 1 to 2,357) in place of all 23,570.

    Returns
    -------
    Frame with customer_id (int64), date (datetime64, by day) and amount (float64, US dollars): 69,659
    purchases, or 6,919 in the sample. 80 of them (8) were for nothing, and count as purchases.

    References
    ----------
    Fader & Hardie (2001), "Forecasting repeat sales at CDNOW", Interfaces 31(3); data by courtesy
    of the authors, brucehardie.com/datasets.

    Examples
    --------
    >>> load_cdnow(sample=True).head(2)
       customer_id       date  amount
    0            1 1997-01-01   29.33
    1            1 1997-01-18   29.73
    """
    import pyarrow.parquet as pq

    name = "cdnow_sample.parquet" if sample else "cdnow.parquet"
    with as_file(files("lifeworth") / "data" / name) as path:
        frame: pd.DataFrame = pq.read_table(path).to_pandas()
    return frame.assign(
        customer_id=frame["customer_id"].astype("int64"), date=pd.to_datetime(frame["date"]).astype("datetime64[us]")
    )
