"""The sample upstreams, on real data."""
