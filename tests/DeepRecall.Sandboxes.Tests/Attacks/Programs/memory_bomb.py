# outcome: MemoryError
# control: no
pieces = []
while True:
    pieces.append(bytearray(16 << 20))
