"""Lines as an SVG, readable on light and dark pages."""

import math
from html import escape

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 56, 620, 48, 290
COLORS = ("#2563eb", "#d97706", "#059669", "#dc2626")
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}.grid{stroke:#8884}\n"
    "@media (prefers-color-scheme:dark){text{fill:#ddd}}"
)


def lines(title: str, curves) -> str:
    """curves: (name, [[x, y], …]) each, x on a logarithmic axis with a label at each power of ten, y from a whole number to a whole number."""
    xs = [math.log10(x) for _, points in curves for x, _ in points]
    ys = [y for _, points in curves for _, y in points]
    low_x, high_x, low_y, high_y = min(xs), max(xs), math.floor(min(ys)), math.ceil(max(ys))

    def at(x, y):
        across = LEFT + (RIGHT - LEFT) * (math.log10(x) - low_x) / ((high_x - low_x) or 1)
        return f"{across:.1f},{BOTTOM - (BOTTOM - TOP) * (y - low_y) / ((high_y - low_y) or 1):.1f}"

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<text x="{WIDTH // 2}" y="24" text-anchor="middle" class="title">{escape(title)}</text>',
    ]
    for power in range(math.ceil(low_x), math.floor(high_x) + 1):
        x = at(10.0**power, low_y).split(",")[0]
        out.append(f'<line class="grid" x1="{x}" y1="{TOP}" x2="{x}" y2="{BOTTOM}"/>')
        out.append(f'<text x="{x}" y="{BOTTOM + 18}" text-anchor="middle">10<tspan dy="-4" font-size="9">{power}</tspan></text>')
    for y in range(low_y, high_y + 1):
        height = at(10.0**low_x, y).split(",")[1]
        out.append(f'<line class="grid" x1="{LEFT}" y1="{height}" x2="{RIGHT}" y2="{height}"/>')
        out.append(f'<text x="{LEFT - 8}" y="{float(height) + 4:.1f}" text-anchor="end">{y}</text>')
    for n, (name, points) in enumerate(curves):
        color, y = COLORS[n % len(COLORS)], BOTTOM + 42 + 18 * n
        out.append(f'<polyline fill="none" stroke="{color}" stroke-width="2" points="{" ".join(at(*p) for p in points)}"/>')
        out.append(f'<line x1="{LEFT}" y1="{y - 4}" x2="{LEFT + 24}" y2="{y - 4}" stroke="{color}" stroke-width="2"/>')
        out.append(f'<text x="{LEFT + 32}" y="{y}">{escape(name)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"
