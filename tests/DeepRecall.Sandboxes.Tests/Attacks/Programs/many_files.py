# says: ScratchLimit
# outcome: Died
# control: no
number = 0
while True:
    with open(f"file-{number}", "wb") as file:
        file.write(bytes(1 << 20))
    number += 1
