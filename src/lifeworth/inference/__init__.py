"""Inference: draws of the posterior. The only package that imports PyMC, which it does only when it is used."""
