"""RFB 3.8, as much of it as passes a gate; no I/O, no clock.

`handshake` speaks both ends of the greeting, `viewer` and `desktop` are the two directions
of the conversation after it, `flow` runs their grammars over bytes, `encodings` and
`pixels` know how long things are.
"""
