"""The compiled code of the core; the tests hold every kernel against plain numpy."""
