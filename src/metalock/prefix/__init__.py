"""Making an environment from its lock on this machine, and comparing an environment with its lock."""
