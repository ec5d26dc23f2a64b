# The node's image and iperf3, for bench/churn.py.
ARG NODE
FROM ${NODE}
RUN set -eu; \
    apt-get update -qq; \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends iperf3; \
    rm -rf /var/lib/apt/lists/*
