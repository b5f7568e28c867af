"""Desktops as Session objects of a cluster; the operator there makes the pods.

A session passes these modules in this order:

* `manifests`: an order -> the objects that say it to the cluster (pure);
* `writing`: the objects, written and deleted, each behind its fence;
* `tombstones`: what was deleted, kept in a ConfigMap, so that nothing comes back late;
* `reflector`, `store`: what the cluster has, listed and then watched;
* `seen`: objects -> what others are told about them (pure);
* `judge`: an object that was seen -> whether it is let be, put back or undone (pure);
* `gate`: from the agent to the gate of a session's own pod;
* `usage`: what gates say that their sessions use;
* `runtime`: all of it together; the port.

`api` has the only calls to the API server, `rights` what the agent must be allowed there,
`lease` which of several replicas is the one.
"""
