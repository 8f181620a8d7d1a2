"""Runs unittest tests, and tells each result as one line of JSON in the file that CODEGEN_REPORT names.

Arguments: --match PATTERN (a part of a test's id), then folders, files or ids; without any, what discovery finds.
"""

import json
import os
import sys
import traceback
import unittest
import unittest.loader

report = open(os.environ["CODEGEN_REPORT"], "w", encoding="utf-8", errors="replace")
sys.path.insert(0, os.getcwd())


def tell(**line):
    report.write(json.dumps(line) + "\n")
    report.flush()


def place(test, trace):
    """The file of the test, and the line in it where it went wrong."""
    module = sys.modules.get(type(test).__module__)
    file = getattr(module, "__file__", None)
    if isinstance(test, unittest.loader._FailedTest) or not file:
        return None, None
    lines = [frame.lineno for frame in traceback.extract_tb(trace) if os.path.abspath(frame.filename) == os.path.abspath(file)]
    return os.path.abspath(file), lines[-1] if lines else None


class Result(unittest.TextTestResult):
    def tell_test(self, test, status, error=None, text=None):
        file, line = place(getattr(test, "test_case", test), error[2] if error else None)
        message = text or ("".join(traceback.format_exception(*error))[-8000:] if error else None)
        if isinstance(test, unittest.loader._FailedTest):
            tell(error=test._testMethodName, message=message)
        else:
            tell(test=test.id(), status=status, file=file, line=line, message=message)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.tell_test(test, "passed")

    def addError(self, test, err):
        super().addError(test, err)
        self.tell_test(test, "failed", err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell_test(test, "failed", err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell_test(test, "skipped", text=reason)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.tell_test(test, "passed")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.tell_test(test, "failed", text="It was expected to fail, and passed")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.tell_test(subtest, "failed", err)


def discover(loader, folder):
    is_package = os.path.exists(os.path.join(folder, "__init__.py"))
    return loader.discover(folder, top_level_dir=os.getcwd() if is_package else None)


def load(loader, names):
    if not names:
        suites = [discover(loader, folder) for folder in (".", "tests", "test") if os.path.isdir(folder)]
        return unittest.TestSuite(unique(suites))
    loaded = []
    for name in names:
        if os.path.isdir(name):
            loaded.append(discover(loader, name))
        elif name.endswith(".py"):
            folder, file = os.path.split(name)
            is_package = os.path.exists(os.path.join(folder, "__init__.py"))
            top = os.getcwd() if is_package or not folder else folder
            loaded.append(loader.discover(folder or ".", pattern=file, top_level_dir=top))
        else:
            loaded.append(loader.loadTestsFromName(name))
    return unittest.TestSuite(unique(loaded))


def unique(suites):
    """A folder of tests that is a package is found from the top as well: each test once, by its id's last parts."""
    seen = set()
    for test in flat(suites):
        key = (sys.modules[type(test).__module__].__file__ if not isinstance(test, unittest.loader._FailedTest) else "", test.id().split(".")[-2:])
        if str(key) not in seen:
            seen.add(str(key))
            yield test


def flat(suites):
    for item in suites:
        if isinstance(item, unittest.TestSuite):
            yield from flat(item)
        else:
            yield item


names = sys.argv[1:]
loader = unittest.TestLoader()
if names[:1] == ["--match"]:
    loader.testNamePatterns = ["*" + names[1] + "*"]
    names = names[2:]
result = unittest.TextTestRunner(resultclass=Result, verbosity=2).run(load(loader, names))
tell(end=True)
sys.exit(0 if result.wasSuccessful() else 1)
