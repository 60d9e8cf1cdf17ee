"""The reports of a check: text, Markdown, JUnit XML and plain data."""

from __future__ import annotations

import io
import math
from xml.etree import ElementTree

import rich.console

from onnxopt.checking.verdict import Check, Verdict
from onnxopt.report import checking, jsonfile
from onnxopt.report.junit import junit

GOOD = Verdict("max_bytes", 5_000_000, 1_234_567, "passed", "in 2 files", 2, 0.25)
BAD = Verdict("min_cosine", 0.99, 0.5, "failed", "output 'a|b' on CPU", 3)
UNMEASURED = Verdict("required_provider", "cuda", None, "failed", "cannot be measured: no <GPU>")
CHECK = Check("out_1.onnx", "m.onnx", "budget.toml", (GOOD, BAD, UNMEASURED), ("a\nremark",), 1.5)
SOUND = Check("other.onnx", "", "budget.toml", (GOOD,))


def test_text_names_each_key_that_fails() -> None:
    stream = io.StringIO()
    checking.render(rich.console.Console(file=stream, width=120, markup=False), CHECK)
    words = " ".join(stream.getvalue().split())
    assert "out_1.onnx failed budget.toml, 1.5 s" in words
    assert "max_bytes at most 5,000,000 1,234,567 passed: in 2 files" in words
    assert "min_cosine at least 0.99 0.5 failed: output 'a|b' on CPU" in words
    assert "required_provider cuda - failed: cannot be measured: no <GPU>" in words
    assert "note: a remark" in words
    assert words.endswith("failed: min_cosine, required_provider")


def test_markdown_is_a_table_that_names_cannot_break() -> None:
    assert checking.markdown([CHECK, SOUND]).splitlines() == [
        r"### out\_1.onnx: failed",
        "",
        "budget.toml against m.onnx, 1.5 s",
        "",
        "| key | limit | found | verdict |",
        "|---|---:|---:|---|",
        "| `max_bytes` | at most 5,000,000 | 1,234,567 | passed: in 2 files |",
        r"| `min_cosine` | at least 0.99 | 0.5 | **failed**: output 'a\|b' on CPU |",
        r"| `required_provider` | cuda | - | **failed**: cannot be measured: no \<GPU\> |",
        "",
        "- a remark",
        "",
        "### other.onnx: passed",
        "",
        "budget.toml, 0 ms",
        "",
        "| key | limit | found | verdict |",
        "|---|---:|---:|---|",
        "| `max_bytes` | at most 5,000,000 | 1,234,567 | passed: in 2 files |",
    ]


def test_junit_has_a_case_a_key() -> None:
    root = ElementTree.fromstring(junit([CHECK, SOUND]).encode())
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "4", "2")
    assert [suite.get("name") for suite in root] == ["out_1.onnx", "other.onnx"]
    good, bad, unmeasured = root[0]
    assert (good.get("name"), good.get("line"), good.get("time")) == ("max_bytes", "2", "0.250")
    assert good.find("failure") is None
    failure = bad.find("failure")
    assert failure is not None
    assert failure.get("message") == "min_cosine: 0.5; expected at least 0.99"
    assert failure.text == "output 'a|b' on CPU"
    failure = unmeasured.find("failure")
    assert failure is not None
    assert failure.get("message") == "required_provider: cannot be measured: no <GPU>"
    assert unmeasured.get("line") is None


def test_junit_holds_whatever_names_hold() -> None:
    check = Check("a\0b\ud800\ufffe", "", "budget.toml", (GOOD,))
    root = ElementTree.fromstring(junit([check]).encode())
    assert root[0].get("name") == "a?b??"


def test_json_is_strict_and_keeps_infinity() -> None:
    equal = Verdict("min_snr_db", 40.0, math.inf, "passed")
    data = Check("out.onnx", "m.onnx", "b.toml", (equal, BAD)).to_json()
    assert data["verdicts"][0]["value"] == "inf"
    assert (data["status"], data["failed"]) == ("failed", ["min_cosine"])
    assert '"value": "inf"' in jsonfile.dumps(data)


def test_a_value_that_misses_by_little_shows_it() -> None:
    near = Verdict("min_cosine", 1.0, 0.99999999, "failed")
    assert (checking.limit_text(near), checking.value_text(near)) == ("at least 1", "0.99999999")


def test_domains_are_named() -> None:
    verdict = Verdict("allowed_domains", ("", "ai.onnx.ml"), (), "passed")
    assert checking.limit_text(verdict) == "ai.onnx, ai.onnx.ml"
    assert checking.value_text(verdict) == "none"
