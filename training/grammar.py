"""What the voices say: a grammar of voice-assistant English, lower case, numbers as words.

A sentence is held out by the hash of its own text, so the split needs no file and
cannot drift: `is_held_out` is the whole definition.
"""

import random
import re
import zlib

UNITS = "zero one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()

SLOTS = {
    "room": "kitchen|bedroom|bathroom|living room|hallway|garage|garden|office|attic|basement|"
    "dining room|balcony|guest room|nursery|laundry room",
    "thing": "lights|lamp|fan|heater|television|radio|oven|speaker|camera|heating|alarm|printer|"
    "coffee machine|dishwasher|washing machine|air conditioner|humidifier|projector|vacuum",
    "cover": "door|window|blinds|curtains|gate|garage door|front door|back door|shutters",
    "colour": "red|green|blue|yellow|orange|purple|pink|white|warm white|turquoise|violet|gold",
    "switch": "on|off",
    "day": "monday|tuesday|wednesday|thursday|friday|saturday|sunday",
    "month": "january|february|march|april|may|june|july|august|september|october|november|december",
    "when": "today|tomorrow|tonight|this morning|this afternoon|this evening|on {day}|next {day}|"
    "next week|at the weekend|at {time}|in {amount}|on {date}|on {day} at {time}|tomorrow at {time}",
    "part": "in the morning|in the afternoon|in the evening|at night",
    "city": "london|paris|berlin|madrid|rome|boston|chicago|tokyo|sydney|dublin|vienna|oslo",
    "music": "jazz|rock|classical music|blues|folk|country music|pop|piano music|the news|"
    "a podcast|my playlist|my favourite song|some music|an audio book|the radio",
    "person": "anna|david|maria|peter|sarah|michael|emma|james|laura|robert|mum|dad|grandma",
    "task": "buy milk|call {person}|water the plants|feed the cat|walk the dog|pay the rent|"
    "take out the trash|pick up the children|send the report|clean the {room}|charge the car|"
    "book a table|check the oven|take the medicine|visit {person}|wash the car",
    "item": "milk|bread|eggs|butter|cheese|apples|bananas|coffee|tea|rice|sugar|salt|tomatoes|"
    "potatoes|onions|chicken|fish|pasta|soap|paper towels|water|orange juice",
    "unit": "seconds|minutes|hours|days",
    "amount": "{number} {unit}|{small} {unit}|one minute|one hour|half an hour|one second|"
    "{small} and a half hours",
    "level": "{number} percent|maximum|minimum|half|{small}",
    "scene": "movie|dinner|party|reading|sleep|holiday|morning|evening|work|quiet",
    "weather": "rain|snow|be sunny|be cold|be warm|be windy|be cloudy|freeze|get hot",
    "operation": "plus|minus|times|divided by",
    "polite": "please|now|right now|for me|again",
    "wake": "okay|hey computer|computer|hello|thanks and|could you|can you|please|would you",
    "command": "turn {switch} the {thing}|turn {switch} the {room} lights|switch {switch} the {thing} in the {room}|"
    "turn the {room} {thing} {switch}|turn {switch} the lights in the {room}|"
    "turn {switch} all the lights|switch everything {switch}|"
    "set the {room} lights to {colour}|make the lights {colour}|change the lamp to {colour}|"
    "dim the {room} lights to {level}|dim the lights|make the {room} brighter|make it darker|"
    "set the brightness to {level}|open the {cover}|close the {cover}|lock the {cover}|"
    "open the {cover} in the {room}|close the {room} blinds|unlock the {cover}|is the {cover} open|"
    "is the {cover} closed|is the {thing} {switch}|is the {room} {thing} still {switch}|"
    "set the temperature to {number} degrees|set the {room} to {number} degrees|"
    "make the {room} warmer|make it cooler in the {room}|what is the temperature in the {room}|"
    "set a timer for {amount}|set a timer for {amount} and {amount}|start a timer for {amount}|"
    "cancel the timer|stop the timer|pause the timer|how much time is left|add {amount} to the timer|"
    "wake me up at {time}|set an alarm for {time}|set an alarm for {time} {when}|cancel my alarm|"
    "remind me to {task}|remind me to {task} {when}|remind me {when} to {task}|"
    "add {item} to the shopping list|add {item} and {item} to my shopping list|"
    "put {number} {item} on the list|remove {item} from the shopping list|read my shopping list|"
    "play {music}|play {music} in the {room}|play {music} on the {room} speaker|stop the music|"
    "pause the music|next song|previous song|skip this song|turn the volume up|turn the volume down|"
    "set the volume to {level}|louder|quieter|mute the television|what song is this|"
    "change to channel {number}|play channel {number}|"
    "what is the weather {when}|what is the weather like in {city}|how is the weather in {city} {when}|"
    "will it {weather} {when}|will it {weather} in {city}|how cold is it in {city}|how warm is it outside|"
    "do i need an umbrella {when}|what time is it|what time is it in {city}|what is the date today|"
    "what day is it|what is on my calendar {when}|when is my next meeting|"
    "move the meeting to {time}|cancel the meeting {when}|call {person}|call {person} {when}|"
    "send a message to {person}|read my messages|answer the phone|hang up|"
    "start {scene} mode|stop {scene} mode|start the {thing}|stop the {thing}|start the vacuum in the {room}|"
    "good morning|good night|good evening|hello|thank you|thank you very much|goodbye|"
    "i am home|i am leaving|where is my phone|find my keys|tell me a joke|tell me a story|"
    "what is {number} {operation} {number}|how far is it to {city}|how long does it take to {city}|"
    "what can you do|help|repeat that|never mind|show me the {room} camera|show me the {cover}",
    "answer": "yes|no|yes please|no thanks|stop|cancel|okay|go on|continue|maybe|not now|later|"
    "that is right|that is wrong|all of them|the first one|the second one|the last one|"
    "the {colour} one|in the {room}|the {room} one|only the {thing}|{number}|{time}|{when}|{person}",
}

