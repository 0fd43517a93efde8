import os, sys
nonce, size = sys.argv[1], int(sys.argv[2])
if os.isatty(0):
    import tty
    tty.setraw(0)
home = os.path.join(os.environ.get('TMPDIR') or '/tmp', 'deeprecall-' + nonce)
os.makedirs(home, 448, exist_ok=True)
os.chdir(home)
place = ('%s%s %d %s%s' % (chr(10), nonce[::-1], os.getpid(), home, chr(10))).encode()
os.write(1, place)
source = b''
while len(source) < size:
    piece = os.read(0, size - len(source))
    if not piece:
        sys.exit('the worker did not arrive')
    source += piece
os.write(1, place)
worker = type(sys)('deeprecall_worker')
worker.__file__ = '<worker>'
sys.modules[worker.__name__] = worker
exec(compile(source, worker.__file__, 'exec'), worker.__dict__)
worker.main(nonce)
