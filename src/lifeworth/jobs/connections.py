"""Connection strings of PostgreSQL: checked before a driver receives them, and never shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote

from pydantic import SecretStr

from lifeworth.errors import UsageError
from lifeworth.redaction import environment_secrets

_SCHEMES = ("postgresql://", "postgres://")
_SECRET_KEYWORDS = frozenset({"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"})
# The keywords of libpq up to PostgreSQL 18. libpq repeats an unknown keyword, which may be a part of a password.
_KEYWORDS = _SECRET_KEYWORDS | frozenset(
    re.findall(
        r"\w+",
        """
        application_name channel_binding client_encoding connect_timeout dbname fallback_application_name gssdelegation
        gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname
        load_balance_hosts max_protocol_version min_protocol_version oauth_client_id oauth_issuer oauth_scope options
        passfile port replication require_auth requirepeer service servicefile ssl ssl_max_protocol_version
        ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl sslcrldir sslkey sslkeylogfile sslmode
        sslnegotiation sslrootcert sslsni target_session_attrs tcp_user_timeout user
        """,
    )
)
_HOST = r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s@\[\]:,]*)(?::\d*)?"
_HOSTS = re.compile(rf"{_HOST}(?:,{_HOST})*")
_ESCAPE = "write each special character of user and password as % and two hexadecimal digits, such as %40 for @"


@dataclass(frozen=True)
class Connection:
    """A parsed connection string.

    Attributes
    ----------
    place : host, port and name of the database; no user and no password.
    secrets : texts that must not be shown, as written and decoded.
    """

    place: str
    secrets: tuple[str, ...] = field(repr=False)


class Secret(SecretStr):
    """A secret from the environment, which is left out of every text and pickle of a job."""

    def get_secret_value(self) -> str:
        """Return the text itself."""
        if self._secret_value is None:
            raise UsageError("This job was unpickled and has no secrets: read the job file again.")
        return self._secret_value

    def _display(self) -> str:
        return "**********"

    def __len__(self) -> int:
        return len(self._secret_value or "")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_withheld, (type(self),))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self


def _withheld(kind: type[Secret]) -> Secret:
    """Build the placeholder that a pickle holds for a secret."""
    empty = kind.__new__(kind)
    empty._secret_value = None  # type: ignore[assignment]
    return empty


class ConnectionString(Secret):
    """A connection string of PostgreSQL.

    Raises
    ------
    UsageError
        If PostgreSQL's client library would refuse or misread the string. The message does not repeat any of it.
    """

    def __init__(self, value: str | SecretStr) -> None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        super().__init__(text.strip())
        try:
            self._connection = _parsed(self._secret_value)
        except ValueError as error:
            problem = str(error)
        else:
            return
        raise UsageError(f"The connection string {problem}.")  # without an exception as its context

    @property
    def place(self) -> str:
        """Where the database is, without user and password."""
        self.get_secret_value()
        return f"PostgreSQL {self._connection.place}".rstrip()

    @property
    def secrets(self) -> list[str]:
        """Texts that must not be shown, the longest first."""
        self.get_secret_value()
        return sorted({*self._connection.secrets, *environment_secrets()} - {""}, key=len, reverse=True)


def _parsed(text: str) -> Connection:
    if "\0" in text:
        raise ValueError("contains a null character")
    if text.startswith(_SCHEMES):
        return _parsed_url(text)
    if re.match(r"[^\s=']*://", text):
        raise ValueError("must begin with postgresql:// if it is a URL")
    return _parsed_keywords(text)


def _parsed_url(text: str) -> Connection:
    """Split a URL as libpq does; refuse a URL that libpq would understand differently from what was probably meant."""
    rest = text.partition("://")[2]
    if re.search(r"\s", text):
        raise ValueError(f"is a URL that contains spaces: {_ESCAPE}, %20 for a space")
    if re.search(r"%(?![0-9A-Fa-f]{2})", rest) or "%00" in rest:
        raise ValueError(f"is a URL with a % that is not followed by two hexadecimal digits: {_ESCAPE}")
    credentials = re.match(r"([^@/]*)@", rest)
    password = credentials[1].partition(":")[2] if credentials else ""
    rest = rest[credentials.end() :] if credentials else rest
    split = re.fullmatch(r"([^/?]*)(?:/([^?]*))?(?:\?(.*))?", rest, re.DOTALL)
    assert split is not None
    hosts, database, query = split[1], split[2] or "", split[3] or ""
    # An @ or / here was probably meant as a part of the password.
    if not _HOSTS.fullmatch(hosts) or "/" in database or "@" in rest:
        raise ValueError(f"is a URL whose user or password contains an unescaped character: {_ESCAPE}")
    said = {"host": [hosts], "dbname": [database]}
    secrets = {text, password, unquote(password)}
    for pair in query.split("&") if query else []:
        name, equals, value = pair.partition("=")
        keyword = unquote(name)
        if not equals or "=" in value or keyword not in _KEYWORDS:
            raise ValueError(
                "is a URL with a parameter that PostgreSQL does not have, or with an unescaped character: " + _ESCAPE
            )
        if keyword in _SECRET_KEYWORDS:
            secrets |= {value, unquote(value)}
        else:
            said.setdefault(keyword, []).append(value)
    return Connection(_place(hosts, said, database), _ordered(secrets))


def _place(hosts: str, said: dict[str, list[str]], database: str) -> str:
    if "service" in said:
        return f"service {unquote(said['service'][-1])}"
    shown = unquote(hosts)
    database = unquote(said["dbname"][-1] or database)
    return f"{'localhost' if not shown or shown.startswith('/') else shown}{'/' if database else ''}{database}"


_PAIR = re.compile(r"\s*([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'(?=\s|$)|((?:[^\s\\']|\\.)(?:[^\s\\]|\\.)*|))", re.DOTALL)


def _parsed_keywords(text: str) -> Connection:
    """Read `host=... password='...'` as libpq does."""
    said: dict[str, str] = {}
    secrets = {text}
    at = 0
    while text[at:].strip():
        found = _PAIR.match(text, at)
        if found is None or found[1] not in _KEYWORDS or found[1] == "ssl":
            raise ValueError(
                "is neither a URL such as postgresql://user:password@host:5432/shop nor a list such as "
                "host=localhost dbname=shop: put single quotes around values with spaces, and a backslash before "
                "quotes in them"
            )
        written = found[2] if found[2] is not None else found[3]
        value = re.sub(r"\\(.)", r"\1", written, flags=re.DOTALL)
        if found[1] in _SECRET_KEYWORDS:
            secrets |= {written, value}
        said[found[1]] = value
        at = found.end()
    host, port, database = (said.get(name, "") for name in ("host", "port", "dbname"))
    if database.startswith(_SCHEMES) or "=" in database:  # libpq reads a connection string from dbname
        inner = _parsed(database)
        return Connection(inner.place, _ordered(secrets | set(inner.secrets)))
    if "service" in said:
        return Connection(f"service {said['service']}", _ordered(secrets))
    if port and not re.fullmatch(r"\d+(?:,\d*)*", port):
        raise ValueError("has a port that is not a number")
    shown = "localhost" if not host or host.startswith("/") else host
    return Connection(f"{shown}{':' if port else ''}{port}{'/' if database else ''}{database}", _ordered(secrets))


def _ordered(secrets: set[str]) -> tuple[str, ...]:
    return tuple(sorted(secrets - {""}, key=len, reverse=True))
