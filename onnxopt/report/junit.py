"""Checks as JUnit XML, as continuous integration reads it: a suite a model, a case a key.

The form is the one that Jenkins, GitLab and the like accept: ``testsuites`` of ``testsuite`` of ``testcase``, with a ``failure`` in each
case that failed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from .checking import limit_text, value_text
from .text import one_line

if TYPE_CHECKING:
    from ..checking.verdict import Check, Verdict

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(checks: Sequence[Check]) -> str:
    """Writes checks as an XML document."""
    root = ElementTree.Element("testsuites", {"name": "onnxopt check", **_totals(checks)})
    for check in checks:
        _suite(root, check)
    ElementTree.indent(root)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        + ElementTree.tostring(root, encoding="unicode")
        + "\n"
    )


def _totals(checks: Sequence[Check]) -> dict[str, str]:
    return {
        "tests": str(sum(len(check.verdicts) for check in checks)),
        "failures": str(sum(len(check.failed) for check in checks)),
        "errors": "0",
        "time": f"{sum(check.seconds for check in checks):.3f}",
    }


def _suite(root: ElementTree.Element, check: Check) -> None:
    suite = ElementTree.SubElement(
        root, "testsuite", {"name": _legal(check.model), **_totals([check])}
    )
    for verdict in check.verdicts:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            name=verdict.key,
            classname=_legal(check.model),
            file=_legal(check.budget),
            time=f"{verdict.seconds:.3f}",
        )
        if verdict.line is not None:
            case.set("line", str(verdict.line))
        _outcome(case, verdict)


def _outcome(case: ElementTree.Element, verdict: Verdict) -> None:
    found = f"{value_text(verdict)}; expected {limit_text(verdict)}"
    detail = _legal(one_line(verdict.detail))
    if verdict.status == "failed":
        message = (
            f"{verdict.key}: {found}" if verdict.value is not None else f"{verdict.key}: {detail}"
        )
        failure = ElementTree.SubElement(case, "failure", message=_legal(message), type=verdict.key)
        failure.text = detail
    else:
        ElementTree.SubElement(case, "system-out").text = _legal(
            f"{found}; {detail}".removesuffix("; ")
        )


def _legal(text: str) -> str:
    """Leaves out what XML cannot hold; names come from files of any origin."""
    return _FORBIDDEN.sub("?", text)
