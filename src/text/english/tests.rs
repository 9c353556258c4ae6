//! What is written, and how it is read. One line a case.

use super::English;
use crate::text::clean::fold;

fn speak(language: &str, text: &str) -> String {
    English::of(language).unwrap().speak(&fold(text), |_| false)
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(written, spoken)| (written, spoken, speak("en-US", written)))
        .filter(|(_, spoken, read)| *spoken != read)
        .map(|(written, spoken, read)| format!("{written:?}\n  is read {read:?}\n  not     {spoken:?}"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn numbers() {
    check(&[
        ("0", "zero"),
        ("7", "seven"),
        ("13", "thirteen"),
        ("21", "twenty-one"),
        ("100", "one hundred"),
        ("342", "three hundred forty-two"),
        ("1,000", "one thousand"),
        ("1,234,567", "one million two hundred thirty-four thousand five hundred sixty-seven"),
        ("12000", "twelve thousand"),
        ("1000000000000", "one trillion"),
        ("5551234567890", "five five five one two three four five six seven eight nine zero"),
        ("007", "zero zero seven"),
        ("-5", "minus five"),
        ("−5", "minus five"),
        ("+5", "plus five"),
        ("±2", "plus or minus two"),
        ("~50", "about fifty"),
        (">3", "more than three"),
        ("≤10", "at most ten"),
        ("3.14", "three point one four"),
        ("0.05", "zero point zero five"),
        (".5", "point five"),
        ("-0.5", "minus zero point five"),
        ("1,234.5", "one thousand two hundred thirty-four point five"),
        ("1st, 2nd, 3rd, 4th", "first, second, third, fourth"),
        ("the 21st", "the twenty-first"),
        ("the 112th", "the one hundred twelfth"),
        ("the 20th and 30th", "the twentieth and thirtieth"),
        ("1,000th", "one thousandth"),
        ("5-10", "five to ten"),
        ("5–10", "five to ten"),
        ("pages 10-20.", "pages ten to twenty."),
        ("(3)", "(three)"),
        ("5,6,7", "five, six, seven"),
        ("#1", "number one"),
        ("10^6", "ten to the power of six"),
        ("x²", "x squared"),
        ("1.5e-3", "one point five times ten to the power of minus three"),
        ("3x4", "three by four"),
        ("1920×1080", "one thousand nine hundred twenty by one thousand eighty"),
        ("100,000+ users", "one hundred thousand plus users"),
        ("a 3rd-grade test", "a third-grade test"),
        ("F-16s", "F-sixteens"),
        ("10^-3", "ten to the power of minus three"),
        ("2x faster", "two times faster"),
        ("5 million people", "five million people"),
        ("2.5 billion", "two point five billion"),
    ]);
}

#[test]
fn fractions_and_ratios() {
    check(&[
        ("1/2", "one half"),
        ("½", "one half"),
        ("3/4", "three quarters"),
        ("2/3", "two thirds"),
        ("5/8", "five eighths"),
        ("1 1/2", "one and a half"),
        ("2½", "two and a half"),
        ("2 ¾ cups", "two and three quarters cups"),
        ("7/23", "seven over twenty-three"),
        ("50/50", "fifty-fifty"),
        ("10/10", "ten out of ten"),
        ("24/7", "twenty-four seven"),
        ("3:1", "three to one"),
        ("1/2 km", "one half kilometer"),
    ]);
}

#[test]
fn years_and_decades() {
    check(&[
        ("in 1066", "in ten sixty-six"),
        ("in '68", "in sixty-eight"),
        ("in 1984", "in nineteen eighty-four"),
        ("1905", "nineteen oh five"),
        ("1900", "nineteen hundred"),
        ("2000", "two thousand"),
        ("2005", "two thousand five"),
        ("2024.", "twenty twenty-four."),
        ("1990-1995", "nineteen ninety to nineteen ninety-five"),
        ("1990–95", "nineteen ninety to ninety-five"),
        ("the 1990s", "the nineteen nineties"),
        ("the '80s", "the eighties"),
        ("the 80s", "the eighties"),
        ("the 2010s", "the twenty tens"),
        ("3000 people", "three thousand people"),
        ("1,984 people", "one thousand nine hundred eighty-four people"),
    ]);
}

#[test]
fn dates() {
    check(&[
        ("March 5, 2024", "March fifth, twenty twenty-four"),
        ("March 5th, 2024, at noon", "March fifth, twenty twenty-four, at noon"),
        ("Mar. 5", "March fifth"),
        ("on Jan 1.", "on January first."),
        ("Sept. 3-5", "September third to fifth"),
        ("Dec 2023", "December twenty twenty-three"),
        ("5 March 2024", "the fifth of March twenty twenty-four"),
        ("the 5 March", "the fifth of March"),
        ("the 5th of May", "the fifth of May"),
        ("2024-03-05", "March fifth, twenty twenty-four"),
        ("3/5/2024", "March fifth, twenty twenty-four"),
        ("25/12/2024", "December twenty-fifth, twenty twenty-four"),
        ("3/5/24", "March fifth, twenty-four"),
        ("5.3.2024", "March fifth, twenty twenty-four"),
        ("Mon, March 4", "Monday, March fourth"),
        ("Fri. 7 June", "Friday the seventh of June"),
        ("I may go. May I?", "I may go. May I?"),
        ("They march on.", "They march on."),
    ]);
    assert_eq!(speak("en-GB", "3/5/2024"), "the third of May twenty twenty-four");
    assert_eq!(speak("en-GB", "2024-03-05"), "the fifth of March twenty twenty-four");
    assert_eq!(speak("en", "3/5/2024"), "March fifth, twenty twenty-four");
}

#[test]
fn times() {
    check(&[
        ("at 10:30", "at ten thirty"),
        ("10:05", "ten oh five"),
        ("10:00", "ten o'clock"),
        ("14:30", "fourteen thirty"),
        ("15:00", "fifteen hundred"),
        ("0:00", "midnight"),
        ("7:15 am", "seven fifteen A M"),
        ("7:15pm", "seven fifteen P M"),
        ("at 5 p.m. today", "at five P M today"),
        ("at 5 p.m.", "at five P M."),
        ("at 5 p.m. He left.", "at five P M. He left."),
        ("at 5:30 p.m. EST", "at five thirty P M EST"),
        ("5am", "five A M"),
        ("10 AM", "ten A M"),
        ("9:00-17:30", "nine o'clock to seventeen thirty"),
        ("9-5", "nine to five"),
        ("10:15:30", "ten fifteen and thirty seconds"),
        ("5-6pm", "five to six P M"),
    ]);
}

#[test]
fn money() {
    check(&[
        ("$5", "five dollars"),
        ("$1", "one dollar"),
        ("$1.01", "one dollar and one cent"),
        ("$12.50", "twelve dollars and fifty cents"),
        ("$0.99", "ninety-nine cents"),
        ("$1,250.00", "one thousand two hundred fifty dollars"),
        ("£3.20", "three pounds and twenty pence"),
        ("€10,", "ten euros,"),
        ("10€", "ten euros"),
        ("10 €", "ten euros"),
        ("-$5", "minus five dollars"),
        ("$3.5 million", "three point five million dollars"),
        ("$2bn", "two billion dollars"),
        ("$50k", "fifty thousand dollars"),
        ("$10-20", "ten to twenty dollars"),
        ("$10–$20", "ten to twenty dollars"),
        ("50¢", "fifty cents"),
        ("¥500", "five hundred yen"),
        ("US$5", "five U S dollars"),
        ("5 USD", "five U S dollars"),
        ("EUR 20", "twenty euros"),
        ("$5/month", "five dollars per month"),
        ("$20/hr", "twenty dollars per hour"),
        ("$1984", "one thousand nine hundred eighty-four dollars"),
    ]);
}

#[test]
fn units() {
    check(&[
        ("5 km", "five kilometers"),
        ("1 km", "one kilometer"),
        ("5km.", "five kilometers."),
        ("50%", "fifty percent"),
        ("3.5 %", "three point five percent"),
        ("10-20%", "ten to twenty percent"),
        ("20°C", "twenty degrees Celsius"),
        ("-3 °F", "minus three degrees Fahrenheit"),
        ("90°", "ninety degrees"),
        ("100 km/h", "one hundred kilometers per hour"),
        ("60 mph", "sixty miles per hour"),
        ("9.8 m/s²", "nine point eight meters per second squared"),
        ("20 m²", "twenty square meters"),
        ("16 GB", "sixteen gigabytes"),
        ("44.1kHz", "forty-four point one kilohertz"),
        ("6 ft. tall", "six feet tall"),
        ("6 lbs", "six pounds"),
        ("5'11\"", "five feet eleven inches"),
        ("a 10-km run", "a ten kilometer run"),
        ("a 5-foot wall", "a five-foot wall"),
        ("2 hrs 5 min", "two hours five minutes"),
        ("1990 kg", "one thousand nine hundred ninety kilograms"),
        ("5µm", "five micrometers"),
        ("8 a day", "eight a day"),
        ("7B", "seven billion"),
        ("16px", "sixteen pixels"),
    ]);
}

#[test]
fn phone_numbers_and_codes() {
    check(&[
        ("555-1234", "five five five, one two three four"),
        ("555-123-4567.", "five five five, one two three, four five six seven."),
        ("(555) 123-4567", "(five five five), one two three, four five six seven"),
        ("+1 555 123 4567", "plus one, five five five, one two three, four five six seven"),
        ("+44 20 7946 0958", "plus four four, two zero, seven nine four six, zero nine five eight"),
        ("123-45-6789", "one two three, four five, six seven eight nine"),
        ("192.168.0.1", "one hundred ninety-two dot one hundred sixty-eight dot zero dot one"),
        ("1.2.3", "one point two point three"),
        ("v2.0", "v two point zero"),
        ("9/11", "nine eleven"),
        ("911", "nine one one"),
        ("ISBN 978-3-16-148410-0", "ISBN nine seven eight, three, one six, one four eight four one zero, zero"),
    ]);
}

#[test]
fn roman_numerals() {
    check(&[
        ("Henry VIII", "Henry the eighth"),
        ("Elizabeth I of England", "Elizabeth the first of England"),
        ("when Elizabeth I met", "when Elizabeth I met"),
        ("World War II", "World War two"),
        ("World War I", "World War one"),
        ("Chapter IV", "Chapter four"),
        ("Act V, Scene II", "Act five, Scene two"),
        ("Louis XIV's", "Louis XIV's"),
        ("Pope John Paul II.", "Pope John Paul the second."),
        ("Super Bowl LVIII", "Super Bowl fifty-eight"),
        ("Rocky II", "Rocky two"),
        ("a CD and an LCD", "a CD and an LCD"),
        ("I am", "I am"),
        ("the part I like", "the part I like"),
        ("type II", "type two"),
    ]);
}

#[test]
fn abbreviations() {
    check(&[
        ("Dr. Smith", "Doctor Smith"),
        ("Mr. and Mrs. Jones", "Mister and Missus Jones"),
        ("12 Main St.", "twelve Main Street."),
        ("St. Paul", "Saint Paul"),
        ("5 Oak Dr. Boston", "five Oak Drive. Boston"),
        ("fruit, e.g. apples", "fruit, for example apples"),
        ("that is, i.e., this", "that is, that is, this"),
        ("eggs, milk, etc.", "eggs, milk, et cetera."),
        ("eggs, etc. and so on", "eggs, et cetera and so on"),
        ("cats vs. dogs", "cats versus dogs"),
        ("No. 5", "number five"),
        ("No. He said no.", "No. He said no."),
        ("Fig. 3", "Figure three"),
        ("vol. III", "volume three"),
        ("pp. 3-5", "pages three to five"),
        ("Apple Inc. makes", "Apple Incorporated makes"),
        ("Sammy Davis Jr.", "Sammy Davis Junior."),
        ("the U.S. Army", "the U S Army"),
        ("in the U.S. He left", "in the U S. He left"),
        ("the U.S. economy", "the U S economy"),
        ("a Ph.D. thesis", "a P H D thesis"),
        ("J. K. Rowling", "J K Rowling"),
        ("Take vitamin C. Then", "Take vitamin C. Then"),
        ("w/ milk", "with milk"),
        ("and/or", "and or"),
        ("NASA and HTML5", "NASA and HTML five"),
        ("Smith & Co. Ltd.", "Smith and Company Limited."),
    ]);
}

#[test]
fn addresses() {
    check(&[
        ("https://www.example.com/docs/a.html", "example dot com slash docs slash a dot html"),
        ("http://example.com/?q=1#top", "example dot com"),
        ("See www.example.co.uk.", "See example dot co dot uk."),
        ("example.com", "example dot com"),
        ("john.doe@example.com", "john dot doe at example dot com"),
        ("a_b+c@my-host.org", "a underscore b plus c at my dash host dot org"),
        ("@sconce", "at sconce"),
        ("Node.js", "Node dot js"),
        ("localhost:8080", "localhost:eight thousand eighty"),
        ("README.md", "README dot md"),
        ("/usr/bin", "slash usr slash bin"),
    ]);
}

#[test]
fn signs() {
    check(&[
        ("salt & pepper", "salt and pepper"),
        ("R&D", "R and D"),
        ("C# and C++", "C sharp and C plus plus"),
        ("2 + 2 = 4", "two plus two equals four"),
        ("a → b", "a to b"),
        ("word—word", "word — word"),
        ("word -- word", "word — word"),
        ("yes - no", "yes — no"),
        ("#hashtag", "hashtag hashtag"),
        ("snake_case", "snake case"),
        ("**bold** _it_ `code`", "bold it code"),
        ("B2B and mp3", "B two B and mp three"),
        ("GPT-4, COVID-19", "GPT-four, COVID-nineteen"),
        ("state-of-the-art", "state-of-the-art"),
        ("Sconce™ rocks", "Sconce rocks"),
        ("§ 5", "section five"),
        ("π and Ωμέγα", "pi and Ωμέγα"),
        ("“Quoted” ‘text’…", "\"Quoted\" 'text'..."),
        ("don't", "don't"),
        ("Hello, world!", "Hello, world!"),
        ("café naïve", "café naïve"),
        ("5 ☃ 6", "five six"),
        ("A…B", "A...B"),
        ("100% sure", "one hundred percent sure"),
    ]);
}

#[test]
fn what_the_lexicon_knows_is_left_to_it() {
    let kept = ["GPT-4", "Dr.", "C++"];
    let read = English::of("en").unwrap().speak("GPT-4 by Dr. X in C++, 5", |word| kept.contains(&word));
    assert_eq!(read, "GPT-4 by Dr. X in C++, five");
}

#[test]
fn white_space_at_the_ends_stays() {
    assert_eq!(speak("en", " 5 "), " five ");
    assert_eq!(speak("en", "5\n\n6\n7"), "five\n\nsix seven");
}

#[test]
fn only_english_is_english() {
    assert_eq!(English::of("de"), None);
    assert_eq!(English::of(""), None);
    assert_eq!(English::of("enm"), None);
    assert_eq!(English::of("EN_us"), Some(English { british: false }));
    assert_eq!(English::of("en-Latn-AU"), Some(English { british: true }));
}
