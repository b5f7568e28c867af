"""RDP, as much of it as passes a gate; no I/O, no clock.

`cleanpath` and `x224` are how a conversation begins, `tls` what it is wrapped in, `framing`
cuts it into PDUs. `connect`, `info` and `capabilities` are what both sides say about
themselves, `virtual`, `clipboard` and `dynamic` the channels inside it, `fastpath` and `input`
what people do. `viewer` and `desktop` are the two directions; `agreed` is what they share.
"""
