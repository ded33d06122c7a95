"""The work of silver_users and silver_items: the ids that the present files use, from a dictionary to a table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from reco_platform.contracts.tables import Contract
from reco_platform.datasets import bronze, id_dictionary
from reco_platform.datasets.id_dictionary import Name
from reco_platform.datasets.id_variants import VARIANTS, count_variants
from reco_platform.engine.task import Task
from reco_platform.fingerprint.arrow import arrow_sums
from reco_platform.fingerprint.spec import fingerprint
from reco_platform.lakehouse.receipts import Receipt


def ids_table(task: Task, contract: Contract) -> Receipt:
    """Makes the table of a contract with an id and a source id.

    Raises:
        DictionaryError: the dictionary was deleted or edited.
    """
    name: Name = "users" if contract.name == "users" else "items"
    used = id_dictionary.read_used_ids(task.path("bronze"))
    texts = id_dictionary.read_texts(bronze.dictionary_folder(task.lakehouse), name, used)
    variants = count_variants(texts)
    for kind, count in variants.items():
        if count:
            task.log(f"{count:,} of {len(texts):,} ids of {name} {VARIANTS[kind]}; each stays an id of its own")
    numbers = pa.array(np.arange(len(texts), dtype=np.int32))
    table = pa.table([numbers, texts], names=contract.names).cast(contract.schema)
    content = fingerprint(contract.schema_hash, arrow_sums(table, contract.names))
    return task.publish(task.stage_table(table), contract, fingerprint=content, rows=len(table), facts=variants)
