"""``python -m demo``: tells the story against the stack named by STACK (dev); ends with ``demo: ok``."""

from __future__ import annotations

import sys

from docker.errors import DockerException

from berth.chain.errors import ChainError
from berth.kit.client import ClientError as ServiceError
from demo.client import ClientError
from demo.stack import Stack, StackError
from demo.story import Broken, Story
from providers.settings import anvil_key


def main() -> int:
    stack = Stack()

    def say(line: str) -> None:
        print(line if line.startswith(" ") else f"\n> {line}", flush=True)

    try:
        Story(stack, anvil_key, say).tell()
    except (Broken, ClientError, ServiceError, StackError, ChainError, DockerException) as failure:
        print(f"\ndemo: failed: {failure}", file=sys.stderr)
        return 1
    print("\ndemo: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
