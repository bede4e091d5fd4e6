"""Whole runs against a channel and an index on loopback."""
