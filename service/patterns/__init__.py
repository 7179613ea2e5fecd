"""A window's count matrix becomes named patterns of services."""
