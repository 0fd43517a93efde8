# outcome: Died
# says: exit code 1
# control: no
print("refused")
os.closerange(0, 64)
