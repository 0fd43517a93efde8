import os, sys
nonce, size = sys.argv[1], int(sys.argv[2])
if os.isatty(0):
    import tty
    tty.setraw(0)
home = os.path.join(os.environ.get('TMPDIR') or '/tmp', 'deeprecall-' + nonce)
os.mkdir(home, 448)
os.chdir(home)
os.write(1, ('%s%s %d %s%s' % (chr(10), nonce[::-1], os.getpid(), home, chr(10))).encode())
source = b''
while len(source) < size:
    piece = os.read(0, size - len(source))
    if not piece:
        sys.exit('the worker did not arrive')
    source += piece
worker = type(sys)('deeprecall_worker')
worker.__file__ = '<worker>'
sys.modules[worker.__name__] = worker
exec(compile(source, worker.__file__, 'exec'), worker.__dict__)
worker.main(nonce)
