"""The compiled loops over packets: records, headers, conversations."""
