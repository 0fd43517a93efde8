# control: no
kept = []
try:
    while True:
        kept.extend(os.pipe())
except OSError as error:
    print("refused another descriptor", error)
