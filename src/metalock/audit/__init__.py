"""The static audit: can an environment load, told from its wheels on any machine."""
