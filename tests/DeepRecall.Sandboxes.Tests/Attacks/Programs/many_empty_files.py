# says: ScratchLimit
# outcome: Died
# control: no
number = 0
while True:
    if number % 1000 == 0:
        os.mkdir(f"directory-{number}")
    open(f"directory-{number // 1000 * 1000}/{number}", "w").close()
    number += 1
