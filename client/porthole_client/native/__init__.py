"""A session for the RDP and VNC programs of this machine: a door on 127.0.0.1 or a unix socket.

* `door`: what listens; each connection takes a ticket and becomes a stream;
* `rdp`, `vnc`: what is said to a program before bytes are passed on, and asked of it;
* `client_info`, `cleanpath`, `challenge`: the bytes of that, pure;
* `password`: the one-time password;
* `certificate`: whom an RDP program sees;
* `file`: what such a program can be started with.

Nobody gets in by reaching the door: each connection has to know a password that was shown to
whoever opened it, and that is another one afterwards.
"""
