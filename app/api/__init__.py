"""The surface: REST, SSE, NDJSON, WebSocket, and the pages that describe it."""
