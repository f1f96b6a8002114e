"""The Prometheus text format 0.0.4, read strictly, and linted as `promtool check metrics` does."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (NaN|[+-]Inf|[-+]?[0-9.]+(?:e[+-]?[0-9]+)?)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
NO_BASE_UNITS = (
    "ms", "milliseconds", "millis", "us", "microseconds", "ns", "nanoseconds", "minutes", "hours", "days", "kb", "kilobytes", "mb", "megabytes",
    "kib", "mib", "bits", "percent", "second", "byte",
)  # fmt: skip
"""Prometheus counts in seconds, bytes and ratios, in the plural."""

Labels = Mapping[str, str]


@dataclass
class Family:
    """One metric: what is said of it, and its samples by name and labels."""

    name: str
    help: str
    type: str = "untyped"
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)

    def labels(self) -> Iterator[tuple[str, str]]:
        """Every label with its value."""
        return (pair for _, labels in self.samples for pair in labels)


def read(text: str) -> dict[str, Family]:
    """The families of a scrape. AssertionError where the text breaks the format."""
    assert text.endswith("\n"), "the last line ends too"
    families: dict[str, Family] = {}
    family: Family | None = None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, _, help = line.removeprefix("# HELP ").partition(" ")
            assert name not in families, f"{name} comes twice"
            family = families[name] = Family(name, help)
        elif line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert family is not None, line
            assert (family.name, family.type, family.samples) == (name, "untyped", {}), f"{line}: TYPE follows HELP, once"
            assert kind in TYPES, line
            family.type = kind
        else:
            assert family is not None, f"{line}: no HELP before it"
            _add(family, line)
    return families


def _add(family: Family, line: str) -> None:
    match = SAMPLE.fullmatch(line)
    assert match is not None, f"no sample: {line}"
    name, inner, value = match[1], match[2] or "", float(match[3])
    assert name in [family.name + suffix for suffix in SUFFIXES.get(family.type, ("",))], f"{line} among those of {family.name}"
    pairs, at = [], 0
    while at < len(inner):
        label = LABEL.match(inner, at)
        assert label is not None, f"no labels: {line}"
        pairs.append((label[1], label[2]))
        at = label.end()
    assert len({key for key, _ in pairs}) == len(pairs), f"a label twice: {line}"
    key = (name, frozenset(pairs))
    assert key not in family.samples, f"a sample twice: {line}"
    family.samples[key] = value


def lint(family: Family) -> list[str]:
    """What is wrong with a family, in words."""
    wrong = []
    words = family.name.split("_")
    if not NAME.fullmatch(family.name):
        wrong.append("the name is not in snake case")
    if not family.help.strip():
        wrong.append("no help")
    if family.type == "untyped":
        wrong.append("no type")
    if (family.type == "counter") != (words[-1] == "total"):
        wrong.append("`_total` is for counters, and for each of them")
    if words[-1] in ("bucket", "count", "sum", "info") and not (words[-1] == "info" and family.type == "gauge"):
        wrong.append(f"`_{words[-1]}` is no end of a name")
    wrong += [f"`{word}` is no base unit" for word in words if word in NO_BASE_UNITS]
    wrong += [f"`{word}` is a type, no name" for word in words if word in TYPES]
    wrong += [f"label {name} is not in snake case" for name, _ in family.labels() if not NAME.fullmatch(name)]
    if len({frozenset(name for name, _ in labels) - {"le"} for _, labels in family.samples}) > 1:
        wrong.append("samples with different labels")
    if family.type in ("counter", "histogram") and not all(value >= 0 and math.isfinite(value) for value in family.samples.values()):
        wrong.append("a count below zero, or none")
    return wrong + (_lint_histogram(family) if family.type == "histogram" else [])


def _lint_histogram(family: Family) -> list[str]:
    wrong = []
    by_labels: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
    for (name, labels), value in family.samples.items():
        if name == f"{family.name}_bucket":
            bound = next((float(v) for key, v in labels if key == "le"), math.nan)
            by_labels.setdefault(frozenset(pair for pair in labels if pair[0] != "le"), []).append((bound, value))
    for labels, buckets in by_labels.items():
        bounds, counts = zip(*buckets, strict=True)
        if list(bounds) != sorted(set(bounds)) or bounds[-1] != math.inf:
            wrong.append("bounds out of order, or without +Inf")
        if list(counts) != sorted(counts):
            wrong.append("buckets that do not add up")
        if counts[-1] != family.samples.get((f"{family.name}_count", labels)):
            wrong.append("+Inf is not the count")
        if (f"{family.name}_sum", labels) not in family.samples:
            wrong.append("no sum")
    return wrong
