"""Answers that show links as they were before a PUT, as copies of a database that follow its writes late do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from linker.sandbox.account import Resource
from linker.sandbox.options import SandboxOptions

Links = Mapping[str, tuple[int, ...]]


class Lag:
    """Keeps what a resource linked to before its last PUT, for as many answers as the options say."""

    def __init__(self, options: SandboxOptions) -> None:
        self._stale_puts = options.stale_puts
        self._stale_reads = options.stale_reads
        self._before: dict[Resource, tuple[Links, int]] = {}

    def put(self, resource: Resource, before: Links) -> Resource:
        """Note a PUT on a resource that linked to `before`, and return what the answer to it shows."""
        if self._stale_reads:
            self._before[resource] = (before, self._stale_reads)
        return replace(resource, links=dict(before) if self._stale_puts else resource.links)

    def read(self, resource: Resource) -> Links:
        """The links that the next answer shows. Counts the read."""
        if resource not in self._before:
            return resource.links
        before, remaining = self._before.pop(resource)
        if remaining > 1:
            self._before[resource] = (before, remaining - 1)
        return before
