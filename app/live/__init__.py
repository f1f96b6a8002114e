"""Live answers: one poller per topic, the newest state for every subscriber; knows no wire format."""
