"""Events turned into logs, metrics and traces."""
