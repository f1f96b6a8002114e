"""Takes secrets out of log texts: the second net, under the rule that headers, bodies and query strings are not logged."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

HIDDEN = "[redacted]"
_NAMES = (
    "authorization|proxy-authorization|cookie|set-cookie|x-api-key|api[_-]?key|access[_-]?token|refresh[_-]?token|client[_-]?secret"
    "|password|passwd|secret|token"
)
_NAME = re.compile(rf"(?i)^(?:{_NAMES})$")
_PATTERNS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?<=://)[^/\s@:]*:[^/\s@]*@"), f"{HIDDEN}@"),
    (re.compile(rf"(?i)\b({_NAMES})(['\"]?\s*[=:]\s*['\"]?)(?!{re.escape(HIDDEN)})[^\s&'\",;}}]+"), rf"\1\2{HIDDEN}"),
    (re.compile(r"(\bhttps?://[^\s?\"']+)\?[^\s\"']+"), rf"\1?{HIDDEN}"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x1b]")


def redacted(text: str) -> str:
    """The text without credentials, user info and query strings of URLs, and control characters (ASVS 16.4.1)."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _CONTROL.sub(lambda m: f"\\x{ord(m[0]):02x}", text)


def redact_fields(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: every text is cleaned, values of fields with a telling name are hidden."""
    for key, value in fields.items():
        if _NAME.match(key):
            fields[key] = HIDDEN
        elif isinstance(value, str):
            fields[key] = redacted(value)
    return fields
