"""The matrix's cells locked into envs/, and what changed in them."""
