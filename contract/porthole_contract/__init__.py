"""The threshold: what Porthole's programs promise each other.

Who speaks to whom:

* the control plane and the agents, over one WebSocket that the agent dials
  (`porthole_contract.link`);
* a viewer and a gate, through the control plane and the agent, which only carry bytes
  (`porthole_contract.stream`);
* everybody, about the same two objects: `Session` and `SessionTemplate`.

What may change: a field may be added if it has a default; a message may be added; the
minor version rises and its diary (`link/version.py`) gets a line. What may not: a field
never changes its meaning, is never renamed and never removed within a major version; a
tag is never used again.

Nothing in here does I/O, reads a clock or runs a loop. Time comes in as an argument,
randomness as bytes.
"""
