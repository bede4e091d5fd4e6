"""A lock to an environment on this machine, and an environment held against its lock."""
