"""How a factor moves: one rule a file, all behind `UpdateRule`, none of which knows another."""
