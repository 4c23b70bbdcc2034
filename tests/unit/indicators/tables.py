"""Reference tables for tests: a region table whose districts were split, merged and moved, and a way to make any other."""

from __future__ import annotations

from bus.errors import ConfigurationError
from bus.indicators.reference import ReferenceTable
from bus.indicators.reference_rows import parse_table

FORM = """
title = { id = "Wilayah uji", en = "Test regions" }
version = 1
source = "made up"
licence = "CC0-1.0"
key = ["kode"]
period = ["berlaku_dari", "berlaku_sampai"]
tree = { parent = "induk", outside = ["99"], successor = "pengganti" }
[columns]
kode = { about = { id = "Kode", en = "Code" } }
induk = { about = { id = "Induk", en = "Parent" } }
tingkat = { about = { id = "Tingkat", en = "Level" }, allowed = ["kabupaten", "kota", "kecamatan", "desa", "kelurahan"] }
nama = { about = { id = "Nama", en = "Name" }, label = true }
berlaku_dari = { about = { id = "Dari", en = "From" }, type = "date", blank = true }
berlaku_sampai = { about = { id = "Sampai", en = "Until" }, type = "date", blank = true }
pengganti = { about = { id = "Pengganti", en = "Successors" }, blank = true }
"""

#: 01 was cut into 02 and 03 on 2018-07-01: two of its desa went to 02, one to 03, one was divided. 04 lost ground to 05 on the same day
#: and kept its code. On 2020-01-01 desa 02.2002 became a kelurahan, on 2021-01-01 the desa 04.2001 and 04.2002 were joined as 04.2003,
#: and 04.2004 joined 04.2005, which stayed. 04.2006 was abolished on 2022-02-02. 06 was renamed on 2023-03-03.
REGIONS = """kode,induk,tingkat,nama,berlaku_dari,berlaku_sampai,pengganti
99.01,99,kabupaten,Uji,,,
99.01.01,99.01,kecamatan,Lama,,2018-07-01,99.01.02 99.01.03
99.01.02,99.01,kecamatan,Barat,2018-07-01,,
99.01.03,99.01,kecamatan,Timur,2018-07-01,,
99.01.04,99.01,kecamatan,Tetap,,2018-07-01,99.01.04 99.01.05
99.01.04,99.01,kecamatan,Tetap,2018-07-01,,
99.01.05,99.01,kecamatan,Cabang,2018-07-01,,
99.01.06,99.01,kecamatan,Nama Lama,,2023-03-03,
99.01.06,99.01,kecamatan,Nama Baru,2023-03-03,,
99.01.01.2001,99.01.01,desa,Satu,,2018-07-01,99.01.02.2001
99.01.01.2002,99.01.01,desa,Dua,,2018-07-01,99.01.02.2002
99.01.01.2003,99.01.01,desa,Tiga,,2018-07-01,99.01.03.2001
99.01.01.2004,99.01.01,desa,Empat,,2018-07-01,99.01.02.2003 99.01.03.2002
99.01.02.2001,99.01.02,desa,Satu,2018-07-01,,
99.01.02.2002,99.01.02,desa,Dua,2018-07-01,2020-01-01,99.01.02.1001
99.01.02.1001,99.01.02,kelurahan,Dua,2020-01-01,,
99.01.02.2003,99.01.02,desa,Empat Barat,2018-07-01,,
99.01.03.2001,99.01.03,desa,Tiga,2018-07-01,,
99.01.03.2002,99.01.03,desa,Empat Timur,2018-07-01,,
99.01.04.2001,99.01.04,desa,Hulu,,2021-01-01,99.01.04.2003
99.01.04.2002,99.01.04,desa,Hilir,,2021-01-01,99.01.04.2003
99.01.04.2003,99.01.04,desa,Hulu Hilir,2021-01-01,,
99.01.04.2004,99.01.04,desa,Kecil,,2021-01-01,99.01.04.2005
99.01.04.2005,99.01.04,desa,Besar,,,
99.01.04.2006,99.01.04,desa,Waduk,,2022-02-02,
"""


def table(rows: str = REGIONS, form: str = FORM, name: str = "wilayah") -> ReferenceTable:
    """The table. Raises `ConfigurationError` with all that is wrong with it."""
    made, problems = parse_table(name, form, rows, (f"{name}.toml", f"{name}.csv"))
    if made is None:
        raise ConfigurationError(problems)
    return made


def problems_of(rows: str = REGIONS, form: str = FORM) -> list[str]:
    """Every problem as a person reads it."""
    return [str(problem) for problem in parse_table("wilayah", form, rows, ("wilayah.toml", "wilayah.csv"))[1]]
