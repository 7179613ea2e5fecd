"""Counts and patterns become verdicts."""
