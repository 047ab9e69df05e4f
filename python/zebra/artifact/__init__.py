"""A compiled region as one checksummed binary, to bytes and back."""

from zebra.artifact.artifact import Artifact

__all__ = ["Artifact"]
