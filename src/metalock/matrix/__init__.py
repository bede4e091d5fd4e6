"""`matrix.toml`: its model, its parser, and its expansion into cells."""
