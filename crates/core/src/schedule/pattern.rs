//! A cron pattern as BullMQ's parser reads it.
//!
//! Six fields, seconds first; those missing in front are `0` for seconds and `*` otherwise. A field is a list of `n`,
//! `a-b`, `a-b/step`, `a/step`; `*` and `?` are the whole range. Names of three letters stand for months and weekdays.
//! `L` in the days is the last of the month, `5L` the month's last Friday, `5#2` its second. A value named twice is an
//! error, as it is there. `H` is a value drawn for the pattern: theirs is drawn anew every time, ours from the text, so
//! that all our processes agree.

use thiserror::Error;

/// Listing every value of every field takes half of this.
const MAX_LENGTH: usize = 1024;

const NAMES: [&str; 19] = [
    "sun", "mon", "tue", "wed", "thu", "fri", "sat", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep",
    "oct", "nov", "dec",
];

const ALIASES: [(&str, &str); 10] = [
    ("@yearly", "0 0 0 1 1 *"),
    ("@annually", "0 0 0 1 1 *"),
    ("@monthly", "0 0 0 1 * *"),
    ("@weekly", "0 0 0 * * 0"),
    ("@daily", "0 0 0 * * *"),
    ("@hourly", "0 0 * * * *"),
    ("@minutely", "0 * * * * *"),
    ("@secondly", "* * * * * *"),
    ("@weekdays", "0 0 0 * * 1-5"),
    ("@weekends", "0 0 0 * * 0,6"),
];

/// The most days a month has, February's leap day included.
const DAYS_IN_MONTH: [i8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Problem {
    #[error("it is longer than {MAX_LENGTH} characters")]
    Long,
    #[error("it has {0} fields")]
    Fields(usize),
    #[error("`{0}` cannot be read")]
    Text(String),
    #[error("`{text}` is not within {min}-{max}")]
    Range { text: String, min: i8, max: i8 },
    #[error("`{0}` names a value twice")]
    Twice(String),
    #[error("`{0}` is not a weekday with an occurrence from 1 to 5")]
    Occurrence(String),
    #[error("no month it names has day {0}")]
    Day(i8),
}

/// One field: its values in order, and whether it was `*` or `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) values: Vec<i8>,
    pub(super) is_any: bool,
}

impl Field {
    pub(super) fn has(&self, value: i8) -> bool {
        self.values.contains(&value)
    }

    pub(super) fn after(&self, value: i8) -> Option<i8> {
        self.values.iter().copied().find(|candidate| *candidate > value)
    }

    pub(super) fn first(&self) -> i8 {
        self.values.first().copied().unwrap_or(0)
    }
}

/// A pattern, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) second: Field,
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day: Field,
    pub(super) month: Field,
    pub(super) weekday: Field,
    /// `L` among the days of the month.
    pub(super) last_day: bool,
    /// Weekdays whose last one in a month is meant.
    pub(super) last_weekdays: Vec<i8>,
    /// Which of a month's weekdays is meant; 0 for all.
    pub(super) occurrence: i8,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let text = ALIASES.iter().find(|(alias, _)| *alias == text).map_or(text, |(_, pattern)| pattern);
        if text.len() > MAX_LENGTH {
            return Err(Problem::Long);
        }
        let given: Vec<&str> = text.split_whitespace().collect();
        if given.is_empty() || given.len() > 6 {
            return Err(Problem::Fields(given.len()));
        }
        let mut fields = ["0", "*", "*", "*", "*", "*"];
        fields[6 - given.len()..].copy_from_slice(&given);
        let [second, minute, hour, day, month, weekday] = fields;
        let (weekday_values, occurrence) = split_occurrence(weekday)?;
        let read = |text: &str, position: u8, min, max, has_names, has_last| {
            Reader { min, max, draw: draw(text, position), has_names, has_last, is_weekday: has_names && has_last }
                .read(text)
        };
        let day_field = read(day, 3, 1, 31, false, true)?;
        let weekday_field = read(weekday_values, 5, 0, 7, true, true)?;
        if weekday_field.lasts.iter().any(Option::is_none) {
            return Err(Problem::Text(weekday.to_owned()));
        }
        let pattern = Self {
            second: read(second, 0, 0, 59, false, false)?.field(second),
            minute: read(minute, 1, 0, 59, false, false)?.field(minute),
            hour: read(hour, 2, 0, 23, false, false)?.field(hour),
            last_day: !day_field.lasts.is_empty(),
            day: day_field.field(day),
            month: read(month, 4, 1, 12, true, false)?.field(month),
            last_weekdays: weekday_field.lasts.iter().flatten().map(|day| day % 7).collect(),
            weekday: weekday_field.field(weekday),
            occurrence,
        };
        pattern.check_day()?;
        Ok(pattern)
    }

    /// A day that its only month never has is a mistake.
    fn check_day(&self) -> Result<(), Problem> {
        let [month] = self.month.values[..] else { return Ok(()) };
        let longest = DAYS_IN_MONTH[usize::try_from(month - 1).unwrap_or(0)];
        let first = self.day.first();
        if self.weekday.is_any && !self.last_day && first > longest { Err(Problem::Day(first)) } else { Ok(()) }
    }
}

