"""How well groups of sources are found: campaigns injected into real background."""
