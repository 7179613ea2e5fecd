"""Attempts become time windows of labelled counts."""
