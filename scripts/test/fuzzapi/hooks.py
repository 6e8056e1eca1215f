"""What schemathesis cannot learn about the API from its document."""

import itertools
import re
import unicodedata

import schemathesis

numbers = itertools.count()

# The form of a valid cursor in each order.
cursors = {
    "id": re.compile(r"[0-9]+"),
    "-id": re.compile(r"[0-9]+"),
    "priority": re.compile(r"priority\.[0-9]+\.[0-9]+"),
    "-priority": re.compile(r"-priority\.[0-9]+\.[0-9]+"),
}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes the key of each creation unique, because a key that was used for another
    task is rejected. An invalid key stays unchanged."""
    key = (case.headers or {}).get("Idempotency-Key")
    if not isinstance(key, str) or not 0 < len(key) < 240 or not all("!" <= c <= "~" for c in key):
        return
    if not key.startswith('"'):
        case.headers["Idempotency-Key"] = f"{key}-{next(numbers)}"
    elif key.endswith('"') and len(key) > 2:
        case.headers["Idempotency-Key"] = f'{key[:-1]}-{next(numbers)}"'


@schemathesis.hook("before_call")
def show_title(context, case, kwargs):
    """Adds a visible character to a title without one, which no pattern can require."""
    body = case.body
    title = body.get("title") if isinstance(body, dict) else None
    if isinstance(title, str) and title.strip() and len(title) < 500 and not any(map(is_visible, title)):
        body["title"] = title + "x"


@schemathesis.hook("before_call")
def fit_cursor(context, case, kwargs):
    """Sends a cursor only with its own order, and with another valid order none."""
    query = case.query or {}
    after, sort = query.get("after"), query.get("sort", "id")
    if not isinstance(sort, str) or sort not in cursors or not isinstance(after, (int, str)):
        return
    fitting = [order for order, form in cursors.items() if form.fullmatch(str(after))]
    if fitting and sort not in fitting:
        del query["after"]


def is_visible(character):
    return unicodedata.category(character)[0] not in "CMZ" and character not in "\u115f\u1160\u2800\u3164\uffa0"
