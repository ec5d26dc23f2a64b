"""``python -m berth.kit.probe http://127.0.0.1:8080/health``: exit 0 when the answer is 200.

Containers run it every few seconds, so it imports as little as it can.
"""

import http.client
import sys
from urllib.parse import urlsplit


def probe(url: str, timeout: float = 4.0) -> tuple[bool, str]:
    """Whether ``url`` answers 200, and what to show in the container's health log."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/")
        response = connection.getresponse()
        return response.status == 200, response.read(4096).decode(errors="replace")
    except OSError as error:
        return False, f"{url}: {error}"
    finally:
        connection.close()


if __name__ == "__main__":
    well, answer = probe(sys.argv[1])
    sys.stdout.write(answer + "\n")
    sys.exit(0 if well else 1)
