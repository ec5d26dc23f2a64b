"""``berth:gateway``: where people come in, and what it takes to let them in from elsewhere than this host."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from providers.fields import Allowed, HostAddress, Port, Section, Url

Pem = Annotated[
    SecretStr,
    Field(min_length=1),
    Allowed("a private key as PEM, without a passphrase"),
]
Certificate = Annotated[
    str,
    Field(pattern=r"-----BEGIN CERTIFICATE-----"),
    Allowed("a certificate as PEM, with those between it and its root below it"),
]
_local_names: Final = ("localhost", "127.0.0.1", "::1")


class TlsSettings(Section):
    """``berth:gateway.tls``: what the gateway shows browsers."""

    certificate: Certificate
    key: Pem
    """Secret."""

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        from cryptography import x509  # 60 ms, which a stack without TLS need not wait for
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

        try:
            certificate = x509.load_pem_x509_certificates(self.certificate.encode())[0]
        except ValueError as error:
            raise ValueError(f"certificate cannot be read: {error}") from None
        try:
            key = load_pem_private_key(self.key.get_secret_value().encode(), password=None)
        except (ValueError, TypeError):
            # The reasons given may quote the key.
            raise ValueError("key cannot be read: it must be a private key as PEM, without a passphrase") from None
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if certificate.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
            raise ValueError("key is not the certificate's: the first certificate must be the one of this key")
        return self

    @property
    def pem(self) -> str:
        """Both in one file, as HAProxy wants them."""
        return f"{self.certificate.strip()}\n{self.key.get_secret_value().strip()}\n"


class GatewaySettings(Section):
    """``berth:gateway``: the published entrance."""

    bind: HostAddress = "127.0.0.1"
    """Where its ports are published; beyond loopback `tls` and `publicUrl` are required."""
    http_port: Port = 80
    alt_port: Port = 8080
    https_port: Port = 443
    """Published with `tls` only; the other two then lead here."""
    tls: TlsSettings | None = None
    """Certificate and key. Browsers give wallets and key pairs to pages with TLS, or on localhost, only."""
    public_url: Url | None = None
    """What people open, and what their wallets name when they sign in; derived from the ports on loopback."""
    behind_proxy: Annotated[bool, Allowed("true or false")] = False
    """Whether a proxy on this host comes before it, whose `X-Forwarded-For` says who asks."""
    api_per_minute: Annotated[int, Field(ge=10, le=100_000), Allowed("a whole number from 10 to 100000")] = 300
    """How many calls of the access API one address may make in a minute."""
    connections_per_address: Annotated[int, Field(ge=8, le=4000), Allowed("a whole number from 8 to 4000")] = 256
    """How many connections one address (of IPv6: one /64) may have at once; more are refused. A proxy is not bound."""

    @property
    def url(self) -> str:
        """Where people open the page, with a slash at its end."""
        if self.public_url is not None:
            return self.public_url.rstrip("/") + "/"
        scheme, port = ("https", self.https_port) if self.tls else ("http", self.http_port)
        default = {"http": 80, "https": 443}[scheme]
        host = "localhost" if self.bind == "127.0.0.1" else self.bind
        return f"{scheme}://{host}{'' if port == default else f':{port}'}/"

    @property
    def origins(self) -> tuple[str, ...]:
        """Where the page may be open besides: the other port of a gateway without TLS."""
        if self.tls or self.public_url is not None:
            return ()
        host = "localhost" if self.bind == "127.0.0.1" else self.bind
        return (f"http://{host}{'' if self.alt_port == 80 else f':{self.alt_port}'}",)

    @model_validator(mode="after")
    def _open_only_with_tls(self) -> Self:
        if self.public_url is not None:
            where = urlsplit(self.public_url)
            if where.path not in ("", "/") or where.query or where.fragment or "@" in where.netloc:
                raise ValueError(f"publicUrl is {self.public_url}: it must be scheme, host and port, without a path")
            if where.scheme != "https" and where.hostname not in _local_names:
                raise ValueError(
                    f"publicUrl is {self.public_url}: it must be https://, because browsers give wallets and key pairs "
                    "to pages with TLS, or on localhost, only"
                )
        if self.behind_proxy and (self.public_url is None or not IPv4Address(self.bind).is_loopback):
            raise ValueError(
                "behindProxy is true: then bind must be 127.0.0.1, so that only the proxy gets there, and publicUrl "
                "what people open"
            )
        if IPv4Address(self.bind).is_loopback:
            return self
        if self.tls is None:
            raise ValueError(
                f"bind is {self.bind}, and tls is missing: beyond loopback the page needs a certificate and its key; "
                "or set bind to 127.0.0.1, behind a proxy of yours that has them"
            )
        if self.public_url is None:
            raise ValueError(f"bind is {self.bind}, and publicUrl is missing: wallets name it when people sign in")
        return self
