"""What schemathesis can not know of the API by its document."""

import itertools
import unicodedata

import schemathesis

numbers = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Gives each creation a key of its own, for the same key and another task are
    refused, as they should be. A key that is no key stays as it is."""
    key = (case.headers or {}).get("Idempotency-Key")
    if not isinstance(key, str) or not 0 < len(key) < 240 or not all("!" <= c <= "~" for c in key):
        return
    if not key.startswith('"'):
        case.headers["Idempotency-Key"] = f"{key}-{next(numbers)}"
    elif key.endswith('"') and len(key) > 2:
        case.headers["Idempotency-Key"] = f'{key[:-1]}-{next(numbers)}"'


@schemathesis.hook("before_call")
def show_title(context, case, kwargs):
    """Adds something visible to a title that has nothing of the kind: no pattern can
    ask for it."""
    body = case.body
    title = body.get("title") if isinstance(body, dict) else None
    if isinstance(title, str) and title.strip() and len(title) < 500 and not any(map(is_visible, title)):
        body["title"] = title + "x"


def is_visible(character):
    return unicodedata.category(character)[0] not in "CMZ" and character not in "\u115f\u1160\u2800\u3164\uffa0"
