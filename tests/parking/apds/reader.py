"""Prices stays from an exported rate table alone, by section 10 of docs/tariff.md.

Standard input is a list in JSON of {"table": one of the export's, "digits": of the currency, "stays": [[entry, exit], ...]} with
instants in minutes of UTC since 1970. Standard output is for each a list of amounts in minor units.
It knows the standard library and that page, and nothing of kioskd.
"""

import datetime as dt
import json
import re
import sys
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def minutes_of(duration):
    found = re.fullmatch(r"PT(\d+)M", duration)
    assert found, duration
    return int(found.group(1))


@lru_cache(maxsize=None)
def local(zone, minute):
    """Date and minute of the day at the site."""
    at = dt.datetime.fromtimestamp(minute * 60, zone)
    return at.date(), at.hour * 60 + at.minute


class Table:
    def __init__(self, table, digits):
        self.scale = Decimal(10) ** digits
        self.zone = ZoneInfo(table["timeZone"])
        self.collections = sorted(table["rateLineCollections"], key=lambda of: of["collectionSequence"])
        self.active = lru_cache(maxsize=None)(self.active)

    def minor(self, value):
        scaled = Decimal(value) * self.scale
        assert scaled == int(scaled), value
        return int(scaled)

    def local(self, minute):
        return local(self.zone, minute)

    def lines(self, collection):
        return sorted(collection["rateLines"], key=lambda line: line["sequence"])

    def price(self, entry, exit):
        if entry == exit:
            return 0
        return self.taxed(self.net(entry, exit))

    def taxed(self, net):
        first = self.collections[0]
        if first.get("taxIncluded", True):
            return net
        # Percent with four decimals are parts in a million; half up.
        ppm = int(Decimal(first["taxRate"]) * 10_000)
        return net + (net * ppm * 2 + 1_000_000) // 2_000_000

    def net(self, entry, exit):
        length = exit - entry
        for collection in self.collections:
            for line in self.lines(collection):
                if line["rateLineType"] == "flatRateTier" and length > minutes_of(line["durationStart"]):
                    if "durationEnd" not in line or length <= minutes_of(line["durationEnd"]):
                        return self.minor(line["value"])
        rest = [of for of in self.collections if any(line["rateLineType"] != "flatRateTier" for line in of["rateLines"])]
        if len(rest) == 1 and "activeTimes" not in rest[0]:
            return self.alone(rest[0], entry, exit)
        return self.several(rest, entry, exit)

    def alone(self, collection, entry, exit):
        cuts = [entry]
        if "resetTime" in collection:
            assert collection["resetTime"] == "00:00:00"
            cuts += [at for at in range(entry + 1, exit) if self.local(at)[0] != self.local(at - 1)[0]]
        cuts.append(exit)
        total = 0
        for begin, end in zip(cuts, cuts[1:]):
            part = sum(self.line(line, end - begin) for line in self.lines(collection))
            if "maxValueCollection" in collection:
                part = min(part, self.minor(collection["maxValueCollection"]))
            total += part
        return total

    def line(self, line, length):
        kind, value = line["rateLineType"], self.minor(line["value"])
        if kind == "flatRateTier":
            return 0
        start = minutes_of(line["durationStart"])
        end = minutes_of(line["durationEnd"]) if "durationEnd" in line else length
        used = min(length, end) - start
        if used <= 0:
            return 0
        if kind == "flatRate":
            return value
        period = minutes_of(line["incrementPeriod"])
        if kind == "incrementingRate":
            return -(-used // period) * value
        assert kind == "perUnit" and used % period == 0, line
        return used // period * value

    def active(self, nth, minute):
        """The day on which the time began that this minute is in."""
        collection = self.rest[nth]
        date, of_day = self.local(minute)
        if "activeTimes" not in collection:
            return date
        for time in collection["activeTimes"]:
            begun = date
            if "startTime" in time:
                start, end = (int(text[:2]) * 60 + int(text[3:]) for text in (time["startTime"], time["endTime"]))
                if start < end:
                    if not start <= of_day < end:
                        continue
                elif of_day < end:
                    begun = date - dt.timedelta(days=1)
                elif of_day < start:
                    continue
            if "days" in time and DAYS[begun.weekday()] not in time["days"]:
                continue
            if "startDate" in time and not time["startDate"] <= begun.isoformat() <= time["endDate"]:
                continue
            return begun
        return None

    def several(self, rest, entry, exit):
        self.rest = rest
        charged = set()
        for minute in range(entry, exit):
            for nth in range(len(rest)):
                begun = self.active(nth, minute)
                if begun is not None:
                    charged.add((nth, begun))
                    break
        total = 0
        for nth, _ in charged:
            for line in self.lines(rest[nth]):
                assert line["rateLineType"] == "flatRate", line
                total += self.minor(line["value"])
        return total


def main():
    asked = json.load(sys.stdin, parse_float=Decimal)
    tables = [(Table(case["table"], case["digits"]), case["stays"]) for case in asked]
    json.dump([[table.price(entry, exit) for entry, exit in stays] for table, stays in tables], sys.stdout)


main()
