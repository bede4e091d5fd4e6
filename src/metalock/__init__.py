"""Reproducible environments and locks for TensorFlow on Macs, and the Linux machines beside them."""

__version__ = "0.1.0"
