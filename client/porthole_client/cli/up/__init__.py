"""`porthole up`: one instance of everything on this machine, kept running and ended as one."""
