"""Folds texts to what they mean, so that two ways of writing an answer compare equal. All models and tasks share it.

Case, quotation marks, sentence punctuation, hyphens within words and leading articles make no difference; signs,
symbols, units, decimal points, fractions, ratios and the vowel signs of any script do. What a character is follows from
its Unicode category. `SYNONYMS` map to one word of the benchmark's vocabulary, and only closed answers in that
vocabulary use them (vtbench/scoring/choices.py).

The rules are frozen: a change of a rule or a synonym changes scores, and requires a new
`vtbench.scoring.SCORING_VERSION`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

SYNONYMS: dict[str, str] = {
    # yes and no
    **dict.fromkeys(("yeah", "yep", "yup", "true", "correct"), "yes"),
    **dict.fromkeys(("nope", "nah", "false", "incorrect", "not true", "not correct"), "no"),
    # colours
    "gray": "grey",
    "violet": "purple",
    "aqua": "cyan",
    "fuchsia": "magenta",
    # shapes
    **dict.fromkeys(("circles", "circular", "disc", "disk", "round"), "circle"),
    **dict.fromkeys(("squares",), "square"),
    **dict.fromkeys(("triangles", "triangular"), "triangle"),
    **dict.fromkeys(("stars",), "star"),
    **dict.fromkeys(("crosses", "plus", "plus sign"), "cross"),
    **dict.fromkeys(("rings", "donut", "doughnut", "annulus"), "ring"),
    **dict.fromkeys(("diamonds", "rhombus", "lozenge"), "diamond"),
    **dict.fromkeys(("crescents", "crescent moon", "moon"), "crescent"),
    # textures
    **dict.fromkeys(("plain", "uniform", "filled"), "solid"),
    **dict.fromkeys(("stripe", "stripes", "stripy", "stripey"), "striped"),
    **dict.fromkeys(("chequered", "checked", "checkerboard", "chequerboard"), "checkered"),
    **dict.fromkeys(("dot", "dots", "dotty", "spotted", "polka dot", "polka dots", "polka dotted"), "dotted"),
    # sizes
    **dict.fromkeys(("big", "huge"), "large"),
    **dict.fromkeys(("little", "tiny"), "small"),
    # places
    **dict.fromkeys(("leftward", "leftwards"), "left"),
    **dict.fromkeys(("rightward", "rightwards"), "right"),
    **dict.fromkeys(("over", "on top of", "on top", "higher", "upward", "upwards"), "above"),
    **dict.fromkeys(("under", "underneath", "beneath", "lower", "downward", "downwards"), "below"),
}
_OTHER_WORDS = (
    "red",
    "green",
    "blue",
    "yellow",
    "orange",
    "cyan",
    "black",
    "white",
    "brown",
    "pink",
    "front",
    "behind",
)
VOCABULARY = frozenset({*SYNONYMS, *SYNONYMS.values(), *_OTHER_WORDS})
"""Words of the benchmark's closed answers, with their synonyms."""
ARTICLES = frozenset({"a", "an", "the"})

_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_VALUES = {word: n for n, word in enumerate(_UNITS)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_NUMBER_WORD = re.compile(rf"(?<!\S)(?:({'|'.join(_TENS)})(?: ({'|'.join(_UNITS[1:10])}))?|({'|'.join(_UNITS)}))(?!\S)")
_MINUS_WORD = re.compile(r"(?<!\S)(?:minus|negative) (?=\d)")
_SYNONYM = re.compile(r"\b(?:" + "|".join(sorted(map(re.escape, SYNONYMS), key=len, reverse=True)) + r")\b")
_SIMPLE = re.compile(r"[a-z]+(?: [a-z]+)*")
"""Words of a language that ASCII holds, which need none of the rules for symbols."""

_SAME = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("“”„‟«»「」『』＂", '"'),
        **dict.fromkeys("‘’‚‛‹›`´ʼʹ׳＇", "'"),
        **dict.fromkeys("⁄∕", "/"),
        "″": "′′",
        "˚": "°",
        "٫": ".",
        "٬": ",",
        "٪": "%",
    }
)
"""Characters that are written for each other."""
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ]+")
_GROUP_SPACE = re.compile("(?<=\\d)[\u00a0\u2009\u202f](?=\\d{3}(?!\\d))")
_MIXED_FRACTION = re.compile("(?<=\\d)(?=[¼-¾⅐-⅞])")
_INVISIBLE = re.compile(
    "[\u00ad\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]"
)
_JOINER = re.compile(r"(?<=\w)\u200d|\u200d(?=\w)")

