"""Beside a desktop: the only part that understands what viewers and desktops say.

A stream comes in over TLS, begins with a preface and a grant, and is then spoken in the
protocol of its channel. `rfb/` understands RFB, without I/O; `relay` moves its bytes;
`control` serves observers and the commander; `supervisor` asks the desktop's first
process. Each byte from either side is taken for hostile: a parser knows the lengths of
exactly the messages that it admits, and anything else ends the stream.
"""
