"""How well scans are found, beside what users have today."""
