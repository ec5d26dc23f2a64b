"""Which stack the commands of ``berth lease`` mean, and who asks: the options that they share."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer

from berth.access.client.service import AccessService
from berth.cli import account, stack
from berth.cli.terminal import CommandError, misused, note, working
from berth.leases.client.service import Caller, LeaseService

token_variable: Final = "BERTH_LEASE_TOKEN"


def _options(
    url: stack.Url = "",
    stack_name: stack.StackName = "dev",
    user: Annotated[
        str,
        typer.Option("--user", "-u", envvar="BERTH_LEASE_USER", help="Who you are, where the stack asks for no more."),
    ] = "",
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            envvar=f"{token_variable}_FILE",
            help=f"File with your API token, or the stack's admin token. Or the token in {token_variable}.",
        ),
    ] = None,
    key_file: account.KeyFile = None,
) -> Where:
    return Where(url, stack_name, user, token_file, key_file)


class Where:
    """Which stack, and who asks: by a token before a wallet before a name."""

    def __init__(self, url: str, stack_name: str, user: str, token_file: Path | None, key_file: Path | None) -> None:
        self._url, self._stack, self._user = url, stack_name, user
        self.token_file, self._key_file = token_file, key_file

    @contextmanager
    def service(self) -> Iterator[LeaseService]:
        """The API for this caller; a wallet's session lasts as long."""
        url = self._url or str(stack.output(stack.outputs(self._stack), "url", self._stack))
        if token := self._token():
            with LeaseService(url, Caller(token=token)) as service:
                yield service
        elif account.is_given(self._key_file):
            wallet = account.wallet(self._key_file)
            with AccessService(url) as access:
                with working(f"signing in as {wallet.address}"):
                    access.sign_in(wallet)
                try:
                    with LeaseService(url, Caller(token=access.bearer)) as service:
                        yield service
                finally:
                    access.sign_out()
        else:
            with LeaseService(url, Caller(self._user)) as service:
                yield service

    def _token(self) -> str:
        if self.token_file is None:
            return os.environ.get(token_variable, "").strip()
        try:
            text = self.token_file.read_text().strip()
        except FileNotFoundError:
            return ""  # `register` makes it
        except OSError as error:
            raise CommandError(f"{self.token_file} cannot be read: {error.strerror}", misused) from None
        if self.token_file.stat().st_mode & 0o077:
            note(f"berth: {self.token_file} can be read by others on this machine: chmod 600 {self.token_file}")
        return text


def asked_of(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command these options besides its own, and what they say as its ``where``."""
    shared = inspect.signature(_options).parameters
    own = inspect.signature(command).parameters
    hints = {**get_type_hints(command, include_extras=True), **get_type_hints(_options, include_extras=True)}

    @wraps(command)
    def run(**given: Any) -> None:
        where = _options(**{name: given.pop(name) for name in shared})
        command(where=where, **given)

    # What the command line is made of: typer looks at these.
    names = [name for name in own if name != "where"]
    parameters = [*(own[name] for name in names), *shared.values()]
    keyword = inspect.Parameter.KEYWORD_ONLY
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [one.replace(kind=keyword, annotation=hints[one.name]) for one in parameters]
    )
    run.__annotations__ = {one.name: hints[one.name] for one in parameters}
    del run.__wrapped__
    return run
