"""An Aha!-shaped server to rehearse on.

async with Sandbox(latency_ms=50) as sandbox:
    ...  # {sandbox.url}/api/v1/features/PRJ1-1, token "sandbox"
"""

from linker.sandbox.account import Account, Definition, Resource
from linker.sandbox.faults import Fault
from linker.sandbox.limits import Limit
from linker.sandbox.options import SandboxOptions
from linker.sandbox.script import Script
from linker.sandbox.server import Sandbox
from linker.sandbox.stats import Seen, Stats

__all__ = [
    "Account",
    "Definition",
    "Fault",
    "Limit",
    "Resource",
    "Sandbox",
    "SandboxOptions",
    "Script",
    "Seen",
    "Stats",
]
