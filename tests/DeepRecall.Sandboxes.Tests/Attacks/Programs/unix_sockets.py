import socket

for name in (W["unix_path"], "\0" + W["unix_abstract"]):
    attempt("stream", lambda: socket.socket(socket.AF_UNIX).connect(name))
for name in (W["unix_datagram_path"], "\0" + W["unix_datagram_abstract"]):
    attempt("datagram", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"planted", name))
