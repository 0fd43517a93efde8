# control: no
import threading, time

def haunt():
    while True:
        time.sleep(0.02)
        try:
            haunted.append(llm_query("from beyond the cell"))
        except BaseException as error:
            haunted.append(repr(error))

haunted = []
threading.Thread(target=haunt, daemon=True).start()
threading.Thread(target=haunt, daemon=False).start()
print("refused nothing yet")
