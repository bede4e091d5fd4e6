"""The matrix as a list and as a table, with how much each environment was tested."""
