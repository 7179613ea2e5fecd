"""The commands, one a file; each is added to the command line by its own `add`."""
