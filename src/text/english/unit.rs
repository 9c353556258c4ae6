//! Names of units.

/// How a unit is written, one of it, and several.
type Unit = (&'static str, &'static str, &'static str);

/// Units that a number and a space may stand before.
const CLEAR: &[Unit] = &[
    ("%", "percent", "percent"),
    ("‰", "per mille", "per mille"),
    ("°", "degree", "degrees"),
    ("°C", "degree Celsius", "degrees Celsius"),
    ("°F", "degree Fahrenheit", "degrees Fahrenheit"),
    ("km", "kilometer", "kilometers"),
    ("m", "meter", "meters"),
    ("cm", "centimeter", "centimeters"),
    ("mm", "millimeter", "millimeters"),
    ("nm", "nanometer", "nanometers"),
    ("μm", "micrometer", "micrometers"),
    ("mi", "mile", "miles"),
    ("ft", "foot", "feet"),
    ("yd", "yard", "yards"),
    ("yds", "yard", "yards"),
    ("sqft", "square foot", "square feet"),
    ("ha", "hectare", "hectares"),
    ("kg", "kilogram", "kilograms"),
    ("g", "gram", "grams"),
    ("mg", "milligram", "milligrams"),
    ("μg", "microgram", "micrograms"),
    ("lb", "pound", "pounds"),
    ("lbs", "pound", "pounds"),
    ("oz", "ounce", "ounces"),
    ("L", "liter", "liters"),
    ("ml", "milliliter", "milliliters"),
    ("mL", "milliliter", "milliliters"),
    ("cl", "centiliter", "centiliters"),
    ("dl", "deciliter", "deciliters"),
    ("tbsp", "tablespoon", "tablespoons"),
    ("tsp", "teaspoon", "teaspoons"),
    ("gal", "gallon", "gallons"),
    ("h", "hour", "hours"),
    ("hr", "hour", "hours"),
    ("hrs", "hour", "hours"),
    ("min", "minute", "minutes"),
    ("mins", "minute", "minutes"),
    ("sec", "second", "seconds"),
    ("secs", "second", "seconds"),
    ("s", "second", "seconds"),
    ("ms", "millisecond", "milliseconds"),
    ("μs", "microsecond", "microseconds"),
    ("ns", "nanosecond", "nanoseconds"),
    ("yr", "year", "years"),
    ("yrs", "year", "years"),
    ("Hz", "hertz", "hertz"),
    ("kHz", "kilohertz", "kilohertz"),
    ("MHz", "megahertz", "megahertz"),
    ("GHz", "gigahertz", "gigahertz"),
    ("W", "watt", "watts"),
    ("kW", "kilowatt", "kilowatts"),
    ("MW", "megawatt", "megawatts"),
    ("GW", "gigawatt", "gigawatts"),
    ("kWh", "kilowatt hour", "kilowatt hours"),
    ("MWh", "megawatt hour", "megawatt hours"),
    ("V", "volt", "volts"),
    ("mV", "millivolt", "millivolts"),
    ("kV", "kilovolt", "kilovolts"),
    ("mA", "milliamp", "milliamps"),
    ("mAh", "milliamp hour", "milliamp hours"),
    ("kJ", "kilojoule", "kilojoules"),
    ("cal", "calorie", "calories"),
    ("kcal", "kilocalorie", "kilocalories"),
    ("Pa", "pascal", "pascals"),
    ("hPa", "hectopascal", "hectopascals"),
    ("kPa", "kilopascal", "kilopascals"),
    ("psi", "P S I", "P S I"),
    ("dB", "decibel", "decibels"),
    ("Ω", "ohm", "ohms"),
    ("kΩ", "kiloohm", "kiloohms"),
    ("kB", "kilobyte", "kilobytes"),
    ("KB", "kilobyte", "kilobytes"),
    ("MB", "megabyte", "megabytes"),
    ("GB", "gigabyte", "gigabytes"),
    ("TB", "terabyte", "terabytes"),
    ("PB", "petabyte", "petabytes"),
    ("KiB", "kibibyte", "kibibytes"),
    ("MiB", "mebibyte", "mebibytes"),
    ("GiB", "gibibyte", "gibibytes"),
    ("Kbps", "kilobit per second", "kilobits per second"),
    ("kbps", "kilobit per second", "kilobits per second"),
    ("Mbps", "megabit per second", "megabits per second"),
    ("Gbps", "gigabit per second", "gigabits per second"),
    ("mph", "mile per hour", "miles per hour"),
    ("kph", "kilometer per hour", "kilometers per hour"),
    ("mpg", "mile per gallon", "miles per gallon"),
    ("rpm", "revolution per minute", "revolutions per minute"),
    ("bpm", "beat per minute", "beats per minute"),
    ("fps", "frame per second", "frames per second"),
    ("dpi", "D P I", "D P I"),
    ("px", "pixel", "pixels"),
    ("am", "A M", "A M"),
    ("AM", "A M", "A M"),
    ("a.m", "A M", "A M"),
    ("A.M", "A M", "A M"),
    ("pm", "P M", "P M"),
    ("PM", "P M", "P M"),
    ("p.m", "P M", "P M"),
    ("P.M", "P M", "P M"),
];

/// Units that are letters or words by themselves, and so must touch their number.
const GLUED: &[Unit] = &[
    ("in", "inch", "inches"),
    ("\"", "inch", "inches"),
    ("'", "foot", "feet"),
    ("l", "liter", "liters"),
    ("A", "amp", "amps"),
    ("N", "newton", "newtons"),
    ("J", "joule", "joules"),
    ("d", "day", "days"),
    ("K", "K", "K"),
    ("x", "time", "times"),
    ("X", "time", "times"),
    ("M", "million", "million"),
    ("B", "billion", "billion"),
    ("bn", "billion", "billion"),
    ("pt", "point", "points"),
    ("T", "tesla", "tesla"),
    ("wk", "week", "weeks"),
    ("day", "day", "day"),
    ("mo", "month", "months"),
    ("month", "month", "months"),
];

/// Units that are abbreviations with a full stop.
const DOTTED: &[&str] = &[
    "ft", "in", "lb", "lbs", "oz", "hr", "hrs", "min", "mins", "sec", "secs", "yr", "yrs", "yd", "yds", "mi", "gal",
    "tbsp", "tsp", "a.m", "p.m", "A.M", "P.M",
];

/// The name of `written`, with powers and quotients: `km/h`, `m²`, `m/s^2`.
pub(super) fn named(written: &str, one: bool) -> Option<String> {
    const LONGEST: usize = 16;
    if written.len() > LONGEST {
        return None;
    }
    let (above, below) = written.split_once('/').map_or((written, None), |(above, below)| (above, Some(below)));
    let above = powered(above, one)?;
    match below {
        None => Some(above),
        Some(below) => Some(format!("{above} per {}", powered(below, true)?)),
    }
}

pub(super) fn stands_alone(written: &str) -> bool {
    let first = written.split('/').next().unwrap_or_default();
    let (base, _) = power(first);
    find(CLEAR, base).is_some()
}

pub(super) fn takes_dot(written: &str) -> bool {
    DOTTED.contains(&written)
}

fn find(table: &[Unit], written: &str) -> Option<Unit> {
    let written = if let Some(rest) = written.strip_prefix('µ') { format!("μ{rest}") } else { written.to_owned() };
    table.iter().find(|(name, ..)| *name == written).copied()
}

fn powered(written: &str, one: bool) -> Option<String> {
    let (base, power) = power(written);
    let (_, single, several) = find(CLEAR, base).or_else(|| find(GLUED, base))?;
    let name = if one { single } else { several };
    Some(match power {
        Some('2') if base.ends_with('s') && base.len() == 1 => format!("{name} squared"),
        Some('2') => format!("square {name}"),
        Some('3') => format!("cubic {name}"),
        _ => name.to_owned(),
    })
}

/// The base of a unit and its power; only of lengths and seconds, since `B2` is no unit.
fn power(written: &str) -> (&str, Option<char>) {
    const MARKS: &[(&str, char)] = &[("^2", '2'), ("^3", '3'), ("²", '2'), ("³", '3'), ("2", '2'), ("3", '3')];
    let found = MARKS.iter().find_map(|(mark, power)| written.strip_suffix(mark).map(|base| (base, Some(*power))));
    found
        .filter(|(base, _)| matches!(*base, "m" | "km" | "cm" | "mm" | "ft" | "in" | "mi" | "s"))
        .unwrap_or((written, None))
}
