"""A catalog of many files: the main one, and those that its `include` names, added up."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from app.catalog.faults import Faults, Place, did_you_mean
from app.catalog.nodes import Entry, Items, Leaf, Node, Table, text
from app.catalog.yaml_nodes import Interpolate, read

SHARED = ("upstreams", "endpoints", "auth")
"""The keys that an included file may have."""
MAX_FILE = 16 * 1024 * 1024
MAX_FILES = 1_000


@dataclass(frozen=True, slots=True)
class Source:
    """Where a catalog's files are: the main file's name as the user gave it, and the folder from which paths count."""

    path: Path
    folder: Path

    def shown(self, name: str) -> str:
        """An included file's name as messages show it: seen from where the user stands, like the main one."""
        return str(self.path.parent / name)


def decoded(raw: bytes, file: str, faults: Faults) -> str | None:
    """The text of a file, None (and a fault) where it is no UTF-8 or too large."""
    if len(raw) > MAX_FILE:
        faults.add(Place(file, 1, 1), f"the file is over {MAX_FILE >> 20} MiB")
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode(errors="replace")
        faults.add(Place(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1), "no UTF-8: a catalog is UTF-8 text")
        return None


def with_included(main: Table, source: Source, faults: Faults, interpolate: Interpolate) -> Table:
    """The main catalog with the upstreams, endpoints and schemes of the files that it includes."""
    shared = {key: entry for key in SHARED if (entry := main.entries.get(key))}
    for file in _files(main, source, faults):
        if (root := _document(file, source, faults, interpolate)) is not None:
            for key, entry in root.entries.items():
                _add(key, entry, shared, faults)
    return main.with_entries({**shared, "include": None})


def _files(main: Table, source: Source, faults: Faults) -> Iterator[tuple[str, Leaf]]:
    """Every file of the patterns once, and the pattern that names it; the main one is passed over."""
    listed = main.get("include")
    if listed is None or (isinstance(listed, Leaf) and listed.value is None):
        return
    if not isinstance(listed, Items):
        faults.add(listed.place, "include should be a list of file names or patterns", "such as [endpoints/*.yaml]")
        return
    main_file = (source.folder / source.path.name).resolve()
    seen = {main_file}
    for item in listed.items:
        pattern = text(item)
        if pattern is None or not isinstance(item, Leaf) or "\0" in pattern:
            faults.add(item.place, "include should be a list of file names or patterns")
            continue
        found = [name for name in sorted(glob.glob(pattern, root_dir=source.folder, recursive=True)) if (source.folder / name).is_file()]
        others = [name for name in found if (source.folder / name).resolve() != main_file]
        if not others:
            faults.add(item.place, f"no file matches {item.shown}", "paths count from the main catalog's folder")
        for name in others:
            if (path := (source.folder / name).resolve()) in seen:
                continue
            if len(seen) > MAX_FILES:
                faults.add(item.place, f"more than {MAX_FILES:,} files are included")
                return
            seen.add(path)
            yield name, item


def _document(file: tuple[str, Leaf], source: Source, faults: Faults, interpolate: Interpolate) -> Table | None:
    name, pattern = file
    try:
        with (source.folder / name).open("rb") as opened:
            raw = opened.read(MAX_FILE + 1)
    except OSError as error:
        faults.add(pattern.place, f"'{name}' cannot be read: {error.strerror}")
        return None
    shown = source.shown(name)
    source_text = decoded(raw, shown, faults)
    root: Node | None = read(source_text, shown, faults, interpolate) if source_text is not None else None
    if root is None or isinstance(root, Table):
        return root
    faults.add(root.place, "an included file is a mapping with `upstreams`, `endpoints` or `auth`")
    return None


def _add(key: str, entry: Entry, shared: dict[str, Entry], faults: Faults) -> None:
    """Adds one section of an included file to the same section of the others."""
    if key not in SHARED:
        hint = did_you_mean(key, SHARED) or "an included file has `upstreams`, `endpoints` and `auth` alone"
        faults.add(entry.key, f"unknown key '{key}' in an included file", hint)
        return
    if isinstance(entry.node, Leaf) and entry.node.value is None:
        return
    if not isinstance(entry.node, Table):
        faults.add(entry.node.place, f"{key} should be a mapping")
        return
    here = shared.get(key)
    if here is None or (isinstance(here.node, Leaf) and here.node.value is None):
        shared[key] = entry
        return
    if not isinstance(here.node, Table):
        return
    entries = dict(here.node.entries)
    for name, one in entry.node.entries.items():
        if name in entries:
            first = entries[name].key
            faults.add(one.key, f"the name '{name}' is taken: {first.file} has it in line {first.line}")
        else:
            entries[name] = one
    shared[key] = replace(here, node=replace(here.node, entries=entries))
