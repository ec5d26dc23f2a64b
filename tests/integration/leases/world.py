"""A stack of leases without its platform, which tests and benchmarks share."""

from bench.lease_lab import Servers, World, built, catalogue, eventually, free_port, image, root, template

__all__ = ["Servers", "World", "built", "catalogue", "eventually", "free_port", "image", "root", "template"]
