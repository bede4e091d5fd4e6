"""Locked conda environments for TensorFlow on macOS and Linux."""

__version__ = "0.1.0"
