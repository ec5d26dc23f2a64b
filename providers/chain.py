"""The chain as a dynamic provider sees it: from the stack's configuration, never from state."""

from __future__ import annotations

from pulumi.dynamic import ConfigureRequest

from berth.chain.endpoint import Endpoint
from providers.settings import AccessSettings, ChainSettings, SettingsError, load_section


def chain_settings(request: ConfigureRequest) -> ChainSettings:
    """``berth:chain`` of a provider's ``configure``; SettingsError as :func:`load_section`."""
    return load_section(ChainSettings, {"berth:chain": request.config.get("berth:chain") or "{}"}, "chain")


def access_settings(request: ConfigureRequest) -> AccessSettings:
    """``berth:access`` of a provider's ``configure``; SettingsError as :func:`load_section`."""
    return load_section(AccessSettings, {"berth:access": request.config.get("berth:access") or "{}"}, "access")


def endpoint_of(settings: ChainSettings) -> Endpoint:
    """The chain, to be called from this machine: what is sent is the same wherever it is sent."""
    return Endpoint(settings.rpc_url, settings.chain_id)


def reader_of(settings: ChainSettings) -> Endpoint:
    """The chain, to read who has access: from as many endpoints as have to agree."""
    urls = tuple(dict.fromkeys((settings.rpc_url, *settings.rpc_urls)))
    if len(urls) == 1:
        return endpoint_of(settings)
    from berth.chain.quorum import Quorum

    return Quorum([Endpoint(url, settings.chain_id) for url in urls], min(settings.quorum, len(urls)))


def deployer_key(settings: ChainSettings) -> str:
    """The key that signs deployments; SettingsError where the stack has none."""
    if settings.deployer_key is None:
        raise SettingsError(
            "berth:chain.deployerKey is not set, and contracts cannot be deployed without it: "
            "`pulumi config set --secret --path berth:chain.deployerKey`"
        )
    return settings.deployer_key.get_secret_value()
