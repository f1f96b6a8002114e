"""State shared between processes and machines, in Redis; without it everything lives in the process."""
