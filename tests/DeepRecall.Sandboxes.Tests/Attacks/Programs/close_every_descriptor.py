# outcome: Any
# control: no
print("refused")
os.closerange(0, 64)
