"""The rules for secrets: the key formats of vendors, names beside values, private keys and payment cards.

The names of secrets (`password:`, `chiave API =`, `credenziali`) are in the data of each language. All languages apply
to every text, because notes mix languages. Entropy is not a criterion: hashes, ids and paths are random too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from cervella.text.language import known_languages, language

Kind: TypeAlias = Literal["api_key", "token", "password", "private_key", "card"]
"""The kinds of secrets. Their names in each language are in the data of that language."""

_BODY = r"[A-Za-z0-9_\\-]"  # a backslash too: markdown writes ghp\_…
_PREFIXES: dict[Kind, tuple[str, ...]] = {
    # By whom: any `sk-` (Anthropic, OpenAI, OpenRouter, DeepSeek …), Stripe, Groq, Hugging Face, Replicate, Perplexity,
    # xAI, NVIDIA, Brevo, Postman, New Relic, Google OAuth, LangSmith, Figma, Supabase, Fireworks, Databricks, Tavily.
    "api_key": (
        r"sk-(?=[A-Za-z0-9_\\-]{0,200}?[0-9])[A-Za-z0-9]@{15,}",
        r"(?:sk|rk|pk)\\?_(?:live|test)\\?_@{16,}",
        r"gsk\\?_@{20,}",
        r"hf\\?_@{30,}",
        r"r8\\?_@{30,}",
        r"pplx-@{30,}",
        r"xai-@{30,}",
        r"nvapi-@{30,}",
        r"xkeysib-@{30,}",
        r"PMAK-@{30,}",
        r"NRAK-@{20,}",
        r"GOCSPX-@{20,}",
        r"lsv2\\?_(?:pt|sk)\\?_@{20,}",
        r"figd\\?_@{30,}",
        r"sbp\\?_@{30,}",
        r"fw\\?_(?=@{0,40}?[0-9])@{20,}",
        r"dapi[0-9a-f]{32}",
        r"tvly-@{20,}",
        r"AIza[0-9A-Za-z_\\-]{35,}",
        r"(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Z])",
        r"SG\.@{16,}\.@{16,}",
        r"key-[0-9a-f]{32}(?![0-9a-f])",
    ),
    # GitHub, GitLab, Slack, npm, PyPI, webhooks, Google OAuth, DigitalOcean, Shopify, Vault, Doppler, Sentry, Docker,
    # Tailscale, Linear, Notion, Telegram, JSON web tokens.
    "token": (
        r"gh[pousr]\\?_@{36,}",
        r"github\\?_pat\\?_@{40,}",
        r"gl(?:pat|dt|ft|soat|rt|ptt|cbt|imt|agent|oas)-@{20,}",
        r"xox[abeoprs](?:\.xox[bp])?-@{10,}",
        r"xapp-\d-@{20,}",
        r"npm\\?_@{30,}",
        r"pypi-@{30,}",
        r"whsec\\?_[A-Za-z0-9+/=_\\-]{16,}",
        r"ya29\.@{30,}",
        r"1//0@{30,}",
        r"do[opr]\\?_v1\\?_[0-9a-f]{40,}",
        r"shp(?:at|ca|pa|ss)\\?_[0-9a-fA-F]{32,}",
        r"hvs\.@{20,}",
        r"dp\.(?:pt|st|ct)\.@{30,}",
        r"sntrys\\?_[A-Za-z0-9+/=_\\-]{30,}",
        r"dckr\\?_pat\\?_@{20,}",
        r"tskey-@{20,}",
        r"lin\\?_api\\?_@{30,}",
        r"ntn\\?_@{30,}",
        r"\d{8,10}:(?=@{0,34}[A-Za-z])@{35}(?![A-Za-z0-9_-])",
        r"eyJ@{10,400}\.eyJ@{10,}\.@{10,}",
        r"hooks\.slack\.com/services/[A-Za-z0-9_]{6,}/[A-Za-z0-9_]{6,}/(?P<secret>[A-Za-z0-9_]{12,})",
        r"discord(?:app)?\.com/api/webhooks/\d{10,}/(?P<secret>@{30,})",
    ),
    "private_key": (r"AGE-SECRET-KEY-1[0-9A-Z]{50,}",),
}
SHAPES: tuple[tuple[Kind, str, re.Pattern[str]], ...] = tuple(
    (kind, re.split("[^A-Za-z0-9]", shape)[0], re.compile(r"(?<![A-Za-z0-9])(?:" + shape.replace("@", _BODY) + ")"))
    for kind, shapes in _PREFIXES.items()
    for shape in shapes
)
"""Formats that identify a key or token without a name beside it: kind, literal prefix, pattern. If the pattern has a
group `secret`, only that group is masked."""

URL_PASSWORD = re.compile(r"://[^\s:/@|<>\"'`]{0,100}:(?P<secret>[^\s/|<>\"'`]{1,300})@(?=[\w.\[{$-])")
COMMANDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("token", re.compile(r"(?i)\bbearer[ \t]{1,9}(?P<secret>[A-Za-z0-9._~+/-]{20,}=*)")),
    (
        "password",
        re.compile(
            r"(?i)\bauthorization[\"'`*]{0,4}\s{0,9}:\s{0,9}[\"'`]?basic[ \t]{1,9}(?P<secret>[A-Za-z0-9+/]{8,}=*)"
        ),
    ),
    ("password", re.compile(r"(?<!\S)(?:-u|--user)[ =]{0,3}[\"']?[\w.@-]{1,64}:(?P<secret>[^\s\"'`|]{6,200})")),
    ("password", re.compile(r"\bsshpass[ \t]{1,9}-p[ \t]{0,9}[\"']?(?P<secret>[^\s\"'`|]{4,200})")),
    ("password", re.compile(r"\bmysql(?:dump|admin)?\b[^\n|]{0,80}?[ \t]-p(?P<secret>[^\s\"'`|]{6,200})")),
)
"""Patterns of passwords in shell commands and HTTP headers."""

CARD = re.compile(r"(?<![\w.,/+=-])[3-6]\d{3}(?:[ \u00a0-]?\d){9,15}(?![\w=]|[.,-]\d)")
_CARD_LENGTHS = {"3": (14, 15, 16), "4": (13, 16, 19), "5": (16,), "6": (16, 19)}
# Published by the payment companies for everybody's tests.
_TEST_CARDS = (
    *("4242424242424242", "4000056655665556", "4111111111111111", "4012888888881881", "5555555555554444"),
    *("5105105105105100", "378282246310005", "371449635398431", "6011111111111117", "3566002020360505"),
)


def is_card(text: str) -> bool:
    """Whether the digits can be a payment card number, by length and Luhn check digit. Test numbers are excluded."""
    digits = re.sub(r"\D", "", text)
    if len(digits) not in _CARD_LENGTHS[digits[0]] or len(set(digits)) < 4 or digits in _TEST_CARDS:
        return False
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def stems() -> tuple[str, ...]:
    """Parts of the names of secrets, in lower case. A line that contains none of them names no secret, and the rules
    for names skip it."""
    return tuple({stem for code in known_languages() for stem in language(code).redaction["stems"].split()})


@dataclass(frozen=True, slots=True)
class Name:
    """The patterns that find one group of words for a secret, such as "password", with the value beside it."""

    kind: Kind
    says_enough: bool
    """True if the names always mean a password. False for `token` or `chiave` ("key"), which have other meanings
    too."""
    before: re.Pattern[str]
    """Matches from the name to the start of the value. Groups: `said` is the text between the name and the `separator`,
    `quote` the opening quotation mark."""
    cell: re.Pattern[str]
    """Matches the whole header cell of a table column."""


_OF_NAMES = r"(?i:hash|salt|min|max|len|polic|reset|field|file|path|url|env|manag|id|name|type|exp|conf|count|limit)"
"""Suffixes that make a name metadata and not a secret: `password_hash`, `token_count`."""


@lru_cache(maxsize=1)
def names() -> tuple[Name, ...]:
    """The patterns for the names of secrets (`password`, `API key`, `token`, …) in all known languages, one entry a
    group."""
    data = [language(code).redaction for code in known_languages()]
    verbs = "|".join(re.escape(verb) for one in data for verb in one["verbs"])
    after = (
        r"\d{0,3}(?:[_-](?!" + _OF_NAMES + r")[A-Za-z0-9]{1,12}){0,2}(?![A-Za-z0-9_-])[\"'`*_)\]]{0,4}"
        r"(?P<said>(?:[ \t]{1,9}[^\s:=|\"'`«]{1,24}){0,5}?)"
        rf"(?P<separator>[ \t]{{0,40}}(?::=|=>|->|→|:(?!//)|[=|])|[ \t]{{1,9}}(?:{verbs})(?=[ \t])"
        r"|(?=[ \t]{1,9}[`\"'«]))"
        r"[ \t*_]{0,40}(?:<\w{1,9}>)?[(]?%s(?P<quote>[\"'`«]{0,3})[*]{0,2}"
    )
    user = r"[\"'`*]{0,3}[\w.@+-]{1,64}[\"'`*]{0,3}[ \t]{0,9}[/:|,][ \t]{0,9}"
    out = []
    groups: tuple[tuple[str, Kind, bool], ...] = (
        ("passwords", "password", True),
        ("pairs", "password", True),
        ("api_keys", "api_key", False),
        ("tokens", "token", False),
        ("others", "password", False),
    )
    for group, kind, says_enough in groups:
        words = "|".join(sorted({name for one in data for name in one[group]}, key=len, reverse=True))
        before = rf"(?:(?<![A-Za-z0-9])|(?<=[a-z])(?=[A-Z]))(?i:{words})" + after % (user if group == "pairs" else "")
        cell = rf"(?i)[*_` ]*(?:{words})(?:[ _(][^|]{{0,30}})?[*_` ]*"
        out.append(Name(kind, says_enough, re.compile(before), re.compile(cell)))
    return tuple(out)


_NO_SECRET = re.compile(
    r"""(?ix) ^[$%<{\[…] | ^[-=*_.x•\#|:\u2500-\u257f]+$ | xxx | \*\*\* | \.\.\. | …
    | ^(?:sha-?\d+|md5|argon2\w*|bcrypt\d*|scrypt|pbkdf2|oauth2?|utf-?8|base64)$
    | (?:process|import\.meta)\.env | os\.(?:environ|getenv) | getenv | ^https?:// | ^[~.]{0,2}/[\w.-]+/ | ^~/
    | \.(?:md|json|pem|txt|py|ya?ml|toml|env|sh|js|ts|pub|key)$ | \]\(
    | ^[a-z_][\w.]*(?:\(|\[["'\d]) | ^[a-z_]\w*(?:\.[a-z_]\w*)+$
    """
)
"""Values that are a path, a variable, a call, the name of an algorithm or a line of symbols."""


@lru_cache(maxsize=1)
def _placeholder() -> re.Pattern[str]:
    """The words of all known languages that make a value an example: `la-tua-password-123`."""
    words = "|".join(word for code in known_languages() for word in language(code).redaction["placeholders"])
    return re.compile(rf"(?i)(?<![a-z])(?:{words or '(?!)'})(?![a-z])")


_ENV_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
_DIGIT, _LETTER, _SYMBOL = re.compile(r"\d"), re.compile(r"[^\W\d_]"), re.compile(r"[^\w\-./':]")
_PART = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile(r"[A-Za-z]+\d{0,4}|\d{1,4}")
_CHANGE = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])|(?<=[A-Z])(?=[a-z])")


def is_plausible(value: str, *, says_enough: bool, assigned: bool) -> bool:
    """Whether a value beside the name of a secret can be a secret, and not a placeholder, path, variable or word.

    `says_enough`: as in Name. `assigned`: the value follows `=` or is quoted, so it is not prose.
    """
    if len(value) < (6 if says_enough else 8):
        return False
    digits = bool(_DIGIT.search(value))
    if says_enough:
        symbols = bool(_SYMBOL.search(value)) and value.lower() != value
        likely = digits or (len(value) >= 8 and (assigned or symbols))
    else:
        parts = _PART.findall(value) if digits else []
        likely = digits and bool(_LETTER.search(value))
        likely = likely and (
            (assigned and not all(_WORD.fullmatch(part) for part in parts))
            or bool(_UUID.fullmatch(value))
            or any(_is_random(part) for part in parts)
        )
    return (
        likely and not any(one.search(value) for one in (_NO_SECRET, _placeholder())) and not _ENV_NAME.fullmatch(value)
    )


def _is_random(part: str) -> bool:
    """Whether letters and digits alternate as in a random string: `ab12cd34`, but not `cervella2026` or `v2`."""
    changes = len(_CHANGE.findall(part))
    return len(part) >= 8 and bool(_DIGIT.search(part)) and (changes >= 3 or (len(part) >= 16 and changes >= 1))


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
def known_shapes() -> tuple[tuple[Kind, re.Pattern[str]], ...]:
    """The patterns of the library detect-secrets. Its detectors of entropy, keywords and IP addresses are left out,
    because they report hashes, prose and servers. The first call imports the library, which takes tenths of a second.
    """
    return tuple(_detect_secrets())


def _detect_secrets() -> Iterator[tuple[Kind, re.Pattern[str]]]:
    from importlib import import_module

    for place, kind in _DETECTORS.items():
        module, name = place.split(".")
        detector = getattr(import_module(f"detect_secrets.plugins.{module}"), name)()
        yield from ((kind, pattern) for pattern in detector.denylist)
