"""The static audit: can an environment load, decided from its wheels on any machine."""
