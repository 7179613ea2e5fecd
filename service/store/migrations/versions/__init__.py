"""The revisions, each named after its number."""
