"""The formulas of the models: functions of arrays, compiled with numba. No tables, no dates, no checks."""
