"""A company's own GPU prices, which stand above all others."""

from pathlib import Path

from estimator.files import read_text, write_atomically
from pricing.offers import read_contract
from pricing.own import CONTRACT, price_folder
from pricing.table import MOST_BYTES


def keep_contract(path: Path) -> str:
    """Checks a contract file, keeps a copy in the user's folder, and says so in one line.

    A copy kept before is replaced. Deleting the kept file ends its effect.
    """
    offers = read_contract(path)
    kept = price_folder() / CONTRACT
    write_atomically(kept, read_text(path, most_bytes=MOST_BYTES, kind="a table of prices"))
    gpus = ", ".join(sorted({offer.gpu for offer in offers}))
    return f"{len(offers)} contract prices ({gpus}) kept in {kept}; delete it to be without"
