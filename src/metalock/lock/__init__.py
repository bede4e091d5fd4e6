"""The lock of a cell: its model and its canonical text."""
