"""System calls that no desktop needs, refused with EPERM (pure).

A short list of what reaches far into the kernel, or is not told apart by namespaces; a list
of what is allowed would have to follow every program that a template may name. User
namespaces stay allowed: Chromium's own sandbox is made of them.
"""

import platform
from typing import Any, Final

_REFUSED: Final = (
    # Kernel keyrings belong to a uid, whatever its namespaces.
    "add_key",
    "keyctl",
    "request_key",
    # Programs and probes inside the kernel.
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "lookup_dcookie",
    # A second way to every other call, which filters like this one do not see.
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    # Files by handle: the way out of a mount namespace.
    "open_by_handle_at",
    "name_to_handle_at",
    # The machine itself.
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "syslog",
    "quotactl",
    "quotactl_fd",
    "nfsservctl",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "iopl",
    "ioperm",
    "vhangup",
)

_ARCHITECTURES: Final = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}


def profile(machine: str | None = None) -> dict[str, Any]:
    """Return the `linux.seccomp` part of an OCI configuration."""
    described: dict[str, Any] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": list(_REFUSED), "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
    }
    architectures = _ARCHITECTURES.get(machine or platform.machine())
    if architectures is not None:
        described["architectures"] = architectures
    return described
