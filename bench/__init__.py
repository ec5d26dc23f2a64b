"""Benchmarks, one module each with ``run() -> Iterable[Measurement]``; ``python -m bench [name ...]`` runs them."""
