"""How the capabilities of the contract are tried inside an environment."""
