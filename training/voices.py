"""Who speaks: English espeak-ng accents times variants, some variants never heard in training."""

import random
from dataclasses import dataclass

ACCENTS = ("en-us", "en", "en-us-nyc", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029")

HELD_OUT_VARIANTS = ("f4", "m5", "m8", "edward", "linda", "michel", "Annie", "Mario", "klatt3", "steph2")

TRAINED_VARIANTS = (
    "f1", "f2", "f3", "f5", "m1", "m2", "m3", "m4", "m6", "m7", "klatt", "klatt2", "klatt4", "klatt5", "klatt6",
    "adam", "Alex", "Alicia", "Andrea", "Andy", "anika", "announcer", "antonio", "aunty", "belinda", "benjamin",
    "boris", "caleb", "croak", "david", "Denis", "Diogo", "ed", "Gene", "Gene2", "grandma", "grandpa", "gustave",
    "Henrique", "Hugo", "iven", "iven2", "iven4", "Jacky", "john", "Lee", "marcelo", "Marco", "max", "Michael",
    "miguel", "Mike", "Nguyen", "norbert", "pablo", "paul", "pedro", "quincy", "RicishayMax", "rob", "robert",
    "sandro", "shelby", "steph", "travis", "Tweaky", "victor", "zac", "whisper",
)


@dataclass(frozen=True)
class Voice:
    """One way of speaking: `name` as espeak knows it, rate in words per minute, pitch and range 0..99."""

    name: str
    rate: int
    pitch: int
    range: int


def voice(rng: random.Random, held_out: bool = False) -> Voice:
    """Draw an accent, a variant of the wanted side of the split, and a manner."""
    variant = rng.choice(HELD_OUT_VARIANTS if held_out else TRAINED_VARIANTS)
    return Voice(f"{rng.choice(ACCENTS)}+{variant}", rng.randint(110, 205), rng.randint(25, 75), rng.randint(25, 75))
