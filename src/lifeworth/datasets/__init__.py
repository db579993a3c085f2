"""Example data: CDNOW, and simulated shops."""

from lifeworth.datasets.cdnow import load_cdnow as load_cdnow
from lifeworth.datasets.simulate import Simulation as Simulation
from lifeworth.datasets.simulate import simulate_transactions as simulate_transactions
