"""A real PostgreSQL for tests: its own data directory, reached by a Unix socket, gone afterwards.

    python -m tests.services.postgres         # prints a connection string, runs until end of input

The server refuses to run as root; as root it is started as the user `postgres` or `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "s3cret-of-tests"  # not asked for, and not to be seen in any error
PORT = 5432  # names the socket; nothing listens on the network
CALL_S = 120  # of initdb and pg_ctl, which take one or two
OPTIONS = "-c listen_addresses= -c fsync=off -c max_connections=50"


class Unavailable(Exception):
    """Why there is no server."""


def find_programs() -> Path:
    """The directory of initdb and pg_ctl, the newest version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    path = shutil.which("initdb")
    if not found and path is None:
        raise Unavailable("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent if found else Path(str(path)).resolve().parent


def _user() -> str | None:
    """Whom to run as; None for oneself."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise Unavailable("PostgreSQL does not run as root, and there is no user postgres or nobody")


class Server:
    """A running server.

    Attributes
    ----------
    conninfo
        A connection string of its superuser, with a password.
    running
        Between `start` and `stop` or `kill`.
    """

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        self._programs = programs
        self._folder = folder
        self._user = user
        self._data = folder / "data"
        self.running = False
        self.conninfo = f"postgresql://tester:{PASSWORD}@/postgres?host={folder}&port={PORT}"

    @property
    def password(self) -> str:
        """Of the connection string: no error may show it."""
        return PASSWORD

    def init(self) -> None:
        """Make the data directory."""
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        options = ["-U", "tester", "-A", "trust", "-E", "UTF8"]
        self._call("initdb", "-D", str(self._data), *options, "--no-sync", "--locale=C")

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self._folder / "log"
        options = f"{OPTIONS} -k {self._folder} -p {PORT}"
        self._call("pg_ctl", "-D", str(self._data), "-w", "-l", str(log), "-o", options, "start")
        self.running = True

    def stop(self) -> None:
        """Stop it at once, as a crash would; harmless when it does not run."""
        if not self.running:
            return
        self.running = False
        self._call("pg_ctl", "-D", str(self._data), "-w", "-m", "immediate", "stop")

    def kill(self) -> None:
        """kill -9 of the server and of every process that serves a connection; `start` goes on."""
        main = int((self._data / "postmaster.pid").read_text().split("\n")[0])
        served = subprocess.run(
            ["ps", "--no-headers", "-o", "pid", "--ppid", str(main)],
            capture_output=True,
            text=True,
            check=False,
        )
        pids = [main, *map(int, served.stdout.split())]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(_is_alive(pid) for pid in pids):
            time.sleep(0.01)
        # Where nobody waits for orphans the number stays taken, and `start` would see a server.
        for lock in (self._data / "postmaster.pid", self._folder / f".s.PGSQL.{PORT}.lock"):
            lock.unlink()
        self.running = False

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        with open(self._folder / "output", "a+") as output:  # the server would hold a pipe open
            ended = subprocess.run(
                command,
                user=self._user,
                cwd=self._folder,
                env=_environment(),
                stdout=output,
                stderr=output,
                timeout=CALL_S,
                check=False,
            )
            if ended.returncode:
                output.seek(0)
                raise Unavailable(f"{program} failed: {output.read()[-500:]}")


def _environment() -> dict[str, str]:
    """Without the sanitizer that this process may have preloaded: the server is not under test."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def _is_alive(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody waits for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def postgres_server() -> Iterator[Server]:
    """A server for the time of a test run; raises `Unavailable` when there can be none."""
    programs, user = find_programs(), _user()
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # names of sockets must be short
    server = Server(programs, folder, user)
    try:
        server.init()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    with postgres_server() as server:
        print(server.conninfo, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
