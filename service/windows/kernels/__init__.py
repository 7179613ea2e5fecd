"""The compiled loops over times, attempts and pairs: a steady clock, open windows, their end."""
