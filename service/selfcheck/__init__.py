"""Does an installation find scans? Generated ones are sent to it, and what it names is compared."""
