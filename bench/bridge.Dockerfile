# The node's image with the bridge's program, what it is measured against, and iperf3: for bench/bridge_*.py.
ARG NODE
ARG BRIDGE
ARG BASE=debian:bookworm-slim
FROM ${BRIDGE} AS bridge

# The crate `udp-over-tcp`, by the Rust of Debian's next release; not Mullvad's tool of this name, which is no crate.
FROM ${BASE} AS crate
RUN set -eu; mkdir -p /build /out/bin; \
    if [ -s /etc/ssl/certs/ca-certificates.crt ]; then cp /etc/ssl/certs/ca-certificates.crt /build/ca.crt; fi; \
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do \
        if [ -f "$list" ]; then sed -i 's/bookworm/trixie/g' "$list"; fi; \
    done; \
    apt-get update -qq; \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends cargo gcc libc6-dev ca-certificates; \
    rm -rf /var/lib/apt/lists/*; \
    [ -s /build/ca.crt ] || cp /etc/ssl/certs/ca-certificates.crt /build/ca.crt
ENV CARGO_HTTP_CAINFO=/build/ca.crt
RUN cargo install --quiet --root /out --version 0.1.10 udp-over-tcp

FROM ${NODE}
RUN set -eu; \
    apt-get update -qq; \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends iperf3 socat; \
    rm -rf /var/lib/apt/lists/*
COPY --from=crate /out/bin/udp-over-tcp /usr/local/bin/
COPY --from=bridge /usr/local/bin/berth-bridge /usr/local/bin/
COPY --from=bridge /app/berth/tunnel /app/berth/tunnel
