"""`porthole open --context`: a session of a cluster in the browser, without a control plane.

The operator grants, the API server carries, this machine shows
(`docs/decisions/0011-a-ticket-is-an-object.md`, `docs/decisions/0605-open-by-a-kubeconfig.md`):

    browser --WebSocket--> page server --port-forward--> API server --> the session's gate

* `which`, `judge`, `guard`: what is decided, without a cluster and without a clock;
* `kubeconfig`, `cluster`: which cluster, and every call to it;
* `tickets`, `forward`, `gate`: the way to the gate, anew for each look;
* `desktop`: the three of them for one session; `page`: what the browser is served;
* `command`: the options, and the order of it all.
"""
