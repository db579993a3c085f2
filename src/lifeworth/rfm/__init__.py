"""RFM: from transactions to how often, how recently, how long and for how much each customer has bought."""

from lifeworth.rfm.cohorts import cohort_table as cohort_table
from lifeworth.rfm.extract import rfm_summary as rfm_summary
from lifeworth.rfm.extract import train_test_split as train_test_split
from lifeworth.rfm.state import RFMState as RFMState
from lifeworth.rfm.table import RFM as RFM
from lifeworth.rfm.table import RFM_COLUMNS as RFM_COLUMNS
from lifeworth.rfm.table import rfm_metadata as rfm_metadata
