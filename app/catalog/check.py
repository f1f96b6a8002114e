"""Everything about a catalog that its shape does not say; each check tells its faults and none hides another's."""

from __future__ import annotations

from pathlib import Path

from app.catalog.check_access import check_access
from app.catalog.check_calls import check_calls
from app.catalog.check_expressions import check_expressions
from app.catalog.check_names import check_names
from app.catalog.check_params import check_params
from app.catalog.check_routes import check_routes
from app.catalog.check_upstreams import check_upstreams
from app.catalog.faults import Faults
from app.catalog.nodes import Table


def checked(root: Table, folder: Path, faults: Faults) -> None:
    """Holds a resolved catalog against every rule of meaning. Nodes of a wrong shape are passed over: `shape` tells those."""
    check_names(root, faults)
    check_upstreams(root, folder, faults)
    check_routes(root, faults)
    check_params(root, faults)
    check_calls(root, faults)
    check_expressions(root, faults)
    check_access(root, faults)
