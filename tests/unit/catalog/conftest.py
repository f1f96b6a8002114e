"""Catalogs as texts: loaded, or their faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from app.catalog.faults import CatalogFaults, Fault
from app.catalog.load import Loaded, load_text

Load = Callable[..., Loaded]
FaultsOf = Callable[..., list[Fault]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """load(text, **environ): the catalog, as if it were in a folder of its own."""

    def _load(text: str, environ: Mapping[str, str] | None = None) -> Loaded:
        return load_text(text, folder=tmp_path, environ=environ or {})

    return _load


@pytest.fixture
def faults_of(load: Load) -> FaultsOf:
    """faults_of(text): its faults, none where it is clean."""

    def _faults_of(text: str, environ: Mapping[str, str] | None = None) -> list[Fault]:
        try:
            load(text, environ)
        except CatalogFaults as faulty:
            return list(faulty.faults)
        return []

    return _faults_of
