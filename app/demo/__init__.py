"""The sample upstreams of `merganser demo`: small HTTP services over data packages, each a process of its own on loopback."""
