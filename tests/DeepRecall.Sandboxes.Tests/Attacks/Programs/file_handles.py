# control: no
handle = ctypes.create_string_buffer(128 + 8)
handle[0] = 128
attempt("name to handle", lambda: syscall(303, 264, -100, W["secret"].encode(), handle, ctypes.create_string_buffer(8), 0))
attempt("open by handle", lambda: syscall(304, 265, os.open("/usr/lib", os.O_PATH), handle, 0))
attempt("file handles by descriptor", lambda: syscall(303, 264, os.open(W["secret"], os.O_PATH), b"", handle, ctypes.create_string_buffer(8), 0x1000))
