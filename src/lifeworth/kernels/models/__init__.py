"""Kernels of the model families and of simulation."""
