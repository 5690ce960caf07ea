"""Copy five Bayesian networks out of the installed package pgmpy into `data/bayesnets/`, unchanged.

    python data/make/bayesnets.py

The files are in the Bayesian interchange format (BIF), compressed with gzip, as the package ships them.
"""

from __future__ import annotations

from importlib import resources

from files import DATA, register, require

VERSION = "1.1.2"
NETWORKS = ("asia", "sachs", "child", "insurance", "alarm")

if __name__ == "__main__":
    require("pgmpy", VERSION)
    folder = DATA / "bayesnets"
    folder.mkdir(exist_ok=True)
    for network in NETWORKS:
        path = folder / f"{network}.bif.gz"
        path.write_bytes((resources.files("pgmpy") / "utils" / "example_models" / path.name).read_bytes())
        print(f"{register(path)}  {path}")
