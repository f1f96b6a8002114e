"""One file per policy, and the one order in which they wrap a call."""
