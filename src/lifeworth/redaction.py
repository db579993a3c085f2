"""Removal of passwords from texts and from exceptions."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORT = 4  # a password shorter than this is masked as a whole word only
_VARIABLES = ("PGPASSWORD",)
_PATTERNS = (
    # scheme://user:password@host, where the password may hold any character; a path has one slash where a URL has two.
    (re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*:/{1,2}[^\s:/@'\"]*:)[^'\"\n]*(?=@)"), rf"\1{MASK}"),
    (
        re.compile(
            r"(\b\w*(?:password|passwd|pwd|secret|token)\w*\s*=\s*)('(?:[^'\\]|\\.)*'?|\"[^\"]*\"?|[^\s&;,)]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace secrets in a text by asterisks.

    Known secrets are replaced in every form in which a driver or a URL writes them; passwords in URLs and values of
    `password=` are replaced even if they are unknown.
    """
    for secret in sorted(_spellings(secrets), key=len, reverse=True):
        if len(secret) < _SHORT:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
        else:
            text = text.replace(secret, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact_error(error: BaseException, secrets: Iterable[str] = ()) -> None:
    """Remove secrets from an exception, from its notes, and from all exceptions it was raised from.

    An exception whose text cannot be changed is taken out of the chain.
    """
    known = [*secrets, *environment_secrets()]
    _redact_chain(error, known, [])


@contextmanager
def redacting(secrets: Iterable[str]) -> Iterator[None]:
    """Remove secrets from whatever exception leaves the block."""
    try:
        yield
    except BaseException as error:
        redact_error(error, secrets)
        raise


def environment_secrets() -> list[str]:
    """Passwords that the environment gives to PostgreSQL's client library."""
    return [value for name in _VARIABLES if (value := os.environ.get(name))]


def _redact_chain(error: BaseException, secrets: list[str], seen: list[BaseException]) -> bool:
    """Redact an exception and what it was raised from; False if its own text still holds a secret."""
    if any(error is other for other in seen):
        return True
    seen.append(error)
    error.args = tuple(_redacted_argument(value, secrets) for value in error.args)
    if isinstance(error, OSError):
        for name in ("filename", "filename2", "strerror"):
            if isinstance(value := getattr(error, name), (str, bytes)):
                setattr(error, name, _redacted_argument(value, secrets))
    if notes := getattr(error, "__notes__", None):
        error.__notes__ = [redact(str(note), secrets) for note in notes]
    for name, value in list(vars(error).items()):  # drivers keep details in further attributes
        if not name.startswith("__") and (text := str(value)) != redact(text, secrets):
            setattr(error, name, None)
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            _redact_chain(one, secrets, seen)
    if error.__cause__ is not None and not _redact_chain(error.__cause__, secrets, seen):
        error.__cause__ = None
    if error.__context__ is not None and not _redact_chain(error.__context__, secrets, seen):
        error.__context__ = None
    return all(text == redact(text, secrets) for text in (str(error), repr(error)))


def _redacted_argument(value: object, secrets: list[str]) -> object:
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, (bytes, bytearray)):
        text = bytes(value).decode("utf-8", "surrogateescape")
        clean = redact(text, secrets)
        return value if clean == text else clean.encode("utf-8", "surrogateescape")
    text = str(value)
    clean = redact(text, secrets)
    return value if clean == text else clean


def _spellings(secrets: Iterable[str]) -> set[str]:
    """Secrets as drivers, URLs, SQL, JSON and Python write them."""
    found: set[str] = set()
    for secret in secrets:
        encodable = secret.encode("utf-8", "replace").decode("utf-8")
        found |= {secret, " ".join(secret.split()), quote(encodable, safe=""), quote(encodable), quote_plus(encodable)}
        found |= {repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        found |= {secret.replace("'", "''"), secret.replace("\\", "\\\\").replace("'", "\\'")}
    return {one for one in found if one.strip()}
