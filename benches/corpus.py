#!/usr/bin/env python3
"""Makes, and edits, a directory of files like those of a workspace: notebooks of a few kilobytes, some JSON.

    corpus.py DIR [--files 100000] [--seed 1]          makes DIR
    corpus.py DIR --change 2% [--seed 2]               inserts a line into 2 % of its files

The same arguments always give the same bytes. 100,000 files are about 600 MB; `tar | zstd -3` makes them five times
smaller, as it does with what people write: all lines are made of the words of one vocabulary, and some of them come back
in the other notebooks of their user.
"""

import argparse
import json
import math
import os
import random

FILES_OF_A_USER = 200
WORDS = 6_000
LINES = 400_000  # far more than what a compressor looks back upon
HABITS = 400  # lines that one user comes back to

SYLLABLES = "an be cor da el fi gra hu in jo ka lo mer no or pa qua ri sto tu un va wes xi yo zen".split()
BOILERPLATE = {
    "py": [
        "from pyspark.sql import functions as F",
        "import pandas as pd",
        "from datetime import datetime, timedelta",
        'spark.conf.set("spark.sql.shuffle.partitions", "auto")',
        "display(df)",
        "",
        "    return df",
        "df.printSchema()",
    ],
    "sql": ["SELECT", "GROUP BY ALL", "ORDER BY 1 DESC", "", "LIMIT 100;", "WITH latest AS (", ")", "USING DELTA"],
}
TEMPLATES = {
    "py": [
        'df_{0} = spark.table("{1}.{2}_{3}").filter(F.col("{4}") > {n})',
        '{0} = {1}.join({2}, on="{3}_id", how="left").withColumn("{4}", F.col("{3}") * {n})',
        "def {0}_{1}({2}, {3}=None, {4}={n}):",
        "    # the {0} of each {1} is counted per {2}, because {3} comes late from {4}",
        '    df = df.groupBy("{0}", "{1}").agg(F.sum("{2}").alias("{3}_{4}"))',
        '{0}.write.mode("overwrite").saveAsTable("{1}.{2}_{3}_v{n}")',
        'assert {0}.count() > {n}, "{1} {2} without {3}"',
        "# MAGIC The {0} {1} is what {2} calls {3}; see {4} for the rest",
    ],
    "sql": [
        "  SUM({0}.{1}) AS {2}_{3},",
        "FROM {0}.{1}_{2} AS {3} JOIN {4} USING ({3}_id)",
        "WHERE {0}.{1} >= {n} AND {2} <> '{3}'",
        "  CASE WHEN {0} > {n} THEN '{1}' ELSE '{2}' END AS {3}_{4},",
        "CREATE OR REPLACE TABLE {0}.{1}_{2} AS",
        "-- {0} by {1}: only {2} with a {3} since {n}",
    ],
}
COMMENT = {"py": "#", "sql": "--"}


class Writer:
    """Draws names, lines and files; all of it follows from the seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        draw = self.random
        self.words = ["".join(draw.choices(SYLLABLES, k=draw.choice((2, 2, 3)))) for _ in range(WORDS)]
        # Some words are used far more than others.
        self.weights = [1 / (rank + 20) for rank in range(WORDS)]
        self.lines = {"py": self.pool("py", LINES), "sql": self.pool("sql", LINES // 4)}
        self.habits = self.lines

    def pool(self, language, count):
        draw, templates = self.random, TEMPLATES[language]
        words = iter(draw.choices(self.words, self.weights, k=5 * count))
        return [
            draw.choice(templates).format(*five, n=draw.randrange(10_000))
            for five in zip(words, words, words, words, words)
        ]

    def next_user(self):
        self.habits = {language: self.random.sample(lines, HABITS) for language, lines in self.lines.items()}
        return f"{self.name()}@example.com"

    def name(self):
        return "_".join(self.random.choices(self.words, k=2))

    def cells(self, language):
        """Lists of lines whose lengths together are log-normal: median 4 KB, mean 6 KB."""
        draw = self.random
        left = 4_000 * math.exp(draw.gauss(0, 0.95))
        while left > 0:
            count = draw.randrange(2, 14)
            lines = self.habits if draw.random() < 0.4 else self.lines
            cell = draw.choices(lines[language], k=count) + draw.choices(BOILERPLATE[language], k=2)
            draw.shuffle(cell)
            left -= sum(map(len, cell)) + count + 25
            yield cell

    def notebook(self, language):
        mark = COMMENT[language]
        cells = ("\n".join(cell) for cell in self.cells(language))
        return f"{mark} Databricks notebook source\n" + f"\n\n{mark} COMMAND ----------\n\n".join(cells) + "\n"

    def ipynb(self):
        cells = [
            {
                "cell_type": "code",
                "execution_count": None,
                "metadata": {},
                "outputs": [],
                "source": [line + "\n" for line in cell],
            }
            for cell in self.cells("py")
        ]
        return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"

    def settings(self):
        draw = self.random
        pairs = ((self.name(), draw.choice((self.name(), draw.randrange(10**6)))) for _ in range(23))
        return json.dumps(dict(pairs), indent=2) + "\n"

    def file(self):
        kind = self.random.random()
        if kind < 0.76:
            return "py", self.notebook("py")
        if kind < 0.92:
            return "sql", self.notebook("sql")
        if kind < 0.96:
            return "ipynb", self.ipynb()
        return "json", self.settings()


def make(root, files, seed):
    writer = Writer(seed)
    made = 0
    while made < files:
        user = os.path.join(root, "Users", f"{made // FILES_OF_A_USER}_{writer.next_user()}")
        for project in range(4):
            for part in ("", "jobs", "exploration"):
                folder = os.path.join(user, f"{writer.name()}-{project}", part)
                os.makedirs(folder)
                for _ in range(min(files - made, FILES_OF_A_USER // 12 + 1)):
                    extension, text = writer.file()
                    # Numbered, so that no two notebooks of a folder differ in their extension only.
                    with open(os.path.join(folder, f"{writer.name()}_{made}.{extension}"), "w", newline="") as file:
                        file.write(text)
                    made += 1


def change(root, share, seed):
    draw = random.Random(seed)
    paths = sorted(os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names)
    for path in draw.sample(paths, max(1, round(len(paths) * share))):
        with open(path, newline="") as file:
            lines = file.readlines()
        stem, extension = os.path.splitext(path)
        number = draw.randrange(10**9)
        if extension in (".json", ".ipynb"):
            lines.insert(1, f'  "edited_{number}": true,\n')
        else:
            comment = COMMENT[extension[1:]]
            lines.insert(draw.randrange(1, len(lines) + 1), f"{comment} looked at again: {number}\n")
        with open(path, "w", newline="") as file:
            file.writelines(lines)


def percent(text):
    return float(text.removesuffix("%")) / 100


def main():
    parser = argparse.ArgumentParser(description="Makes, and edits, a directory of files like those of a workspace.")
    parser.add_argument("root", metavar="DIR")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--change", type=percent, metavar="SHARE", help="edit so much of what is there, such as 2%%")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.change is None:
        make(arguments.root, arguments.files, arguments.seed)
    else:
        change(arguments.root, arguments.change, arguments.seed)


if __name__ == "__main__":
    main()
