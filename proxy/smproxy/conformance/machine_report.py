"""The report as JSON and as JUnit XML, for other programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from xml.etree import ElementTree as Xml

from smproxy.conformance.check import Outcome, RequirementLevel
from smproxy.conformance.runner import Report
from smproxy.conformance.text_report import row_lines
from smproxy.printable import printable


def as_json(report: Report) -> str:
    """Write everything: each row with what was sent, what came, and what demands otherwise."""
    rows = [
        {
            "row": each.check.row,
            "level": each.check.level,
            "title": each.check.title,
            "reference": each.check.reference(report.protocol),
            "outcome": each.outcome,
            "detail": each.detail,
            "seconds": round(each.seconds, 3),
            "exchanges": [asdict(exchange) for exchange in each.exchanges],
        }
        for each in report.results
    ]
    counts = {
        level: {outcome.replace(" ", "_"): report.count(level, outcome) for outcome in Outcome}
        for level in RequirementLevel
    }
    document = {
        "protocol": report.protocol,
        "url": report.url,
        "conforms": report.conforms,
        "counts": counts,
        "rows": rows,
    }
    return json.dumps(document, indent=2)


def as_junit(report: Report) -> str:
    """Write one JUnit test case for each row.

    A MUST that failed is a failure; what is not judged and a failed SHOULD are skipped.
    """
    suite = Xml.Element("testsuite", name=f"{report.protocol} conformance of {printable(report.url)}")
    failures = skipped = 0
    for each in report.results:
        case = Xml.SubElement(
            suite,
            "testcase",
            classname=f"{report.protocol}.{each.check.level}",
            name=f"{each.check.row} {each.check.title}",
            time=f"{each.seconds:.3f}",
        )
        if each.outcome is Outcome.FAILED and each.check.level is RequirementLevel.MUST:
            failures += 1
            failure = Xml.SubElement(case, "failure", message=printable(each.detail), type="MUST")
            failure.text = "\n".join(row_lines(each, report.protocol, verbose=False))
        elif each.outcome is not Outcome.PASSED:
            skipped += 1
            prefix = "" if each.outcome is Outcome.NOT_JUDGED else f"{each.check.level} failed: "
            Xml.SubElement(case, "skipped", message=prefix + printable(each.detail))
    suite.set("tests", str(len(report.results)))
    suite.set("failures", str(failures))
    suite.set("errors", "0")
    suite.set("skipped", str(skipped))
    suite.set("time", f"{sum(each.seconds for each in report.results):.3f}")
    return Xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
