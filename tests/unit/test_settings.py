"""Settings: documented, listed with their defaults, read from the environment, and no secret shown."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings, environ


def test_the_example_lists_every_setting_with_its_default(root: Path) -> None:
    """Copying `.env.example` changes nothing."""
    listed = re.findall(r"^MERGANSER_(\w+)=", (root / ".env.example").read_text(), re.MULTILINE)
    assert [name.lower() for name in sorted(listed)] == sorted(Settings.model_fields)
    assert Settings(_env_file=root / ".env.example") == Settings(_env_file=None)


def test_every_setting_says_what_it_is() -> None:
    """In a sentence."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the units of the catalog; lists are separated by commas or spaces; an empty value is the default."""
    given = {"PORT": "9000", "GRACE": "1500ms", "CACHE_SIZE": "1MiB", "TRUSTED_PROXIES": "10.0.0.0/8, ::1", "HOSTS": "a.test,b.test", "REDIS_URL": ""}
    for name, value in given.items():
        monkeypatch.setenv(f"MERGANSER_{name}", value)
    read = Settings(_env_file=None)
    assert (read.port, read.grace, read.cache_size, read.redis_url) == (9000, 1.5, 1 << 20, None)
    assert read.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert read.hosts == ("a.test", "b.test")


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For settings and for `${VAR}` in a catalog alike."""
    (tmp_path / ".env").write_text("MERGANSER_PORT=1111\nMERGANSER_WORKERS=3\nTOKEN=file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MERGANSER_PORT", "2222")
    read = Settings()
    assert (read.port, read.workers) == (2222, 3)
    assert (environ()["TOKEN"], environ()["MERGANSER_PORT"]) == ("file", "2222")


BAD = {
    "PORT": "70000",
    "WORKERS": "0",
    "TRUSTED_PROXIES": "10.0.0.0/99",
    "GRACE": "soon",
    "CACHE_SIZE": "big",
    "LOG_LEVEL": "loud",
    "DRAIN": "100ms",
    "BACKLOG": "99999999999999",
}


@pytest.mark.parametrize("name", BAD)
def test_a_setting_that_makes_no_sense_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, by name."""
    monkeypatch.setenv(f"MERGANSER_{name}", BAD[name])
    with pytest.raises(ValidationError, match=name.lower()):
        Settings(_env_file=None)


@pytest.mark.parametrize(
    "url",
    [
        "bogus://u:canary@h/0",
        "canary",
        "redis://u:canary@h:99999/0",
        "redis://u:canary@h:port",
        "redis://u:canary@h?db=canary",
        "redis://u:canary@[::1",
    ],
)
def test_a_url_of_no_redis_is_refused_without_its_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how one is written."""
    monkeypatch.setenv("MERGANSER_REDIS_URL", url)
    with pytest.raises(ValidationError, match="redis://HOST:PORT/0") as refused:
        Settings(_env_file=None)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("url", ["redis://h", "rediss://u:p@h:6380/1", "redis://[::1]:6379/0", "unix:///run/redis.sock?db=1"])
def test_a_url_of_a_redis_is_taken_as_it_is(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TCP, TLS, or a socket of the machine."""
    monkeypatch.setenv("MERGANSER_REDIS_URL", url)
    read = Settings(_env_file=None).redis_url
    assert read is not None
    assert read.get_secret_value() == url


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the token nor the password in a URL, in any rendering."""
    monkeypatch.setenv("MERGANSER_ADMIN_TOKEN", "canary-1")
    monkeypatch.setenv("MERGANSER_REDIS_URL", "redis://:canary-2@localhost/0")
    read = Settings(_env_file=None)
    assert "canary" not in repr(read) + str(read) + str(read.model_dump()) + read.model_dump_json()