_LATEX = re.compile(r"\\(?:boxed|text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
_MATHS_MODE = re.compile(r"\s*\$([^$]+)\$\s*")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*]+)(?<=[^\s*])\1(?![\w*])")
_MARK_OF_LIST = re.compile(r"\s*(?:[•*]|#+)\s+(?=\S)")
_QUOTED = re.compile(r"""(?<!\w)(?:"([^"]*)"|'([^']*)'(?!\w))""")
_MINUTES = re.compile(r"(?<=\d)'(?![a-z])")
_SECONDS = re.compile(r'(?<=\d)"')
_ABBREVIATION = re.compile(r"(?<![\w.])(?:[^\W\d_]\.){2,}(?!\w\w)|(?<![\w.])(?:[^\W\d_]\.)+[^\W\d_](?![\w])")
_THOUSANDS = re.compile(r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3})(?![\d]|,\d)")
_TIMES = re.compile(r"(?<=\d) ?[x×] ?(?=\d)")
_RATIO = re.compile(r"(?<=\d) : (?=\d)")
_DASH = re.compile(r"( *)-+( *)")
_MARK = re.compile(r"[^\w\s]|_")
_AND = re.compile(r"(?<=\s)&(?=\s)")
_OPERATOR = re.compile(r"(?<=\S) ([+×÷=<>≤≥≠≈±/^*→]) (?=\S)")
_UNIT_SPACE = re.compile(r"(?<=\d) (?=[%‰°′])|(?<=[$€£¥₹]) (?=\d)")
_WHOLE = re.compile(r"\s*\(([^()]*)\)[.!?]?\s*")
_KEPT = frozenset("%‰#&@^°/\\*′§-")
"""Punctuation, by its category, that carries meaning."""
_BRACKETS = frozenset("()[]{}")
_PASSES = 5


def normalise(text: str) -> str:
    """Return `plain(text)` with every synonym replaced by the benchmark's word.

    >>> normalise("Gray, on top of it!")
    'grey above it'
    """
    return _SYNONYM.sub(lambda match: SYNONYMS[match.group()], plain(text))


def plain(text: str) -> str:
    """Return what a text says: lower-case words, numbers as digits, and the symbols that carry meaning.

    A text of nothing but punctuation stands for itself.

    >>> plain(" The  Red-circle. "), plain("twenty-one"), plain("−5 %"), plain("“C++”"), plain("1,000.50"), plain("?")
    ('red circle', '21', '-5%', 'c++', '1000.50', '?')
    """
    return _plain(text) if len(text) <= 200 else _plain.__wrapped__(text)


@lru_cache(maxsize=8192)
def _plain(text: str) -> str:
    simple = text.strip().lower()
    words = simple[:-1] if simple.endswith(".") else simple
    if text.isascii() and _SIMPLE.fullmatch(words):
        return _words(words)
    folded = _fold(text)
    said = _words(_meaning(folded)) or "".join(folded.split())
    for _ in range(_PASSES):  # what one mark hid from another: a text and its folded form must fold alike
        before = said
        if said.replace(" ", "").isalnum() and not _TIMES.search(said):
            break
        if (said := _words(_meaning(said)) or said) == before:
            break
    return said


def _words(text: str) -> str:
    """Return words without leading articles, with numbers as digits."""
    words = text.split()
    # `a` before a single letter is a letter itself, of a list: "A, B".
    while len(words) > 1 and words[0] in ARTICLES and (words[0] != "a" or len(words[1]) > 1):
        words = words[1:]
    numbers = _NUMBER_WORD.sub(lambda m: str(_VALUES[m[1] or m[3]] + _VALUES.get(m[2], 0)), " ".join(words))
    return _MINUS_WORD.sub("-", numbers)


