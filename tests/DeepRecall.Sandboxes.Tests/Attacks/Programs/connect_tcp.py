import asyncio, http.client, socket

attempt("IPv4", lambda: socket.create_connection(("127.0.0.1", W["tcp"]), 2))
attempt("IPv6", lambda: socket.create_connection(("::1", W["tcp"]), 2))
attempt("HTTP", lambda: http.client.HTTPConnection("127.0.0.1", W["tcp"], timeout=2).connect())
attempt("asyncio", lambda: asyncio.run(asyncio.wait_for(asyncio.open_connection("127.0.0.1", W["tcp"]), 2)))
address = (2).to_bytes(2, "little") + W["tcp"].to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
attempt("raw", lambda: syscall(42, 203, syscall(41, 198, 2, 1, 0), address, 16))
attempt("raw MPTCP", lambda: syscall(42, 203, syscall(41, 198, 2, 1, 262), address, 16))
pair, _ = socket.socketpair()
attempt("a socket that is there", lambda: syscall(42, 203, pair.fileno(), address, 16))
attempt("fast open", lambda: syscall(44, 206, pair.fileno(), b"x", 1, 0x20000000, address, 16))
