"""What schemathesis can not know of the API by its document."""

import itertools

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
