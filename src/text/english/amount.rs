//! Money, and quantities with units.

use super::{
    number::{Number, Quantity, cardinal},
    words::{Reading, Words},
};

struct Currency {
    sign: &'static str,
    one: &'static str,
    many: &'static str,
    hundredth: Option<(&'static str, &'static str)>,
}

const fn currency(
    sign: &'static str,
    one: &'static str,
    many: &'static str,
    hundredth: Option<(&'static str, &'static str)>,
) -> Currency {
    Currency { sign, one, many, hundredth }
}

const CENTS: Option<(&str, &str)> = Some(("cent", "cents"));
const PENCE: Option<(&str, &str)> = Some(("penny", "pence"));

const CURRENCIES: &[Currency] = &[
    currency("US$", "U S dollar", "U S dollars", CENTS),
    currency("USD", "U S dollar", "U S dollars", CENTS),
    currency("AU$", "Australian dollar", "Australian dollars", CENTS),
    currency("A$", "Australian dollar", "Australian dollars", CENTS),
    currency("CA$", "Canadian dollar", "Canadian dollars", CENTS),
    currency("C$", "Canadian dollar", "Canadian dollars", CENTS),
    currency("$", "dollar", "dollars", CENTS),
    currency("£", "pound", "pounds", PENCE),
    currency("GBP", "British pound", "British pounds", PENCE),
    currency("€", "euro", "euros", CENTS),
    currency("EUR", "euro", "euros", CENTS),
    currency("¥", "yen", "yen", None),
    currency("JPY", "yen", "yen", None),
    currency("₹", "rupee", "rupees", Some(("paisa", "paise"))),
    currency("CHF", "Swiss franc", "Swiss francs", CENTS),
    currency("₿", "bitcoin", "bitcoins", None),
    currency("¢", "cent", "cents", None),
];

const MAGNITUDES: &[(&str, &str)] = &[
    ("k", "thousand"),
    ("K", "thousand"),
    ("m", "million"),
    ("M", "million"),
    ("mn", "million"),
    ("b", "billion"),
    ("B", "billion"),
    ("bn", "billion"),
    ("tn", "trillion"),
    ("T", "trillion"),
];
const SPELLED: &[&str] = &["hundred", "thousand", "million", "billion", "trillion"];

/// `$12.50`, `-£5m`, `€10-20 million`, `5 €`, `USD 5`, `$5/month`.
pub(super) fn money(words: &Words<'_>, at: usize) -> Option<Reading> {
    let core = words.core(at);
    before(words, at, core).or_else(|| after(words, at, core))
}

fn before(words: &Words<'_>, at: usize, core: &str) -> Option<Reading> {
    let (minus, unsigned) = core.strip_prefix('-').map_or(("", core), |rest| ("minus ", rest));
    let currency = CURRENCIES.iter().find(|currency| unsigned.starts_with(currency.sign))?;
    let amount = &unsigned[currency.sign.len()..];
    if amount.is_empty() && currency.sign.len() == 3 && words.follows(at) {
        let (spoken, used) = spoken(currency, words, at + 1, words.core(at + 1))?;
        return Some(Reading::of(spoken, used + 1));
    }
    let amount = if amount.contains(['-', '–']) { amount.replace(currency.sign, "") } else { amount.to_owned() };
    let (spoken, used) = spoken(currency, words, at, &amount)?;
    Some(Reading::of(format!("{minus}{spoken}"), used))
}

