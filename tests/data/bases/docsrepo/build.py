"""Makes what a documentation repository has besides its pages. Standard library only.

    build.py          builds in kb/ beside this file
    build.py DEST     copies kb/ and questions.jsonl to DEST and builds there (leaves no repository inside this one)

It writes: kb/node_modules with 300 markdown files, kb/build with three, kb/docs/reference/errors with 56 pages (tracked),
kb/note-private with one tracked and two untracked notes (the folder is in .gitignore) and, where git is there, kb/.git with
40 commits of fixed dates. Commit 31 ("normalise line endings") touches every file that there was and changes no word of them,
so that its date is no file's real date. Running it again gives the same tree and the same hashes.
"""

import os, pathlib, random, shutil, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parent
BIG = 31


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))


# ---- node_modules ----

STEMS = "brindle quarro mossolo tavolin pellico drizzop fennoly gravott haskin lumetta nibbro orsoly pavenn rusket silvoq".split()
TAILS = "lane kit parse queue hook stamp relay bind retry".split()
ABOUT = {
    "lane": "Runs promises in lanes, so that a slow one does not hold up the rest.",
    "kit": "Small helpers that every project writes again.",
    "parse": "Parses YAML without surprises. The largest payload it accepts is 100kb by default.",
    "queue": "A queue in memory. Jobs are lost when the process stops.",
    "hook": "Express middleware that receives webhooks. It listens on port 3000 by default.",
    "stamp": "Signs and verifies messages. To rotate the signing secret, call `rotate()` and restart.",
    "relay": "A relay for event emitters. The relay listens on port 3000 by default, set `PORT` to change it.",
    "bind": "Data binding for forms, 2 kB.",
    "retry": "Retries a function. A delivery is attempted 10 times, then the error is thrown.",
}
EXTRA = [
    "## Contributing\n\nCommit messages follow the convention `feat: …`, `fix: …`. Run `npm test` first.\n",
    "## Requirements\n\nYou need Node 14 or later. Browsers: the last two versions.\n",
    "## Security\n\nTo report a vulnerability, write to security@brindle.example.\n",
    "## To do\n\n- [ ] types\n- [x] tests\n- [ ] still to do for 3.3: drop the callback style\n",
    "## FAQ\n\n**Can two instances share the same store?** Yes, with `shared: true`.\n",
    "## Options\n\n| Option | Default | |\n|---|---|---|\n| `retries` | 10 | how many times |\n| `jitter` | 0.5 | spread of the pauses |\n| `port` | 3000 | |\n",
]


def readme(name, tail, version, rng):
    badge = f"[![npm](https://badges.example/npm/v/{name}.svg)](https://npm.example/{name})"
    parts = [
        f"# {name}\n\n{badge}\n\n{ABOUT[tail]}\n",
        f"## Install\n\n```sh\nnpm install {name}\n# or\npnpm add {name}\n```\n",
    ]
    parts += rng.sample(EXTRA, rng.randint(1, 3)) + [f"## License\n\nMIT. Version {version}.\n"]
    return "\n".join(parts)


def node_modules(root, wanted=300):
    rng, made = random.Random(20260708), 0
    names = [(f"{s}-{t}", t) for s in STEMS for t in TAILS] + [(f"@{s}/{t}", t) for s in STEMS[:6] for t in TAILS[:5]]
    rng.shuffle(names)
    for name, tail in names:
        if made >= wanted:
            break
        version = f"{rng.randint(0, 6)}.{rng.randint(0, 12)}.{rng.randint(0, 9)}"
        style = rng.random()
        if style < 0.1:  # as pnpm lays them out
            home = root / ".pnpm" / f"{name.replace('/', '+')}@{version}" / "node_modules" / name
        elif style < 0.2:  # nested
            home = root / f"{rng.choice(STEMS)}-{rng.choice(TAILS)}" / "node_modules" / name
        else:
            home = root / name
        files = {
            rng.choice(["README.md", "README.md", "README.md", "readme.md", "Readme.md"]): readme(
                name, tail, version, rng
            )
        }
        if rng.random() < 0.4:
            files["CHANGELOG.md"] = (
                f"# Changelog\n\n## {version}\n\n- fixed: a crash when the input was empty\n- needs Node 14\n\n## 0.1.0\n\n- first version\n"
            )
        if rng.random() < 0.15:
            files["LICENSE.md"] = "The MIT License\n\nPermission is hereby granted, see the text in the repository.\n"
        if rng.random() < 0.15:
            files["docs/configuration.md"] = (
                f"# Configuration of {name}\n\nThe default port is 3000. An invalid configuration file ends with exit code 1.\n"
            )
        if rng.random() < 0.08:
            files[".github/ISSUE_TEMPLATE/bug_report.md"] = (
                "---\nname: Bug report\nabout: Something is broken\n---\n\n**Describe the bug**\n"
            )
        for path, text in files.items():
            if made < wanted and not (home / path).exists():
                write(home / path, text)
                made += 1
        write(home / "package.json", '{ "name": "%s", "version": "%s" }\n' % (name, version))
    return made


