"""One function a command: options to domain values, one call, words for people, an exit code."""
