"""What every test can use: the loop in virtual time."""

from tests.fakes.virtual_time import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
