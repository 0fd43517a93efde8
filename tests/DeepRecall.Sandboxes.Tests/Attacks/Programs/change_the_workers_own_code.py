# control: no
import sys

worker = sys.modules["deeprecall_worker"]
home = os.path.dirname(os.getcwd())
attempt("write", lambda: write(worker.__file__, "ab"))
attempt("cache", lambda: write(worker.__cached__, "ab"))
attempt("list", lambda: os.listdir(home))
attempt("plan", lambda: write(os.path.join(os.path.dirname(worker.__file__), "plan.json"), "ab"))
attempt("standard library", lambda: write(os.__file__, "ab"))
attempt("new module", lambda: write(os.path.join(os.path.dirname(os.__file__), "planted.py")))
