"""Decides whether a text beside the name of a secret can be one, and not a word, a placeholder, a date or a path."""

from __future__ import annotations

import re
from functools import lru_cache

from cervella.privacy.names import entries, names_in, one_of, words

_LETTER, _DIGIT = re.compile(r"[^\W\d_]"), re.compile(r"\d")
_STRONG_SIGN = re.compile(r"[!@#$%&*?+^§€£~=]")
_RUN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NAME_OF = re.compile(r"[^\W\d]+(?:[-.][^\W\d]+)*")
_PART = re.compile(r"[A-Za-z0-9]+")
_VOWEL = re.compile(r"[aeiouyàèéìòùáíóúãõâêôäöü]", re.IGNORECASE)
_CROWD = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_WORDS = re.compile(r"[^\W\d_]+(?:[-_'’./][^\W\d_]+)*")
_SPACE = re.compile(r"\s")
_SEED = re.compile(r"[a-z]{3,8}(?:[ \t,]{1,3}[a-z]{3,8}){11,23}")
_GROUPS = re.compile(r"[A-Za-z0-9]{3,8}(?:[- ][A-Za-z0-9]{3,8}){2,9}")
_JOINED = re.compile(r"[^\W\d_]{2,}(?:[-_.&+][^\W\d_]+){1,6}")
_PHRASE_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
_SPACED = re.compile(r"[^\s]+(?:[ \t][^\s]+){1,11}")

