"""Trained parameters: NAME.npz holds the arrays, NAME.json the model card; `store` reads and writes both."""