/// Splits `5#2` into the weekday and which one of the month.
fn split_occurrence(weekday: &str) -> Result<(&str, i8), Problem> {
    let Some((day, occurrence)) = weekday.split_once('#') else { return Ok((weekday, 0)) };
    let refused = || Problem::Occurrence(weekday.to_owned());
    if weekday.contains([',', '-', '/']) {
        return Err(refused());
    }
    let occurrence = occurrence.parse().ok().filter(|occurrence| (1..=5).contains(occurrence)).ok_or_else(refused)?;
    Ok((day, occurrence))
}

/// The value of `H` in a field, in `0.0..1.0`, from the field's text (FNV-1a).
fn draw(text: &str, position: u8) -> f64 {
    let bytes = text.bytes().chain([position]);
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    f64::from(hash) / (f64::from(u32::MAX) + 1.0)
}

/// How one field is read.
struct Reader {
    min: i8,
    max: i8,
    draw: f64,
    has_names: bool,
    has_last: bool,
    is_weekday: bool,
}

/// The values of a field; `L` without a number is `None`.
#[derive(Default)]
struct Values {
    numbers: Vec<i8>,
    lasts: Vec<Option<i8>>,
}

impl Values {
    fn field(mut self, text: &str) -> Field {
        self.numbers.sort_unstable();
        Field { values: self.numbers, is_any: text == "*" || text == "?" }
    }
}

impl Reader {
    fn read(&self, text: &str) -> Result<Values, Problem> {
        let named = if self.has_names { replace_names(text)? } else { text.to_owned() };
        let whole = format!("{}-{}", self.min, self.max);
        let plain = self.replace_draws(&named.replace(['*', '?'], &whole))?;
        let mut values = Values::default();
        for item in plain.split(',') {
            self.read_item(item, &mut values)?;
        }
        let is_repeated = |numbers: &[i8]| (1..numbers.len()).any(|at| numbers[..at].contains(&numbers[at]));
        let lasts: Vec<i8> = values.lasts.iter().map(|last| last.unwrap_or(-1)).collect();
        if is_repeated(&values.numbers) || is_repeated(&lasts) {
            return Err(Problem::Twice(text.to_owned()));
        }
        Ok(values)
    }

    fn read_item(&self, item: &str, values: &mut Values) -> Result<(), Problem> {
        let unread = || Problem::Text(item.to_owned());
        let (range, step) = match item.split_once('/') {
            Some((_, step)) if step.contains('/') => return Err(unread()),
            Some((range, step)) => (range, leading_number(step).filter(|step| *step > 0).ok_or_else(unread)?),
            None => (item, 1),
        };
        let bounds = match range.split_once('-') {
            Some((from, to)) => Some((from, leading_number(to).ok_or_else(unread)?)),
            None if item.contains('/') => Some((range, i64::from(self.max))),
            None => None,
        };
        match bounds {
            Some((from, to)) => {
                let from = leading_number(from).ok_or_else(unread)?;
                self.push_range(item, from, to, step, values)
            }
            None if self.has_last && range.ends_with('L') => {
                let number = &range[..range.len() - 1];
                let last = if number.is_empty() { None } else { Some(number.parse().map_err(|_| unread())?) };
                values.lasts.push(last);
                Ok(())
            }
            None => {
                let number = range.parse().map_err(|_| unread())?;
                let value = self.within(item, number)?;
                values.numbers.push(if self.is_weekday { value % 7 } else { value });
                Ok(())
            }
        }
    }

    fn push_range(&self, item: &str, from: i64, to: i64, step: i64, values: &mut Values) -> Result<(), Problem> {
        let (from, to) = (self.within(item, from)?, self.within(item, to)?);
        if from > to {
            return Err(Problem::Text(item.to_owned()));
        }
        let mut numbers: Vec<i8> = (from..=to)
            .step_by(usize::try_from(step).unwrap_or(usize::MAX))
            .filter(|number| *number != 7 || !self.is_weekday)
            .collect();
        // Sunday may be written as 7.
        let ends_on_sunday = self.is_weekday && to % 7 == 0 && i64::from(to - from) % step == 0;
        if ends_on_sunday && !numbers.contains(&0) {
            numbers.push(0);
        }
        values.numbers.append(&mut numbers);
        Ok(())
    }

    fn within(&self, item: &str, number: i64) -> Result<i8, Problem> {
        let value = i8::try_from(number).ok().filter(|value| (self.min..=self.max).contains(value));
        value.ok_or_else(|| Problem::Range { text: item.to_owned(), min: self.min, max: self.max })
    }

