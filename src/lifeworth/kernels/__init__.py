"""The formulas of the models: pure functions of arrays, compiled with numba; no tables, no dates, no checks."""
