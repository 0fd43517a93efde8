import socket

for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
    for name in (W["unix_datagram_path"], "\0" + W["unix_datagram_abstract"], W["unix_path"], "\0" + W["unix_abstract"]):
        attempt(f"pair of kind {kind} to {name!r}", lambda: socket.socketpair(socket.AF_UNIX, kind)[0].sendto(b"planted", name))
        attempt(f"pair of kind {kind} connects to {name!r}", lambda: socket.socketpair(socket.AF_UNIX, kind)[0].connect(name))
