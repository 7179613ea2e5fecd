"""How much the service takes in and works off, over HTTP."""