_NO_VALUE = re.compile(
    r"""(?ix)
    # variables, templates, placeholders in brackets, lines of symbols, what is cut off or masked
    [$%][\w({].* | [<{\[(].*[>}\])] | <[a-z].* | (?-i:![a-z][a-z./_-]*) | [{<].*[}>].* | \[.* | .*\{\{.*
    | .*\$\{.* | .*(?:\.\.\.|…).* | [-=*_.•\#|:\\/?\u2500-\u257f●∙·]+
    | (?:x{3,}|0{4,}|\*+|•+)[\w*-]* | (?:[x*•]{2,}[-_ ]?)+ | .*\*{3,}.* | .*x{6,}.* | n/?[ad] | tbd | null
    | nil | none | undefined | true | false | (?:12345|123456)(?=\.\.)
    # types and names of fields
    | (?:str|string|text|bytes|varchar(?:\(\d+\))?|char|int|integer|bool|boolean|number|secretstr|
        any|object|optional)(?:\W.*)?
    # algorithms, protocols, formats, managers of passwords
    | (?:sha|md|aes|rsa|hs|rs|es|ps|wpa|wep|tls|ssl|oauth|utf|base|bcrypt|argon|scrypt|pbkdf|hmac|
        ed|x|http|ipv|usb|cl|gpt|mp|h|v|rev|ver)[-_]?\d+\w{0,6}(?:[-_/.+]\w{1,12})*
    | argon2\w* | bcrypt\d* | pbkdf2[\w-]* | totp | otp | 2fa | mfa | fido2 | jwt | rs256 | \d[fd]a
    | (?:1|last|true|roboform)?-?passwords?(?:\W.*)? | keepass\w* | bitwarden | lastpass | dashlane | keychain
    | vault
    # code: calls, attributes, indexes
    | (?:process|import\.meta)\.env.* | os\.(?:environ|getenv).* | getenv.*
    | (?-i:[A-Za-z_][\w.]*)\((?:[^()]*\))?[;,)]* | (?-i:[a-z_][\w.]*)\(.* | [a-z_]\w*\[["'\d].*
    | (?-i:[a-z_]+\.[a-z_]+)
    | (?:self|this|config|settings|os|env|process|request|req|res|user|data|form|app|args|options|
        secrets|credentials|vars?|local|module|each|inputs|context|ctx|event|client|db|params|body|
        props|state|values|github|steps|session|json|cls)(?:\.[a-z_]\w*)+
    | [a-z_]\w*(?:->|::)\w.*
    # addresses, mail, paths, names of files
    | [a-z][a-z+.-]{1,12}://.* | www\..* | (?:mailto:)?[\w.+-]+@[\w-]+(?:\.[\w-]+)+ | [~.]{0,2}/[\w.@-]+/.*
    | ~/.* | [a-z]:\\.* | \.{1,2}/.*
    | (?:[\w-]+/)+[\w.-]*\.\w{1,5}
    | [\w-]+(?:\.[\w-]+)*\.(?:md|json|pem|txt|py|ya?ml|toml|env|sh|js|ts|pub|key|html?|pdf|docx?|
        xlsx?|csv|kdbx|it|com|org|net|eu|de|es|pt|br|io|dev|local)(?:[:/].*)?
    | [a-z]{2}-[a-z]{4,10}-?\d[a-z]?
    | .*\]\(.* | [A-Z_]+\].* | --?[a-z].* | (?-i:[A-Za-z_][\w:.-]{0,40})=[^=].* | (?:sha\d{1,3}|md5):.*
    | (?:ssh-\w+|ecdsa-\S+)
    # numbers, dates, times, versions, quantities
    | v?\d+(?:[.,:/'-]\d+)*\.?(?:[a-z%°€$]{1,3}|rc\d|alpha\d?|beta\d?)?\+?
    | \d{1,4}[-/.][a-z]{3,9}[-/.]\d{2,4} | \d{1,2}h\d{2} | \d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-][\d:]+)?
    | [€$£]\d[\d.,]* | \d+(?:st|nd|rd|th|ª|º|°) | \d+x\d+\w{0,3}
    | \d+(?:/\d+)?(?:bit|byte|char|gg|ore|min|sec|anni|mesi|days?|hours?|chars?|words?|cifre|digits?|volte|times?)s?
    | (?:q|h|t|f|g|c|n|p|s)\d{1,2} | \#\d+ | \w{1,2}\d{1,2}
    | (?:windows|office|microsoft|ios|ipados|macos|android|debian|ubuntu|php|python|java|ecma|html|
        css|web|covid|postgres|mysql|oracle|fritz|s)-?\d{1,4}(?:[.-]\d+)*
    | [&](?:[a-z]{2,8}|\#\w{2,6});.*
    # types of code, anchors, chapters, chords of keys
    | (?-i:\w+(?:Array|Buffer|String|Bytes|Form|Request|Response|Type|Params|Dict|List|Map))(?:\[\])?
    | \{?\#[a-z]\w*(?:-\w+)+ | [^\W\d_]+/\d+ | \d{1,2}(?:-[a-z]+)+ | \w+\*\*.*
    | (?:ctrl|strg|alt|shift|cmd|command|opt|option|meta|super|win|fn|esc|tab|f\d{1,2}|maiusc|mayús|umschalt|⌘|⌥|⇧)
        (?:[+-]\w{1,10}){1,4}
    """
)
"""Values that are a variable, a path, a call, a date, a quantity, an algorithm or a line of symbols."""
_NO_PASSWORD = re.compile(
    r"""(?ix)
    # variables, templates, placeholders in brackets, lines of symbols, what is cut off or masked
    [$%][({].* | \$[a-z_][\w:]*(?:->\w+|\[.*)? | %\w+% | %[sd] | <[^<>\d]*>? | [{\[(].* | .*(?:\{\{|\$\{).* | @[a-z_]+@?
    | (?-i:![a-z][a-z./_-]*|!(?:Ref|Sub|GetAtt|ImportValue|FindInMap)) | \w{0,8}(?:\.\.\.|…).*
    | [-=*_.•\#|:\\/?!\u2500-\u257f→●∙·]+ | [x*•·-]{3,} | .*\*{3,}.* | .*x{6,}.*
    | n/?[ad] | tbd | tba | todo | null | nil | none | undefined | true | false
    # types, algorithms, managers of passwords
    | (?:str|string|text|bytes|varchar|char|int|integer|bool|boolean|number|secretstr|any|object|optional)
        (?:[\[(<|=?;].*)?
    | (?:sha|md|aes|rsa|hs|rs|es|wpa|wep|tls|ssl|oauth|utf|base)[-_]?(?:\d{1,4})(?:[-_/][a-z]{1,12})*
    | argon2(?:id|i|d)? | s?crypt | bcrypt | pbkdf2(?:[-_]\w+)* | t?otp | [2m]fa | fido2 | jwt | \d[fd]a
    | 1password | lastpass | keepass(?:x|xc|dx)? | bitwarden | dashlane | enpass | keychain | vault
    # code: calls, attributes, indexes
    | (?:\w+\.)+\w+\(.* | [a-z_]\w*\((?:[^\W\d].*|["'$&*{\[].*|\)*[;,]*)? | [a-z_][\w.]*\[(?:["'\d].*)?
    | [a-z_]\w*(?:->|::)\w.*
    | (?:self|this|process|import\.meta|os|env|req|request|config|settings|secrets|vars?|local|module|props|args|
        options|opts|ctx|context|inputs|each|github|steps|cls)(?:\.[a-z_]\w*)+
    | [\w:-]+=["'{$].*
    # addresses, mail, paths, names of files
    | [a-z][a-z+.-]{1,12}://.* | www\..* | (?:mailto:)?[\w.+-]+@[\w-]+(?:\.[\w-]+)+ | [~.]{0,2}/[\w.@-]+(?:/.*)? | ~/.*
    | [a-z]:\\.* | \.{1,2}/.* | (?:[\w-]+/)+[\w.-]*\.\w{1,5}
    | [\w.-]+\.(?:md|json|pem|txt|py|ya?ml|toml|env|key|pub|html?|pdf|docx?|xlsx?|csv|kdbx)
    | .*\]\(.* | --?(?-i:[a-z][a-z-]*) | \#[a-z]\w*(?:-\w+)+ | [&](?:[a-z]{2,8}|\#\w{2,6});.* | [^\W\d_]+/\d+
    | (?:ctrl|strg|alt|shift|cmd|meta|fn)(?:[+-]\w{1,10}){1,4}
    """
)
"""The few values that are no password even after `password:`: variables, calls, types, paths, lines of symbols."""
_NUMBERS = re.compile(r"\d{4,24}|\d{1,6}(?:[-./ ]\d{1,6}){1,11}")
_ENV_NAME = re.compile(r"[A-Z][A-Z]*(?:_[A-Z]+)+|[A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD|PASS|PWD)[A-Z_]*(?:_?\d{1,2})?")


