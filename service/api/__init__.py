"""HTTP: windows in, patterns and alerts out."""
