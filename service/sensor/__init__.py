"""A sensor apart from the service: it counts, keeps what it counted on its disk, and sends it."""
