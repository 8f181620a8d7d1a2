"""Tells each result of a pytest run as one line of JSON, in the file that CODEGEN_REPORT names (see report-lines.ts)."""

import json
import os


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # with pytest-xdist the workers' results come to the controller
        config.pluginmanager.register(Reporter(os.environ["CODEGEN_REPORT"]), "codegen-reporter")


class Reporter:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8", errors="replace")
        self.errors = 0

    def tell(self, **line):
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    def pytest_runtest_logreport(self, report):
        status = report.outcome
        if report.when != "call" and status == "passed":
            return
        if hasattr(report, "wasxfail") and status == "skipped":
            status = "skipped"
        file, line, _ = report.location
        where = crash_line(report.longrepr, file)
        self.tell(
            test=report.nodeid,
            status=status,
            file=os.path.abspath(file),
            line=where or (line or 0) + 1,
            message=message(report, status),
        )

    def pytest_collectreport(self, report):
        if report.failed:
            self.errors += 1
            file = report.nodeid.split("::")[0]
            text = str(report.longrepr)
            self.tell(error=report.nodeid, file=os.path.abspath(file), line=crash_line(report.longrepr, file), message=text[-8000:])

    def pytest_sessionfinish(self, exitstatus):
        # 0 passed, 1 failed, 5 nothing collected; 2 is an interruption, which errors of collection cause as well
        if exitstatus in (0, 1, 5) or (exitstatus == 2 and self.errors):
            self.tell(end=True)


def message(report, status):
    if status == "passed":
        return None
    if status == "skipped" and isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    return report.longreprtext[-8000:]


def crash_line(longrepr, file):
    """The line in the test's own file where it went wrong, if the traceback has one."""
    entries = getattr(getattr(longrepr, "reprtraceback", None), "reprentries", [])
    for entry in reversed(entries):
        place = getattr(entry, "reprfileloc", None)
        if place and os.path.abspath(place.path) == os.path.abspath(file):
            return place.lineno
    return None