TEMPLATES = {name: body.split("|") for name, body in SLOTS.items()}
SLOT = re.compile(r"\{(\w+)\}")
VOCABULARY = sorted({w for body in SLOTS.values() for w in re.sub(SLOT, " ", body).replace("|", " ").split()}
                    | set(UNITS + TEENS + TENS + ORDINALS + ["hundred", "o'clock", "past", "quarter", "oh"]))

WORDS = sorted([*VOCABULARY, "midnight", "noon", "thirtieth"])


def number(value: int) -> str:
    """`value` in 0..999 as words: 342 is "three hundred forty two"."""
    if value >= 100:
        rest = value % 100
        return f"{UNITS[value // 100]} hundred" + (f" {number(rest)}" if rest else "")
    if value >= 20:
        return TENS[value // 10 - 2] + (f" {UNITS[value % 10]}" if value % 10 else "")
    return (UNITS + TEENS)[value]


def clock(rng: random.Random) -> str:
    """A time of day: "half past six", "seven oh five", "eight o'clock in the evening"."""
    hour, minute = number(rng.randint(1, 12)), rng.randint(1, 59)
    digital = f"{hour} {'oh ' if minute < 10 else ''}{number(minute)}"
    spoken = rng.choice([
        f"{hour} o'clock", f"half past {hour}", f"quarter past {hour}", f"quarter to {hour}",
        f"{number(rng.choice([5, 10, 20, 25]))} {rng.choice(['past', 'to'])} {hour}",
        f"{hour} {rng.choice(['thirty', 'fifteen', 'forty five'])}", digital, digital, "noon", "midnight",
    ])
    return spoken + (f" {expand('{part}', rng)}" if rng.random() < 0.2 else "")


def date(rng: random.Random) -> str:
    """A day of the year: "the third of may" or "may twenty first"."""
    day = rng.randint(1, 31)
    words = ORDINALS[day - 1] if day <= 20 else "thirtieth" if day == 30 else f"{TENS[day // 10 - 2]} {ORDINALS[day % 10 - 1]}"
    month = rng.choice(TEMPLATES["month"])
    return rng.choice([f"the {words} of {month}", f"{month} {words}", f"{month} the {words}"])


MADE = {
    "number": lambda rng: number(rng.choice([rng.randint(0, 20), rng.randint(10, 99), rng.randint(100, 999)])),
    "small": lambda rng: number(rng.randint(2, 12)),
    "time": clock,
    "date": date,
}


def expand(template: str, rng: random.Random) -> str:
    """Fill every `{slot}` of `template`, slots within slots too."""
    def fill(match: re.Match) -> str:
        name = match[1]
        return MADE[name](rng) if name in MADE else expand(rng.choice(TEMPLATES[name]), rng)
    return SLOT.sub(fill, template)


def command(rng: random.Random) -> str:
    """A command, one in four with a polite word before or after it."""
    text, manner = expand("{command}", rng), rng.random()
    if manner < 0.15:
        return expand("{wake} ", rng) + text
    return text + expand(" {polite}", rng) if manner < 0.25 else text


def digits(rng: random.Random) -> str:
    """Two to seven digits, as in a telephone number or a code."""
    return " ".join(rng.choice(UNITS + ["oh"] * 1) for _ in range(rng.randint(2, 7)))


def salad(rng: random.Random) -> str:
    """Random words: grammar is no help here, so the ear has to learn every word."""
    return " ".join(rng.choice(VOCABULARY) for _ in range(rng.randint(1, 6)))


KINDS = {command: 0.5, digits: 0.1, salad: 0.2, lambda rng: expand("{answer}", rng): 0.1,
         lambda rng: expand(rng.choice(["{number} {number}", "{time}", "{date}", "{when}"]), rng): 0.1}
TASKS = {command: 0.75, digits: 0.1, lambda rng: expand(rng.choice(["{time}", "{date}", "{when}"]), rng): 0.15}


def is_held_out(text: str) -> bool:
    """Whether `text` is kept for evaluation: one sentence in sixteen of three words or more."""
    return text.count(" ") >= 2 and zlib.crc32(text.encode()) % 16 == 0


def sentence(rng: random.Random, held_out: bool = False) -> str:
    """One sentence of the wanted side of the split; evaluation has no word salad."""
    kinds = TASKS if held_out else KINDS
    while True:
        text = rng.choices(list(kinds), kinds.values())[0](rng)
        if is_held_out(text) == held_out:
            return text


if __name__ == "__main__":
    for index in range(40):
        print(sentence(random.Random(index)))
    print(len(VOCABULARY), "words")
