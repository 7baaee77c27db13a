"""Objects, strings and JSON as scripts use them, over real text; prints digests.

  objects.py TEXT

Under PYTHONMALLOC=malloc every object of the interpreter comes from malloc.
"""
import hashlib
import json
import re
import sys


class Record:
    def __init__(self, number, line):
        self.number = number
        self.words = re.findall(r"\w+", line)
        self.links = []

    def as_dict(self):
        return {"number": self.number, "words": self.words,
                "lengths": {word: len(word) for word in self.words},
                "links": [link.number for link in self.links]}


def digest(text):
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def main(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        records = [Record(number, line) for number, line in enumerate(file) if line.strip()]
    by_word = {}
    for record in records:
        for word in record.words:
            by_word.setdefault(word, []).append(record)
    for sharing in by_word.values():
        for first, second in zip(sharing, sharing[1:]):
            if len(first.links) < 8:
                first.links.append(second)
    print(len(records), len(by_word))
    for start in range(0, len(records), 20000):
        text = json.dumps([record.as_dict() for record in records[start:start + 20000]])
        again = json.loads(text)
        again.sort(key=lambda item: (len(item["words"]), item["number"]))
        print(digest(text), digest(json.dumps(again, sort_keys=True)))
    common = sorted(by_word, key=lambda word: (-len(by_word[word]), word))[:1000]
    print(digest(" ".join(common)), digest("".join(reversed(sorted(by_word)))))


main(sys.argv[1])
