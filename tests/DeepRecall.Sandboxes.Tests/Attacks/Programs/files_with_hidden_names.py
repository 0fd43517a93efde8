# says: ScratchLimit
# outcome: Died
# control: no
os.mkdir(b"\xff\xfe")
os.mkdir(b"\xff\xfe/new\nline")
number = 0
while True:
    with open(b"\xff\xfe/new\nline/%d" % number, "wb") as file:
        file.write(bytes(1 << 20))
    number += 1
