"""Desktops as processes of this machine, each in two containers of its own.

A session passes these modules in this order:

* `record`, `files`, `journal`: what is known of it, on disk before anything is done;
* `effective`: what its spec and its template come to (pure);
* `decide`: the record, what is seen and the time -> the next action (pure);
* `keeper`: one per session; looks, decides, acts, again;
* `stage`: the actions: homes, volumes, network, containers, in order, and back;
* `oci`, `rootfs`, `egress`: the descriptions that the actions hand to runc and nftables (pure);
* `gatewatch`: the gate's own view: drawn, viewers, idle;
* `runtime`: all sessions together; the port.
"""
