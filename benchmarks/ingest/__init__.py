"""How fast traffic comes in."""
