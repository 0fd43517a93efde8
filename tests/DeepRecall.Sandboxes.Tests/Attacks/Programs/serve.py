import socket, socketserver

attempt("server", lambda: socketserver.TCPServer(("127.0.0.1", 0), None))
attempt("listen", lambda: socket.create_server(("127.0.0.1", 0)))
pair, _ = socket.socketpair()
attempt("bind a pair", lambda: pair.bind("\0planted"))
attempt("bind a pair to a path", lambda: pair.bind("planted.sock"))
attempt("listen on a pair", lambda: pair.listen())
