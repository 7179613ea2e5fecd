"""The numerical core beside other implementations."""
