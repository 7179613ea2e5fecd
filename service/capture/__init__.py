"""Where traffic enters: files become packets, packets become attempts."""
