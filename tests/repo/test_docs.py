"""What the documentation says is there, and what is there is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from app.catalog.load import load, load_text
from app.cli import COMMANDS
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.series import Series

METRIC = re.compile(r"\bmerganser_[a-z_]+")
SETTING = re.compile(r"\bMERGANSER_[A-Z_]+\b")
NOT_SETTINGS = {"MERGANSER_CMD", "MERGANSER_"}


def exported(series: Series) -> set[str]:
    """The names under which a series is seen in /metrics."""
    if series.kind == "histogram":
        return {series.name, *(f"{series.name}_{suffix}" for suffix in ("bucket", "count", "sum"))}
    return {f"{series.name}_total"} if series.kind == "counter" else {series.name}


METRICS = {name for series in Metrics().names.values() for name in exported(series)}
DOCUMENTED = [f"{s.name}_total" if s.kind == "counter" else s.name for s in Metrics().names.values()]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_metric_is_explained(root: Path, name: str) -> None:
    """docs/operating.md says what it counts."""
    assert f"`{name}`" in (root / "docs/operating.md").read_text()


def test_every_metric_that_is_explained_exists(root: Path) -> None:
    """Nobody waits for a number that never comes."""
    assert set(METRIC.findall((root / "docs/operating.md").read_text())) <= METRICS


@pytest.mark.parametrize("file", ["grafana-dashboard.json", "alerts.yaml"])
def test_every_metric_that_is_watched_exists(root: Path, file: str) -> None:
    """A dashboard or alert over a name that is gone is silent for ever."""
    text = (root / "config/observability" / file).read_text()
    used = set(METRIC.findall(text)) - {"merganser_admin_token"}
    assert used
    assert used <= METRICS


def test_the_dashboard_and_the_rules_can_be_read(root: Path) -> None:
    """JSON with panels of unique ids; YAML with an expression and a summary each."""
    dashboard = json.loads((root / "config/observability/grafana-dashboard.json").read_text())
    identities = [panel["id"] for panel in dashboard["panels"]]
    assert len(identities) == len(set(identities)) > 10
    rules = yaml.safe_load((root / "config/observability/alerts.yaml").read_text())["groups"][0]["rules"]
    assert all(rule["expr"] and rule["annotations"]["summary"] for rule in rules)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_mentioned(root: Path, command: str) -> None:
    """In the README."""
    assert f"merganser {command}" in (root / "README.md").read_text()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_explained_and_listed(root: Path, name: str) -> None:
    """In docs/operating.md, and in .env.example to copy."""
    variable = f"MERGANSER_{name.upper()}"
    assert f"`{variable}`" in (root / "docs/operating.md").read_text()
    assert re.search(rf"^{variable}=", (root / ".env.example").read_text(), re.MULTILINE)


@pytest.mark.parametrize("file", ["README.md", "README.es.md", "docs/operating.md", "docs/tutorial.md", ".env.example", "compose.yaml", "Dockerfile"])
def test_every_setting_that_is_mentioned_exists(root: Path, file: str) -> None:
    """No setting of another time."""
    known = {f"MERGANSER_{name.upper()}" for name in Settings.model_fields} | NOT_SETTINGS
    assert set(SETTING.findall((root / file).read_text())) <= known


@pytest.mark.parametrize("file", ["README.md", "README.es.md", "docs/operating.md", "docs/tutorial.md", "CHANGELOG.md"])
def test_links_between_our_files_lead_somewhere(root: Path, file: str) -> None:
    """Relative links, files and folders."""
    page = root / file
    targets = [t.partition("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if not re.match(r"[a-z]+:", t)]
    assert not [t for t in targets if t and not (page.parent / t).exists()]


def catalogs(text: str) -> list[str]:
    """The YAML blocks of a page that are whole catalogs."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if re.search(r"^upstreams:", block, re.MULTILINE) and re.search(r"^endpoints:", block, re.MULTILINE)]


@pytest.mark.parametrize("file", ["docs/tutorial.md", "docs/from-krakend.md"])
def test_the_catalogs_of_the_documentation_are_clean(root: Path, tmp_path: Path, file: str) -> None:
    """What one copies from a page passes `check`."""
    found = catalogs((root / file).read_text())
    assert found
    for text in found:
        load_text(text, folder=tmp_path, environ={})


@pytest.mark.parametrize("name", ["demo", "shop", "profile", "soap"])
def test_the_sample_catalogs_are_clean(root: Path, name: str) -> None:
    """And without a warning."""
    assert not load(root / f"config/{name}.yaml", {}).warnings


def test_the_readme_shows_the_demo_as_it_is(root: Path) -> None:
    """Route, deadline and calls of the first screen are those of config/demo.yaml."""
    trip = load(root / "config/demo.yaml", {}).catalog.endpoints["trip"]
    shown = yaml.safe_load(
        "endpoints:\n" + next(b for b in re.findall(r"```yaml\n(.*?)```", (root / "README.md").read_text(), re.DOTALL) if "trip:" in b)
    )
    told = shown["endpoints"]["trip"]
    assert (told["get"], list(told["calls"])) == (trip.get, list(trip.calls))
    assert all(call["upstream"] == trip.calls[name].upstream for name, call in told["calls"].items())
    answer = json.loads(re.findall(r"```json\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)[0])
    assert list(answer["data"]) == list(trip.response)
    assert list(answer["sources"]) == list(trip.calls)
