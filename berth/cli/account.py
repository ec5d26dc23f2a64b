"""The account that a command acts for: a wallet's key, from a file or the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from berth.access.client.errors import WalletError
from berth.access.client.wallet import Wallet
from berth.cli.terminal import note

key_variable: Final = "BERTH_WALLET_KEY"
password_variable: Final = "BERTH_WALLET_PASSWORD"
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        envvar=f"{key_variable}_FILE",
        help="File with the wallet's private key (0x and 64 hex digits) or a keystore (JSON). "
        f"Or the key itself in the variable {key_variable}. A keystore's password is asked for, or comes from "
        f"{password_variable} or {password_variable}_FILE.",
    ),
]


def is_given(file: Path | None) -> bool:
    """Whether anybody named a wallet."""
    return file is not None or bool(os.environ.get(key_variable))


def wallet(file: Path | None) -> Wallet:
    """The wallet in ``file`` or in the environment; WalletError where there is none."""
    if file is not None:
        if file.is_file() and file.stat().st_mode & 0o077:
            note(f"berth: {file} can be read by others on this machine: chmod 600 {file}")
        return Wallet.from_file(file, _password)
    if text := os.environ.get(key_variable, ""):
        return Wallet.from_text(text, _password)
    raise WalletError(
        f"no wallet: name a file with --key-file or {key_variable}_FILE, or put the key into {key_variable}"
    )


def _password() -> str:
    if text := os.environ.get(password_variable, ""):
        return text
    if file := os.environ.get(f"{password_variable}_FILE", ""):
        try:
            return Path(file).read_text().rstrip("\r\n")
        except OSError as error:
            raise WalletError(f"{password_variable}_FILE is {file}, which cannot be read: {error.strerror}") from None
    if not sys.stdin.isatty():
        raise WalletError(f"the keystore needs its password, in {password_variable}_FILE")
    ask: Callable[..., str] = typer.prompt
    return ask("Password of the keystore", hide_input=True, err=True)