# ---- generated pages and private notes ----

AREAS = [  # the thing, what to do, the faults
    (
        "the store",
        "Run `pettirosso doctor` and read its last line",
        [
            "is from a newer version",
            "is locked by another process",
            "has no space left",
            "is on a network share",
            "cannot be opened",
            "has a broken page",
            "is read-only",
        ],
    ),
    (
        "the configuration",
        "Correct `pettirosso.yml` and start again",
        [
            "has an unknown key",
            "has a wrong type",
            "misses a variable",
            "names a target twice",
            "has an empty list of targets",
            "has tabs in it",
            "is empty",
        ],
    ),
    (
        "the target",
        "Look at the log of the target; the event waits for the next attempt",
        [
            "refused the connection",
            "has a certificate that ran out",
            "answered with a redirect",
            "answered too late",
            "closed the connection",
            "has a name that is not found",
            "answered with 410",
        ],
    ),
    (
        "the signature",
        "Compare the secret on both sides",
        [
            "is missing",
            "has the wrong length",
            "has an old time stamp",
            "uses a dropped secret",
            "is not hexadecimal",
            "is given three times",
            "does not match",
        ],
    ),
    (
        "the event",
        "Look at it with `pettirosso tail --id`",
        [
            "is too large",
            "is not valid UTF-8",
            "has no body",
            "has a header that is too long",
            "was replayed twice",
            "is parked",
            "is unknown",
        ],
    ),
    (
        "the inspector",
        "Reload the page; if it stays, try another browser",
        [
            "has no password",
            "cannot open the stream",
            "is behind a proxy that buffers",
            "lost the session",
            "got an unknown filter",
            "is switched off",
            "has too many viewers",
        ],
    ),
    (
        "the worker",
        "Wait a minute; if it comes back, open an issue",
        [
            "stopped",
            "waits for a lock",
            "has no targets",
            "was paused",
            "took the same event twice",
            "has a queue that grows",
            "ran out of memory",
        ],
    ),
    (
        "the migration",
        "Go back to the copy and start over",
        [
            "found no old store",
            "found a half-made file",
            "was stopped",
            "needs version 2.6 first",
            "lost its copy",
            "has no rights to write",
            "took too long",
        ],
    ),
]


def error_pages():
    return {
        f"docs/reference/errors/E{a}{f + 10}.md": f"---\ntitle: E{a}{f + 10}\ncustom_edit_url: null\n---\n\n<!-- generated by scripts/errors.js, do not edit -->\n\n"
        f"# E{a}{f + 10}\n\n{thing.capitalize()} {fault}.\n\n**What to do.** {advice}.\n"
        for a, (thing, advice, faults) in enumerate(AREAS, 1)
        for f, fault in enumerate(faults, 1)
    }


PRIVATE = {
    "note-private/riunione-docs.md": "# Riunione documentazione, 14 aprile 2026\n\nEntrato nel repository prima della riga nel .gitignore, e lasciato lì.\n\n- la pagina sulle firme va divisa in due, la parte sul codice è troppo lunga\n- gli esempi in Go li scrive Melania, se trova un pomeriggio\n",
    "note-private/soldi.md": "# Soldi (solo per noi)\n\nDonazioni di maggio: 212 €. Il server della beta ci costa più di quello che entra.\n",
    "note-private/bozza-annuncio.md": "# Bozza\n\nNon mandare. Manca tutto, anche il titolo.\n",
}
BUILD = {
    "build/index.html": "<!doctype html><title>Pettirosso</title><p>The relay listens on port 8460.</p>\n",
    "build/docs/intro.md": "# Introduction\n\nBuilt copy, a webhook goes to a relay.\n",
    "build/docs/configuration.md": "# Configuration\n\nBuilt copy of an older day. The relay listens on port 8459.\n",
    "build/llms.md": "# Pettirosso\n\n- [Introduction](docs/intro.md)\n",
}


