# What bench/gateway.py asks with, and what it compares with.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN set -eu; \
    apt-get update -qq; \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk caddy; \
    rm -rf /var/lib/apt/lists/*
