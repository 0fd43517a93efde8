# control: no
import socket

attempt("getaddrinfo", lambda: socket.getaddrinfo("example.com", 443))
attempt("gethostbyname", lambda: socket.gethostbyname("example.org"))
attempt("gethostbyaddr", lambda: socket.gethostbyaddr("192.0.2.1"))
attempt("resolver", lambda: ctypes.CDLL("libresolv.so.2").__res_init() or socket.getaddrinfo("example.net", 80))
