"""Plans: a catalog's endpoints compiled once, run for every request."""
