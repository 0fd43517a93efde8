# says: nested
# outcome: Died
# control: no
for _ in range(60):
    os.mkdir("d" * 100)
    os.chdir("d" * 100)
number = 0
while True:
    with open(f"{number}", "wb") as file:
        file.write(bytes(1 << 18))
    number += 1