# ---- history ----

IT = "i18n/it/docusaurus-plugin-content-docs/current/"
V2 = "versioned_docs/version-2.x/"
ERR = "docs/reference/errors/E"


def plan(tracked):
    """Forty commits: date, message, [(path, how much of the last text, or the file whose text it had then)]."""
    err = lambda *areas: [(p, 1) for p in tracked if p.startswith(tuple(ERR + str(a) for a in areas))]
    return [
        ("2024-11-04", "first pages", [("README.md", 0.3), ("package.json", 1), ("docs/intro.md", 0.5)]),
        ("2024-11-06", "docs: installation", [(V2 + "installation.md", 0.6)]),
        ("2024-11-18", "docs: configuration", [("docs/configuration.md", V2 + "configuration.md")]),
        ("2024-12-02", "docs: retries", [("docs/delivery/retries.md", V2 + "delivery/retries.md")]),
        ("2024-12-09", "add a changelog", [("CHANGELOG.md", 0.05)]),
        ("2025-01-13", "how to contribute", [("CONTRIBUTING.md", 0.4), (".github/PULL_REQUEST_TEMPLATE.md", 1)]),
        (
            "2025-01-20",
            "issue templates",
            [(".github/ISSUE_TEMPLATE/bug_report.md", 1), (".github/ISSUE_TEMPLATE/feature_request.md", 1)],
        ),
        ("2025-02-27", "2.5.0", [("CHANGELOG.md", 0.1), (".gitignore", 0.45)]),
        ("2025-03-17", "docs: command line", [("docs/cli.md", 0.6)]),
        ("2025-04-07", "docs: systemd", [("docs/deploy/systemd.md", 1)]),
        ("2025-05-12", "docs: first answers", [("docs/faq.md", 0.5)]),
        ("2025-06-11", "2.6.0", [("CHANGELOG.md", 0.15), (V2 + "installation.md", 1)]),
        ("2025-07-21", "security policy", [("SECURITY.md", 1)]),
        ("2025-09-08", "docs: when something goes wrong", [("docs/troubleshooting.md", 0.6)]),
        ("2025-10-06", "errors: store and configuration", err(1, 2)),
        ("2025-10-13", "errors: target and signature", err(3, 4)),
        ("2025-11-10", "errors: event and inspector", err(5, 6)),
        (
            "2025-11-24",
            "move to docusaurus",
            [("sidebars.js", 1), ("docs/_category_.json", 1), ("src/components/Callout.jsx", 1)],
        ),
        ("2025-12-15", "docs: installation as tabs", [("docs/installation.mdx", 0.8)]),
        ("2026-01-12", "errors: worker and migration", err(7, 8)),
        ("2026-01-26", "docs: signatures", [("docs/security/signatures.mdx", 0.7), ("docs/_partials/_limits.mdx", 1)]),
        ("2026-02-09", "docs: docker", [("docs/deploy/docker.mdx", 1)]),
        (
            "2026-02-27",
            "freeze the pages of 2.x",
            [(V2 + "configuration.md", 1), (V2 + "delivery/retries.md", 1), ("versions.json", 1)],
        ),
        ("2026-02-28", "docs: new port, new limits", [("docs/configuration.md", 0.8)]),
        ("2026-03-01", "docs: eight attempts", [("docs/delivery/retries.md", 0.9)]),
        (
            "2026-03-02",
            "3.0.0",
            [
                ("CHANGELOG.md", 0.5),
                ("docs/upgrade/v2-to-v3.md", 1),
                ("blog/2026-03-02-pettirosso-3.md", 1),
                ("blog/authors.yml", 1),
            ],
        ),
        (
            "2026-03-24",
            "3.1.0, Italian pages",
            [("CHANGELOG.md", 0.6), (IT + "intro.md", 1), (IT + "upgrade/v2-to-v3.md", 1)],
        ),
        ("2026-04-02", "3.1.1", [("CHANGELOG.md", 0.65), ("README.md", 0.8)]),
        ("2026-04-14", "appunti della riunione", [("note-private/riunione-docs.md", 1)]),
        ("2026-04-15", "keep private notes out", [(".gitignore", 1)]),
        ("2026-04-20", "normalise line endings", [(".gitattributes", 1)]),
        ("2026-05-04", "docs: signatures, how to rotate", [("docs/security/signatures.mdx", 1)]),
        ("2026-05-19", "3.2.0", [("CHANGELOG.md", 0.8), ("docs/configuration.md", 1), ("docs/cli.md", 1)]),
        ("2026-05-25", "blog: replaying a bad Monday", [("blog/2026-05-25-replay.mdx", 1)]),
        ("2026-06-08", "docs: two relays on one store", [("docs/faq.md", 1), ("docs/troubleshooting.md", 1)]),
        ("2026-06-22", "docs: jitter, and a warning about purge", [("docs/delivery/retries.md", 1)]),
        ("2026-07-08", "3.2.1", [("CHANGELOG.md", 0.97), ("README.md", 1)]),
        (
            "2026-07-13",
            "domande frequenti in italiano",
            [(IT + "faq.md", 1), ("docs/intro.md", 1), ("docs/installation.mdx", 1)],
        ),
        ("2026-09-07", "roadmap for 3.3", [("ROADMAP.md", 1), ("CONTRIBUTING.md", 1)]),
        ("2026-10-19", "doctor checks the disk", [("CHANGELOG.md", 1), ("COSTITUZIONE.md", 1)]),
    ]


