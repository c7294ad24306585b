"""sqlfluff over compiled models: one of each shape that the macros write, and those with statements of their own."""

import asyncio
import sys
from pathlib import Path

from services.platform.settings import ROOT

SHAPES = (
    "ods/credit_loan",
    "dw/raw_vault/hub_loan",
    "dw/raw_vault/link_loan",
    "dw/raw_vault/sat_loan",
    "dw/business_vault/payment_allocation",
    "dw/business_vault/loan_movement",
    "dm/fact_decision",
    "dm/dim_date",
    "ap/kpi_decision",
    "ap/kpi_portfolio",
)


async def complaints(models: Path, dialect: str) -> str:
    """What sqlfluff says of SHAPES under the folder of compiled models; nothing when it finds nothing."""
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "sqlfluff",
            "lint",
            "--dialect",
            dialect,
            "--config",
            str(ROOT / ".sqlfluff"),
        ),
        # dbt ends no file with a newline.
        *("--rules", "capitalisation.keywords"),
        *(str(models / f"{shape}.sql") for shape in SHAPES),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return said.decode() if process.returncode else ""
