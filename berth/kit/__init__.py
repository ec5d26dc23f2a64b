"""What every service shares, one small module each.

``settings``  from the environment, secrets from files, one message that lists every problem
``logging``   JSON lines with a correlation id, secrets never
``health``    live and ready, per dependency
``metrics``   ``/metrics`` for Prometheus
``client``    a service's JSON API, as a program calls it
``problem``   errors over HTTP as RFC 9457 problem documents
``serve``     an HTTP server that stops gracefully
"""
