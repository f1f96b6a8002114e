"""Everything that reaches an upstream; the only package that imports httpx."""
