"""Checks of the matrix against its files, and against the package index."""