def _fold(text: str) -> str:
    """Return a text in lower case, with one character for all that are written for each other."""
    if text.isascii():
        return text.lower().replace("`", "'")
    text = _RAISED.sub(lambda match: "^" + match.group(), _GROUP_SPACE.sub("", text))
    text = _MIXED_FRACTION.sub(" ", text.translate(_SAME))
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).replace("i\u0307", "i")
    text = _JOINER.sub("", _INVISIBLE.sub("", text.translate(_SAME)))
    return "".join(str(unicodedata.decimal(c)) if c > "9" and c.isdecimal() else c for c in text)


def _meaning(text: str) -> str:
    """Return a folded text without markup, quotation marks and sentence punctuation."""
    text = _LATEX.sub(r"\1", text)
    if (mark := _MARK_OF_LIST.match(text)) is not None:
        text = text[mark.end() :]
    if (maths := _MATHS_MODE.fullmatch(text)) is not None:
        text = maths[1]
    if "*" in text:
        text = _EMPHASIS.sub(r"\2", text)
    if '"' in text or "'" in text:
        text = _QUOTED.sub(lambda match: match[1] or match[2] or "", text)
        text = _SECONDS.sub("′′", _MINUTES.sub("′", text)).replace('"', "").replace("'", "")
    while (whole := _WHOLE.fullmatch(text)) is not None:
        text = whole[1]
    text = _ABBREVIATION.sub(lambda match: match.group().replace(".", ""), " ".join(text.split()))
    has_numbers = any(map(str.isdigit, text))
    if has_numbers:
        text = _RATIO.sub(":", _TIMES.sub("×", _THOUSANDS.sub(lambda match: match.group().replace(",", ""), text)))
    if "-" in text:
        text = _DASH.sub(_dash, text)
    text = " ".join(_MARK.sub(lambda match: _mark(match, has_numbers), _AND.sub("and", text)).split())
    text = _OPERATOR.sub(r"\1", text)
    return _UNIT_SPACE.sub("", text) if has_numbers else text


def is_letter(character: str) -> bool:
    """Return whether a character is part of a word or number: a letter, a digit, or a mark that combines with one."""
    return character.isalnum() or (character > "\x7f" and unicodedata.category(character)[0] == "M")


def _dash(match: re.Match[str]) -> str:
    """Return what a dash says: a sign, a difference or range, the end of a grade (`B-`), or no more than a space."""
    text, (before, after) = match.string, match.groups()
    left, right = text[: match.start()], text[match.end() : match.end() + 2]
    if match.group().strip() != "-":
        return " "
    number = right[:1].isdigit() or (right[1:2].isdigit() and (right[0] == "." or _category(right[0]) == "Sc"))
    ends = left[-1:]
    if not ends or not (is_letter(ends) or ends in ")]%°"):
        if number or (not after and right and is_letter(right[0])):
            return f"{before}-"
        return " "
    alone = ends.isdigit() or ends in ")]%°" or not is_letter(left[-2:-1] or " ")
    short = alone or not is_letter(left[-3:-2] or " ")
    if not right or (after and not before and not number):
        return f"-{after}" if short and not before and is_letter(ends) else " "
    if alone and (number or right[0] in "([" or (is_letter(right[0]) and not is_letter(right[1:2] or " "))):
        return "-"
    if before and (number or (not after and is_letter(right[0]))):
        return " -"
    return " "


def _mark(match: re.Match[str], keep_brackets: bool) -> str:
    """Return what a character that is neither word nor space leaves of itself."""
    mark, text, at = match.group(), match.string, match.start()
    before, after = text[at - 1 : at] or " ", text[at + 1 : at + 2] or " "
    if mark in ".,:":
        numbers = before.isdigit() and after.isdigit()
        if mark == "." and after.isdigit() and not is_letter(before) and before != ".":
            return "0."
        return mark if mark != "," and (numbers or (mark == "." and before.isalpha() and after.isalpha())) else " "
    if mark in _KEPT or (mark in _BRACKETS and keep_brackets) or (mark == "!" and after == "="):
        return mark
    return mark if _category(mark)[0] in "SM" or mark == "\u200d" or "\U000e0020" <= mark <= "\U000e007f" else " "


_category = lru_cache(maxsize=4096)(unicodedata.category)
