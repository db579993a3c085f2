"""Records of a run: a log of events, a manifest at its end, and metrics for monitoring."""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO

from lifeworth.atomic_files import replacing
from lifeworth.errors import SourceError

Shown = Literal["human", "json"]
# The parts of messages that name the first customers concerned.
_CUSTOMERS = re.compile(r"\s*\(first customers: .*\)(?=:)|; customer [^;]*(?=\))", re.DOTALL)
_VERDICTS = {"ok": 0, "warn": 1, "fail": 2}


def without_customers(text: str) -> str:
    """Remove the customers that a sentence names."""
    return _CUSTOMERS.sub("", text)


class Journal:
    """A log: JSON lines in a file and, on request, on stderr. It contains counts and names of steps, and no customers.

    Parameters
    ----------
    path : the file; None: no file.
    shown : "human" or "json": also log to stderr in this form; None: do not.
    """

    def __init__(self, path: Path | None, shown: Shown | None = None, stream: TextIO | None = None) -> None:
        self.path, self.shown, self.stream = path, shown, stream or sys.stderr
        self.steps: list[dict[str, Any]] = []

    def say(self, event: str, **facts: Any) -> None:
        """Log an event."""
        record = {"time": now(), "event": event, **facts}
        line = json.dumps(record, ensure_ascii=False, default=str)
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                    file.write(line + "\n")
            except OSError as error:
                raise SourceError(f"{self.path} cannot be written: {error.strerror or error}.") from error
        if self.shown == "json":
            self.stream.write(line + "\n")
        elif self.shown == "human":
            told = " ".join(f"{key}={value}" for key, value in facts.items())
            self.stream.write(f"{record['time']} {event}{': ' if told else ''}{told}\n")

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Log how long a block takes, with the facts that the block puts into the dictionary."""
        facts: dict[str, Any] = {}
        begun = time.monotonic()
        yield facts
        seconds = round(time.monotonic() - begun, 3)  # monotonic: changes of the system's time do not matter
        self.steps.append({"step": name, "seconds": seconds})
        self.say(name, seconds=seconds, **facts)


def now() -> str:
    """The current time, in UTC."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def peak_memory() -> int | None:
    """The peak memory of this process in bytes; None where the system does not report it."""
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else most * 1024)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a record as JSON, completely or not at all."""
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False, default=str, allow_nan=False)
        # A path that is not Unicode is written with JSON's escapes.
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def write_metrics(path: Path, manifest: dict[str, Any]) -> None:
    """Write metrics for monitoring: an OpenMetrics text file of gauges for one run of one job.

    The time of the last success is kept when later runs fail.
    """
    job = manifest["job"]
    done = manifest["status"] == "done"
    ended = dt.datetime.fromisoformat(manifest["ended"]).timestamp()
    last = ended if done else _last_success(path, job)
    rfm, model, scores = (manifest.get(name, {}) for name in ("rfm", "model", "scores"))
    left_out = rfm.get("audit", {}).get("left_out", {})
    total = scores.get("totals", {})
    figures: list[tuple[str, str, dict[str, str], float | None]] = [
        ("run_success", "1 if the last run published its scores.", {}, float(done)),
        ("run_exit_code", "Exit code of the last run.", {}, manifest["exit_code"]),
        ("run_end_timestamp_seconds", "When the last run ended.", {}, ended),
        ("last_success_timestamp_seconds", "When a run last published its scores.", {}, last),
        ("run_duration_seconds", "How long the last run took.", {}, manifest["seconds"]),
        ("run_peak_memory_bytes", "Peak memory of the last run.", {}, manifest["peak_memory_bytes"]),
        ("input_rows", "Transactions read.", {}, rfm.get("audit", {}).get("rows_in")),
        *(("input_rows_left_out", "Transactions left out.", {"reason": r}, n) for r, n in left_out.items()),
        ("customers", "Customers in the RFM table.", {}, rfm.get("customers")),
        ("model_verdict", "0 ok, 1 warn, 2 fail.", {}, _VERDICTS.get(model.get("verdict", ""))),
        ("rows_written", "Scores published.", {}, manifest.get("output", {}).get("rows")),
        *(
            ("expected_" + name, f"Expected {name} of all customers.", {}, one["expected"])
            for name, one in total.items()
        ),
    ]
    lines: list[str] = []
    for name, text, labels, value in figures:
        if value is None:
            continue
        if f"# TYPE lifeworth_{name} gauge" not in lines:
            lines += [f"# TYPE lifeworth_{name} gauge", f"# HELP lifeworth_{name} {text}"]
        told = ",".join(f'{key}="{_escaped(one)}"' for key, one in {"job": job, **labels}.items())
        lines.append(f"lifeworth_{name}{{{told}}} {float(value)!r}")
    with replacing(path) as temporary:
        temporary.write_text("\n".join([*lines, "# EOF"]) + "\n", encoding="utf-8")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _last_success(path: Path, job: str) -> float | None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(rf'(?m)^lifeworth_last_success_timestamp_seconds{{job="{re.escape(job)}"}} ([0-9.e+]+)$', text)
    try:
        return float(found[1]) if found else None
    except ValueError:  # a damaged file, with 1.2.3 for example
        return None
