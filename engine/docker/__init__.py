"""The engine's Docker provider."""

from engine.docker.provider import DockerProvider

__all__ = ["DockerProvider"]
