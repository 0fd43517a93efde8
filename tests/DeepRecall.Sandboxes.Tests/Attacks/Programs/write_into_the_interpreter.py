# says: signal
# outcome: Died
# control: no
for offset in range(0, 1 << 20, 8):
    ctypes.c_uint64.from_address(id(type) + offset).value = 0x4141414141414141
print([type(each) for each in range(10)])
