"""Merganser turns many upstream APIs into one.

A catalog (YAML) declares upstreams and composite endpoints. One request fans out to several upstreams at once and
comes back as one typed, truthful answer: over REST, streamed part by part, and live over a WebSocket. It keeps no
database and changes nothing of its own: what it knows lives in the catalog, in memory and, where told so, in Redis.
"""

__version__ = "0.1.0"
