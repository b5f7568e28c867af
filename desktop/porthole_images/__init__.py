"""Makes the container images without a container engine, from `desktop/images/`.

An image is three kinds of layers: Debian's packages (shared with every image below which it
stands), the locked Python packages that its programs import, and our own files on top. A
change of our code makes the last one again, in seconds. Layers are kept by what they are made
of in `~/.cache/porthole/images`; an archive is what `docker load`, `ctr images import` and
`kind load image-archive` take.

A tool of whoever builds Porthole: it is in no wheel and in no image.
"""
