"""Turns the results into tables for a terminal and a chart in SVG."""

import math
from html import escape

import cases

SPREAD_WORTH_TELLING = 0.15


def quantity(value, unit):
    """A figure with three significant digits and a unit that fits it."""
    if value is None:
        return "—"
    if unit == "x":
        return f"{value:.3f}×"
    steps = [("ns", 1e3), ("µs", 1e3), ("ms", 1e3), ("s", None)] if unit == "ns" else [("B", 1024), ("KiB", 1024), ("MiB", None)]
    for name, step in steps:
        if step is None or abs(value) < step * 0.9995:
            break
        value /= step
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{digits}f} {name}"


def ratio_text(ratio):
    if ratio is None:
        return "—"
    return f"{ratio:.3f}×" if ratio < 0.1 else f"{ratio:.2f}×"


def bound_text(bound):
    return "—" if bound is None else f"≤ {bound:g}×"


def met_text(met):
    return {None: "", True: "yes", False: "NO"}[met]


def spread_text(row):
    noisy = [f"{side} +{spread:.0%}" for side, spread in row["spread"].items() if spread > SPREAD_WORTH_TELLING]
    return ", ".join(noisy)


def print_table(title, head, rows):
    """The first and the last column are text, the others figures."""
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    print(f"\n{title}")
    for number, line in enumerate([head, *rows]):
        cells = [text.ljust(width) if column in (0, len(head) - 1) else text.rjust(width)
                 for column, (text, width) in enumerate(zip(line, widths))]
        print("  " + "  ".join(cells).rstrip())
        if number == 0:
            print("  " + "  ".join("─" * width for width in widths))


def print_results(results):
    head = ("", "peer", "ours", "ratio", "owed", "met", "budget", "")
    groups = {}
    for row in results["rows"]:
        groups.setdefault(row["group"], []).append(row)
    for group, rows in groups.items():
        print_table(group, head, [
            (row["title"], quantity(row["peer"], row["unit"]), quantity(row["ours"], row["unit"]), ratio_text(row["ratio"]),
             bound_text(row["owed"]), met_text(row["met"]), bound_text(row["budget"]),
             row["failure"] or ", ".join(filter(None, [v8_text(row), spread_text(row)])))
            for row in rows])
    if results["compiled"]:
        print_compiled(results["compiled"])
    if results["kernels"]:
        print_kernels(results["kernels"])
    owed = [row for row in results["rows"] if row["owed"] is not None]
    met = sum(row["met"] is True for row in owed)
    failed = [row["name"] for row in results["rows"] + results["kernels"] + results["compiled"] if row["failure"]]
    print(f"\n{met} of {len(owed)} bounds met" + (f"; failed: {', '.join(failed)}" if failed else ""))


def v8_text(row):
    """What V8 took, and ours as a part of it."""
    if row.get("v8"):
        return f"V8: {quantity(row['v8'], row['unit'])}, ours {ratio_text(row['ours'] / row['v8'])}"
    return f"V8: {row['v8_failure']}" if row.get("v8_failure") else ""


def print_compiled(compiled):
    def speed(row, compiler):
        return f"{row['code_bytes'] / row[compiler] * 1e3:.1f} MB/s" if row.get(compiler) else "—"

    print_table("compilation: code sections on one core, with decoding and validation",
                ("", "baseline", "optimizing", "peer", "baseline/optimizing", "budget", ""), [
        (row["title"], speed(row, "baseline"), speed(row, "optimizing"), speed(row, "peer"), ratio_text(row.get("ratio")),
         bound_text(cases.BASELINE_BUDGET), row["failure"] or "")
        for row in compiled])


