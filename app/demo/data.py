"""Every airport by its IATA code, out of the package airportsdata; no web framework is imported here, so that processes start quickly."""

from __future__ import annotations

from functools import cache
from typing import Any

import airportsdata


@cache
def airports() -> dict[str, dict[str, Any]]:
    """Code to facts, as the package has them."""
    return {code: dict(facts) for code, facts in airportsdata.load("IATA").items()}
