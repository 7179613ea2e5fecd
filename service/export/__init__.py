"""Alerts and patterns go out as documents."""
