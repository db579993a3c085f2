"""How good a model is: predictions and baselines against held-out time."""
