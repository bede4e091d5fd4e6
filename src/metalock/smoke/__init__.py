"""What works in an environment: a contract of capabilities, and the suite that tries them inside it."""