@lru_cache(maxsize=1)
def _placeholder() -> re.Pattern[str]:
    """The values of all known languages that are an example: `la-tua-password-123`."""
    return re.compile(rf"(?i)(?:{one_of('placeholders')})")


@lru_cache(maxsize=1)
def _statement() -> re.Pattern[str]:
    """The words of all known languages that say something about a password: `obbligatoria`, `required`."""
    return re.compile(rf"(?i)(?:{one_of('statements')})")


def is_example(value: str) -> bool:
    """Whether a value stands for a secret and is none: a placeholder, a variable, a type, a date, a path."""
    value = value[:200]
    return bool(_NO_VALUE.fullmatch(value) or _placeholder().fullmatch(value) or _ENV_NAME.fullmatch(value))


def is_no_password(value: str) -> bool:
    """Whether a value is none even beside the name of a password: a placeholder as it is usually written, a variable,
    code, a word such as `required`, or itself the name of a secret: `DB_PASSWORD`."""
    value = value[:200]
    return bool(
        _NO_PASSWORD.fullmatch(value)
        or _placeholder().fullmatch(value)
        or value.lower() in words("no_passwords")
        or _is_name(value)
    )


def _is_name(value: str) -> bool:
    return len(value) <= 60 and not _DIGIT.search(value) and bool(_NAME_OF.fullmatch(value)) and bool(names_in(value))


def is_numbers(value: str) -> bool:
    """Whether a value is a number, or groups of digits, four digits or more in all: `48291047`, `12/04/1985`."""
    return bool(_NUMBERS.fullmatch(value)) and sum(map(str.isdigit, value)) >= 4


def is_year(value: str) -> bool:
    """Whether a value is a year of the last or of this century: `1985`."""
    return len(value) == 4 and value[:2] in ("19", "20") and value.isdigit()


def is_striking(value: str, *, of_password: bool = False) -> bool:
    """Whether a value looks like a secret even in the middle of a sentence: `Mario.Rossi85`, `HOTEL_2026`, `fg7&kk`.

    It has letters, and digits or signs that words don't have. `of_password`: beside the name of a password fewer values
    are taken for examples.
    """
    if not 6 <= len(value) <= 400 or not _LETTER.search(value) or _SPACE.search(value):
        return False
    if not _DIGIT.search(value) and not (_STRONG_SIGN.search(value[:-1]) or _is_exclaimed(value)):
        return False
    no_value = is_no_password if of_password else is_example
    return not no_value(value) and (_DIGIT.search(value) is not None or len(value) >= 8)


