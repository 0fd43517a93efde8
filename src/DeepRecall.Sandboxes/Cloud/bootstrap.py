import os, sys
nonce, sizes = sys.argv[1], sys.argv[2:]
if os.isatty(0):
    import tty
    tty.setraw(0)
home = os.path.join(os.environ.get('TMPDIR') or '/tmp', 'deeprecall-' + nonce)
os.makedirs(home, 448, exist_ok=True)
os.chdir(home)
def tell():
    os.write(1, ('%s%s %d %s%s' % (chr(10), nonce[::-1], os.getpid(), home, chr(10))).encode())
def receive(size):
    source = b''
    while len(source) < size:
        piece = os.read(0, size - len(source))
        if not piece:
            sys.exit('the worker did not arrive')
        source += piece
    return source
tell()
sources = [receive(int(size)) for size in sizes]
worker = type(sys)('deeprecall_worker')
worker.__file__ = '<worker>'
sys.modules[worker.__name__] = worker
exec(compile(sources[0], worker.__file__, 'exec'), worker.__dict__)
for source in sources[1:]:
    exec(compile(source, '<relay>', 'exec'), {})
tell()
worker.main(nonce)
