import socket

def send(family, host):
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        return client.sendto(b"planted", (host, W["udp"]))

attempt("IPv4", lambda: send(socket.AF_INET, "127.0.0.1"))
attempt("IPv6", lambda: send(socket.AF_INET6, "::1"))
address = (2).to_bytes(2, "little") + W["udp"].to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
attempt("raw", lambda: syscall(44, 206, syscall(41, 198, 2, 2, 0), b"planted", 7, 0, address, 16))
