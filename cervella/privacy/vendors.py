"""Recognises keys and tokens by the shape that their vendor publishes, without a name beside them.

The shapes are data: vendors.toml, and those of the library detect-secrets.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from cervella.privacy.secret import Kind, Secret
from cervella.privacy.values import is_random

_SHORT_FORMS = {"@": r"[A-Za-z0-9_\\-]", "~": "[A-Za-z0-9]", "#": "[0-9a-fA-F]", "_": r"\\?_"}
_IN_OR_OUT = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|[@~#_]")
_LONG = re.compile(r"[A-Za-z0-9_+/=-]{20,}")  # every secret of detect-secrets is as long, with letters and digits
_MIXED = re.compile(r"[A-Za-z][0-9]|[0-9][A-Za-z]")
_ID = re.compile(r"(?:AKIA|ASIA|LTAI|AKID)[A-Z0-9]|(?:AC|SK)[0-9a-f]{32}")
_COMPANION = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{30,64}={0,2}(?![A-Za-z0-9+/_=-])")
_NEAR = 120  # characters after the identifier of a key in which its secret half may stand
_MARKED = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Za-z][A-Za-z0-9]{1,15}[_-]){0,2}"
    r"(?:sk|pk|rk|pat|sat|key|api|apikey|secret|token|tok|live|prod|test|auth)[_-](?:v\d[_-])?"
    r"(?P<body>[A-Za-z0-9]{20,200})(?![A-Za-z0-9])"
)
"""A shape that many vendors share: `acme_live_…`, `xy_pat_…`. Its body must look random."""


def vendor_secrets(text: str) -> Iterator[Secret]:
    """The keys and tokens in a text of limited length."""
    shapes = _shapes()
    for head in _any_head().finditer(text):
        at = head.start()
        for kind, pattern in (*shapes.get(text[at : at + 2], ()), *shapes.get(text[at], ())):
            match = pattern.match(text, at)
            if match:
                yield Secret(kind, *match.span("secret" if "secret" in pattern.groupindex else 0))
    for inside, pattern in _anywhere():
        if inside in text:
            yield from (Secret("token", *match.span()) for match in pattern.finditer(text))
    for match in _MARKED.finditer(text):
        if is_random(match["body"]):
            yield Secret("token", *match.span())
    if any(_MIXED.search(long) for long in _LONG.findall(text)):
        for kind, pattern in _detect_secrets_shapes():
            for match in pattern.finditer(text):
                if _MIXED.search(match.group()):
                    yield Secret(kind, *match.span())


def companions(text: str, found: Iterable[Secret]) -> Iterator[Secret]:
    """The secret halves of keys: random text right after an access key's identifier, on its line or on the next two."""
    for secret in found:
        if secret.kind == "api_key" and _ID.match(text, secret.start):
            for match in _COMPANION.finditer(text, secret.end, secret.end + _NEAR):
                if is_random(match.group()):
                    yield Secret("api_key", *match.span())


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Any]:
    return tomllib.loads(files("cervella.privacy").joinpath("vendors.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _shapes() -> Mapping[str, tuple[tuple[Kind, re.Pattern[str]], ...]]:
    """The patterns of vendors.toml by the one or two characters they start with."""
    shapes: dict[str, list[tuple[Kind, re.Pattern[str]]]] = {}
    kinds: tuple[Kind, ...] = ("api_key", "token", "private_key")
    for kind in kinds:
        for written in dict.fromkeys(shape for own in _data()[kind].values() for shape in own):
            pattern = re.compile(_expanded(written))
            for head in _heads(written):
                shapes.setdefault(head, []).append((kind, pattern))
    return {head: tuple(own) for head, own in shapes.items()}


@lru_cache(maxsize=1)
def _any_head() -> re.Pattern[str]:
    """A place where a shape of vendors.toml can start. Sorted by the first character, which decides at most places."""
    following: dict[str, str] = {}
    for head in _shapes():
        following[head[0]] = following.get(head[0], "") + head[1:]
    single = "".join(head for head in _shapes() if len(head) == 1)
    pairs = (f"{first}[{second}]" for first, second in sorted(following.items()) if first not in single)
    return re.compile(f"(?<![A-Za-z0-9])(?:{'|'.join(pairs)}|[{single}])")


def _heads(shape: str) -> Iterable[str]:
    if shape.startswith(r"\d"):
        return "0123456789"
    letters = re.match(r"\[([A-Z0-9]+)\]|[A-Za-z0-9]{1,2}(?![?*{])", shape)
    if letters is None:
        raise ValueError(f"A shape in vendors.toml has no head: {shape!r}.")
    return letters[1] or (letters[0],)


def _expanded(shape: str) -> str:
    """The regular expression that a shape of vendors.toml stands for."""
    return _IN_OR_OUT.sub(lambda match: _SHORT_FORMS.get(match.group(), match.group()), shape)


@lru_cache(maxsize=1)
def _anywhere() -> tuple[tuple[str, re.Pattern[str]], ...]:
    before = "(?<![A-Za-z0-9])"
    return tuple(
        (inside, re.compile(before + _expanded(shape))) for inside, shape in _data()["anywhere"]["token"].items()
    )


_DETECTORS: dict[str, Kind] = {
    "artifactory.ArtifactoryDetector": "token",
    "aws.AWSKeyDetector": "api_key",
    "azure_storage_key.AzureStorageKeyDetector": "api_key",
    "cloudant.CloudantDetector": "api_key",
    "discord.DiscordBotTokenDetector": "token",
    "github_token.GitHubTokenDetector": "token",
    "gitlab_token.GitLabTokenDetector": "token",
    "ibm_cloud_iam.IbmCloudIamDetector": "api_key",
    "ibm_cos_hmac.IbmCosHmacDetector": "api_key",
    "mailchimp.MailchimpDetector": "api_key",
    "pypi_token.PypiTokenDetector": "token",
    "sendgrid.SendGridDetector": "api_key",
    "slack.SlackDetector": "token",
    "softlayer.SoftlayerDetector": "api_key",
    "square_oauth.SquareOAuthDetector": "token",
    "stripe.StripeDetector": "api_key",
    "telegram_token.TelegramBotTokenDetector": "token",
    "twilio.TwilioKeyDetector": "api_key",
}


@lru_cache(maxsize=1)
def _detect_secrets_shapes() -> tuple[tuple[Kind, re.Pattern[str]], ...]:
    """The patterns of the library detect-secrets. Its detectors of entropy, keywords and IP addresses are left out,
    because they report hashes, prose and servers. The first call imports the library, which takes tenths of a second.
    """
    from importlib import import_module

    shapes: list[tuple[Kind, re.Pattern[str]]] = []
    for place, kind in _DETECTORS.items():
        module, name = place.split(".")
        detector = getattr(import_module(f"detect_secrets.plugins.{module}"), name)()
        shapes += ((kind, pattern) for pattern in detector.denylist)
    return tuple(shapes)
