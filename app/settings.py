"""What the environment decides: `MERGANSER_*` variables and `.env`, read once, when a command starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.api.address import Network
from app.catalog import units


def _words(value: Any) -> Any:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _networks(value: Any) -> Any:
    return tuple(ip_network(word) if isinstance(word, str) else word for word in _words(value))


def _size(value: Any) -> Any:
    return units.size(int(value) if isinstance(value, str) and value.isdecimal() else value)


def _seconds(value: Any) -> Any:
    return float(value) if isinstance(value, float) else units.seconds(value)


def _redis(value: SecretStr) -> SecretStr:
    """The URL of a Redis. What is wrong is said without it: there may be a password in it. The library is loaded where it is used alone."""
    try:
        is_one = import_module("redis.asyncio.connection").parse_url(value.get_secret_value()).get("port") != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise ValueError("this is no URL of a Redis: write it as redis://HOST:PORT/0, rediss://... or unix://PATH")
    return value


Duration = Annotated[float, BeforeValidator(_seconds)]
Size = Annotated[int, BeforeValidator(_size)]


class Settings(BaseSettings):
    """Every setting with its default. Secrets are `SecretStr`: no `repr` shows them. Durations are seconds, sizes bytes."""

    model_config = SettingsConfigDict(
        env_prefix="MERGANSER_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    catalog: Path = Field(Path("merganser.yaml"), description="The catalog that is served where none is named.")
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every one of IPv4.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=256, description="Processes that serve.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field("auto", description="json, console, or auto: console on a terminal, else json.")
    debug: bool = Field(False, description="asyncio's debug mode, with a warning for each callback that takes over 50 ms. Slow.")
    admin_token: SecretStr | None = Field(
        None, description="Bearer token that /metrics and /console ask for. Without one they answer on a loopback bind only."
    )
    metrics_dir: Path | None = Field(None, description="Folder through which workers share their metrics; `serve --workers` makes one itself.")

    redis_url: Annotated[SecretStr, AfterValidator(_redis)] | None = Field(
        None, description="Redis that shares cache, limits and live topics; without it all is per process."
    )
    cache_size: Size = Field(64 << 20, description="What all cached answers may take.")

    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)] = Field(
        (), description="CIDRs whose X-Forwarded-For or Forwarded is believed, separated by commas. None by default."
    )
    hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        (), description="Names that a request's Host may have, separated by commas; another is answered 400. None: any."
    )
    max_in_flight: int = Field(1000, ge=1, description="Requests served at once; over it 503 with Retry-After. Fewer while the event loop lags.")
    max_connections: int = Field(4096, ge=1, description="Open connections, at most half of the file descriptors; over it the longest idle one goes.")
    max_connections_per_client: int = Field(
        0, ge=0, description="Open connections of one address (of one /64 of IPv6), trusted proxies aside; over it 429. 0: no such limit."
    )
    backlog: int = Field(1024, ge=1, le=65535, description="Connections that the kernel keeps for us until we take them.")
    keep_alive: Duration = Field(75.0, description="How long an idle connection is kept.")
    header_timeout: Duration = Field(10.0, description="From the first byte of a request to the end of its head; then 408.")
    body_timeout: Duration = Field(15.0, description="For a body, and a second more per KiB received; then 408.")
    write_timeout: Duration = Field(30.0, description="How long a client may take nothing of its answer before the connection is dropped.")
    max_head: Size = Field(32 << 10, description="Request line and headers; over it 431.")
    max_headers: int = Field(100, ge=1, description="Header fields; over it 431.")
    max_url: Size = Field(32 << 10, description="The request target; over it 414. It is part of the head, too.")

    drain: Duration = Field(0.5, ge=0.5, description="How long new requests are still taken after SIGTERM, at least.")
    grace: Duration = Field(15.0, description="How long requests in flight may take after SIGTERM before they are cancelled.")


def environ() -> Mapping[str, str]:
    """The environment, over what `.env` in the working directory says: what `${VAR}` in a catalog means."""
    return {**{name: value for name, value in dotenv_values(".env").items() if value is not None}, **os.environ}
