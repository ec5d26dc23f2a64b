"""The service put together from its parts."""

from __future__ import annotations

from berth.access.api.app import Api
from berth.access.api.balance import RelayBalance
from berth.access.api.challenge import Challenges
from berth.access.api.metrics import ApiMetrics
from berth.access.api.nodes import NodeWatch
from berth.access.api.passes import Passes
from berth.access.api.relay import Rates, Relay
from berth.access.api.service import AccessService
from berth.access.api.sessions import Sessions
from berth.access.api.settings import ApiSettings
from berth.access.api.signin import SignIn
from berth.chain.endpoint import Endpoint, TimeLimits
from berth.chain.history import History
from berth.chain.key_registry import KeyRegistry
from berth.chain.node_registry import NodeRegistry
from berth.chain.quorum import Quorum
from berth.chain.transactions import Limits, Sender
from berth.chain.watch import ChainWatch
from berth.kit import logging, metrics, serve
from berth.kit.health import Check, Health


def serve_api(settings: ApiSettings) -> None:
    """Run until SIGTERM or SIGINT."""
    log = logging.get_logger("service")
    prometheus = metrics.registry()
    counts = ApiMetrics(prometheus)
    endpoint = _chain(settings, settings.quorum)
    registry = KeyRegistry(endpoint, settings.key_registry)
    key = settings.relay_private_key.get_secret_value()
    # What is sent is the same wherever it is sent; what gas costs is not, and nobody has to agree on it.
    sender = Sender(_chain(settings, 1), key, Limits(settings.relay_max_gas, settings.max_fee))
    rates = Rates(settings.relay_per_minute, settings.relay_total_per_minute, settings.relay_per_day)
    relay = Relay(registry, sender, rates, counts)
    nodes = NodeWatch(NodeRegistry(endpoint, settings.node_registry), settings.watched, counts)
    quick = _chain(settings, settings.quorum, TimeLimits(connect=2.0, call=5.0))
    balance = RelayBalance(quick, relay.address, settings.low_balance, counts)
    watch = ChainWatch(quick, balance.look)
    history = History(endpoint, settings.key_registry, settings.from_block, settings.log_span)
    passes = Passes(endpoint, registry, history, settings.tunnel, nodes)
    challenges = Challenges(per_minute=5 * settings.relay_per_minute)
    service = AccessService(endpoint, registry, passes, challenges, relay, nodes)
    sessions = Sessions(
        settings.session_key.get_secret_value(),
        f"{settings.chain_id}|{settings.key_registry}",
        settings.session_seconds,
    )
    health = Health(
        [
            Check("chain", watch.check),
            Check("relay", balance.check, required=False),
            Check("nodes", nodes.check, required=False),
        ]
    )
    api = Api(settings, SignIn(endpoint, settings.chain_id), sessions, service, passes, nodes, counts)
    watch.start()
    nodes.start()
    try:
        listener = serve.listen(settings.port)
        log.info("access API is serving", port=settings.port, origins=sorted(settings.served_at.allowed))
        serve.run(api.build(health, prometheus), [listener])
    finally:
        nodes.stop()
        watch.stop()
        log.info("access API has stopped")


def _chain(settings: ApiSettings, needed: int, limits: TimeLimits | None = None) -> Endpoint:
    """The chain, of whose endpoints ``needed`` have to agree."""
    return Quorum([Endpoint(url, settings.chain_id, limits) for url in settings.endpoints], needed)