def is_telling(value: str) -> bool:
    """Whether a text looks like a secret among words: it mixes capitals and digits, or has signs that words don't."""
    if not is_striking(value):
        return False
    small, capital = value.upper() != value, value.lower() != value
    digit, sign = _DIGIT.search(value) is not None, _STRONG_SIGN.search(value) is not None
    return (small and capital and digit) or (sign and digit) or (sign and small and capital)


def _is_exclaimed(value: str) -> bool:
    """Whether a capital begins a value and an exclamation mark ends it: `Girasole!`."""
    return value.endswith("!") and value[:1].isupper()


def is_random(value: str) -> bool:
    """Whether a part of the value has letters and digits as a random string has: `ab12cd34`, not `rossi2026caparra`.

    Half of its letters and digits or more are in runs that are no words: short ones, or without vowels.
    """
    if _UUID.fullmatch(value):
        return True
    return any(_is_random_part(part) for part in _PART.findall(value[:400]) if len(part) >= 8)


def _is_random_part(part: str) -> bool:
    if not _DIGIT.search(part) or part.isdigit():
        return False
    runs = _RUN.findall(part)
    odd = sum(len(run) for run in runs if not _is_word(run))
    letters = sum(1 for run in runs if not run.isdigit())
    return letters >= 1 and (len(runs) >= 4 or len(part) >= 16) and 2 * odd >= len(part) + (len(part) < 12)


def _is_word(run: str) -> bool:
    if run.isdigit():
        return len(run) == 4
    return len(run) >= 4 and bool(_VOWEL.search(run)) and not _CROWD.search(run)


def is_grouped(value: str) -> bool:
    """Whether a value is a key in groups of one length: `OMS49-WFCDZ-WG0FZ`, `juhl c152 j4qd qs9x`."""
    if not _GROUPS.fullmatch(value) or not _LETTER.search(value):
        return False
    groups = re.split("[- ]", value)
    if len({len(group) for group in groups[:-1]}) > 1 or len(groups[-1]) > len(groups[0]):
        return False
    if value.upper() != value and value.lower() != value:
        return bool(_DIGIT.search(value)) and is_random(value.replace("-", "").replace(" ", ""))
    with_digits = sum(1 for group in groups if _DIGIT.search(group))
    return len(value) >= 11 and with_digits >= (1 if value.isupper() else 2)


def is_seed(value: str) -> bool:
    """Whether a value is a phrase that restores a wallet: 12 to 24 short words."""
    return bool(_SEED.fullmatch(value))


def is_joined(value: str) -> bool:
    """Whether a value is of words joined as in a password: `Tegola_Rossa`, `naranjas-de-zumo`, `cuoio&spago`."""
    if not _JOINED.fullmatch(value) or len(value) < 8 or is_example(value) or _statement().fullmatch(value):
        return False
    signs = re.findall(r"[-_.&+]", value)
    parts = re.split(r"[-_.&+]", value)
    capitals = sum(1 for part in parts if part[:1].isupper())
    if "_" in signs and capitals:
        return True
    return (len(signs) >= 2 and "_" not in signs) or capitals >= 2 or "&" in signs or "+" in signs


def is_ordinary(value: str) -> bool:
    """Whether a value is a word, or words joined by hyphens, that may be a weak password: `girasole`."""
    return (
        len(value) >= 6
        and bool(_WORDS.fullmatch(value))
        and not (value.islower() and "_" in value)
        and not _statement().fullmatch(value)
        and not is_example(value)
    )


def is_passphrase(value: str) -> bool:
    """Whether a text of several words may be a passphrase: two to twelve words, most of which state nothing."""
    if not 8 <= len(value) <= 120 or not _SPACED.fullmatch(value) or is_example(value):
        return False
    parts = [word.strip(",.;:!?()'\"\\") for word in value.split()]
    if any(word and not _PHRASE_WORD.fullmatch(word) for word in parts):
        return False
    if any(_says().fullmatch(word) for word in parts):
        return False
    stated = sum(1 for word in parts if _statement().fullmatch(word))
    return 2 * stated <= len(parts)


@lru_cache(maxsize=1)
def _says() -> re.Pattern[str]:
    """The statements of all languages that are whole words, without those that are only an ending."""
    whole = (entry for entry in entries("statements") if "+(" not in entry and "]+" not in entry)
    return re.compile(rf"(?i)(?:{'|'.join(whole) or '(?!)'})")
