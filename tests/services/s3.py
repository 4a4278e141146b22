"""A local server that speaks S3, started for the tests that ask for it."""

import http.client
import importlib.util
import re
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from tests.services import FOUND

START_S = 30
REGION = "us-east-1"


def skip(reason):
    """Skip the test, and say so at the end of the run too."""
    FOUND["S3"] = f"skipped: {reason}"
    pytest.skip(reason)


@contextmanager
def serve():
    """The address of a running server; skips the test, with the reason, if it cannot start."""
    if importlib.util.find_spec("moto") is None:
        skip("moto is not installed: pip install 'moto[server]'")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as server:
        timer = threading.Timer(START_S, server.kill)
        timer.start()
        try:
            address, said = None, []
            while address is None and (line := server.stderr.readline()):
                said.append(line.decode())
                address = re.search(r"Running on (http://127\.0\.0\.1:\d+)", said[-1])
            timer.cancel()
            if address is None:
                skip(f"the S3 server did not start: {''.join(said[-3:])}")
            FOUND["S3"] = "ran"
            drain = threading.Thread(target=server.stderr.read, daemon=True)
            drain.start()
            yield address[1]
        finally:
            timer.cancel()
            server.kill()
            server.wait()
    drain.join()


def make_bucket(address, name):
    """Make a bucket."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    credential = f"AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/s3/aws4_request"
    connection.request("PUT", f"/{name}", headers={"Authorization": credential})
    response = connection.getresponse()
    response.read()
    connection.close()
    assert response.status == 200


def options(address):
    """What `open_storage` needs to know beside the URL."""
    return {
        "endpoint": address,
        "region": REGION,
        "access_key_id": "test",
        "secret_access_key": "test",
        "client_options": {"allow_http": True},
    }
