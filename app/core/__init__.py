"""Values and protocols that every other package speaks; standard library and the JSON codecs only."""
