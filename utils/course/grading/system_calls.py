"""What a submission may not ask of the kernel: a filter of system calls (seccomp), written as the kernel reads it.

No namespaces and mounts of its own, no memory that belongs to no process and no file (memfd, System V), no keyrings
and message queues that outlive a process, no looking into other processes, no sockets but local and internet ones, no
doors to large parts of the kernel (bpf, io_uring, userfaultfd, perf). Python, PyTorch and subprocesses need none of it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

SET_SECCOMP, FILTER, NO_NEW_PRIVILEGES = 22, 2, 38  # prctl
# Where a word lies in what the filter is shown of a call.
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # instructions
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000  # the last with an error's number
NEW_NAMESPACES = 0x7E020000  # flags of clone
X32 = 0x40000000  # numbers from here on are those of another way to call the same kernel
UNIX, INTERNET, INTERNET_6 = 1, 2, 10  # families of sockets; others, such as VSOCK, know no network namespace

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Name → number on x86_64 and on aarch64, from asm/unistd_64.h and asm-generic/unistd.h of Linux.
REFUSED = {
    # namespaces, mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    # memory beside that of processes and files, and what stays when processes have gone
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "shmctl": (31, 195), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
    "semget": (64, 190), "semctl": (66, 191), "mq_open": (240, 180), "vmsplice": (278, 75),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    # large parts of the kernel
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "fanotify_init": (300, 262),
    "personality": (135, 92),
    # the machine: refused to all but root anyway
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "acct": (163, 89), "quotactl": (179, 60), "quotactl_fd": (443, 443), "syslog": (103, 116),
}  # fmt: skip
CLONE, CLONE3, SOCKET = (56, 220), (435, 435), (41, 198)


def known() -> bool:
    """Whether there is a filter for this machine."""
    return platform.system() == "Linux" and platform.machine() in ARCHITECTURES


def program(machine: str) -> list[tuple[int, int, int, int]]:
    """The filter: (instruction, jump if true, jump if false, constant) a line; jumps count lines from the next on."""
    at = list(ARCHITECTURES).index(machine)
    lines = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, ARCHITECTURES[machine]), (RETURN, 0, 0, KILL)]
    lines += [(LOAD, 0, 0, NUMBER)]
    if machine == "x86_64":
        lines += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]
    for numbers in REFUSED.values():
        lines += [(EQUAL, 0, 1, numbers[at]), (RETURN, 0, 0, REFUSE | errno.EPERM)]
    # The flags of clone3 lie where a filter cannot read; whoever is told that it is not there falls back to clone.
    lines += [(EQUAL, 0, 1, CLONE3[at]), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]
    lines += [(EQUAL, 0, 4, CLONE[at]), (LOAD, 0, 0, FIRST_ARGUMENT), (ANY_BIT, 0, 1, NEW_NAMESPACES)]
    lines += [(RETURN, 0, 0, REFUSE | errno.EPERM), (RETURN, 0, 0, ALLOW)]
    families = [UNIX, INTERNET, INTERNET_6]
    lines += [(EQUAL, 0, 2 + 2 * len(families), SOCKET[at]), (LOAD, 0, 0, FIRST_ARGUMENT)]
    for family in families:
        lines += [(EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW)]
    lines += [(RETURN, 0, 0, REFUSE | errno.EAFNOSUPPORT)]
    return [*lines, (RETURN, 0, 0, ALLOW)]


def refuse() -> None:
    """From here on, this process and all that it starts are refused these calls for good.

    Raises:
        OSError: where the kernel takes no filter.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    lines = program(platform.machine())
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    # struct sock_fprog: how many lines, and where they lie
    header = ctypes.create_string_buffer(struct.pack("HP", len(lines), ctypes.addressof(code)))
    for arguments in ((NO_NEW_PRIVILEGES, 1, 0, 0, 0), (SET_SECCOMP, FILTER, header, 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
