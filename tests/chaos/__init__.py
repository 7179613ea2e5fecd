"""Kills every process of the service at random, and compares what is stored with an undisturbed run."""
