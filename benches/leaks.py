"""Documents that are alike: how near duplicates are judged, and what finding them costs. Python alone, without packages.

    python3 benches/leaks.py judge FOLDER [SWEEP]
    python3 benches/leaks.py cost SWEEP DOCUMENTS

`judge` compares each text of train.tsv, dev.tsv and test.tsv in FOLDER (columns `label` and `text_a`, as in ChnSentiCorp)
with each text of the other two, exactly: for each threshold the pairs and documents that are near but not the same, and how
many of the pairs are alike by nothing but the footer of a web page (a false find). With SWEEP, the program's findings are
set beside that.

`cost` writes so many generated documents into one CSV, in which copies are planted, and runs `sweep run --dry-run` over it.
It prints the time, the peak memory, and what was found.
"""

import collections, os, pathlib, random, re, subprocess, sys, tempfile, time, unicodedata

NGRAM = 3
# The end of pages that were copied whole into the reviews of ChnSentiCorp.
FOOTER = "免费注册网站导航"


def normal(text):
    text = unicodedata.normalize("NFKC", text).lower()
    is_mark = lambda c: unicodedata.category(c)[0] in "PZC" or c in "$+<=>^`|~" or "\ufe00" <= c <= "\ufe0f"
    return "".join(c for c in text if not is_mark(c))


def ngrams(text):
    return {text[at : at + NGRAM] for at in range(max(1, len(text) - NGRAM + 1))} if text else set()


def rows(path):
    lines = path.read_text(encoding="utf-8").split("\n")[1:]
    return [line.split("\t", 1) for line in lines if line]


def similarities(earlier, later):
    """Each pair that shares an n-gram, with its Jaccard similarity."""
    sets = [ngrams(text) for text in earlier]
    having = collections.defaultdict(list)
    for row, grams in enumerate(sets):
        for gram in grams:
            having[gram].append(row)
    for row, text in enumerate(later):
        grams = ngrams(text)
        shared = collections.Counter(other for gram in grams for other in having.get(gram, ()))
        for other, both in shared.items():
            yield other, row, both / (len(grams) + len(sets[other]) - both)


def judge(folder, program):
    names = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
    splits = {split: rows(folder / name) for split, name in names.items()}
    texts = {split: [normal(text) for _, text in lines] for split, lines in splits.items()}
    thresholds = [0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9]
    pairs, false = collections.Counter(), collections.Counter()
    documents = {threshold: set() for threshold in thresholds}
    compared, near = 0, []
    for earlier, later in [("train", "test"), ("train", "validation"), ("validation", "test")]:
        compared += len(texts[earlier]) * len(texts[later])
        same = set(texts[earlier])
        for one, other, similarity in similarities(texts[earlier], texts[later]):
            a, b = texts[earlier][one], texts[later][other]
            if similarity < thresholds[0] or a == b:
                continue
            near.append((similarity, earlier, one, later, other))
            for threshold in thresholds:
                if similarity >= threshold:
                    pairs[threshold] += 1
                    false[threshold] += FOOTER in a and FOOTER in b
                    if b not in same:
                        documents[threshold].add((later, other))
    print(f"{compared} pairs compared")
    for threshold in thresholds:
        print(f"{threshold}: {pairs[threshold]} pairs, {false[threshold]} by the footer alone, "
              f"{len(documents[threshold])} documents")
    for similarity, earlier, one, later, other in sorted(near, reverse=True):
        print(f"{similarity:.3f} {earlier} {one + 1} ({splits[earlier][one][0]}) | {later} {other + 1} "
              f"({splits[later][other][0]}) | {splits[earlier][one][1][:60]} | {splits[later][other][1][:60]}")
    if program:
        files = "".join(f'{split} = "{folder / name}"\n' for split, name in names.items())
        print(dry_run(program, f'name = "leaks"\n[data]\n{files}text = "text_a"\nlabel = "label"\npositive = "1"\n')[0])


def dry_run(program, spec):
    """What a dry run prints, its seconds, and its peak memory in megabytes."""
    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "leaks.toml").write_text(spec, encoding="utf-8")
    begin, peak = time.time(), 0
    words = [os.path.abspath(program), "run", "leaks.toml", "--dry-run", "--devices", "cpu:1"]
    with open(folder / "out", "w") as out:
        run = subprocess.Popen(words, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        while run.poll() is None:
            try:
                status = pathlib.Path(f"/proc/{run.pid}/status").read_text()
                peak = max([peak] + [int(kb) // 1000 for kb in re.findall(r"VmHWM:\s+(\d+)", status)])
            except OSError:
                pass
            time.sleep(0.01)
    return (folder / "out").read_text(), time.time() - begin, peak


def generated(documents):
    """A CSV of texts of 20 to 60 words of a vocabulary of 20,000, whose words are the rarer the later they come. One text in
    twenty is a copy of an earlier one with a changed word, one in fifty the same text, one in fifty the same in capitals."""
    path = pathlib.Path(tempfile.gettempdir()) / f"sweep-leaks-{documents}.csv"
    if path.exists():
        return path
    chance = random.Random(7)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(chance.choices(letters, weights=range(26, 0, -1), k=chance.randint(2, 9))) for _ in range(20_000)]
    totals, total = [], 0.0
    for rank in range(len(words)):
        total += 1 / (rank + 10)
        totals.append(total)
    kept = []
    with open(path, "w", encoding="utf-8") as out:
        out.write("text,label\n")
        for row in range(documents):
            kind = chance.random()
            if kept and kind < 0.09:
                copy = list(kept[chance.randrange(len(kept))])
                if kind < 0.05:
                    copy[chance.randrange(len(copy))] = chance.choice(words)
                text = " ".join(copy)
                text = text.upper() if 0.05 <= kind < 0.07 else text
            else:
                own = chance.choices(words, cum_weights=totals, k=chance.randint(20, 60))
                text = " ".join(own)
                # Not all, so that many millions fit the memory of this script.
                if len(kept) < 200_000:
                    kept.append(own)
            out.write(f"{text},{row % 2}\n")
    return path


def cost(program, documents):
    path = generated(documents)
    spec = f'name = "leaks"\n[data]\npath = "{path}"\nlimit = {{ train = 100, validation = 100, test = 100 }}\n'
    for near in ["off", "keep"]:
        policy = f'[data.duplicates]\nnear = "{near}"\n'
        printed, seconds, peak = dry_run(program, spec + policy)
        print(f"near = {near}: {documents} documents, {path.stat().st_size / 1e6:.0f} MB: {seconds:.2f} s, {peak} MB")
    print(printed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["judge"]:
        judge(pathlib.Path(sys.argv[2]).resolve(), sys.argv[3] if len(sys.argv) > 3 else None)
    elif sys.argv[1:2] == ["cost"]:
        cost(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(__doc__)
