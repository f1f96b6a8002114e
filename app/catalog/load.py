"""From a catalog's files to a `Catalog` that can be served, or to every fault in them at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.catalog.check import checked
from app.catalog.faults import CatalogUnreadable, Fault, Faults
from app.catalog.include import MAX_FILE, Source, decoded, with_included
from app.catalog.interpolate import interpolator
from app.catalog.nodes import Table
from app.catalog.openapi import with_schemas
from app.catalog.resolve import resolved
from app.catalog.schema import Catalog
from app.catalog.shape import validated
from app.catalog.yaml_nodes import read


@dataclass(frozen=True, slots=True)
class Loaded:
    """A catalog without faults. `folder` is where its relative paths count from, `warnings` what `check` says besides."""

    catalog: Catalog
    folder: Path
    path: Path
    warnings: tuple[Fault, ...] = ()


def load(path: Path, environ: Mapping[str, str]) -> Loaded:
    """Reads a catalog and all that it includes.

    Raises `CatalogFaults` with every fault, `CatalogUnreadable` where the file cannot be read. `environ` is what `${VAR}`
    stands for: the process's environment over `.env`.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        raise CatalogUnreadable(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'no file name'}") from error
    return _loaded(raw, Source(path, path.absolute().parent), environ)


def load_text(text: str, *, folder: Path, environ: Mapping[str, str]) -> Loaded:
    """Reads a catalog from a text, as if it were `merganser.yaml` in the folder."""
    return _loaded(text.encode(errors="surrogatepass"), Source(Path("merganser.yaml"), folder.absolute()), environ)


def _loaded(raw: bytes, source: Source, environ: Mapping[str, str]) -> Loaded:
    faults = Faults()
    with _no_collecting():
        catalog = _catalog(raw, source, environ, faults)
    faults.raise_if_any()
    assert catalog is not None  # noqa: S101 - without one there is a fault
    return Loaded(with_schemas(catalog), source.folder, source.path, faults.sorted("warning"))


@contextmanager
def _no_collecting() -> Iterator[None]:
    """No search for garbage meanwhile: a catalog's tree lives until it is checked, and walking it again and again takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _catalog(raw: bytes, source: Source, environ: Mapping[str, str], faults: Faults) -> Catalog | None:
    interpolate = interpolator(environ, source.folder, faults)
    file = str(source.path)
    text = decoded(raw, file, faults)
    root = read(text, file, faults, interpolate) if text is not None else None
    if root is None:
        return None
    if not isinstance(root, Table):
        faults.add(root.place, "a catalog is a mapping", "with `upstreams` and `endpoints`")
        return None
    root = with_included(root, source, faults, interpolate)
    whole = resolved(root, source.folder, faults)
    catalog = validated(whole, faults)
    checked(whole, source.folder, faults)
    return catalog