def history(kb, tracked):
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env.update(
        GIT_CONFIG_NOSYSTEM="1",
        GIT_CONFIG_GLOBAL=os.devnull,
        GIT_AUTHOR_NAME="A. Rossi",
        GIT_AUTHOR_EMAIL="a@example.org",
        GIT_COMMITTER_NAME="A. Rossi",
        GIT_COMMITTER_EMAIL="a@example.org",
        TZ="UTC",
    )
    git = lambda *a, **more: (
        subprocess.run(
            [
                "git",
                "-C",
                str(kb),
                "-c",
                "core.autocrlf=false",
                "-c",
                "commit.gpgsign=false",
                "-c",
                "core.safecrlf=false",
                *a,
            ],
            check=True,
            capture_output=True,
            text=True,
            env={**env, **more},
        ).stdout
    )
    last = {p: (kb / p).read_bytes().decode("utf-8") for p in tracked}
    now = {}
    try:
        for p in tracked:
            (kb / p).unlink()
        git("init", "-q")
        git("symbolic-ref", "HEAD", "refs/heads/main")
        for n, (day, message, changes) in enumerate(plan(tracked), 1):
            for path, part in changes:
                if isinstance(part, str):
                    now[path] = last[part]
                else:
                    lines = last[path].splitlines(keepends=True)
                    now[path] = "".join(lines[: max(1, round(len(lines) * part))])
            for path in now if n == BIG else [c[0] for c in changes]:
                write(kb / path, now[path].replace("\n", "\r\n") if n < BIG else now[path])
            git("add", "-f", "--", *([*now] if n == BIG else [c[0] for c in changes]))
            when = f"{day}T{8 + n % 9:02d}:{(n * 7) % 60:02d}:00+00:00"
            git("commit", "-q", "-m", message, GIT_AUTHOR_DATE=when, GIT_COMMITTER_DATE=when)
    finally:  # whatever git said, the pages are there again
        for p in tracked:
            write(kb / p, last[p])
    assert now == last, sorted(p for p in last if now.get(p) != last[p])


def main():
    home = HERE
    if len(sys.argv) > 1:
        home = pathlib.Path(sys.argv[1]).resolve()
        home.mkdir(parents=True, exist_ok=True)
        shutil.copytree(
            HERE / "kb", home / "kb", dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git", "node_modules", "build")
        )
        shutil.copy2(HERE / "questions.jsonl", home / "questions.jsonl")
    kb = home / "kb"
    for old in (".git", "node_modules", "build", "note-private"):
        if (kb / old).exists():
            shutil.rmtree(kb / old)
    generated = {**error_pages(), **PRIVATE}
    for path, text in {**generated, **BUILD}.items():
        write(kb / path, text)
    untracked = {"note-private/soldi.md", "note-private/bozza-annuncio.md"}
    tracked = sorted(
        q
        for p in kb.rglob("*")
        if p.is_file() and (q := p.relative_to(kb).as_posix()).split("/")[0] != "build" and q not in untracked
    )
    made = node_modules(kb / "node_modules")
    if shutil.which("git"):
        history(kb, tracked)
    print(
        f"{kb}: {len(tracked)} tracked files, {made} markdown files in node_modules, {'40 commits' if shutil.which('git') else 'no git here, no history'}"
    )


if __name__ == "__main__":
    main()
