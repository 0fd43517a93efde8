# control: no
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    print("refused another descriptor", error)
if len(held) > 100:
    print("GAINED", len(held), "descriptors")
for descriptor in held:
    os.close(descriptor)
