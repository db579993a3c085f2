"""Tables of any kind, in memory or in files, as plain columns."""

from lifeworth.tables.checks import check_columns as check_columns
from lifeworth.tables.convert import to_arrow as to_arrow
from lifeworth.tables.convert import to_polars as to_polars
from lifeworth.tables.convert import to_xarray as to_xarray
from lifeworth.tables.frames import column_names as column_names
from lifeworth.tables.frames import open_table as open_table
from lifeworth.tables.frames import read_table as read_table
from lifeworth.tables.frames import to_pandas as to_pandas
from lifeworth.tables.ids import id_type as id_type
from lifeworth.tables.ids import to_arrow_with_ids as to_arrow_with_ids
from lifeworth.tables.outputs import check_apart as check_apart
from lifeworth.tables.outputs import check_output as check_output
from lifeworth.tables.outputs import kept_source as kept_source
from lifeworth.tables.paths import Files as Files
from lifeworth.tables.paths import find_files as find_files
from lifeworth.tables.writing import arrow_table as arrow_table
from lifeworth.tables.writing import check_unicode as check_unicode
from lifeworth.tables.writing import check_unicode_ids as check_unicode_ids
from lifeworth.tables.writing import warn_of_formulas as warn_of_formulas
from lifeworth.tables.writing import write_csv as write_csv