/// The words of `amount`, which is all of the token `at` but the sign, and how many tokens they take.
fn spoken(currency: &Currency, words: &Words<'_>, at: usize, amount: &str) -> Option<(String, usize)> {
    let (quantity, rest) =
        Quantity::parse(amount).filter(|_| amount.starts_with(|c: char| c.is_ascii_digit() || c == '.'))?;
    let (rest, per) = rest.split_once('/').map_or((rest, ""), |(rest, per)| (rest, per));
    let rest = rest.strip_suffix('+').map_or((rest, ""), |rest| (rest, " or more"));
    let per = match per {
        "" => String::new(),
        per if per.chars().all(char::is_alphabetic) => {
            format!(" per {}", super::unit::named(per, true).unwrap_or(per.to_owned()))
        }
        _ => return None,
    };
    let next = words.follows(at).then(|| words.core(at + 1)).filter(|next| SPELLED.contains(next));
    let magnitude = MAGNITUDES.iter().find(|(short, _)| *short == rest.0).map(|(_, long)| *long);
    let (money, used) = match (magnitude, rest.0, next) {
        (Some(magnitude), ..) => (format!("{} {magnitude} {}", quantity.words, currency.many), 1),
        (None, "", Some(next)) => (format!("{} {next} {}", quantity.words, currency.many), 2),
        (None, "", None) => (coins(currency, amount, &quantity), 1),
        _ => return None,
    };
    Some((format!("{money}{}{per}", rest.1), used))
}

/// An amount with its hundredths.
fn coins(currency: &Currency, amount: &str, quantity: &Quantity) -> String {
    let number = Number::parse(amount).filter(|_| !quantity.compound).map(|(number, _)| number);
    let cents = number.as_ref().and_then(|number| number.fraction).filter(|cents| cents.len() == 2);
    if let (Some(number), Some(cents), Some((cent, many))) = (&number, cents, currency.hundredth) {
        let whole = if number.whole.is_empty() { "0" } else { &number.whole };
        let small = cents != "00";
        let zero = whole.bytes().all(|byte| byte == b'0');
        let coin = format!("{} {}", cardinal(cents), if cents == "01" { cent } else { many });
        let note = format!("{} {}", cardinal(whole), if whole == "1" { currency.one } else { currency.many });
        return match (zero, small) {
            (true, true) => coin,
            (false, true) => format!("{note} and {coin}"),
            _ => note,
        };
    }
    format!("{} {}", quantity.words, if quantity.one && !quantity.compound { currency.one } else { currency.many })
}

/// `5€`, `5 €`, `5 USD`, `50¢`.
fn after(words: &Words<'_>, at: usize, core: &str) -> Option<Reading> {
    let (_, rest) = Quantity::parse(core)?;
    let (sign, used) = match rest {
        "" if words.follows(at) => (words.core(at + 1), 2),
        rest => (rest, 1),
    };
    let currency = CURRENCIES.iter().find(|currency| currency.sign == sign)?;
    let (quantity, _) = Quantity::parse(core)?;
    Some(Reading::of(coins(currency, &core[..core.len() - rest.len()], &quantity), used))
}

/// `5kg`, `5 km/h`, `-3°C`, `10-20%`, `1/2 in.`, `5-6pm`.
pub(super) fn measure(words: &Words<'_>, at: usize) -> Option<Reading> {
    let core = words.core(at);
    let (quantity, rest) = Quantity::parse(core)?;
    if !rest.is_empty() {
        let unit = super::unit::named(rest.strip_prefix('-').unwrap_or(rest), quantity.one || rest.starts_with('-'))?;
        let dot = usize::from(super::unit::takes_dot(rest) && words.dot_is_mute(at));
        return Some(Reading { text: format!("{} {unit}", quantity.words), tokens: 1, swallowed: dot });
    }
    let next = words.follows(at).then(|| words.core(at + 1)).filter(|next| super::unit::stands_alone(next))?;
    let unit = super::unit::named(next, quantity.one)?;
    let dot = usize::from(super::unit::takes_dot(next) && words.dot_is_mute(at + 1));
    Some(Reading { text: format!("{} {unit}", quantity.words), tokens: 2, swallowed: dot })
}

/// `5'11"`: feet and inches.
pub(super) fn height(words: &Words<'_>, at: usize) -> Option<Reading> {
    let (feet, inches) = words.core(at).split_once('\'')?;
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let marked = words.tail(at).starts_with('"') && !words.lead(at).contains('"');
    if !digits(feet) || !digits(inches) || !marked {
        return None;
    }
    let count = |number: &str, one: &str, many: &str| {
        format!("{} {}", cardinal(number), if number == "1" { one } else { many })
    };
    let text = format!("{} {}", count(feet, "foot", "feet"), count(inches, "inch", "inches"));
    Some(Reading { text, tokens: 1, swallowed: 1 })
}
