"""What is compared: one way to find groups, or to name sources, a file."""
