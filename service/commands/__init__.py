"""Commands with a file of their own; `service.cli` puts them together."""
