"""Read transactions from any table into clean columns, with an audit of all rows."""

from __future__ import annotations

from lifeworth.transactions.amounts import DecimalMark as DecimalMark
from lifeworth.transactions.amounts import check_decimal as check_decimal
from lifeworth.transactions.audit import Audit as Audit
from lifeworth.transactions.column_hints import columns_named as columns_named
from lifeworth.transactions.data_notes import DataNotes as DataNotes
from lifeworth.transactions.date_formats import DateForm as DateForm
from lifeworth.transactions.date_formats import date_form as date_form
from lifeworth.transactions.parse import factorise_ids as factorise_ids
from lifeworth.transactions.parse import shown_ids as shown_ids
from lifeworth.transactions.policies import DUPLICATES as DUPLICATES
from lifeworth.transactions.policies import REFUNDS as REFUNDS
from lifeworth.transactions.policies import Duplicates as Duplicates
from lifeworth.transactions.policies import Refunds as Refunds
from lifeworth.transactions.policies import check_policies as check_policies
from lifeworth.transactions.reading import READING_OPTIONS as READING_OPTIONS
from lifeworth.transactions.reading import Reading as Reading
from lifeworth.transactions.reading import ReadingOptions as ReadingOptions
from lifeworth.transactions.rows import CheckedRows as CheckedRows
from lifeworth.transactions.rows import LeftOut as LeftOut
from lifeworth.transactions.rows import UsableRows as UsableRows
from lifeworth.transactions.rows import check_rows as check_rows
from lifeworth.transactions.rows import wall_clock_edge as wall_clock_edge
