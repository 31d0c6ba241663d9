"""Finds secrets in addresses and commands: passwords in URLs and connection strings, query strings, headers, flags."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cervella.privacy.secret import Kind, Secret
from cervella.privacy.values import is_example, is_no_password, is_random, is_striking, is_telling

_URL_PASSWORD = re.compile(r"://[^\s:/@|<>\"'`]{0,100}:(?P<secret>[^\s/|<>\"'`]{1,300})@(?=[\w.\[{$%-])")
_URL_USER = re.compile(r"://(?P<secret>[A-Za-z0-9_~.-]{16,300})(?::(?:x-oauth-basic|x-token-auth|@)?)?@(?=[\w\[])")
_QUERY = re.compile(
    r"(?i)(?:[?&;#]|&amp;|%26|%3F)(?P<name>(?:[a-z]{1,12}[_.-])?(?:api[_-]?)?(?:key|token|sig|"
    r"signature|password|passwd|pass|pwd|pw|secret|"
    r"auth|apikey|appid|code|jwt|hash|access|session|sid|hmac|credential|security[_-]token|"
    r"x-amz-signature|subscription-key|clientsecret|"
    r"client_secret|access_token|senha|clave|contrasena|chiave|passwort|pin|k|t|p|"
    r"s))=(?P<secret>[^\s&;#|<>\"'`)\]]{4,2000})"
)
_SURE = re.compile(
    r"(?i)(?:.*[_.-])?(?:password|passwd|pass|pwd|pw|secret|senha|clave|contrasena|passwort|"
    r"pin|client_?secret|sig|x-amz-signature)"
)
_VAGUE = re.compile(r"(?i)code|hash|access|k|t|p|s|sid|auth|session")
_ORACLE = re.compile(
    r"(?i)(?:\bjdbc:oracle:\w{1,9}:|\b(?:sqlplus|expdp|impdp|sqlldr|"
    r"rman)[ \t]{1,3}(?:\w{1,10}=)?)[\w$#.-]{1,60}/(?P<secret>[^\s@\"'`|/]{3,120})(?=@|\s|$)"
)
_MAIL_PAIR = re.compile(
    r"(?<![\w.+:/-])[\w.+-]{1,64}@[\w-]{1,60}(?:\.[\w-]{1,30}){1,4}(?:[ \t]{1,3}[/|:→–—-]|"
    r"[;:,])[ \t]{1,3}[\"'`*]{0,2}(?P<secret>[^\s|\"'`]{6,100})"
)
_WIFI = re.compile(
    r"(?i)\bWIFI:(?=[^\r\n]{0,200}?P:)(?:[^\r\n;\\]|\\.|;(?!P:)){0,300};?P:(?P<secret>(?:[^;\\\r\n]|\\.){1,120})"
)
_WIFI_FIRST = re.compile(r"(?i)\bWIFI:P:(?P<secret>(?:[^;\\\r\n]|\\.){1,120})")
_OTP = re.compile(
    r"(?i)otpauth(?:-migration)?://[^\s\"'`<>|]{0,300}?[?&](?:secret|data)=(?P<secret>[A-Za-z0-9%+/=]{8,400})"
)
_WEBHOOK = re.compile(
    r"(?i)https?://[\w.-]{0,100}(?:hook|logic\.azure|mattermost|"
    r"rocket)[\w.-]{0,60}(?::\d{1,5})?/(?:[\w.-]{1,40}/){0,8}(?P<secret>[A-Za-z0-9_-]{16,200}("
    r"?:/[A-Za-z0-9_-]{16,200})?)"
)
_PATH_KEY = re.compile(
    r"(?i)/(?:hooks?|webhooks?|bot|token|key|secret|apikey|invite|"
    r"services)/(?P<secret>[A-Za-z0-9_:-]{20,200}(?:/[A-Za-z0-9_-]{12,200}){0,2})"
)
_COMMANDS: tuple[tuple[Kind, tuple[str, ...], re.Pattern[str]], ...] = (
    (
        "token",
        ("bearer", ": token", ": apikey", ": bot", ": splunk", ": glhf", ": key", ": sso-key"),
        re.compile(
            r"(?i)\b(?:bearer|(?<=: )(?:token|apikey|bot|splunk|glhf|key|"
            r"sso-key))[ \t]{1,9}(?P<secret>[A-Za-z0-9._~+/-]{16,}=*)"
        ),
    ),
    (
        "password",
        ("authorization",),
        re.compile(
            r"(?i)\bauthorization[\"'`*]{0,4}\s{0,9}[:=,]\s{0,9}[\"'`]?(?:basic|digest|negotiate|"
            r"ntlm)[ \t]{1,9}(?P<secret>[A-Za-z0-9+/]{8,}=*)"
        ),
    ),
    (
        "password",
        ("-u",),
        re.compile(
            r"(?<!\S)(?:-u|--user|--proxy-user|-U)[ =]{0,3}[\"']?[\w.@\\-]{1,64}[:%](?P<secret>[^\s\"'`|]{4,200})"
        ),
    ),
    ("password", ("sshpass",), re.compile(r"\bsshpass[ \t]{1,9}-p[ \t]{0,9}[\"']?(?P<secret>[^\s\"'`|]{4,200})")),
    (
        "password",
        ("mysql", "mariadb"),
        re.compile(
            r"\b(?:mysql|mariadb)(?:dump|admin|check|import)?\b[^\n|]{0,120}?[ \t]-p[\"']?(?P<secret>[^\s\"'`|]{4,200})"
        ),
    ),
    (
        "password",
        ("-p", "-w", "-a", "/p:", "-storepass", "-keypass"),
        re.compile(
            r"\b(?:docker|podman|helm|az|oc|skopeo|svn|htpasswd|mongo(?:sh|dump|restore)?|sqlcmd|bcp|"
            r"unzip|zip|plink|pscp|psftp|winscp|xfreerdp|smbclient|ldapsearch|ldapmodify|rclone|gh|"
            r"nmcli|sqlplus|impacket\w*|crackmapexec|keytool|influx|ansible-vault|restic|borg|wget|mc|"
            r"vault|pg_dump|ftp|lftp|redis-cli|cqlsh|clickhouse-client|mosquitto_(?:pub|sub)|"
            r"snmpwalk)\b"
            r"[^\n|]{0,160}?[ \t](?:-p|-P|-w|-a|-pw|/p:|-storepass|"
            r"-keypass)[ \t=]{0,2}[\"']?(?P<secret>[^\s\"'`|-][^\s\"'`|]{3,200})"
        ),
    ),
    (
        "password",
        ("/user:",),
        re.compile(
            r"(?i)\bnet[ \t]++use[ \t]++[^\n|]{1,100}?[ \t]++/user:\S{1,60}[ \t]++(?P<secret>[^\s\"'`|/]{4,200})"
        ),
    ),
    (
        "password",
        ("/user",),
        re.compile(
            r"(?i)\bnet[ \t]+use[ \t]+\S+[ \t]+(?:\\\\\S+[ \t]+)?(?P<secret>[^\s\"'`|/\\][^\s\"'`|]{3,200})[ \t]+/user"
        ),
    ),
    ("password", ("net",), re.compile(r"(?i)\bnet[ \t]+user[ \t]+[\w.-]{1,60}[ \t]+(?P<secret>[^\s\"'`|/]{4,200})")),
    (
        "password",
        ("htpasswd",),
        re.compile(r"(?i)\bhtpasswd[ \t]+-\w*b\w*[ \t]+\S{1,120}[ \t]+\S{1,60}[ \t]+(?P<secret>[^\s\"'`|]{4,200})"),
    ),
    (
        "password",
        ("echo",),
        re.compile(
            r"(?i)\becho[ \t]+[\"']?(?P<secret>[^\s\"'`|]{4,200})[\"']?[ \t]*\|[ \t]*(?:sudo[ \t]+-S|"
            r"passwd|docker[ \t]+login|cryptsetup|openssl)"
        ),
    ),
    (
        "password",
        ("chpasswd",),
        re.compile(
            r"(?i)\becho[ \t]+[\"']?[\w.-]{1,60}:(?P<secret>[^\s\"'`|]{4,200})[\"']?[ \t]*\|"
            r"[ \t]*(?:sudo[ \t]+)?chpasswd"
        ),
    ),
    (
        "password",
        ("identified",),
        re.compile(r"(?i)\bidentified[ \t]+(?:with[ \t]+\w+[ \t]+)?by[ \t]+[\"'`]?(?P<secret>[^\s\"'`|;]{4,200})"),
    ),
    (
        "password",
        (
            "-pass",
            "-pwd",
            "-token",
            "-secret",
            "-api",
            "/pass",
            "/pwd",
            "/token",
            "/secret",
            "/api",
            "rootpw",
            "requirepass",
            "authpass",
        ),
        re.compile(
            r"(?i)(?<![^\s\"'`(\[=|])(?:--?|/)(?:password|passwd|pass|pwd|passphrase|token|secret|api-?key|"
            r"rootpw|requirepass|authpass)[:= \t]{1,3}[\"']?(?P<secret>[^\s\"'`|<>]{4,400})"
        ),
    ),
    (
        "password",
        ("requirepass", "masterauth", "rootpw", "pass:"),
        re.compile(
            r"(?i)\b(?:requirepass|masterauth|rootpw|-passin[ \t]+pass:|-passout[ \t]+pass:|"
            r"pass:(?=\S))[ \t]?[\"']?(?P<secret>[^\s\"'`|<>$]{6,200})"
        ),
    ),
    (
        "password",
        ("machine",),
        re.compile(r"(?i)\bmachine[ \t]+\S{1,100}\s+login[ \t]+\S{1,100}\s+password[ \t]+(?P<secret>\S{4,200})"),
    ),
    ("token", ("_auth",), re.compile(r"(?i)_auth(?:Token)?[ \t]{0,3}=[ \t]{0,3}[\"']?(?P<secret>[^\s\"'`|$]{8,400})")),
    (
        "api_key",
        ("accountkey", "sharedaccesskey", "sharedsecret"),
        re.compile(r"(?i)\b(?:AccountKey|SharedAccessKey|SharedSecret)=(?P<secret>[A-Za-z0-9+/]{20,200}={0,2})"),
    ),
    (
        "password",
        ("pwd", "passw"),
        re.compile(
            r"(?i)(?:^|[;,\s\"'])(?:pwd|password|passwd)[ \t]?=[ \t]?(?P<secret>[^;\s\"'`|"
            r"&<>]{3,200})(?=;|\"|'|[ \t]*$)"
        ),
    ),
    (
        "token",
        ("cookie",),
        re.compile(
            r"(?i)\b(?:set-)?cookie[\"'`*]{0,4}[ \t]{0,9}:[^\n]{0,200}?\b(?:[\w.-]{0,30}(?:sess|sid|"
            r"token|auth|jwt)[\w.-]{0,20})=(?P<secret>[A-Za-z0-9%._~+/-]{16,2000})"
        ),
    ),
    (
        "password",
        (":",),
        re.compile(r"^[ \t>]*[\w.-]{1,100}:(?:\d{2,5}|\*):[\w.*-]{1,60}:[\w.*-]{1,60}:(?P<secret>[^\s:|]{4,200})$"),
    ),
)
"""Passwords in shell commands, HTTP headers, SQL, configuration files: the kind; texts in lower case, of which a match
contains one; the pattern."""


_CLIENTS = ("jdbc:oracle", "sqlplus", "expdp", "impdp", "sqlldr", "rman")
_HOOKS = ("hook", "logic.azure", "mattermost", "rocket")
_BEFORE_KEYS = ("/hook", "/webhook", "/bot", "/token", "/key", "/secret", "/apikey", "/invite", "/services")
# Texts of which each match of `_ORACLE`, `_WEBHOOK` and `_PATH_KEY` contains one.


def in_addresses(text: str, small: str) -> Iterator[Secret]:
    """The secrets in the addresses of a text of limited length: basic auth, query strings, QR codes of Wi-Fi, OTP.

    `small` is the text as `scanning.folded` returns it.
    """
    if "://" in text:
        if "@" in text:
            for match in _URL_PASSWORD.finditer(text):
                if not is_no_password(match["secret"]):
                    yield Secret("password", *match.span("secret"))
            yield from _random(_URL_USER, text)
        if "otpauth" in small:
            yield from (Secret("token", *match.span("secret")) for match in _OTP.finditer(text))
        if _has(small, _HOOKS):
            yield from _random(_WEBHOOK, text)
        if _has(small, _BEFORE_KEYS):
            yield from _random(_PATH_KEY, text)
    if "=" in text:
        for match in _QUERY.finditer(text):
            value = match["secret"]
            sure = bool(_SURE.fullmatch(match["name"]))
            if is_example(value) and not (sure and value.isdigit()):
                continue
            vague = bool(_VAGUE.fullmatch(match["name"]))
            if sure or is_random(value) or (not vague and is_striking(value) and len(value) >= 8):
                yield Secret("password" if sure else "token", *match.span("secret"))
    if "/" in text and _has(small, _CLIENTS):
        for match in _ORACLE.finditer(text):
            if not is_example(match["secret"]):
                yield Secret("password", *match.span("secret"))
    if "@" in text:
        for match in _MAIL_PAIR.finditer(text):
            if is_telling(match["secret"]):
                yield Secret("password", *match.span("secret"))
    if "wifi:" in small:
        for pattern in (_WIFI, _WIFI_FIRST):
            yield from (Secret("password", *match.span("secret")) for match in pattern.finditer(text))


def in_commands(text: str, small: str) -> Iterator[Secret]:
    """The secrets in the commands and headers of a text of limited length.

    `small` is the text as `scanning.folded` returns it.
    """
    for kind, needed, pattern in _COMMANDS:
        if not _has(small, needed):
            continue
        for match in pattern.finditer(text):
            value = match["secret"].rstrip(".,;):")
            if value and not (is_example(value) or is_no_password(value)):
                yield Secret(kind, match.start("secret"), match.start("secret") + len(value))


def _random(pattern: re.Pattern[str], text: str) -> Iterator[Secret]:
    for match in pattern.finditer(text):
        if is_random(match["secret"]):
            yield Secret("token", *match.span("secret"))


def _has(small: str, parts: tuple[str, ...]) -> bool:
    return any(map(small.__contains__, parts))
