"""The body of a job: what its driving thread does from the first row to the last."""

from __future__ import annotations

import threading
import time

from pystream.connectors.base import Sink, fail_as
from pystream.errors import CancelledError, PystreamError, SinkError
from pystream.progress import Progress
from pystream.runtime.driver import Driver

__all__ = ["Run"]

# Result rows gathered before a sink sees them, when the input does not arrive live.
_SINK_ROWS = 65_536


class Run:
    """Drives a query into a sink. Knows nothing of the `Job` that looks at it from outside."""

    def __init__(self, driver: Driver, sink: Sink, progress: bool | None, name: str) -> None:
        self.driver = driver
        self.sink = sink
        self.status = "running"
        self.error: BaseException | None = None
        self.ended = threading.Event()
        self.started_s = time.monotonic()
        self.ended_s: float | None = None
        self._progress = progress
        self._name = name

    def __call__(self) -> None:
        """Run to the end; never raises, see `error`."""
        try:
            self._loop()
            self.sink.commit(1, self.sink.prepare(1))
            self.sink.close()
            self.status = "stopped" if self.driver.stopping else "finished"
        except BaseException as error:
            self._fail(error)
        finally:
            self.driver.close()
            self.ended_s = time.monotonic()
            self.ended.set()

    def _loop(self) -> None:
        driver = self.driver
        output_rows = 0 if driver.live else _SINK_ROWS
        with Progress(driver.estimated_rows(), self._progress, label=self._name) as progress:
            done = False
            while not done:
                try:
                    done = driver.step(output_rows)
                finally:
                    self._write()
                driver.report(progress)

    def _write(self) -> None:
        results = self.driver.results
        if len(results):
            try:
                self.sink.write(results)
            except PystreamError:
                raise
            except Exception as failure:
                raise fail_as(SinkError, f"{self.sink.name} failed", failure) from failure
            results.clear()

    def _fail(self, error: BaseException) -> None:
        self.status = "cancelled" if isinstance(error, CancelledError) else "failed"
        self.error = error
        try:
            self.sink.abort(error)
        except Exception as second:
            error.add_note(f"closing {self.sink.name} failed too: {second}")
