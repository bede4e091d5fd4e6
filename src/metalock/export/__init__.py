"""Other lock formats, made on demand from the locks."""
