"""RFM tables: frequency, recency, age and monetary value of each customer, computed from transactions."""

from lifeworth.rfm.alignment import by_customer as by_customer
from lifeworth.rfm.alignment import in_table_order as in_table_order
from lifeworth.rfm.cohorts import cohort_table as cohort_table
from lifeworth.rfm.metadata import RFMMetadata as RFMMetadata
from lifeworth.rfm.metadata import metadata_of as metadata_of
from lifeworth.rfm.metadata import rfm_metadata as rfm_metadata
from lifeworth.rfm.state import RFMState as RFMState
from lifeworth.rfm.summary import rfm_summary as rfm_summary
from lifeworth.rfm.summary import train_test_split as train_test_split
from lifeworth.rfm.table import RFM as RFM
from lifeworth.rfm.table import RFM_COLUMNS as RFM_COLUMNS
from lifeworth.rfm.transactions import Transactions as Transactions
