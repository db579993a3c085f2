"""What several test files share: CDNOW, and a table in every form that tables come in."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pandas as pd
import pytest

import lifeworth as lw

# Examples take their time where kernels are compiled or two cores are shared; nothing is measured here.
hypothesis.settings.register_profile("house", deadline=None, max_examples=60, derandomize=True)
hypothesis.settings.load_profile("house")

# Started in the background, the tests ignore Ctrl-C, and so would the commands that they start: what is ignored here is
# ignored there. What is handled here is at its default there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REFERENCE = Path(__file__).parent / "reference"


@pytest.fixture(autouse=True)
def default_ctrl_c() -> None:
    """Undo what an earlier test left behind: a Spark context installs a handler of its own for Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cdnow_sample() -> pd.DataFrame:
    return lw.load_cdnow(sample=True)


@pytest.fixture(scope="session")
def cdnow_reference() -> pd.DataFrame:
    """Another system's table of the CDNOW sample, calibrated to 1997-09-30, ids ascending."""
    table = pd.read_csv(REFERENCE / "cdnow_sample_bgnbd_clvtools.csv")
    return table.sort_values("customer_id", ignore_index=True)


def _forms() -> dict[str, Callable[[pd.DataFrame, Path], Any]]:
    def arrow_backed(frame: pd.DataFrame, folder: Path) -> Any:
        return frame.convert_dtypes(dtype_backend="pyarrow")

    def nullable(frame: pd.DataFrame, folder: Path) -> Any:
        return frame.convert_dtypes()

    def odd_index(frame: pd.DataFrame, folder: Path) -> Any:
        return frame.set_axis([7] * len(frame))

    def polars_eager(frame: pd.DataFrame, folder: Path) -> Any:
        return pytest.importorskip("polars").from_pandas(frame)

    def polars_lazy(frame: pd.DataFrame, folder: Path) -> Any:
        return pytest.importorskip("polars").from_pandas(frame).lazy()

    def pyarrow_table(frame: pd.DataFrame, folder: Path) -> Any:
        import pyarrow as pa

        return pa.Table.from_pandas(frame)

    def duckdb_relation(frame: pd.DataFrame, folder: Path) -> Any:
        return pytest.importorskip("duckdb").connect().from_df(frame)

    def parquet(frame: pd.DataFrame, folder: Path) -> Any:
        frame.to_parquet(folder / "table.parquet")
        return folder / "table.parquet"

    def parquet_with_index(frame: pd.DataFrame, folder: Path) -> Any:
        frame.set_index("customer_id").to_parquet(folder / "indexed.parquet")
        return str(folder / "indexed.parquet")

    def csv(frame: pd.DataFrame, folder: Path) -> Any:
        frame.to_csv(folder / "table.csv", index=False)
        return folder / "table.csv"

    def csv_with_index(frame: pd.DataFrame, folder: Path) -> Any:
        frame.to_csv(folder / "indexed.csv")
        return str(folder / "indexed.csv")

    def tsv(frame: pd.DataFrame, folder: Path) -> Any:
        frame.to_csv(folder / "table.tsv", index=False, sep="\t")
        return folder / "table.tsv"

    return {make.__name__: make for make in locals().values()}


FORMS = _forms()


@pytest.fixture(params=FORMS)
def dressed(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[pd.DataFrame], Any]:
    """Gives a pandas table in one of all the forms that tables come in."""

    def dress(frame: pd.DataFrame) -> Any:
        return FORMS[request.param](frame, tmp_path)

    dress.is_text = request.param in {"csv", "csv_with_index", "tsv"}
    return dress
