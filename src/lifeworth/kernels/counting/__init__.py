"""Kernels that read rows and count purchases."""
