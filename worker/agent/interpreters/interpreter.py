"""A Python namespace that lasts: reads code from fd 3, says results on fd 4 (channel.ts), prints where user code prints."""
import _thread
import ast
import importlib.machinery
import linecache
import os
import signal
import sys
import traceback
import types
import __future__

RESULT_MAX = 1_000_000
COROUTINE = 0x80  # inspect.CO_COROUTINE; importing inspect costs 5 ms
FUTURES = 0
for _name in __future__.all_feature_names:
    FUTURES |= getattr(__future__, _name).compiler_flag

source = os.fdopen(3, "rb")
lock = _thread.allocate_lock()


def say(kind, payload):
    data = memoryview(b"%s %d\n%s" % (kind, len(payload), payload))
    with lock:
        while data:
            data = data[os.write(4, data):]


class PlotHook:
    """Sees matplotlib.pyplot being imported, and makes its figures pictures: there is no screen."""

    def find_spec(self, name, path=None, target=None):
        if name != "matplotlib.pyplot":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.show = show_figures

        spec.loader.exec_module = exec_module
        return spec


def show_figures(*_args, **_options):
    """What plt.show() does here: every open figure goes out as PNG, and is closed."""
    plt = sys.modules.get("matplotlib.pyplot")
    if plt is None or not hasattr(plt, "get_fignums"):
        return
    import io

    for number in plt.get_fignums():
        picture = io.BytesIO()
        plt.figure(number).savefig(picture, format="png")
        say(b"image", picture.getvalue())
    plt.close("all")


class Namespace:
    def __init__(self):
        self.module = types.ModuleType("__main__")
        self.names = self.module.__dict__
        self.names["__builtins__"] = __builtins__
        sys.modules["codegen_interpreter"] = sys.modules["__main__"]
        sys.modules["__main__"] = self.module
        self.flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self.loop = None

    def run(self, name, text):
        """Gives the value of the last expression, or None."""
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        self.names["__file__"] = name
        sys.argv = [name]
        tree = compile(text, name, "exec", self.flags | ast.PyCF_ONLY_AST, True)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        self.execute(compile(tree, name, "exec", self.flags, True))
        return None if last is None else self.execute(compile(last, name, "eval", self.flags, True))

    def execute(self, code):
        self.flags |= code.co_flags & FUTURES  # `from __future__ import` holds for what follows, as in a file
        value = eval(code, self.names)
        return self.wait_for(value) if code.co_flags & COROUTINE else value

    def wait_for(self, coroutine):
        import asyncio

        if self.loop is None or self.loop.is_closed():
            self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        task = self.loop.create_task(coroutine)
        try:
            return self.loop.run_until_complete(task)
        finally:
            if not task.done():  # interrupted
                task.cancel()
                try:
                    self.loop.run_until_complete(task)
                except BaseException:
                    pass


def print_exception(error, cells):
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename not in cells:
        trace = trace.tb_next  # ours, and asyncio's
    traceback.print_exception(type(error), error, trace)


def status_of(error, cells):
    """As of a script that ends with this exception."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        print(error.code, file=sys.stderr)
        return 1
    print_exception(error, cells)
    return 130 if isinstance(error, KeyboardInterrupt) else 1


is_running = False


def on_interrupt(_number, _frame):
    if is_running:
        raise KeyboardInterrupt


def show_value(value):
    import builtins

    builtins._ = value
    text = repr(value)
    picture = getattr(type(value), "_repr_png_", None)
    if picture is not None:
        data = picture(value)
        if isinstance(data, bytes):
            say(b"image", data)
    say(b"result", text[:RESULT_MAX].encode("utf-8", "backslashreplace")[:RESULT_MAX])


def serve(namespace):
    global is_running
    cells = set()
    own = os.getpid()
    while True:
        header = source.readline()
        if not header:
            return
        name, length = header.decode().rsplit(" ", 1)
        text = source.read(int(length)).decode()
        cells.add(name)
        status = 0
        try:
            is_running = True
            value = namespace.run(name, text)
            if value is not None:
                show_value(value)
            show_figures()
            is_running = False
        except BaseException as error:
            is_running = False
            status = status_of(error, cells)
            try:
                show_figures()
            except Exception as trouble:
                print_exception(trouble, cells)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass  # user code closed or replaced it
        if os.getpid() != own:
            os._exit(status)  # the other side of user code's fork
        say(b"done", b"%d" % status)


for fd in (3, 4):
    os.set_inheritable(fd, False)
sys.path[0] = ""
sys.meta_path.insert(0, PlotHook())
signal.signal(signal.SIGINT, on_interrupt)
serve(Namespace())
