"""Logs of flows: text, one record a line."""
