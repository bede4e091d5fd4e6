"""What is expected of an environment, and what runs observed in it."""