    /// Puts numbers in place of `H`, `H(a-b)`, `H/step` and `H(a-b)/step`.
    fn replace_draws(&self, text: &str) -> Result<String, Problem> {
        let unread = || Problem::Text(text.to_owned());
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('H') {
            plain.push_str(before);
            rest = after;
            let (mut from, mut to) = (self.min, self.max);
            if let Some(range) = rest.strip_prefix('(') {
                let (range, after) = range.split_once(')').ok_or_else(unread)?;
                let (low, high) = range.split_once('-').ok_or_else(unread)?;
                let bound = |text: &str| text.parse::<i8>().map_err(|_| unread());
                (from, to, rest) = (bound(low)?.max(from), bound(high)?.min(to), after);
            }
            if from > to {
                return Err(unread());
            }
            let mut step = None;
            if let Some(after) = rest.strip_prefix('/') {
                let digits = after.len() - after.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
                let (number, after) = after.split_at(digits);
                step = Some(number.parse::<i8>().ok().filter(|step| *step > 0).ok_or_else(unread)?);
                rest = after;
            }
            plain.push_str(&self.drawn(from, to, step));
        }
        plain.push_str(rest);
        let is_known =
            |byte: u8| byte.is_ascii_digit() || matches!(byte, b',' | b'-' | b'/') || (byte == b'L' && self.has_last);
        if plain.bytes().all(is_known) { Ok(plain) } else { Err(unread()) }
    }

    fn drawn(&self, from: i8, to: i8, step: Option<i8>) -> String {
        #[expect(clippy::cast_possible_truncation, reason = "a share of a range of at most 60")]
        let share = |count: i8| (self.draw * f64::from(count)).floor() as i8;
        let values: Vec<String> = step.map_or_else(Vec::new, |step| {
            let first = i32::from(from / step * step) + i32::from(share(step));
            let steps = (first..=i32::from(to)).step_by(usize::try_from(step).unwrap_or(1));
            steps.filter(|value| *value >= i32::from(from)).map(|value| value.to_string()).collect()
        });
        if values.is_empty() { (share(to - from + 1) + from).to_string() } else { values.join(",") }
    }
}

/// Numbers in place of the names of months and weekdays.
fn replace_names(text: &str) -> Result<String, Problem> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let word = rest.get(..3).filter(|word| word.bytes().all(|byte| byte.is_ascii_alphabetic()));
        let Some(word) = word else {
            plain.push(letter);
            rest = &rest[letter.len_utf8()..];
            continue;
        };
        let position = NAMES.iter().position(|name| name.eq_ignore_ascii_case(word));
        let position = position.ok_or_else(|| Problem::Text(word.to_owned()))?;
        plain.push_str(&(if position < 7 { position } else { position - 6 }).to_string());
        rest = &rest[3..];
    }
    Ok(plain)
}

/// The number that `text` begins with.
fn leading_number(text: &str) -> Option<i64> {
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    text[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_lists_of_numbers_ranges_and_steps() {
        let parse = |text: &str| Pattern::parse(text).unwrap();
        assert_eq!(parse("5-20/5,1,40/10 * * * *").minute.values, [1, 5, 10, 15, 20, 40, 50]);
        assert_eq!(parse("* * * jan,MAR *").month.values, [1, 3]);
        assert_eq!(parse("* * * * fri-7").weekday.values, [0, 5, 6]);
        assert_eq!(parse("* * * * 7").weekday.values, [0]);
        assert_eq!(parse("0 0 * * * *").minute.values, [0]);
        assert_eq!((parse("* * * * FRI#2").occurrence, parse("* * * * 5L").last_weekdays), (2, vec![5]));
        assert!(parse("* * L * ?").last_day && parse("* * L * ?").weekday.is_any);
        assert!(!parse("* * */2 * *").day.is_any);
    }

    #[test]
    fn what_the_other_parser_refuses_is_refused() {
        for text in [
            "1,1 * * * *",
            "0-5,3 * * * *",
            "* * * * 0,7",
            "* * * * L",
            "22-2 * * * *",
            "*/0 * * * *",
            "1//2 * * * *",
            "* * * * 1#6",
            "* * * * 1-2#1",
            "* * 31 4 *",
            "5, * * * *",
            "* * * * monday",
            "1 2 3 4 5 6 7",
            "a * * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* 24 * * *",
            "L * * * *",
            "* * LW * *",
            "H(9-3) * * * *",
            "H/0 * * * *",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_drawn_value_stays_in_its_range_and_does_not_change() {
        let first = Pattern::parse("H(10-20) H/6 H * *").unwrap();
        assert!((10..=20).contains(&first.minute.first()));
        assert_eq!(first.hour.values.len(), 4);
        assert_eq!(first, Pattern::parse("H(10-20) H/6 H * *").unwrap());
    }
}
