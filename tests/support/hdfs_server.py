"""A real HDFS of one NameNode and one DataNode on a free port of this machine, which tests kill and start again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from reco_platform.spark import jars, java, submit
from support.mlflow_server import free_port
from support.project import ROOT, wait_for

MAIN = "org.apache.hadoop.test.MiniDFSClusterManager"


@dataclass
class Hdfs:
    """The server; its data stay in `folder` between two starts."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"hdfs://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        """Starts it, with `-format` as an empty one, and waits until a file can be written."""
        found = [*jars.download_jars(ROOT / ".cache" / "jars-hdfs", ROOT / "envs" / "jars-hdfs.sha256")]
        path = ":".join([*map(str, found), f"{java.spark_home()}/jars/*"])
        command = [
            str(java.find_java() / "bin" / "java"), "-Xmx512m", "-XX:TieredStopAtLevel=1",
            f"-Dtest.build.data={self.folder}/data", "-cp", path, MAIN,
            "-nnport", str(self.port), "-datanodes", "1", *options,
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=submit.spark_environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self.writes, 180)

    def writes(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            from reco_platform.store.hdfs import StoreError
            from reco_platform.store.paths import store_path

            with suppress(StoreError):
                store_path(f"{self.address}/ready").write_bytes(b"yes")  # type: ignore[union-attr]
                return True
        return False

    def kill(self) -> None:
        """SIGKILL, as a machine that goes down."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def running(folder: Path) -> Iterator[Hdfs]:
    server = Hdfs(folder)
    try:
        server.start("-format")
        yield server
    finally:
        server.kill()
