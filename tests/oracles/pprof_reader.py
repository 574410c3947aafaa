"""Reads pprof files by the classes that Google made of profile.proto, and prints what is in them as JSON.

Has an environment of its own (profiles.txt); called by profiles.py and others_profiles.py:
pprof_reader.py FILE...
"""

import gzip
import importlib.util
import json
import sys
from pathlib import Path

import zstandard

# Google's profiler for Python has the classes; the package around them wants Google's cloud.
PLACE = Path(importlib.util.find_spec("googlecloudprofiler").submodule_search_locations[0], "profile_pb2.py")
MAPPING_FLAGS = ("has_functions", "has_filenames", "has_line_numbers", "has_inline_frames")


def classes():
    spec = importlib.util.spec_from_file_location("profile_pb2", PLACE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Reading:
    """One profile; whatever it refers to and has not is kept as a fault."""

    def __init__(self, profile):
        self.profile, self.faults, self.used = profile, [], set()
        self.mappings = self.by_id("mapping", profile.mapping)
        self.functions = self.by_id("function", profile.function)
        self.locations = self.by_id("location", profile.location)
        if not profile.string_table or profile.string_table[0]:
            self.faults.append("the first string is not the empty one")

    def by_id(self, what, rows):
        found = {row.id: row for row in rows}
        if len(found) != len(rows) or 0 in found:
            self.faults.append(f"an id of a {what} is there twice, or is 0")
        return found

    def text(self, index):
        if not 0 <= index < len(self.profile.string_table):
            self.faults.append(f"no string {index}")
            return ""
        return self.profile.string_table[index]

    def kind(self, kind):
        return f"{self.text(kind.type)}/{self.text(kind.unit)}"

    def frames(self, at):
        location = self.locations.get(at)
        if location is None:
            self.faults.append(f"no location {at}")
            return []
        mapping = self.mappings.get(location.mapping_id)
        if location.mapping_id and mapping is None:
            self.faults.append(f"location {at} is in no mapping {location.mapping_id}")
        if mapping and not mapping.memory_start <= location.address < mapping.memory_limit:
            self.faults.append(f"location {at} is outside of its mapping")
        image = self.text(mapping.filename) if mapping else ""
        return [self.frame(image, line) for line in location.line] or [["", "", 0, image]]

    def frame(self, image, line):
        function = self.functions.get(line.function_id)
        if function is None:
            self.faults.append(f"no function {line.function_id}")
            return ["", "", 0, image]
        self.text(function.system_name)
        return [self.text(function.name), self.text(function.filename), line.line, image]

    def sample(self, sample):
        labels = {}
        for label in sample.label:
            key = self.text(label.key)
            if key in labels or (label.str and label.num):
                self.faults.append(f"label {key!r} has more than one value")
            labels[key] = self.text(label.str) if label.str else label.num
        if len(sample.value) != len(self.profile.sample_type):
            self.faults.append("a sample has another number of values than there are types")
        self.used.update(sample.location_id)
        frames = [frame for at in sample.location_id for frame in self.frames(at)]
        return {"values": list(sample.value), "labels": labels, "frames": frames}

    def all(self):
        profile = self.profile
        samples = [self.sample(sample) for sample in profile.sample]
        unused = set(self.locations) - self.used
        if unused:
            self.faults.append(f"{len(unused)} locations that no sample has")
        return {
            "types": [self.kind(kind) for kind in profile.sample_type], "samples": samples,
            "period_type": self.kind(profile.period_type), "period": profile.period,
            "time_nanos": profile.time_nanos, "duration_nanos": profile.duration_nanos,
            "mappings": [
                {"file": self.text(row.filename), "build_id": self.text(row.build_id),
                 "flags": [getattr(row, flag) for flag in MAPPING_FLAGS]}
                for row in profile.mapping
            ],
            "faults": sorted(set(self.faults)),
        }


def read(path, made):
    profile = made.Profile()
    packed = Path(path).read_bytes()
    # Datadog takes both and tells them by their first bytes.
    plain = packed
    if packed[:2] == b"\x1f\x8b":
        plain = gzip.decompress(packed)
    elif packed[:4] == b"\x28\xb5\x2f\xfd":
        plain = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    profile.ParseFromString(plain)
    return Reading(profile).all()


if __name__ == "__main__":
    made = classes()
    print(json.dumps([read(path, made) for path in sys.argv[1:]]))
