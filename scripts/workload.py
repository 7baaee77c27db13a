"""The python3 workload of the main job: what scripts do to text. Lines: file TAB number TAB text.

Everything printed depends on the input alone, so that two runs can be compared to the byte.
"""
import collections
import hashlib
import json
import re
import sys
import zlib


class Line:
    """Small objects, many of them."""

    __slots__ = ("file", "number", "words")

    def __init__(self, file, number, words):
        self.file, self.number, self.words = file, number, words


def main(path):
    with open(path, "rb") as file:
        data = file.read()
    lines = []
    for record in data.decode("ascii").splitlines():
        file, number, text = record.split("\t", 2)
        lines.append(Line(int(file), int(number), re.findall(r"[A-Za-z_]\w*", text)))
    uses = collections.Counter(word for line in lines for word in line.words)
    for word, count in sorted(uses.items(), key=lambda item: (-item[1], item[0]))[:200]:
        print(count, word)
    index = collections.defaultdict(list)
    for line in lines:
        for word in line.words:
            index[word.lower()].append((line.file, line.number))
    encoded = json.dumps(index, sort_keys=True)
    print(hashlib.sha256(encoded.encode()).hexdigest(), len(encoded))
    again = json.loads(encoded)
    print(sum(len(places) for places in again.values()), len(again))
    growing = bytearray()
    for line in lines:
        growing += b"%d:%d " % (line.file, line.number)
        growing += " ".join(sorted(line.words)).encode()
    print(hashlib.sha256(growing).hexdigest(), len(growing), len(zlib.compress(data[:4 << 20])))


if __name__ == "__main__":
    main(sys.argv[1])
