"""The charts of the page; each function takes results and returns one inline SVG."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from pystream.demo import views
from pystream.demo.dataset import AIRPORTS, CARRIERS
from pystream.demo.svg import Panel, Svg, inner_ticks, round_ticks
from pystream.demo.tables import duration_text, minutes_text, month_text

if TYPE_CHECKING:
    from pystream.demo.results import Results

__all__ = ["carrier_heat", "day_profile", "lateness", "worst_week", "year_of_delay"]

WIDTH = 1000.0
# Upper ends of the colour classes of the heat map, in minutes; the last class is open.
HEAT_EDGES = (0, 5, 10, 15, 20, 25, 30)
HEAT_FIRST_SLOT = 10  # 05:00: nothing leaves between two and five in the morning
HEAT_SLOTS = 43  # up to 02:00


def day_profile(results: Results) -> str:
    """Departures and mean delay by hour of the day, one column of panels per airport."""
    counts, delays = views.hour_profile(results.hourly)
    svg = Svg(
        WIDTH,
        392,
        "Departures per hour of the day and their mean delay, for Newark, Kennedy and LaGuardia: "
        "departures peak early in the morning, delay grows until the night.",
    )
    first, last, left, gap = 5, 24, 44.0, 26.0
    width = (WIDTH - left - 2 * gap) / 3
    count_ticks = round_ticks(0, views.extent(counts)[1], 3)
    low, high = views.extent(delays)
    delay_ticks = round_ticks(low, high, 4)
    for i, airport in enumerate(AIRPORTS):
        x = left + i * (width + gap)
        colour = airport.lower()
        top = Panel(svg, x, 46, width, 130, (first, last), (0, count_ticks[-1]), ticks=count_ticks)
        low_panel = Panel(
            svg,
            x,
            216,
            width,
            136,
            (first, last),
            (delay_ticks[0], delay_ticks[-1]),
            ticks=delay_ticks,
        )
        svg.text(x, 14, f"{airport} {AIRPORTS[airport]}", f"head ink-{colour}")
        for panel, title in ((top, "departures an hour"), (low_panel, "mean delay, minutes")):
            if i == 0:
                svg.text(x, panel.top - 10, title, "tick")
            panel.grid(labels=i == 0)
        for hour in range(first, last):
            top.bar(hour, hour + 1, counts[airport][hour], f"fill-{colour}", gap=2, radius=2)
            low_panel.bar(hour, hour + 1, delays[airport][hour], f"fill-{colour}", gap=2, radius=2)
        for hour in range(first, last):
            tip = (
                f"{airport} from {hour:02d}:00|departures\t{counts[airport][hour]:.1f}"
                f"|mean delay\t{minutes_text(delays[airport][hour])} min"
            )
            svg.rect(top.x(hour), top.top, width / (last - first), 306, "hit", tip=tip)
        for hour in (6, 9, 12, 15, 18, 21):
            svg.text(top.x(hour + 0.5), 374, f"{hour:02d}", "tick", "middle")
    return svg.render()


def year_of_delay(results: Results) -> str:
    """Mean delay of every day at every airport, the week around it, and the rain."""
    delay = views.daily_series(results.daily, "mean_delay")
    rain = views.daily_series(results.weather, "precip")
    sky = np.nanmean(np.vstack([np.nan_to_num(line) for line in rain.values()]), axis=0)
    low, high = views.extent(delay)
    ticks = inner_ticks(high, 2)
    svg = Svg(
        WIDTH,
        506,
        "Mean departure delay of each day of 2013 at the three airports, with the moving mean of "
        "seven days, above the rain of each day: the worst days are storms in spring and summer.",
    )
    days = np.arange(views.DAYS, dtype=np.float64) + 0.5
    starts = [(views.FIRST_DAY.replace(month=m) - views.FIRST_DAY).days for m in range(1, 13)]
    left, bottom = 58.0, 474.0
    for start, month in zip(starts, range(1, 13), strict=True):
        x = left + start / views.DAYS * (WIDTH - left)
        svg.line(x, 16, x, bottom, "grid")
        svg.text(x + 4, bottom + 17, month_text(month), "tick")
    for i, (airport, line) in enumerate(delay.items()):
        colour = airport.lower()
        panel = Panel(
            svg,
            left,
            22 + i * 132,
            WIDTH - left,
            108,
            (0, views.DAYS),
            (low, 1.08 * high),
            ticks=ticks,
        )
        panel.grid(unit=" min" if i == 0 else "")
        for day, value in enumerate(line.tolist()):
            panel.bar(day, day + 1, value, f"fill-{colour} soft", gap=0.5, radius=0)
        panel.curve(days, views.smooth(line, 7), f"line ink-{colour}")
        svg.text(
            panel.left + 6, panel.top + 5, f"{airport} {AIRPORTS[airport]}", f"head ink-{colour}"
        )
        worst = int(np.nanargmax(line))
        when = views.FIRST_DAY + timedelta(days=worst)
        svg.text(
            panel.x(worst + 1) + 5,
            panel.y(line[worst]) + 9,
            f"{when.day} {month_text(when.month)}, {line[worst]:.0f} min",
            "note",
        )
    wet = Panel(svg, left, 428, WIDTH - left, bottom - 428, (0, views.DAYS), (0, float(sky.max())))
    svg.text(wet.left + 6, wet.top + 5, "rain and snow", "tick")
    for day, value in enumerate(sky.tolist()):
        wet.bar(day, day + 1, value, "fill-rain", gap=0.5, radius=0)
    svg.line(wet.left, wet.bottom, wet.right, wet.bottom, "base")
    for day in range(views.DAYS):
        when = views.FIRST_DAY + timedelta(days=day)
        values = "".join(f"|{a}\t{minutes_text(float(delay[a][day]))} min" for a in AIRPORTS)
        tip = f"{when.day} {month_text(when.month)} 2013{values}|rain\t{sky[day]:.2f} in"
        x = wet.x(day)
        svg.rect(x, 16, wet.x(day + 1) - x, bottom - 16, "hit", tip=tip)
    return svg.render()


def carrier_heat(results: Results) -> str:
    """Mean delay of the last three hours, per carrier and half hour of the day."""
    rows = views.carrier_days(results.rolling)
    cell, left, top = 20.0, 118.0, 34.0
    svg = Svg(
        WIDTH,
        top + cell * len(rows) + 28,
        "Mean delay of the last three hours for every carrier and half hour of the day; nearly "
        "every carrier runs on time in the morning and falls behind by the evening.",
    )
    width = (WIDTH - left) / HEAT_SLOTS
    _heat_legend(svg, left)
    for i, (carrier, values) in enumerate(rows.items()):
        y = top + i * cell
        svg.text(left - 10, y + 14, CARRIERS[carrier], "name", "end")
        for j in range(HEAT_SLOTS):
            slot = (HEAT_FIRST_SLOT + j) % views.HALF_HOURS
            value = float(values[slot])
            if math.isfinite(value):
                tip = (
                    f"{CARRIERS[carrier]}, three hours to {slot // 2:02d}:{slot % 2 * 30:02d}"
                    f"|mean delay\t{minutes_text(value)} min"
                )
                css = f"cell heat{np.searchsorted(HEAT_EDGES, value, side='right')}"
            else:
                tip, css = "", "heat-none"
            svg.rect(left + j * width, y, width - 1.5, cell - 1.5, css, tip=tip, radius=2)
    for hour in range(6, 27, 3):
        x = left + (hour * 2 - HEAT_FIRST_SLOT + 0.5) * width
        svg.text(x, top + cell * len(rows) + 17, f"{hour % 24:02d}:00", "tick", "middle")
    return svg.render()


def _heat_legend(svg: Svg, left: float) -> None:
    svg.text(left, 13, "mean delay, minutes", "tick")
    x = left + 132
    for i in range(len(HEAT_EDGES) + 1):
        svg.rect(x + i * 34, 3, 33, 12, f"heat{i}", radius=2)
        if i < len(HEAT_EDGES):
            svg.text(x + (i + 1) * 34 - 0.5, 26, f"{HEAT_EDGES[i]}", "tick", "middle")


def worst_week(results: Results) -> tuple[str, str]:
    """The rolling view itself in the seven worst days: its title and the drawing."""
    peaks = views.carrier_peaks(results.rolling)[:5]
    carriers = [peak.carrier for peak in peaks]
    first, lines = views.worst_stretch(results.rolling, 7, carriers)
    slots = 7 * views.HALF_HOURS
    _, high = views.extent(lines)
    ticks = inner_ticks(high, 2)
    end = first + timedelta(days=6)
    title = f"{first.day} {month_text(first.month)} to {end.day} {month_text(end.month)}"
    svg = Svg(
        WIDTH,
        26 + 92.0 * len(lines) + 22,
        f"Mean delay of the last three hours, every half hour from {title}, for the five biggest "
        "carriers: each afternoon rises to a peak that the night clears.",
    )
    xs = np.arange(slots, dtype=np.float64)
    left, bottom = 118.0, 22 + 92.0 * len(lines)
    span = WIDTH - left
    for day in range(7):
        when = first + timedelta(days=day)
        x = left + day / 7 * span
        svg.line(x, 16, x, bottom, "grid")
        name = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[when.weekday()]
        svg.text(x + 4, bottom + 17, f"{name} {when.day} {month_text(when.month)}", "tick")
    for i, (carrier, line) in enumerate(lines.items()):
        panel = Panel(
            svg, left, 24 + i * 92, span, 78, (0, slots), (-10.0, 1.05 * high), ticks=ticks
        )
        panel.grid(unit=" min" if i == 0 else "")
        svg.text(4, panel.y(0) - 20, CARRIERS[carrier], "name")
        panel.area(xs, line, "area")
        panel.curve(xs, line, "line accent")
    for slot in range(slots):
        when = first + timedelta(days=slot // views.HALF_HOURS)
        minute = slot % views.HALF_HOURS * 30
        values = "".join(
            f"|{CARRIERS[c]}\t{minutes_text(float(line[slot]))} min" for c, line in lines.items()
        )
        tip = (
            f"{when.day} {month_text(when.month)}, three hours to "
            f"{minute // 60:02d}:{minute % 60:02d}{values}"
        )
        width = span / slots
        svg.rect(left + slot * width, 16, width, bottom - 16, "hit", tip=tip)
    return title, svg.render()


def lateness(results: Results) -> str:
    """Late rows and the delay that is reported, by bound."""
    outcomes = results.outcomes
    svg = Svg(
        WIDTH,
        262,
        "Share of late rows and mean delay reported, by bound on out-of-orderness: without "
        "waiting a quarter of the rows is lost and the delay reads near zero; a day loses none.",
    )
    left, gap = 52.0, 76.0
    half = (WIDTH - left - gap) / 2
    shares = [100 * outcome.late_rows / results.rows for outcome in outcomes]
    delays = [outcome.mean_delay for outcome in outcomes]
    share_ticks = round_ticks(0, max(*shares, 1e-3), 4)
    delay_ticks = round_ticks(min(0.0, *delays), max(delays), 4)
    count = len(outcomes)
    late = Panel(svg, left, 40, half, 180, (0, count), (0, share_ticks[-1]), ticks=share_ticks)
    mean = Panel(
        svg,
        left + half + gap,
        40,
        half,
        180,
        (0, count),
        (delay_ticks[0], delay_ticks[-1]),
        ticks=delay_ticks,
    )
    svg.text(late.left, 16, "Rows that came too late", "head")
    svg.text(mean.left, 16, "Mean delay that the hours add up to", "head")
    late.grid(unit=" %")
    mean.grid(unit=" min")
    truth = mean.y(results.complete.mean_delay)
    svg.line(mean.left, truth, mean.right, truth, "dash")
    svg.text(
        mean.left + 6, truth - 6, f"complete: {minutes_text(results.complete.mean_delay)}", "note"
    )
    xs = np.arange(count, dtype=np.float64) + 0.5
    mean.curve(xs, np.array(delays), "line accent")
    for i, outcome in enumerate(outcomes):
        chosen = outcome.bound == results.bound
        late.bar(
            i, i + 1, shares[i], "fill-accent" if chosen else "fill-accent soft", gap=12, radius=3
        )
        label = (
            f"{shares[i]:.1f}" if shares[i] >= 0.95 else f"{shares[i]:.2f}".rstrip("0").rstrip(".")
        )
        svg.text(late.x(i + 0.5), late.y(shares[i]) - 6, label, "value", "middle")
        svg.circle(mean.x(i + 0.5), mean.y(delays[i]), 5.5 if chosen else 3.5, "dot")
        tip = (
            f"bound {duration_text(outcome.bound)}|late rows\t{outcome.late_rows:,}"
            f"|wrong airport-hours\t{outcome.changed_hours:,}"
            f"|mean delay\t{minutes_text(outcome.mean_delay)} min"
        )
        for panel in (late, mean):
            css = "tick chosen" if chosen else "tick"
            svg.text(panel.x(i + 0.5), 240, duration_text(outcome.bound), css, "middle")
            if chosen:
                svg.text(panel.x(i + 0.5), 256, "chosen", css, "middle")
            panel.hit(i, i + 1, tip)
    return svg.render()