def print_kernels(kernels):
    head = ("", "native", "peer", "V8", "ours", "ours/peer", "ours/V8", "ours/native", "fuel: peer", "ours", "epoch: peer", "ours", "")
    lines = []
    for row in kernels:
        peer, ours = row["peer"] or {}, row["ours"] or {}

        def over(side, metering):
            return f"{side[metering] / side['plain']:.2f}×" if metering in side else "—"

        v8_failure = f"V8: {row['v8_failure']}" if row["v8_failure"] else ""
        lines.append((row["name"], quantity(row["native"], "ns"), quantity(peer.get("plain"), "ns"), quantity(row["v8"], "ns"),
                      quantity(ours.get("plain"), "ns"), ratio_text(row["ratio"]), ratio_text(row["to_v8"]),
                      ratio_text(row["to_native"]), over(peer, "fuel"), over(ours, "fuel"), over(peer, "epoch"), over(ours, "epoch"),
                      row["failure"] or ", ".join(filter(None, [v8_failure, spread_text(row)]))))
    print_table("kernels one by one", head, lines)


# --- The chart ---

WIDTH, LEFT, RIGHT, BAR, ROW, TITLE_ROW = 900, 330, 90, 11, 17, 30
COLOURS = {None: "#7d8ba1", True: "#2e9e6b", False: "#d9822b"}


def svg_chart(results):
    """Horizontal bars of ours ÷ peer on a logarithmic scale; a tick on a bar is what it owes."""
    rows = [row for row in results["rows"] if row["ratio"] and row["ratio"] > 0]
    groups = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    values = [row["ratio"] for row in rows] + [row["owed"] for row in rows if row["owed"]] + [0.5, 1.5]
    low, high = math.floor(math.log10(min(values)) * 2) / 2, math.ceil(math.log10(max(values)) * 4) / 4
    plot = WIDTH - LEFT - RIGHT

    def x(ratio):
        return LEFT + plot * (math.log10(ratio) - low) / (high - low)

    height = 78 + sum(TITLE_ROW + ROW * len(members) for members in groups.values()) + 30
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="11" fill="#24292f">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="24" font-size="15" font-weight="600">{escape(results["ours_name"])} against {escape(results["peer_name"])}</text>',
        '<text x="16" y="42" fill="#57606a">Our figure divided by the peer’s, both through the C API in one run; shorter is better.</text>',
    ]
    for at, (met, text) in enumerate(((True, "bound met"), (False, "bound not met yet"), (None, "no bound"))):
        left = 16 + at * 130
        out.append(f'<rect x="{left}" y="51" width="10" height="10" fill="{COLOURS[met]}"/><text x="{left + 15}" y="60">{text}</text>')
    out.append('<rect x="406" y="50" width="2" height="12" fill="#24292f"/><text x="414" y="60">what is owed</text>')

    bottom = height - 30
    for tick in (tick * 10.0**power for power in range(-4, 3) for tick in (1, 3)):
        if low <= math.log10(tick) <= high:
            strong = tick == 1
            out.append(f'<line x1="{x(tick):.1f}" y1="72" x2="{x(tick):.1f}" y2="{bottom}" '
                       f'stroke="{"#24292f" if strong else "#d8dee4"}" stroke-width="1"/>')
            out.append(f'<text x="{x(tick):.1f}" y="{bottom + 15}" text-anchor="middle" fill="#57606a">{tick:g}×</text>')
    y = 78
    for group, members in groups.items():
        out.append(f'<text x="16" y="{y + 15}" font-weight="600">{escape(group)}</text>')
        y += TITLE_ROW - 6
        for row in members:
            ratio, end = row["ratio"], x(row["ratio"])
            out.append(f'<text x="{LEFT - 8}" y="{y + BAR - 1}" text-anchor="end">{escape(row["title"])}</text>')
            out.append(f'<rect x="{LEFT}" y="{y}" width="{max(end - LEFT, 1):.1f}" height="{BAR}" fill="{COLOURS[row["met"]]}"/>')
            if row["owed"] and row["owed_of"] == "ratio":
                out.append(f'<rect x="{x(row["owed"]) - 1:.1f}" y="{y - 2}" width="2" height="{BAR + 4}" fill="#24292f"/>')
            out.append(f'<text x="{WIDTH - 12}" y="{y + BAR - 1}" text-anchor="end">{ratio_text(ratio)}</text>')
            y += ROW
        y += 6
    out.append("</svg>\n")
    return "\n".join(out)
