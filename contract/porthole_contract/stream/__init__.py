"""A viewer and a gate: how a stream begins, what gives the right to it, why it ends.

* `preface`: the first bytes of a stream, framed, and nothing after them;
* `channels`: what a stream may be about, and in which modes;
* `grant`: the signed right to open one stream at one gate;
* `pinning`: TLS to exactly one gate;
* `sealed`: how a grant travels where others can read;
* `control`: what is said on the channel `control`, line by line;
* `drive`, `keys`: what is said on the channel `drive`, and what keys are called;
* `closing`: why a stream was closed.

Everything between the preface and the end of the stream is opaque bytes to whoever
carries it.
"""
